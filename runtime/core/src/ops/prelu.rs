//! Prelu, int8 and f32.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::float;

pub(super) fn prelu(op: &ops::Prelu, mut call: Call<'_>) {
    let p = kernels::Prelu {
        broadcast: call.broadcast(),
        input_zero_point: call.input(0).zero_point(),
        alpha_zero_point: call.input(1).zero_point(),
        output_zero_point: call.target().zero_point(),
        positive: op.positive,
        negative: op.negative,
    };
    let (x, alpha) = (call.i8s(0), call.i8s(1));
    kernels::prelu(&p, call.rows.clone(), x, alpha, call.out());
}

pub(super) fn prelu_f32(_: &ops::PreluF32, mut call: Call<'_>) {
    let (broadcast, x, alpha) = (call.broadcast(), call.f32s(0), call.f32s(1));
    float::prelu(&broadcast, call.rows.clone(), x, alpha, call.out());
}
