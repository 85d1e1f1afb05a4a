//! Lstm: one step of a long short-term memory of int8 activations and weights, with an int16 cell.
//!
//! With `z = sat(requantized(W x + b) + requantized(U h))` for each of the gates input, forget, cell and output, in that order,
//! as int16 of scale 2^-12: `c' = clip(sat(logistic(z_f) * c + logistic(z_i) * tanh(z_g)))`,
//! `h' = logistic(z_o) * tanh(c')`, each product requantized by itself. Functions have the scale 2^-15. The zero points of
//! input and hidden state are in the biases, as [`Channel`] says.
//!
//! A cell is used by one row only and is updated in place. All rows read the hidden state, so the new one is
//! an output, which the caller copies over the old one when all rows are done. A row must be computed exactly
//! once per step.
//!
//! Source: TensorFlow Lite Micro `lstm_eval` for int8 activations and an int16 cell; [`float::lstm`](crate::float::lstm()) is
//! the same cell in f32.

use core::ops::Range;

use crate::arch::dot_rows;
use crate::int16::{SIGMOIDS, Sigmoid, logistic, tanh};
use crate::lines::{run, tail};
use crate::quant::{Channel, clamp, multiply_by_quantized_multiplier};
use crate::window::div_rem;
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`lstm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lstm {
    /// The number of input elements, per batch.
    pub input_size: usize,
    /// The number of hidden units, per batch.
    pub hidden_size: usize,
    /// Factor of the product of forget gate and cell.
    pub forget: Multiplier,
    /// Factor of the product of input gate and cell gate.
    pub input: Multiplier,
    /// Factor of the product of output gate and the cell's hyperbolic tangent.
    pub output: Multiplier,
    /// The scale of a cell, for its hyperbolic tangent.
    pub tanh: Sigmoid,
    /// The maximum magnitude of a cell; 0 for none.
    pub clip: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
}

/// Sums of scale 2^-12, three of which make a unit of [`Sigmoid`].
const GATE: Sigmoid = Sigmoid { multiplier: 3, shift: 0 };

/// The operands of [`lstm`] that are constants.
#[derive(Debug, Clone, Copy)]
pub struct LstmWeights<'a> {
    /// `[4 * hidden_size, input_size]`.
    pub input: &'a [i8],
    /// `[4 * hidden_size, hidden_size]`.
    pub hidden: &'a [i8],
    /// Those of `input`, then those of `hidden`: `8 * hidden_size`.
    pub channels: &'a [Channel],
    /// The table of [`logistic`] and [`tanh`].
    pub table: &'a [u16; SIGMOIDS],
}

/// Computes output rows `rows`; a row is one element, unit `row % hidden_size` of batch
/// `row / hidden_size`, and `output` holds the elements of `rows` only.
///
/// `input` is `[batches, input_size]`, `hidden` and `cell` are `[batches, hidden_size]`.
pub fn lstm(
    p: &Lstm,
    rows: Range<usize>,
    input: &[i8],
    hidden: &[i8],
    weights: &LstmWeights<'_>,
    cell: &mut [i16],
    output: &mut [i8],
) {
    let of_hidden = tail(weights.channels, p.hidden_size.wrapping_mul(4));
    for (row, output) in rows.zip(output) {
        let (batch, unit) = div_rem(row, p.hidden_size);
        let input = run(input, batch.wrapping_mul(p.input_size), p.input_size);
        let hidden = run(hidden, batch.wrapping_mul(p.hidden_size), p.hidden_size);
        let mut gates = p.sums(unit, input, weights.input, weights.channels);
        for (gate, more) in gates.iter_mut().zip(p.sums(unit, hidden, weights.hidden, of_hidden)) {
            *gate = saturated(i32::from(*gate).wrapping_add(i32::from(more)));
        }
        let [z_i, z_f, z_g, z_o] = gates;
        let (mut opened, mut written) = ([0; 3], [0]);
        logistic(&GATE, weights.table, &[z_i, z_f, z_o], &mut opened);
        tanh(&GATE, weights.table, &[z_g], &mut written);
        let ([i, f, o], [g]) = (opened, written);
        let Some(cell) = cell.get_mut(row) else { return };
        let kept = i32::from(saturated(product(f, *cell, p.forget)));
        let added = i32::from(saturated(product(i, g, p.input)));
        *cell = saturated(kept.wrapping_add(added));
        if p.clip > 0 {
            *cell = clamp(i32::from(*cell), [p.clip.wrapping_neg(), p.clip]) as i16;
        }
        let mut shown = [0];
        tanh(&p.tanh, weights.table, &[*cell], &mut shown);
        let [shown] = shown;
        *output = ActivationRange::FULL.clamp(product(shown, o, p.output).wrapping_add(p.output_zero_point));
    }
}

impl Lstm {
    /// The requantized sums of `unit` for the four gates.
    #[inline]
    fn sums(&self, unit: usize, x: &[i8], weights: &[i8], channels: &[Channel]) -> [i16; 4] {
        let mut sums = [0; 4];
        dot_rows(&mut sums, x, tail(weights, unit.wrapping_mul(x.len())), self.hidden_size.wrapping_mul(x.len()));
        let mut gates = [0; 4];
        for (k, (gate, sum)) in gates.iter_mut().zip(sums).enumerate() {
            if let Some(channel) = channels.get(k.wrapping_mul(self.hidden_size).wrapping_add(unit)) {
                let sum = sum.wrapping_add(channel.bias);
                *gate = saturated(multiply_by_quantized_multiplier(sum, channel.multiplier, channel.shift));
            }
        }
        gates
    }
}

/// The product of two numbers, times a factor.
#[inline]
fn product(a: i16, b: i16, factor: Multiplier) -> i32 {
    multiply_by_quantized_multiplier(i32::from(a).wrapping_mul(i32::from(b)), factor.multiplier, factor.shift)
}

/// The nearest int16 number.
#[inline]
fn saturated(x: i32) -> i16 {
    clamp(x, [i32::from(i16::MIN), i32::from(i16::MAX)]) as i16
}
