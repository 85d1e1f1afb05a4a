//! Mean, int8 and f32.

use super::sizes;
use crate::execute::Call;
use tealight_format::{Shape, ops};
use tealight_kernels as kernels;
use tealight_kernels::float;

pub(super) fn mean(op: &ops::Mean, mut call: Call<'_>) {
    let input = call.input(0);
    let p = kernels::Mean {
        dims: sizes(input.shape()),
        reduced: moved(op.reduced, input.shape()),
        input_zero_point: input.zero_point(),
        output_zero_point: call.target().zero_point(),
        output: op.output,
    };
    let x = call.i8s(0);
    kernels::mean(&p, call.rows.clone(), x, call.out());
}

pub(super) fn mean_f32(op: &ops::MeanF32, mut call: Call<'_>) {
    let shape = call.input(0).shape();
    let p = float::Mean { dims: sizes(shape), reduced: moved(op.reduced, shape) };
    let x = call.f32s(0);
    float::mean(&p, call.rows.clone(), x, call.out());
}

/// Shifts a mask of dimensions (bit i is dimension i) to the kernel's six dimensions, where 1s precede those of
/// `shape`.
fn moved(mask: i32, shape: Shape) -> u32 {
    mask.cast_unsigned().unbounded_shl(6usize.saturating_sub(shape.rank()) as u32)
}
