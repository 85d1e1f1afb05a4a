//! Gru: one step of a gated recurrent unit.
//!
//! With `x_g = W x + b` and `h_g = U h + b'` for each of the gates reset, update and new, in that order:
//! `r = logistic(x_r + h_r)`, `z = logistic(x_z + h_z)`, `n = tanh(x_n + r * h_n)`,
//! `h' = (1 - z) * n + z * h`. All products are dot products.
//!
//! All rows read the hidden state, so the new one is an output, which the caller copies over the old one when
//! all rows are done.
//!
//! Sources: Cho and others (2014); gates as in PyTorch and candle-nn `rnn::GRU`.

use core::ops::Range;

use super::at;
use super::sum::{Weight, dot_rows};
use super::unary::logistic;
use crate::lines::{run, tail};
use crate::window::div_rem;

/// Parameters of [`gru`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gru {
    /// The number of input elements, per batch.
    pub input_size: usize,
    /// The number of hidden units, per batch.
    pub hidden_size: usize,
}

/// Computes output rows `rows`; a row is one element, unit `row % hidden_size` of batch
/// `row / hidden_size`, and `output` holds the elements of `rows` only.
///
/// `input` is `[batches, input_size]`, `hidden` `[batches, hidden_size]`, `weights_input`
/// `[3 * hidden_size, input_size]`, `weights_hidden` `[3 * hidden_size, hidden_size]`, `bias_input` and
/// `bias_hidden` `[3 * hidden_size]` or empty.
#[expect(clippy::too_many_arguments, reason = "the operator has six operands")]
pub fn gru<W: Weight>(
    p: &Gru,
    rows: Range<usize>,
    input: &[f32],
    hidden: &[f32],
    weights_input: &[W],
    weights_hidden: &[W],
    bias_input: &[f32],
    bias_hidden: &[f32],
    output: &mut [f32],
) {
    for (row, output) in rows.zip(output) {
        let (batch, unit) = div_rem(row, p.hidden_size);
        let input = run(input, batch.wrapping_mul(p.input_size), p.input_size);
        let hidden = run(hidden, batch.wrapping_mul(p.hidden_size), p.hidden_size);
        let gates_of = |x: &[f32], weights: &[W], bias: &[f32]| {
            let mut gates = [0.0; 3];
            let row = unit.wrapping_mul(x.len());
            dot_rows(x, tail(weights, row), p.hidden_size.wrapping_mul(x.len()), &mut gates);
            for (gate, sum) in gates.iter_mut().enumerate() {
                *sum += at(bias, gate.wrapping_mul(p.hidden_size).wrapping_add(unit));
            }
            gates
        };
        let [x_reset, x_update, x_new] = gates_of(input, weights_input, bias_input);
        let [h_reset, h_update, h_new] = gates_of(hidden, weights_hidden, bias_hidden);
        let reset = logistic(x_reset + h_reset);
        let update = logistic(x_update + h_update);
        let new = libm::tanhf(x_new + reset * h_new);
        *output = (1.0 - update) * new + update * at(hidden, unit);
    }
}
