//! Lstm and LstmF32.

use super::recurrent_sizes;
use super::sigmoid::params as sigmoid;
use crate::execute::Call;
use crate::linked::Ops;
use tealight_format::ops;
use tealight_kernels::float;
use tealight_kernels::{self as kernels, LstmWeights};

pub(super) fn lstm(op: &ops::Lstm, mut call: Call<'_>) {
    let [input_size, hidden_size] = recurrent_sizes(&call);
    let p = kernels::Lstm {
        input_size,
        hidden_size,
        forget: op.forget,
        input: op.input,
        output: op.output,
        tanh: sigmoid(&op.tanh),
        clip: op.clip,
        output_zero_point: call.target().zero_point(),
    };
    let Some(table) = call.slice(4).first_chunk() else { return };
    let weights = LstmWeights { input: call.i8s(1), hidden: call.i8s(2), channels: call.channels(3), table };
    let (rows, x, hidden) = (call.rows.clone(), call.i8s(0), call.i8s(6));
    kernels::lstm(&p, rows, x, hidden, &weights, call.state(), call.out());
}

pub(super) fn lstm_f32<O: Ops>(_: &ops::LstmF32, mut call: Call<'_>) {
    let [input_size, hidden_size] = recurrent_sizes(&call);
    let p = float::Lstm { input_size, hidden_size };
    let (rows, x, bias, hidden) = (call.rows.clone(), call.f32s(0), call.f32s(3), call.f32s(5));
    let (cell, output) = (call.state(), call.out());
    with_weights!(O, call, W => {
        float::lstm::<W>(&p, rows, x, hidden, call.slice(1), call.slice(2), bias, cell, output);
    });
}
