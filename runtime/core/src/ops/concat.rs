//! Concat.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn concat(op: &ops::Concat, call: Call<'_>) {
    let outer = op.axis.max(0) as usize;
    let row_len = |value: tealight_format::ValueRecord<'_>| {
        let rows = value.shape().product(0, outer).unwrap_or(1);
        value.byte_len().checked_div(rows).unwrap_or(0) as usize
    };
    let mut start = 0usize;
    for k in 0..call.op.count() {
        let p = kernels::ConcatPart { row_len: row_len(call.target()), start, len: row_len(call.input(k)) };
        kernels::concat_part(&p, call.rows.clone(), call.bytes(k), call.output);
        start = start.wrapping_add(p.len);
    }
}
