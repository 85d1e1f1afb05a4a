//! FullyConnected: a matrix-vector product, OI weights.
//!
//! For batch `b` and neuron `o`: `acc = bias[o] + Σ (w[o, i] - weights_zero_point) * x[b, i]`, then
//! `out = clamp(zero_point + acc * factor[o])`. The input's zero point is in `bias` already
//! (see [`Channel`]), together with `in_features * input_zero_point * weights_zero_point` when the
//! weights have a zero point. All accumulation wraps.
//!
//! Four neurons share each input load; a zero point of the weights needs one sum of the input.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, FULLY_CONNECTED; TensorFlow Lite Micro
//! `reference_integer_ops::FullyConnected` and `FullyConnectedPerChannel`.

use core::ops::Range;

use crate::arch::{multiply, multiply_others, multiply_vector};
use crate::lines::{run, tail};
use crate::matrix::{Filters, Inputs, Output};
use crate::paths::{AllPaths, LinkedPaths};
use crate::portable::sum;
use crate::quant::Channel;
use crate::window::div_rem;
use tealight_types::ActivationRange;

/// Parameters of [`fully_connected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnected {
    /// The number of inputs of a neuron.
    pub in_features: usize,
    /// The number of neurons.
    pub out_features: usize,
    /// Quantized value of a real zero in the weights; 0 in nearly every model.
    pub weights_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// Computes output rows `rows`; a row is one element, neuron `row % out_features` of batch
/// `row / out_features`.
///
/// `input` is `[batches, in_features]`, `weights` is `[out_features, in_features]`, `channels` has
/// `out_features` entries, and `output` holds the elements of `rows` only.
pub fn fully_connected(
    p: &FullyConnected,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    fully_connected_in::<AllPaths>(p, rows, input, weights, channels, output);
}

/// As [`fully_connected`], with the paths of `P` alone, which must have those of the layer:
/// [`Paths::of_fully_connected`](crate::Paths::of_fully_connected).
#[inline]
pub fn fully_connected_in<P: LinkedPaths>(
    p: &FullyConnected,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    let (mut batch, mut neuron) = div_rem(rows.start, p.out_features);
    let mut output = output.get_mut(..rows.len().min(output.len())).unwrap_or(&mut []);
    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    while !output.is_empty() && neuron < p.out_features {
        let count = (p.out_features - neuron).min(output.len());
        let Some((now, later)) = output.split_at_mut_checked(count) else {
            return;
        };
        let from = batch * p.in_features;
        let Some(input) = input.get(from..from.wrapping_add(p.in_features)) else {
            return;
        };
        let offset = match p.weights_zero_point {
            _ if const { !P::PATHS.weights_zero_point } => 0,
            0 => 0,
            zero_point => zero_point.wrapping_neg().wrapping_mul(sum(input)),
        };
        let filters = Filters {
            weights: tail(weights, neuron * p.in_features),
            channels: run(channels, neuron, count),
            len: p.in_features,
            offset,
            output: finish,
        };
        if const { P::PATHS.tiles } {
            multiply(&filters, &Inputs::one(input), count, now);
        } else if !multiply_vector(&filters, input, now) {
            multiply_others(&filters, input, now);
        }
        (batch, neuron, output) = (batch + 1, 0, later);
    }
}
