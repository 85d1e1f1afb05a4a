//! Lstm: one step of a long short-term memory.
//!
//! With `z = W x + U h + b` for each of the gates input, forget, cell and output, in that order:
//! `c' = logistic(z_f) * c + logistic(z_i) * tanh(z_g)`, `h' = logistic(z_o) * tanh(c')`. Each `z` is
//! `(W x + U h) + b`, and both products are dot products.
//!
//! A cell is used by one row only and is updated in place. All rows read the hidden state, so the new one is
//! an output, which the caller copies over the old one when all rows are done. A row must be computed exactly
//! once per step.
//!
//! Sources: Hochreiter and Schmidhuber (1997); gates as in PyTorch and candle-nn `rnn::LSTM`.

use core::ops::Range;

use super::at;
use super::sum::{Weight, dot_rows};
use super::unary::logistic;
use crate::lines::{run, tail};
use crate::window::div_rem;

/// Parameters of [`lstm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lstm {
    /// The number of input elements, per batch.
    pub input_size: usize,
    /// The number of hidden units, per batch.
    pub hidden_size: usize,
}

/// Computes output rows `rows`; a row is one element, unit `row % hidden_size` of batch
/// `row / hidden_size`, and `output` holds the elements of `rows` only.
///
/// `input` is `[batches, input_size]`, `hidden` and `cell` are `[batches, hidden_size]`, `weights_input`
/// `[4 * hidden_size, input_size]`, `weights_hidden` `[4 * hidden_size, hidden_size]`, `bias`
/// `[4 * hidden_size]` (the sum of both, if a checkpoint has two) or empty.
#[expect(clippy::too_many_arguments, reason = "the operator has six operands")]
pub fn lstm<W: Weight>(
    p: &Lstm,
    rows: Range<usize>,
    input: &[f32],
    hidden: &[f32],
    weights_input: &[W],
    weights_hidden: &[W],
    bias: &[f32],
    cell: &mut [f32],
    output: &mut [f32],
) {
    for (row, output) in rows.zip(output) {
        let (batch, unit) = div_rem(row, p.hidden_size);
        let input = run(input, batch.wrapping_mul(p.input_size), p.input_size);
        let hidden = run(hidden, batch.wrapping_mul(p.hidden_size), p.hidden_size);
        let gates_of = |x: &[f32], weights: &[W]| {
            let mut gates = [0.0; 4];
            let row = unit.wrapping_mul(x.len());
            dot_rows(x, tail(weights, row), p.hidden_size.wrapping_mul(x.len()), &mut gates);
            gates
        };
        let mut gates = gates_of(input, weights_input);
        for (gate, (z, of_hidden)) in gates.iter_mut().zip(gates_of(hidden, weights_hidden)).enumerate() {
            *z = *z + of_hidden + at(bias, gate.wrapping_mul(p.hidden_size).wrapping_add(unit));
        }
        let [z_i, z_f, z_g, z_o] = gates;
        let Some(cell) = cell.get_mut(row) else { return };
        *cell = logistic(z_f) * *cell + logistic(z_i) * libm::tanhf(z_g);
        *output = logistic(z_o) * libm::tanhf(*cell);
    }
}
