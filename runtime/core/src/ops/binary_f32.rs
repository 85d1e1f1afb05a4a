//! AddF32, SubF32 and MulF32.

use crate::execute::Call;
use tealight_format::ops::BinaryF32;
use tealight_kernels::float::{self, Elementwise};

pub(super) fn add_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.reals(0), call.reals(1));
    float::add(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn sub_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.reals(0), call.reals(1));
    float::sub(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn mul_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.reals(0), call.reals(1));
    float::mul(&p, call.rows.clone(), a, b, call.out());
}

fn params(op: &BinaryF32, call: &Call<'_>) -> Elementwise {
    Elementwise { broadcast: call.broadcast(), activation: op.activation }
}
