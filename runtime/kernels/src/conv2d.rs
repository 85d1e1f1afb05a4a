//! Conv2d: 2-D convolution, NHWC input, OHWI weights, one scale per output channel.
//!
//! For output channel `o`: `acc = bias[o] + Σ w[o, ky, kx, i] * x[n, iy, ix, i]`, where a tap in the
//! padding reads the input's zero point; then `out = clamp(zero_point + acc * factor[o])`.
//! All accumulation wraps.
//!
//! The window is clipped to the input once per pixel. What is left of one kernel row is contiguous in
//! the weights and, without dilation and groups, in the input too, so the inner loop is a plain dot
//! product of two byte slices, shared by four output channels. The zero point's part for clipped taps
//! is a sum of weights, and only pixels at the border pay for it.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, CONV_2D; TensorFlow Lite Micro
//! `reference_integer_ops::ConvPerChannel`.

use core::ops::Range;

use crate::lines::{for_each_line, run, tail, take};
use crate::portable::{dot_rows, sum};
use crate::quant::{Channel, requantize_accumulator};
use crate::window::{Axis, Taps, div_rem, pixel_start};

/// Parameters of [`conv2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC.
    pub output: [usize; 4],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Vertical and horizontal dilation.
    pub dilation: [usize; 2],
    /// Rows of padding above, columns of padding to the left. What is missing below and to the right
    /// is padding too.
    pub pad: [usize; 2],
    /// Number of groups: each sees `input[3] / groups` channels and makes `output[3] / groups`.
    pub groups: usize,
    /// Quantized value of a real zero in the input: what a tap in the padding reads.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// Least and greatest output.
    pub activation: [i32; 2],
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is OHWI with `I = input[3] / groups`, `channels` has `output[3]` entries, and `output`
/// holds the lines of `rows` only.
pub fn conv2d(
    p: &Conv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    let [_, _, in_width, in_channels] = p.input;
    let [_, out_height, out_width, out_channels] = p.output;
    let ([kernel_height, kernel_width], groups) = (p.kernel, p.groups.max(1));
    let [vertical, horizontal] = Axis::pair(p.input, p.kernel, p.stride, p.dilation, p.pad);

    let group_inputs = in_channels / groups;
    let group_outputs = out_channels / groups;
    let filter_len = kernel_height * kernel_width * group_inputs;

    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            let mut patch = Patch {
                input: first,
                input_line: p.dilation[0] * in_width * in_channels,
                weights: (y.taps.start * kernel_width + x.taps.start) * group_inputs,
                weights_line: kernel_width * group_inputs,
                lines: y.len(),
                runs: x.len(),
                run_len: group_inputs,
                input_run: p.dilation[1] * in_channels,
            };
            if group_inputs == in_channels && (p.dilation[1] <= 1 || x.len() == 1) {
                patch.run_len *= patch.runs;
                patch.runs = 1;
            }
            let clipped = y.len() < kernel_height || x.len() < kernel_width;
            let padding = Padding {
                window: [&y, &x],
                line: kernel_width,
                run: group_inputs,
            };
            let padding = clipped.then_some(&padding);
            let (mut channels, mut weights) = (channels, weights);
            for_each_line(0..groups, group_outputs, pixel, |_, outputs| {
                let group_channels = take(&mut channels, group_outputs).unwrap_or(&[]);
                let filters = take(&mut weights, group_outputs * filter_len).unwrap_or(&[]);
                convolve(
                    p,
                    &patch,
                    padding,
                    input,
                    filters,
                    filter_len,
                    group_channels,
                    outputs,
                );
                patch.input = patch.input.wrapping_add(group_inputs);
            });
        });
    });
}

/// Where one pixel's window lies in the input and in a filter: `lines` kernel rows of `runs`
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

/// What a pixel at the border needs to know of its clipped taps.
struct Padding<'a> {
    window: [&'a Taps; 2],
    /// Taps in a kernel row.
    line: usize,
    /// Weights of a tap.
    run: usize,
}

impl Padding<'_> {
    /// Sum of the weights of `filter` whose taps lie in the padding.
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

/// One pixel of one group: all its output channels, four at a time.
#[expect(
    clippy::too_many_arguments,
    reason = "the operands of one pixel, used once"
)]
#[inline]
fn convolve(
    p: &Conv2d,
    patch: &Patch,
    padding: Option<&Padding<'_>>,
    input: &[i8],
    filters: &[i8],
    filter_len: usize,
    channels: &[Channel],
    outputs: &mut [i8],
) {
    let mut filters = filters;
    let (channels_by_4, channels_left) = channels.as_chunks::<4>();
    let (outputs_by_4, outputs_left) = outputs.as_chunks_mut::<4>();
    for (channels, outputs) in channels_by_4.iter().zip(outputs_by_4) {
        convolve_channels(
            p, patch, padding, input, filters, filter_len, channels, outputs,
        );
        filters = tail(filters, 4 * filter_len);
    }
    let left = channels_left
        .as_chunks::<1>()
        .0
        .iter()
        .zip(outputs_left.as_chunks_mut::<1>().0);
    for (channel, output) in left {
        convolve_channels(
            p, patch, padding, input, filters, filter_len, channel, output,
        );
        filters = tail(filters, filter_len);
    }
}

/// `N` output channels of one pixel.
#[expect(
    clippy::too_many_arguments,
    reason = "the operands of one pixel, used once"
)]
#[inline]
fn convolve_channels<const N: usize>(
    p: &Conv2d,
    patch: &Patch,
    padding: Option<&Padding<'_>>,
    input: &[i8],
    filters: &[i8],
    filter_len: usize,
    channels: &[Channel; N],
    outputs: &mut [i8; N],
) {
    let mut accumulators = channels.map(|channel| channel.bias);
    let (mut from_line, mut weights_at) = (patch.input, patch.weights);
    for _ in 0..patch.lines {
        let (mut from, mut at) = (from_line, weights_at);
        for _ in 0..patch.runs {
            let inputs = run(input, from, patch.run_len);
            let rows = tail(filters, at);
            dot_rows(&mut accumulators, inputs, rows, filter_len);
            from = from.wrapping_add(patch.input_run);
            at = at.wrapping_add(patch.run_len);
        }
        from_line = from_line.wrapping_add(patch.input_line);
        weights_at = weights_at.wrapping_add(patch.weights_line);
    }
    if let Some(padding) = padding {
        let mut filters = filters;
        for accumulator in &mut accumulators {
            let filter = take(&mut filters, filter_len).unwrap_or(&[]);
            let part = p.input_zero_point.wrapping_mul(padding.sum(filter));
            *accumulator = accumulator.wrapping_add(part);
        }
    }
    for ((output, accumulator), channel) in outputs.iter_mut().zip(accumulators).zip(channels) {
        *output = requantize_accumulator(accumulator, channel, p.output_zero_point, p.activation);
    }
}
