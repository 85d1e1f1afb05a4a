//! What the multiply-accumulate kernels share around their inner loops: where accumulators start, rows of weights against
//! one input, and requantization.

use crate::arch::{dot_rows, requantize};
use crate::lines::{run, take};
use crate::quant::Channel;

/// What follows an accumulator: the output's zero point and range.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) zero_point: i32,
    pub(crate) activation: [i32; 2],
}

impl Output {
    /// Requantizes accumulators, each with its channel's factor.
    #[inline]
    pub(crate) fn store(self, accumulators: &[i32], channels: &[Channel], outputs: &mut [i8]) {
        requantize(accumulators, channels, self.zero_point, self.activation, outputs);
    }
}

/// One output per row of `weights`: the requantized dot product with `input`, started at the channel's
/// bias plus `offset`.
///
/// Rows are `input.len()` elements, one after the other, and `channels` has one entry per row; four of them share each load of the input.
pub(crate) fn matrix_vector(
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    offset: i32,
    output: Output,
    outputs: &mut [i8],
) {
    let len = input.len();
    let mut weights = weights;
    let channels = run(channels, 0, outputs.len());
    let (channels_by_4, channels) = channels.as_chunks::<4>();
    let (outputs_by_4, outputs) = outputs.as_chunks_mut::<4>();
    for (channels, outputs) in channels_by_4.iter().zip(outputs_by_4) {
        let Some(rows) = take(&mut weights, 4 * len) else {
            return;
        };
        let mut accumulators = bias(channels, offset);
        dot_rows(&mut accumulators, input, rows, len);
        output.store(&accumulators, channels, outputs);
    }
    let left = channels.as_chunks::<1>().0.iter();
    for (channel, outputs) in left.zip(outputs.as_chunks_mut::<1>().0) {
        let Some(row) = take(&mut weights, len) else {
            return;
        };
        let mut accumulators = bias(channel, offset);
        dot_rows(&mut accumulators, input, row, len);
        output.store(&accumulators, channel, outputs);
    }
}

/// Where the accumulators start.
#[inline]
pub(crate) fn bias<const N: usize>(channels: &[Channel; N], offset: i32) -> [i32; N] {
    let mut accumulators = [0; N];
    for (accumulator, channel) in accumulators.iter_mut().zip(channels) {
        *accumulator = channel.bias.wrapping_add(offset);
    }
    accumulators
}
