//! FullyConnected: a matrix-vector product, OI weights.
//!
//! For batch `b` and neuron `o`: `acc = bias[o] + Σ w[o, i] * x[b, i]`, then `out = clamp(acc * factor[o])`.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::FullyConnected` and `FullyConnectedPerChannel` for int16.

use core::ops::Range;

use super::channels::Channels;
use super::dot::add_dots;
use crate::lines::{run, tail};
use crate::window::div_rem;
use tealight_types::ActivationRangeI16;

/// Parameters of [`fully_connected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnected {
    /// The number of inputs of a neuron.
    pub in_features: usize,
    /// The number of neurons.
    pub out_features: usize,
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

/// Computes output rows `rows`; a row is one element, neuron `row % out_features` of batch
/// `row / out_features`.
///
/// `input` is `[batches, in_features]`, `weights` is `[out_features, in_features]`, `channels` has
/// `out_features` entries, and `output` holds the elements of `rows` only.
pub fn fully_connected(
    p: &FullyConnected,
    rows: Range<usize>,
    input: &[i16],
    weights: &[i8],
    channels: Channels<'_>,
    output: &mut [i16],
) {
    let (mut batch, mut neuron) = div_rem(rows.start, p.out_features);
    let mut output = output.get_mut(..rows.len().min(output.len())).unwrap_or(&mut []);
    while !output.is_empty() && neuron < p.out_features {
        let count = (p.out_features - neuron).min(output.len());
        let Some((now, later)) = output.split_at_mut_checked(count) else { return };
        let values = run(input, batch.wrapping_mul(p.in_features), p.in_features);
        let weights = tail(weights, neuron.wrapping_mul(p.in_features));
        neurons(p, values, weights, &channels, neuron, now);
        (batch, neuron, output) = (batch + 1, 0, later);
    }
}

/// Computes consecutive neurons of a batch, from number `first` on; `weights` starts at its weights.
pub(super) fn neurons(
    p: &FullyConnected,
    values: &[i16],
    weights: &[i8],
    channels: &Channels<'_>,
    first: usize,
    output: &mut [i16],
) {
    let (mut weights, mut neuron) = (weights, first);
    let (by_4, left) = output.as_chunks_mut::<4>();
    for outputs in by_4 {
        neurons_of(p, values, weights, channels, neuron, outputs);
        (weights, neuron) = (tail(weights, 4 * p.in_features), neuron + 4);
    }
    for outputs in left.as_chunks_mut::<1>().0 {
        neurons_of(p, values, weights, channels, neuron, outputs);
        (weights, neuron) = (tail(weights, p.in_features), neuron + 1);
    }
}

#[inline]
fn neurons_of<const N: usize>(
    p: &FullyConnected,
    values: &[i16],
    weights: &[i8],
    channels: &Channels<'_>,
    first: usize,
    outputs: &mut [i16; N],
) {
    let mut sums = [0; N];
    add_dots(&mut sums, values, weights, p.in_features);
    for (k, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
        if let Some(code) = channels.finish(first + k, sum, p.activation) {
            *output = code;
        }
    }
}
