//! The parts that the multiply-accumulate kernels share around their inner loops: initial accumulators, rows of weights
//! times one input, and requantization.

use crate::arch::{ROWS, dot_rows, requantize};
use crate::lines::{run, take};
use crate::quant::Channel;
use tealight_types::ActivationRange;

/// The output's zero point and range, for requantization.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) zero_point: i32,
    pub(crate) activation: ActivationRange,
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
/// Rows are consecutive, of `input.len()` elements each, and `channels` has one entry per row. Four or more rows share
/// each load of the input.
pub(crate) fn matrix_vector(
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    offset: i32,
    output: Output,
    outputs: &mut [i8],
) {
    let channels = run(channels, 0, outputs.len());
    let mut rest = Rows { input, weights, channels, offset, output, outputs };
    if ROWS > 4 {
        rest = rest.by::<ROWS>();
    }
    rest.by::<4>().by::<1>();
}

/// Rows of weights that are still to be multiplied with an input.
struct Rows<'a> {
    input: &'a [i8],
    weights: &'a [i8],
    channels: &'a [Channel],
    offset: i32,
    output: Output,
    outputs: &'a mut [i8],
}

impl Rows<'_> {
    /// Multiplies `N` rows together as long as there are that many, and returns the remaining rows.
    #[inline]
    fn by<const N: usize>(mut self) -> Self {
        let len = self.input.len();
        let (channels, rest) = self.channels.as_chunks::<N>();
        let (outputs, outputs_rest) = self.outputs.as_chunks_mut::<N>();
        for (channels, outputs) in channels.iter().zip(outputs) {
            let Some(rows) = take(&mut self.weights, N * len) else { break };
            let mut accumulators = bias(channels, self.offset);
            dot_rows(&mut accumulators, self.input, rows, len);
            self.output.store(&accumulators, channels, outputs);
        }
        Self { channels: rest, outputs: outputs_rest, ..self }
    }
}

/// The initial accumulators.
#[inline]
pub(crate) fn bias<const N: usize>(channels: &[Channel; N], offset: i32) -> [i32; N] {
    let mut accumulators = [0; N];
    for (accumulator, channel) in accumulators.iter_mut().zip(channels) {
        *accumulator = channel.bias.wrapping_add(offset);
    }
    accumulators
}
