//! Pad.

use super::{aligned, item, sizes, unsigned};
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn pad(op: &ops::Pad, call: Call<'_>) {
    let output = call.target();
    let p = kernels::Pad {
        input: sizes(call.input(0).shape()),
        output: sizes(output.shape()),
        before: aligned(unsigned(op.before), output.rank(), 0),
        value: op.value.to_le_bytes(),
        item: item(output.dtype()),
    };
    kernels::pad(&p, call.rows.clone(), call.bytes(0), call.output);
}
