//! AddF32, SubF32, MulF32, DivF32, MinimumF32, MaximumF32 and PowF32.

use crate::execute::Call;
use tealight_format::ops::{BinaryF32, PowF32};
use tealight_kernels::float;

pub(super) fn add_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.f32s(0), call.f32s(1));
    float::add(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn sub_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.f32s(0), call.f32s(1));
    float::sub(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn mul_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.f32s(0), call.f32s(1));
    float::mul(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn div_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.f32s(0), call.f32s(1));
    float::div(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn minimum_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.f32s(0), call.f32s(1));
    float::minimum(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn maximum_f32(op: &BinaryF32, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.f32s(0), call.f32s(1));
    float::maximum(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn pow_f32(op: &PowF32, mut call: Call<'_>) {
    let (p, a, b) = (params(&op.0, &call), call.f32s(0), call.f32s(1));
    float::pow(&p, call.rows.clone(), a, b, call.out());
}

fn params(op: &BinaryF32, call: &Call<'_>) -> float::Binary {
    float::Binary { broadcast: call.broadcast(), activation: op.activation }
}
