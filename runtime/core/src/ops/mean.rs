//! Mean, int8, int16 and f32.

use super::sizes;
use crate::execute::Call;
use tealight_format::{Shape, ops};
use tealight_kernels as kernels;
use tealight_kernels::{float, int16};

pub(super) fn mean(op: &ops::Mean, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::mean(&p, call.rows.clone(), x, call.out());
}

pub(super) fn mean_i16(op: &ops::MeanI16, mut call: Call<'_>) {
    let (p, x) = (params(&op.0, &call), call.i16s(0));
    int16::mean(&p, call.rows.clone(), x, call.out());
}

fn params(op: &ops::Mean, call: &Call<'_>) -> kernels::Mean {
    let input = call.input(0);
    kernels::Mean {
        dims: sizes(input.shape()),
        reduced: moved(op.reduced, input.shape()),
        input_zero_point: input.zero_point(),
        output_zero_point: call.target().zero_point(),
        output: op.output,
    }
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
