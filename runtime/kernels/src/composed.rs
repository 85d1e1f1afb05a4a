//! Matrix products and depthwise convolutions composed of smaller loops of the instruction set, for those that have no
//! version of their own.

use crate::arch::{ROWS, dot_rows, multiply_taps};
use crate::lines::{copy, run, tail, take};
use crate::matrix::{Filters, Inputs, Output, bias};
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use core::ops::Range;

/// Computes for each input `i` and each row `r` of the weights
/// `outputs[i * output_step + r] = requantized(bias[r] + offset + dot product)`.
///
/// If the operands do not fit their slices, nothing is written.
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    if !inputs.fit(filters, output_step, outputs.len()) {
        return;
    }
    let (mut values, mut outputs) = (inputs.values, outputs);
    for _ in 0..inputs.count {
        let Some(now) = outputs.get_mut(..filters.channels.len()) else { return };
        let rest = Rows { filters, inputs, values, weights: filters.weights, channels: filters.channels, outputs: now };
        let rest = if ROWS > 4 { rest.by::<ROWS>() } else { rest };
        let rest = if ROWS >= 4 { rest.by::<4>() } else { rest };
        rest.by::<1>();
        values = tail(values, inputs.step);
        outputs = outputs.get_mut(output_step..).unwrap_or(&mut []);
    }
}

/// The maximum number of elements in a window that is gathered. In a larger one, runs are long enough to use in place.
pub(crate) const GATHERED: usize = 576;

/// Multiplies `count` inputs as [`multiply`] does, which `gather` copies one after the other to a buffer, those of a range
/// in one call. An input has at most [`GATHERED`] elements.
pub(crate) fn multiply_gathered(
    filters: &Filters<'_>,
    count: usize,
    output_step: usize,
    outputs: &mut [i8],
    gather: &mut dyn FnMut(Range<usize>, &mut [i8]),
) {
    let (len, mut outputs) = (filters.len, outputs);
    let together = (GATHERED / len.max(1)).min(count).max(1);
    let mut buffer = [0; GATHERED];
    for from in (0..count).step_by(together) {
        let inputs = from..count.min(from + together);
        let Some(values) = buffer.get_mut(..inputs.len() * len) else { return };
        gather(inputs.clone(), values);
        let inputs = Inputs { values, count: inputs.len(), step: len, lines: 1, line: 0, run: len };
        crate::arch::multiply(filters, &inputs, output_step, outputs);
        outputs = outputs.get_mut(inputs.count * output_step..).unwrap_or(&mut []);
    }
}

/// Rows of weights that are still to be multiplied with one input.
struct Rows<'a> {
    filters: &'a Filters<'a>,
    inputs: &'a Inputs<'a>,
    /// From the input's first element on.
    values: &'a [i8],
    weights: &'a [i8],
    channels: &'a [Channel],
    outputs: &'a mut [i8],
}

impl Rows<'_> {
    /// Multiplies `N` rows together as long as there are that many, and returns the remaining rows.
    #[inline]
    fn by<const N: usize>(mut self) -> Self {
        let (len, inputs) = (self.filters.len, self.inputs);
        let (channels, rest) = self.channels.as_chunks::<N>();
        let (outputs, outputs_rest) = self.outputs.as_chunks_mut::<N>();
        for (channels, outputs) in channels.iter().zip(outputs) {
            let Some(mut rows) = take(&mut self.weights, N * len) else { break };
            let (mut accumulators, mut values) = (bias(channels, self.filters.offset), self.values);
            for _ in 0..inputs.lines {
                dot_rows(&mut accumulators, run(values, 0, inputs.run), rows, len);
                (values, rows) = (tail(values, inputs.line), tail(rows, inputs.run));
            }
            self.filters.output.store(&accumulators, channels, outputs);
        }
        Self { channels: rest, outputs: outputs_rest, ..self }
    }
}

/// Computes `channels.len()` channels of adjacent pixels of a depthwise convolution, all of whose windows have the same
/// taps: for pixel `i` and channel `c`, the requantized sum of `initial[c]` and of the products of all taps.
///
/// Pixel `i` has its first tap at element `i * steps.input` of `input`, and its outputs from element
/// `i * steps.output` on. If the operands do not fit their slices, nothing is written.
#[expect(clippy::too_many_arguments, reason = "the operands of a layer")]
#[inline]
pub(crate) fn depthwise(
    initial: &[i32],
    window: &Window,
    steps: &Steps,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) {
    let count = channels.len();
    if !steps.fit(window, count, [input.len(), weights.len()], outputs.len()) {
        return;
    }
    let (mut input, mut outputs) = (input, outputs);
    for _ in 0..steps.count {
        let mut accumulators = [0; 64];
        let Some(accumulators) = accumulators.get_mut(..count) else { return };
        copy(accumulators, initial);
        multiply_taps(accumulators, window, input, weights);
        let Some(pixel) = outputs.get_mut(..count) else { return };
        output.store(accumulators, channels, pixel);
        input = tail(input, steps.input);
        outputs = outputs.get_mut(steps.output..).unwrap_or(&mut []);
    }
}

/// Computes all channels of adjacent pixels as [`depthwise`] does, from their biases on. Returns whether it did:
/// without a version of its own, an instruction set does not.
#[cfg(not(arm_mve))]
#[inline]
pub(crate) fn depthwise_of_biases(
    _: &Window,
    _: &Steps,
    _: [&[i8]; 2],
    _: &[Channel],
    _: Output,
    _: &mut [i8],
) -> bool {
    false
}

/// Computes the pixels `xs` of row `[image, y]` of a depthwise convolution, whose elements are `output`, from `[input,
/// weights]`. Returns whether it did: without a version of its own, an instruction set does not.
#[cfg(not(any(arm_v6m, arm_v7m, riscv_v, all(arm_dsp, not(arm_mve)))))]
#[inline]
pub(crate) fn depthwise_line(
    _: &crate::DepthwiseConv2d,
    _: [usize; 2],
    _: &Range<usize>,
    _: [&[i8]; 2],
    _: &[Channel],
    _: &mut [i8],
) -> bool {
    false
}

/// Computes `rows` of a depthwise convolution, whose output has these lines, from `[input, weights]`. Returns whether it did:
/// without a version of its own, an instruction set does not.
#[cfg(not(any(arm_mve, arm_neon, x86_64_vectors)))]
#[inline]
pub(crate) fn depthwise_lines(
    _: &crate::DepthwiseConv2d,
    _: (&crate::window::Lines, &Range<usize>),
    _: [&[i8]; 2],
    _: &[Channel],
    _: &mut [i8],
) -> bool {
    false
}

/// Computes `rows` of a convolution from `[input, weights]`. Returns whether it did: without a version of its own, an
/// instruction set does not.
#[cfg(not(any(arm_neon, x86_64_vectors)))]
#[inline]
pub(crate) fn convolve(_: &crate::Conv2d, _: &Range<usize>, _: [&[i8]; 2], _: &[Channel], _: &mut [i8]) -> bool {
    false
}

/// Multiplies one input with all filters as [`multiply`] does. Returns whether it did: without a version of its own, an
/// instruction set does not.
#[inline]
pub(crate) fn multiply_vector(_: &Filters<'_>, _: &[i8], _: &mut [i8]) -> bool {
    false
}

/// Multiplies one input with filters that [`multiply_vector`] does not support.
#[inline]
pub(crate) fn multiply_others(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) {
    crate::arch::multiply(filters, &Inputs::one(input), 0, outputs);
}

/// Copies inputs, so that they have no gaps. Returns whether it did: without a version of its own, an instruction set does
/// not.
#[cfg(not(riscv_v))]
#[inline]
pub(crate) fn gather(_: &Inputs<'_>, _: &mut [i8]) -> bool {
    false
}
