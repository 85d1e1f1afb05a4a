//! Conv2d: 2-D convolution, NHWC input, OHWI weights, one scale per output channel.
//!
//! For output channel `o`: `acc = bias[o] + Σ w[o, ky, kx, i] * x[n, iy, ix, i]`, where a tap in the
//! padding reads the input's zero point; then `out = clamp(zero_point + acc * factor[o])`.
//! All accumulation wraps.
//!
//! A small window is gathered into one buffer per pixel, with the zero point for taps in the padding,
//! and multiplied with all filters as a matrix; a 1×1 window is used in place. In a large window, each
//! clipped kernel row is contiguous in the weights and, without dilation and groups, in the input too:
//! it is a dot product of two slices, shared by four output channels. Clipped taps contribute the zero
//! point times a sum of weights, which is computed only for pixels at the border.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, CONV_2D; TensorFlow Lite Micro
//! `reference_integer_ops::ConvPerChannel`.

use core::ops::Range;

use crate::arch::dot_rows;
use crate::lines::{copy, for_each_line, run, tail, take};
use crate::matrix::{Output, bias, matrix_vector};
use crate::portable::sum;
use crate::quant::Channel;
use crate::window::{Axis, Taps, div_rem, pixel_start};
use tealight_types::{ActivationRange, Window2d};

/// Parameters of [`conv2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC.
    pub output: [usize; 4],
    /// The window of an output pixel in the input.
    pub window: Window2d,
    /// Number of groups: each reads `input[3] / groups` channels and computes `output[3] / groups`.
    pub groups: usize,
    /// Quantized value of a real zero in the input, which a tap in the padding reads.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is OHWI with `I = input[3] / groups`, `channels` has `output[3]` entries, and `output`
/// holds the lines of `rows` only.
pub fn conv2d(p: &Conv2d, rows: Range<usize>, input: &[i8], weights: &[i8], channels: &[Channel], output: &mut [i8]) {
    let [_, _, in_width, in_channels] = p.input;
    let [_, out_height, out_width, out_channels] = p.output;
    let ([kernel_height, kernel_width], groups) = (p.window.kernel, p.groups.max(1));
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);

    let group_inputs = in_channels / groups;
    let group_outputs = out_channels / groups;
    let filter_len = kernel_height * kernel_width * group_inputs;

    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    let mut buffer = [0; GATHERED];

    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            let mut patch = Patch {
                input: first,
                // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
                input_line: p.window.dilation[0].wrapping_mul(in_width).wrapping_mul(in_channels),
                weights: (y.taps.start * kernel_width + x.taps.start) * group_inputs,
                weights_line: kernel_width * group_inputs,
                lines: y.len(),
                runs: x.len(),
                run_len: group_inputs,
                input_run: p.window.dilation[1].wrapping_mul(in_channels),
            };
            if group_inputs == in_channels && (p.window.dilation[1] <= 1 || x.len() == 1) {
                patch.run_len *= patch.runs;
                patch.runs = 1;
            }
            let clipped = y.len() < kernel_height || x.len() < kernel_width;
            let padding =
                Padding { zero_point: p.input_zero_point, window: [&y, &x], line: kernel_width, run: group_inputs };
            let padding = clipped.then_some(&padding);
            let (mut channels, mut weights) = (channels, weights);
            for_each_line(0..groups, group_outputs, pixel, |_, outputs| {
                let group_channels = take(&mut channels, group_outputs).unwrap_or(&[]);
                let filters = take(&mut weights, group_outputs * filter_len).unwrap_or(&[]);
                if let Some(inputs) = patch.gather(p, filter_len, input, &mut buffer) {
                    matrix_vector(inputs, filters, group_channels, 0, finish, outputs);
                } else {
                    convolve(&patch, padding, input, filters, filter_len, group_channels, finish, outputs);
                }
                patch.input = patch.input.wrapping_add(group_inputs);
            });
        });
    });
}

/// The maximum number of elements in a window that is gathered. In a larger one, runs are long enough to use in place.
const GATHERED: usize = 320;

/// The position of one pixel's window in the input and in a filter: `lines` kernel rows of `runs`
/// contiguous pieces of `run_len` elements each.
struct Patch {
    input: usize,
    input_line: usize,
    input_run: usize,
    weights: usize,
    weights_line: usize,
    lines: usize,
    runs: usize,
    run_len: usize,
}

impl Patch {
    /// The window's inputs in the order of a filter's weights; `None` if there are too many of them.
    #[inline]
    fn gather<'a>(
        &self,
        p: &Conv2d,
        filter_len: usize,
        input: &'a [i8],
        buffer: &'a mut [i8; GATHERED],
    ) -> Option<&'a [i8]> {
        if self.lines == 1 && self.runs == 1 && self.run_len == filter_len {
            return Some(run(input, self.input, filter_len));
        }
        let gathered = buffer.get_mut(..filter_len)?;
        if self.lines * self.runs * self.run_len < filter_len {
            // A valid zero point is in the range of a byte.
            gathered.fill(p.input_zero_point as i8);
        }
        for ky in 0..self.lines {
            let from = self.input.wrapping_add(ky.wrapping_mul(self.input_line));
            let at = self.weights.wrapping_add(ky.wrapping_mul(self.weights_line));
            for kx in 0..self.runs {
                let from = from.wrapping_add(kx.wrapping_mul(self.input_run));
                let at = at.wrapping_add(kx.wrapping_mul(self.run_len));
                if let Some(to) = gathered.get_mut(at..at.wrapping_add(self.run_len)) {
                    copy(to, run(input, from, self.run_len));
                }
            }
        }
        Some(gathered)
    }
}

/// The clipped taps of a pixel at the border.
struct Padding<'a> {
    zero_point: i32,
    window: [&'a Taps; 2],
    /// The number of taps in a kernel row.
    line: usize,
    /// The number of weights of a tap.
    run: usize,
}

impl Padding<'_> {
    /// The sum of the weights of `filter` whose taps are in the padding.
    fn sum(&self, filter: &[i8]) -> i32 {
        let [y, x] = self.window;
        let mut total = 0i32;
        let (mut filter, mut ky) = (filter, 0);
        while let Some(line) = take(&mut filter, self.line * self.run).filter(|l| !l.is_empty()) {
            if y.taps.contains(&ky) {
                let left = line.get(..x.taps.start * self.run).unwrap_or(&[]);
                let right = tail(line, x.taps.end * self.run);
                total = total.wrapping_add(sum(left)).wrapping_add(sum(right));
            } else {
                total = total.wrapping_add(sum(line));
            }
            ky += 1;
        }
        total
    }
}

/// Computes one pixel of one group: all its output channels, four at a time.
#[expect(clippy::too_many_arguments, reason = "the operands of one pixel, used once")]
fn convolve(
    patch: &Patch,
    padding: Option<&Padding<'_>>,
    input: &[i8],
    filters: &[i8],
    filter_len: usize,
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) {
    let mut filters = filters;
    let (channels_by_4, channels) = channels.as_chunks::<4>();
    let (outputs_by_4, outputs) = outputs.as_chunks_mut::<4>();
    for (channels, outputs) in channels_by_4.iter().zip(outputs_by_4) {
        let mut accumulators = bias(channels, 0);
        accumulate(&mut accumulators, patch, padding, input, filters, filter_len);
        output.store(&accumulators, channels, outputs);
        filters = tail(filters, 4 * filter_len);
    }
    let left = channels.as_chunks::<1>().0.iter();
    for (channel, outputs) in left.zip(outputs.as_chunks_mut::<1>().0) {
        let mut accumulators = bias(channel, 0);
        accumulate(&mut accumulators, patch, padding, input, filters, filter_len);
        output.store(&accumulators, channel, outputs);
        filters = tail(filters, filter_len);
    }
}

/// Adds the whole window to the accumulators of `N` filters.
#[inline]
fn accumulate<const N: usize>(
    accumulators: &mut [i32; N],
    patch: &Patch,
    padding: Option<&Padding<'_>>,
    input: &[i8],
    filters: &[i8],
    filter_len: usize,
) {
    let (mut from_line, mut weights_at) = (patch.input, patch.weights);
    for _ in 0..patch.lines {
        let (mut from, mut at) = (from_line, weights_at);
        for _ in 0..patch.runs {
            let inputs = run(input, from, patch.run_len);
            dot_rows(accumulators, inputs, tail(filters, at), filter_len);
            from = from.wrapping_add(patch.input_run);
            at = at.wrapping_add(patch.run_len);
        }
        from_line = from_line.wrapping_add(patch.input_line);
        weights_at = weights_at.wrapping_add(patch.weights_line);
    }
    if let Some(padding) = padding {
        let mut filters = filters;
        for accumulator in accumulators {
            let filter = take(&mut filters, filter_len).unwrap_or(&[]);
            let part = padding.zero_point.wrapping_mul(padding.sum(filter));
            *accumulator = accumulator.wrapping_add(part);
        }
    }
}
