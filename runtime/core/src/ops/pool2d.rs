//! AvgPool2d and MaxPool2d, int8, int16 and f32.

use super::nhwc;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::{float, int16};

pub(super) fn avg_pool2d(op: &ops::Pool2d, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::avg_pool2d(&p, call.rows.clone(), x, call.out());
}

pub(super) fn max_pool2d(op: &ops::Pool2d, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::max_pool2d(&p, call.rows.clone(), x, call.out());
}

fn params(op: &ops::Pool2d, call: &Call<'_>) -> kernels::Pool2d {
    kernels::Pool2d {
        input: nhwc(call.input(0)),
        output: nhwc(call.target()),
        window: op.window2d(),
        activation: op.activation,
    }
}

pub(super) fn avg_pool2d_f32(op: &ops::Pool2dF32, mut call: Call<'_>) {
    let (p, x) = (params_f32(op, &call), call.f32s(0));
    float::avg_pool2d(&p, call.rows.clone(), x, call.out());
}

pub(super) fn max_pool2d_f32(op: &ops::Pool2dF32, mut call: Call<'_>) {
    let (p, x) = (params_f32(op, &call), call.f32s(0));
    float::max_pool2d(&p, call.rows.clone(), x, call.out());
}

fn params_f32(op: &ops::Pool2dF32, call: &Call<'_>) -> float::Pool2d {
    float::Pool2d {
        input: nhwc(call.input(0)),
        output: nhwc(call.target()),
        window: op.window2d(),
        count_padding: false,
        activation: op.activation,
    }
}

pub(super) fn avg_pool2d_i16(op: &ops::Pool2dI16, mut call: Call<'_>) {
    let (p, x) = (params_i16(op, &call), call.i16s(0));
    int16::avg_pool2d(&p, call.rows.clone(), x, call.out());
}

pub(super) fn max_pool2d_i16(op: &ops::Pool2dI16, mut call: Call<'_>) {
    let (p, x) = (params_i16(op, &call), call.i16s(0));
    int16::max_pool2d(&p, call.rows.clone(), x, call.out());
}

fn params_i16(op: &ops::Pool2dI16, call: &Call<'_>) -> int16::Pool2d {
    int16::Pool2d {
        input: nhwc(call.input(0)),
        output: nhwc(call.target()),
        window: op.window2d(),
        activation: op.activation,
    }
}
