//! FullyConnected: a matrix product with constant weights, OI.
//!
//! `out[b, o] = clamp(Σ w[o, i] * in[b, i] + bias[o])`.

use core::ops::Range;

use super::finish::Finish;
use super::products::Pixels;
use super::weights::Weights;
use crate::lines::{run, tail};
use crate::portable::{Steps, Window};
use crate::window::div_rem;

/// Parameters of [`fully_connected`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FullyConnected {
    /// The number of inputs of a neuron.
    pub in_features: usize,
    /// The number of neurons.
    pub out_features: usize,
    /// Minimum and maximum of the output.
    pub activation: [f32; 2],
}

/// Computes output rows `rows`; a row is one element, neuron `row % out_features` of batch
/// `row / out_features`.
///
/// `input` is `[batches, in_features]`, `weights` is `[out_features, in_features]`, `channels` has
/// `out_features` entries, or none for biases of 0, and `output` holds the elements of `rows` only.
pub fn fully_connected<S: Weights>(
    p: &FullyConnected,
    rows: Range<usize>,
    input: &[f32],
    weights: S,
    channels: &[S::Finish],
    output: &mut [f32],
) {
    let (mut row, mut rest) = (rows.start, output);
    // The neurons of a batch at once, or whole batches.
    while !rest.is_empty() {
        let (batch, neuron) = div_rem(row, p.out_features);
        let count = p.out_features.saturating_sub(neuron).clamp(1, rest.len());
        let batches =
            if const { S::WHOLE_LINES } && neuron == 0 { rest.len().checked_div(count).unwrap_or(1) } else { 1 };
        let Some((outputs, later)) = rest.split_at_mut_checked(count.wrapping_mul(batches)) else { return };
        let weights = weights.tail(neuron.wrapping_mul(p.in_features));
        let first = batch.wrapping_mul(p.in_features);
        if const { S::WHOLE_LINES } {
            let pixels = Pixels {
                window: Window::ONE,
                len: p.in_features,
                input: tail(input, first),
                weights,
                stride: p.in_features,
                finish: tail(channels, neuron),
                activation: p.activation,
                channels: count,
                steps: Steps { count: batches, input: p.in_features, output: count },
                arranged: None,
            };
            S::multiply_pixels(&pixels, outputs);
        } else {
            let input = run(input, first, p.in_features);
            weights.multiply(&Window::ONE, input.len(), input, p.in_features, outputs);
            S::Finish::finish(outputs, tail(channels, neuron), p.activation);
        }
        (row, rest) = (row.wrapping_add(count.wrapping_mul(batches)), later);
    }
}
