//! StridedSlice.

use super::{aligned, item, sizes, unsigned};
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn strided_slice(op: &ops::StridedSlice, call: Call<'_>) {
    let output = call.target();
    let rank = output.rank();
    let p = kernels::StridedSlice {
        input: sizes(call.input(0).shape()),
        output: sizes(output.shape()),
        begin: aligned(unsigned(op.begin), rank, 0),
        stride: aligned(op.stride.map(|step| step as isize), rank, 1),
        item: item(output.dtype()),
    };
    kernels::strided_slice(&p, call.rows.clone(), call.bytes(0), call.output);
}
