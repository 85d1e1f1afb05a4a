//! The operands of products of inputs with the rows of a weight matrix: what convolutions and matrix-vector products share.

use crate::arch::requantize;
use crate::quant::Channel;
use tealight_types::ActivationRange;

/// The output's zero point and range, for requantization.
#[derive(Clone, Copy, Debug)]
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

/// The rows of a weight matrix, one for each output channel: `channels.len()` consecutive rows of `len` elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filters<'a> {
    pub(crate) weights: &'a [i8],
    pub(crate) channels: &'a [Channel],
    pub(crate) len: usize,
    /// Added to every accumulator, besides the channel's bias.
    pub(crate) offset: i32,
    pub(crate) output: Output,
}

/// The inputs of `count` outputs, such as the windows of adjacent pixels.
///
/// Input `i` starts at element `i * step`. It consists of `lines` runs of `run` elements, which start `line` elements
/// apart; a filter has all of its elements in this order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) values: &'a [i8],
    pub(crate) count: usize,
    pub(crate) step: usize,
    pub(crate) lines: usize,
    /// Ignored if there is only one line.
    pub(crate) line: usize,
    pub(crate) run: usize,
}

impl<'a> Inputs<'a> {
    /// One input without gaps.
    #[inline]
    pub(crate) fn one(values: &'a [i8]) -> Self {
        Self { values, count: 1, step: 0, lines: 1, line: 0, run: values.len() }
    }

    /// Where the last input ends.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        // A saturated sum exceeds the length of any slice.
        let last = self.count.saturating_sub(1);
        let lines = self.line.saturating_mul(self.lines.saturating_sub(1));
        self.step.saturating_mul(last).saturating_add(lines).saturating_add(self.run)
    }

    /// Whether all inputs lie within the values, all rows of `filters` within their weights, and all outputs, those of
    /// adjacent inputs `output_step` elements apart, within `outputs` elements; and an input has as many elements as a
    /// row.
    #[inline]
    pub(crate) fn fit(&self, filters: &Filters<'_>, output_step: usize, outputs: usize) -> bool {
        // A saturated sum exceeds the length of any slice.
        let last = self.count.saturating_sub(1);
        let rows = filters.channels.len();
        self.end() <= self.values.len()
            && self.lines.saturating_mul(self.run) == filters.len
            && filters.len.saturating_mul(rows) <= filters.weights.len()
            && output_step.saturating_mul(last).saturating_add(rows) <= outputs
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
