//! LstmF32.

use super::recurrent_sizes;
use crate::execute::Call;
use crate::linked::Ops;
use tealight_format::ops;
use tealight_kernels::float;

pub(super) fn lstm_f32<O: Ops>(_: &ops::LstmF32, mut call: Call<'_>) {
    let [input_size, hidden_size] = recurrent_sizes(&call);
    let p = float::Lstm { input_size, hidden_size };
    let (rows, x, bias, hidden) = (call.rows.clone(), call.f32s(0), call.f32s(3), call.f32s(5));
    let (cell, output) = (call.state(), call.out());
    with_weights!(O, call, W => {
        float::lstm::<W>(&p, rows, x, hidden, call.slice(1), call.slice(2), bias, cell, output);
    });
}
