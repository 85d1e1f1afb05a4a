//! Mean.

use super::sizes;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn mean(op: &ops::Mean, mut call: Call<'_>) {
    let input = call.input(0);
    // Bit i stands for dimension i; the kernel's dimensions have 1s put before them.
    let moved = 6usize.saturating_sub(input.shape.rank()) as u32;
    let p = kernels::Mean {
        dims: sizes(input.shape),
        reduced: op.reduced.cast_unsigned().unbounded_shl(moved),
        input_zero_point: input.zero_point,
        output_zero_point: call.operands.output.zero_point,
        multiplier: op.output[0],
        shift: op.output[1],
    };
    let x = call.i8s(0);
    kernels::mean(&p, call.rows.clone(), x, call.out());
}
