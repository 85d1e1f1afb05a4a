//! Softmax, int8, int16 and f32, and LogSoftmax.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::{float, int16};

pub(super) fn softmax(op: &ops::Softmax, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::softmax(&p, call.rows.clone(), x, call.out());
}

pub(super) fn log_softmax(op: &ops::LogSoftmax, mut call: Call<'_>) {
    let (p, x) = (params(&op.input, &call), call.i8s(0));
    kernels::log_softmax(&p, op.reverse, call.rows.clone(), x, call.out());
}

fn params(op: &ops::Softmax, call: &Call<'_>) -> kernels::Softmax {
    kernels::Softmax {
        depth: call.target().shape().from_end(0) as usize,
        input_multiplier: op.input_multiplier,
        input_left_shift: op.input_left_shift,
        diff_min: op.diff_min,
    }
}

pub(super) fn softmax_f32(op: &ops::SoftmaxF32, mut call: Call<'_>) {
    let p = float::Softmax { depth: call.target().shape().from_end(0) as usize, beta: op.beta };
    let x = call.f32s(0);
    float::softmax(&p, call.rows.clone(), x, call.out());
}

pub(super) fn softmax_i16(op: &ops::SoftmaxI16, mut call: Call<'_>) {
    let p = int16::Softmax { depth: call.target().shape().from_end(0) as usize, input: op.input };
    let (x, tables) = (call.i16s(0), call.i16s(1));
    int16::softmax(&p, call.rows.clone(), x, tables, call.out());
}
