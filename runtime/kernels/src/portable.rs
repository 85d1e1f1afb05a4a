//! The inner loops of the multiply-accumulate kernels, in plain Rust.
//!
//! Every loop that an instruction set may do faster is in this module, with an interface of slices and small arrays.
//! Another module with the same functions can replace it.

use crate::add::AddSub;
use crate::lines::tail;
use crate::quant::{Channel, clamp, requantize_accumulator};
use tealight_types::{ActivationRange, Quantization};

/// The number of rows that are multiplied together if there are that many: at least four, or 1.
pub(crate) const ROWS: usize = 4;

/// The minimum number of adjacent input elements with which a window's row is used in place rather than copied.
pub(crate) const SHORTEST_RUN: usize = 16;

/// The number of elements of a buffer into which the lines of a window at the border are copied with their padding; 0 if
/// such windows are clipped instead, which takes less memory.
pub(crate) const PADDED: usize = 0;

/// The number of channels that are averaged together, at least four.
pub(crate) const POOLED: usize = 4;

/// Adds to `accumulators[r]` the dot product of `input` with row `r` of `weights`, for `N` rows.
///
/// Row `r` starts at element `r * stride`. Each input is loaded once for all rows. If a row does
/// not lie within `weights`, nothing is added.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    let mut rows = [input; N];
    let mut rest = weights;
    for (r, row) in rows.iter_mut().enumerate() {
        if r > 0 {
            rest = tail(rest, stride);
        }
        let Some(found) = rest.get(..input.len()) else {
            return;
        };
        *row = found;
    }
    for (i, &x) in input.iter().enumerate() {
        for (accumulator, row) in accumulators.iter_mut().zip(rows) {
            if let Some(&w) = row.get(i) {
                *accumulator = accumulator.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
}

/// The sum of all elements.
#[inline]
pub(crate) fn sum(values: &[i8]) -> i32 {
    values.iter().fold(0, |sum, &value| sum.wrapping_add(i32::from(value)))
}

/// Adds `input[i] * weights[i]` to `accumulators[i]`.
#[inline]
pub(crate) fn multiply_add(accumulators: &mut [i32], input: &[i8], weights: &[i8]) {
    for ((accumulator, &x), &w) in accumulators.iter_mut().zip(input).zip(weights) {
        *accumulator = accumulator.wrapping_add(i32::from(x) * i32::from(w));
    }
}

/// The positions of a window's taps: `lines` kernel rows of `runs` taps each.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub(crate) lines: usize,
    pub(crate) runs: usize,
    /// Distances from one kernel row to the next, in the input and in the weights; ignored if there is only one row.
    pub(crate) line: [usize; 2],
    /// Distances from one tap to the next within a kernel row, likewise.
    pub(crate) run: [usize; 2],
}

impl Window {
    /// The window of one tap.
    pub(crate) const ONE: Self = Self { lines: 1, runs: 1, line: [0; 2], run: [0; 2] };

    /// Whether the window has no taps.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lines == 0 || self.runs == 0
    }

    /// Whether `count` elements of every tap lie within slices of these lengths.
    #[inline]
    pub(crate) fn fits(&self, count: usize, lens: [usize; 2]) -> bool {
        if self.is_empty() {
            return true;
        }
        let (lines, runs) = (self.lines - 1, self.runs - 1);
        let steps = self.line.iter().zip(self.run).zip(lens);
        steps.fold(true, |fits, ((line, run), len)| {
            // A saturated sum exceeds the length of any slice.
            let last = line.saturating_mul(lines).saturating_add(run.saturating_mul(runs));
            fits && last.saturating_add(count) <= len
        })
    }

    /// Calls `f` for each tap, with its positions in the input and in the weights.
    #[inline]
    pub(crate) fn for_each_start(&self, mut f: impl FnMut(usize, usize)) {
        let [mut input_line, mut weights_line] = [0usize; 2];
        for _ in 0..self.lines {
            let [mut input, mut weights] = [input_line, weights_line];
            for _ in 0..self.runs {
                f(input, weights);
                [input, weights] = [input.wrapping_add(self.run[0]), weights.wrapping_add(self.run[1])];
            }
            [input_line, weights_line] =
                [input_line.wrapping_add(self.line[0]), weights_line.wrapping_add(self.line[1])];
        }
    }

    /// Calls `f` for each tap, with both slices from the tap's position on.
    #[inline]
    pub(crate) fn for_each_tap<X, W>(&self, input: &[X], weights: &[W], mut f: impl FnMut(&[X], &[W])) {
        let (mut input_line, mut weights_line) = (input, weights);
        for _ in 0..self.lines {
            let (mut input, mut weights) = (input_line, weights_line);
            for _ in 0..self.runs {
                f(input, weights);
                (input, weights) = (tail(input, self.run[0]), tail(weights, self.run[1]));
            }
            (input_line, weights_line) = (tail(input_line, self.line[0]), tail(weights_line, self.line[1]));
        }
    }
}

/// Adds to `accumulators[i]` the product of input and weight `i` of every tap of a window. If the taps do not lie
/// within both slices, nothing is added.
#[inline]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    if window.fits(accumulators.len(), [input.len(), weights.len()]) {
        window.for_each_tap(input, weights, |input, weights| multiply_add(accumulators, input, weights));
    }
}

/// Adjacent outputs: their number, and the distances from one to the next in the input and in the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) count: usize,
    pub(crate) input: usize,
    pub(crate) output: usize,
}

impl Steps {
    /// Whether all outputs, of `channels` channels each, lie within `outputs` elements, and all taps of their windows
    /// within slices of the lengths `[input, weights]`.
    #[inline]
    pub(crate) fn fit(&self, window: &Window, channels: usize, [input, weights]: [usize; 2], outputs: usize) -> bool {
        // A saturated sum exceeds the length of any slice.
        let last = self.count.saturating_sub(1);
        let reach = if window.is_empty() { 0 } else { self.input.saturating_mul(last) };
        let room = input.checked_sub(reach);
        room.is_some_and(|input| window.fits(channels, [input, weights]))
            && self.output.saturating_mul(last).saturating_add(channels) <= outputs
    }
}

/// Adds `factor * weights[i]` to `accumulators[i]`.
#[inline]
pub(crate) fn multiply_add_scalar(accumulators: &mut [i32], factor: i32, weights: &[i8]) {
    for (accumulator, &w) in accumulators.iter_mut().zip(weights) {
        *accumulator = accumulator.wrapping_add(factor.wrapping_mul(i32::from(w)));
    }
}

/// Requantizes accumulators to their outputs, each with its channel's factor.
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    for ((output, &accumulator), channel) in outputs.iter_mut().zip(accumulators).zip(channels) {
        *output = requantize_accumulator(accumulator, channel, zero_point, activation);
    }
}

/// Adds the first elements of two slices, as many as an instruction set adds faster than one by one, and returns their
/// number.
#[inline]
pub(crate) fn add_some(_: &AddSub, _: &[i8], _: &[i8], _: &mut [i8]) -> usize {
    0
}

/// Quantizes to codes of 8 bits within `bounds`, of either sign.
#[inline]
pub(crate) fn quantize_bytes(to: Quantization, bounds: [i32; 2], input: &[f32], output: &mut [u8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = clamp(to.quantize_i16(x).into(), bounds) as u8;
    }
}

/// Dequantizes codes of 8 bits, signed or not.
#[inline]
pub(crate) fn dequantize_bytes(from: Quantization, signed: bool, input: &[u8], output: &mut [f32]) {
    for (output, &code) in output.iter_mut().zip(input) {
        *output = from.dequantize(if signed { code.cast_signed().into() } else { code.into() });
    }
}
