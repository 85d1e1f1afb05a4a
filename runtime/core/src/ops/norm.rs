//! LayerNormF32, RmsNormF32 and L2Norm.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::float::{self, Norm};

pub(super) fn layer_norm_f32(op: &ops::LayerNormF32, mut call: Call<'_>) {
    let p = params(op.epsilon, &call);
    let (x, weight, bias) = (call.f32s(0), call.f32s(1), call.f32s(2));
    float::layer_norm(&p, call.rows.clone(), x, weight, bias, call.out());
}

pub(super) fn rms_norm_f32(op: &ops::RmsNormF32, mut call: Call<'_>) {
    let p = params(op.epsilon, &call);
    let (x, weight) = (call.f32s(0), call.f32s(1));
    float::rms_norm(&p, call.rows.clone(), x, weight, call.out());
}

pub(super) fn l2_norm(_: &ops::L2Norm, mut call: Call<'_>) {
    let depth = call.target().shape().from_end(0) as usize;
    let p = kernels::L2Norm { depth, input_zero_point: call.input(0).zero_point() };
    let x = call.i8s(0);
    kernels::l2_norm(&p, call.rows.clone(), x, call.out());
}

fn params(epsilon: f32, call: &Call<'_>) -> Norm {
    Norm { depth: call.target().shape().from_end(0) as usize, epsilon }
}
