//! Conv2d: 2-D convolution, NHWC input, OHWI weights, one scale per output channel.
//!
//! For output channel `o`: `acc = bias[o] + Σ w[o, ky, kx, i] * x[n, iy, ix, i]`, where a tap in the
//! padding reads the input's zero point; then `out = clamp(zero_point + acc * factor[o])`.
//! All accumulation wraps.
//!
//! The windows of adjacent pixels are multiplied together with all filters, as matrices. Windows inside
//! the input are used in place if each of their kernel rows is one long run of elements. For others, the
//! lines of input are copied with their padding if the instruction set has a buffer for them; else they are
//! gathered in a buffer, with the zero point for taps in the padding. A window at the border that is too
//! large for the buffer is a dot product of two slices for each clipped kernel row, and clipped taps
//! contribute the zero point times a sum of weights.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, CONV_2D; TensorFlow Lite Micro
//! `reference_integer_ops::ConvPerChannel`.

use core::ops::Range;

use crate::arch::{PADDED, SHORTEST_RUN, convolve, copy_run, dot_rows, gather, multiply, multiply_gathered};
use crate::composed::GATHERED;
use crate::lines::{for_each_line, run, tail, take};
use crate::matrix::{Filters, Inputs, Output, bias};
use crate::padded::PaddedLines;
use crate::paths::{AllPaths, LinkedPaths};
use crate::portable::sum;
use crate::quant::Channel;
use crate::window::{Axis, Lines, Taps, pixel_start};
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
    conv2d_in::<AllPaths>(p, rows, input, weights, channels, output);
}

/// As [`conv2d`], with the paths of `P` alone, which must have those of the layer: [`Paths::of_conv2d`](crate::Paths::of_conv2d).
#[inline]
pub fn conv2d_in<P: LinkedPaths>(
    p: &Conv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    // Apart, so that it does not have the buffers of the others on the stack.
    #[cfg(arm_neon)]
    if is_pointwise(p) {
        let [first, count] = [rows.start * p.output[2], rows.len() * p.output[2]];
        return Layer::new(p, All, input, weights, channels).multiply_pointwise(first, count, output);
    }
    if !convolve(p, &rows, [input, weights], channels, output) {
        convolve_share::<P, All>(p, All, rows, input, weights, channels, output);
    }
}

/// The output channels of a layer that a call computes. Its weights and channels are theirs alone.
pub(crate) trait Share: Copy {
    /// The groups that have any of them.
    fn groups(self, all: usize) -> Range<usize>;

    /// Their number in each of these groups.
    fn outputs(self, all: usize) -> usize;

    /// The first of them.
    fn first(self) -> usize;
}

/// All of them.
#[derive(Clone, Copy)]
struct All;

impl Share for All {
    #[inline]
    fn groups(self, all: usize) -> Range<usize> {
        0..all
    }

    #[inline]
    fn outputs(self, all: usize) -> usize {
        all
    }

    #[inline]
    fn first(self) -> usize {
        0
    }
}

/// Computes a share of the output channels.
// Where another function computes most layers, or lines with their padding take much of the stack, out of line.
#[cfg_attr(any(arm_neon, x86_64_vectors), inline(never))]
#[cfg_attr(not(any(arm_neon, x86_64_vectors)), inline)]
pub(crate) fn convolve_share<P: LinkedPaths, S: Share>(
    p: &Conv2d,
    share: S,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    let (lines, input_shape, window) = Lines::new(p.input, p.output, &p.window);
    let pointwise = is_pointwise(p);
    let row_pixels = p.output[2];
    let p = &Conv2d { input: input_shape, output: lines.output, window, ..*p };
    let layer = Layer::new(p, share, input, weights, channels);
    if pointwise {
        return layer.multiply_pointwise(rows.start * row_pixels, rows.len() * row_pixels, output);
    }
    let [_, _, out_width, out_channels] = p.output;
    let axes @ [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let whole = horizontal.whole_windows(out_width);
    let [kernel_height, kernel_width] = p.window.kernel;
    let room = if layer.is_contiguous(kernel_width) { PaddedLines::room(axes, p.input[3]) } else { 0 };
    let mut padded = PaddedLines::new();

    lines.for_each(rows, output, |[image, y_out], xs, line| {
        let y = vertical.clip(y_out);
        let inside = y.len() == vertical.kernel && layer.has_long_runs();
        let in_place = if inside && out_width > room { whole.clone() } else { 0..0 };
        let (mut x, mut line) = (xs.start, line);
        while x < xs.end {
            let end = if x < in_place.start { in_place.start.min(xs.end) } else { xs.end };
            let patch = layer.patch(image, &y, &horizontal.clip(x));
            let count = if in_place.contains(&x) {
                let count = in_place.end.min(xs.end) - x;
                layer.multiply_in_place(input, &patch, count, line);
                count
            } else if PADDED != 0 && room > 0 {
                let count = room.min(end - x);
                let at = [image, y_out, x];
                // A valid zero point is in the range of a byte.
                let lines = padded.fill(input, p.input, p.input_zero_point as i8, axes, at, count);
                let patch = Patch {
                    input: 0,
                    input_line: PaddedLines::line(horizontal, p.input[3], count),
                    input_run: 0,
                    weights: 0,
                    weights_line: 0,
                    lines: kernel_height,
                    runs: 1,
                    run_len: kernel_width * layer.inputs,
                };
                layer.multiply_in_place(lines, &patch, count, line);
                count
            } else if const { !P::PATHS.large_windows } || layer.filter_len <= GATHERED {
                layer.multiply_gathered(image, &y, (horizontal, &whole), x..end, line);
                end - x
            } else {
                layer.convolve(&patch, &y, &horizontal.clip(x), line);
                1
            };
            x += count;
            line = line.get_mut(count * out_channels..).unwrap_or(&mut []);
        }
    });
}

/// Whether each output pixel reads the input pixel at the same place, and nothing else.
pub(crate) fn is_pointwise(p: &Conv2d) -> bool {
    let Window2d { kernel, stride, pad, .. } = p.window;
    let [_, height, width, _] = p.input;
    kernel == [1, 1] && stride == [1, 1] && pad == [0, 0] && p.output[1..3] == [height, width]
}

/// The operands, with the sizes of a group.
struct Layer<'a, S> {
    p: &'a Conv2d,
    share: S,
    input: &'a [i8],
    weights: &'a [i8],
    channels: &'a [Channel],
    groups: usize,
    inputs: usize,
    /// The number of output channels of the share in each of its groups.
    outputs: usize,
    filter_len: usize,
}

impl<'a, S: Share> Layer<'a, S> {
    fn new(p: &'a Conv2d, share: S, input: &'a [i8], weights: &'a [i8], channels: &'a [Channel]) -> Self {
        let groups = p.groups.max(1);
        let inputs = p.input[3] / groups;
        let [height, width] = p.window.kernel;
        Self {
            p,
            share,
            input,
            weights,
            channels,
            groups,
            inputs,
            outputs: share.outputs(p.output[3] / groups),
            filter_len: height * width * inputs,
        }
    }

    /// Whether each row of a window is one run of input, and the runs are so long that copying them is not worthwhile.
    fn has_long_runs(&self) -> bool {
        let [height, width] = self.p.window.kernel;
        self.is_contiguous(width) && (height == 1 || width * self.inputs >= SHORTEST_RUN)
    }

    /// Whether `taps` adjacent taps of a kernel row are one run of input.
    fn is_contiguous(&self, taps: usize) -> bool {
        taps == 1 || (self.groups == 1 && self.p.window.dilation[1] <= 1)
    }

    /// The number of groups of the share before one of them.
    #[inline]
    fn position(&self, group: usize) -> usize {
        group.wrapping_sub(self.share.groups(self.groups).start)
    }

    /// The position of a group's output channels in a pixel.
    #[inline]
    fn first_output(&self, group: usize) -> usize {
        self.share.first() + self.position(group) * self.outputs
    }

    /// The weights and channels of a group.
    fn filters(&self, group: usize) -> Filters<'a> {
        let group = self.position(group);
        let size = self.outputs * self.filter_len;
        Filters {
            weights: run(self.weights, group * size, size),
            channels: run(self.channels, group * self.outputs, self.outputs),
            len: self.filter_len,
            offset: 0,
            output: Output { zero_point: self.p.output_zero_point, activation: self.p.activation },
        }
    }

    /// The window, clipped to `y` and `x`, of a pixel in the first group.
    // Many call it, and the flash of these cores is short.
    #[cfg_attr(any(arm_v6m, arm_v7m, all(arm_dsp, not(arm_mve))), inline(never))]
    #[cfg_attr(not(any(arm_v6m, arm_v7m, all(arm_dsp, not(arm_mve)))), inline)]
    fn patch(&self, image: usize, y: &Taps, x: &Taps) -> Patch {
        let [_, _, in_width, in_channels] = self.p.input;
        let [_, kernel_width] = self.p.window.kernel;
        let [vertical, horizontal] = self.p.window.dilation;
        let mut patch = Patch {
            input: pixel_start(self.p.input, [image, y.input, x.input]),
            // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
            input_line: vertical.wrapping_mul(in_width).wrapping_mul(in_channels),
            weights: (y.taps.start * kernel_width + x.taps.start) * self.inputs,
            weights_line: kernel_width * self.inputs,
            lines: y.len(),
            runs: x.len(),
            run_len: self.inputs,
            input_run: horizontal.wrapping_mul(in_channels),
        };
        if self.is_contiguous(patch.runs) {
            patch.run_len *= patch.runs;
            patch.runs = 1;
        }
        patch
    }

    /// Multiplies `count` pixels of a pointwise layer from `first` on: all rows of all images are one.
    #[inline(always)]
    fn multiply_pointwise(&self, first: usize, count: usize, output: &mut [i8]) {
        let at = |input: usize| Taps { taps: 0..1, input };
        let patch = self.patch(0, &at(0), &at(first));
        self.multiply_in_place(self.input, &patch, count, output);
    }

    /// Multiplies the windows of `count` adjacent pixels, of which `patch` is the first, without copying them.
    #[inline(never)]
    fn multiply_in_place(&self, input: &[i8], patch: &Patch, count: usize, pixels: &mut [i8]) {
        for group in self.share.groups(self.groups) {
            let patch = Patch { input: patch.input.wrapping_add(group * self.inputs), ..*patch };
            let outputs = pixels.get_mut(self.first_output(group)..).unwrap_or(&mut []);
            multiply(&self.filters(group), &self.inputs_of(input, &patch, count), self.p.output[3], outputs);
        }
    }

    /// The windows of `count` adjacent pixels, of which `patch` is the first; a kernel row is one run.
    fn inputs_of<'b>(&self, input: &'b [i8], patch: &Patch, count: usize) -> Inputs<'b> {
        let step = self.p.window.stride[1].wrapping_mul(self.p.input[3]);
        let Patch { lines, input_line: line, run_len: run, .. } = *patch;
        Inputs { values: tail(input, patch.input), count, step, lines, line, run }
    }

    /// Multiplies the windows of the pixels `xs`, copied to a buffer of the instruction set.
    ///
    /// The windows of the pixels `whole` are clipped at neither side.
    fn multiply_gathered(
        &self,
        image: usize,
        y: &Taps,
        (horizontal, whole): (Axis, &Range<usize>),
        xs: Range<usize>,
        pixels: &mut [i8],
    ) {
        for group in self.share.groups(self.groups) {
            let outputs = pixels.get_mut(self.first_output(group)..).unwrap_or(&mut []);
            multiply_gathered(&self.filters(group), xs.len(), self.p.output[3], outputs, &mut |pixels, windows| {
                let xs = xs.start + pixels.start..xs.start + pixels.end;
                self.gather(group, image, y, (horizontal, whole), xs, windows);
            });
        }
    }

    /// Copies the windows of the pixels `xs` in one group, with the zero point for taps in the padding.
    #[inline(never)]
    fn gather(
        &self,
        group: usize,
        image: usize,
        y: &Taps,
        (horizontal, whole): (Axis, &Range<usize>),
        xs: Range<usize>,
        windows: &mut [i8],
    ) {
        let step = self.p.window.stride[1].wrapping_mul(self.p.input[3]);
        let (len, mut x, mut left) = (self.filter_len, xs.start, windows);
        while x < xs.end {
            let mut patch = self.patch(image, y, &horizontal.clip(x));
            patch.input = patch.input.wrapping_add(group * self.inputs);
            // Pixels whose windows are whole differ by the step alone.
            let count = if whole.contains(&x) { whole.end.min(xs.end) - x } else { 1 };
            let Some((now, later)) = left.split_at_mut_checked(count * len) else { return };
            if !(patch.is_whole(len) && gather(&self.inputs_of(self.input, &patch, count), now)) {
                for_each_line(0..count, len, now, |_, window| {
                    patch.gather(self.input, self.p.input_zero_point, window);
                    patch.input = patch.input.wrapping_add(step);
                });
            }
            (x, left) = (x + count, later);
        }
    }

    /// Computes one pixel whose window is clipped and too large for the buffer: all its output channels, four at a time.
    #[inline(never)]
    fn convolve(&self, patch: &Patch, y: &Taps, x: &Taps, pixel: &mut [i8]) {
        let padding = Padding {
            zero_point: self.p.input_zero_point,
            window: [y, x],
            line: self.p.window.kernel[1],
            run: self.inputs,
        };
        let pixel = pixel.get_mut(self.share.first()..).unwrap_or(&mut []);
        for_each_line(self.share.groups(self.groups), self.outputs, pixel, |group, outputs| {
            let filters = self.filters(group);
            let input = tail(self.input, group * self.inputs);
            let mut weights = filters.weights;
            let (channels_by_4, channels) = filters.channels.as_chunks::<4>();
            let (outputs_by_4, outputs) = outputs.as_chunks_mut::<4>();
            for (channels, outputs) in channels_by_4.iter().zip(outputs_by_4) {
                let mut accumulators = bias(channels, 0);
                accumulate(&mut accumulators, patch, &padding, input, weights, filters.len);
                filters.output.store(&accumulators, channels, outputs);
                weights = tail(weights, 4 * filters.len);
            }
            let left = channels.as_chunks::<1>().0.iter();
            for (channel, outputs) in left.zip(outputs.as_chunks_mut::<1>().0) {
                let mut accumulators = bias(channel, 0);
                accumulate(&mut accumulators, patch, &padding, input, weights, filters.len);
                filters.output.store(&accumulators, channel, outputs);
                weights = tail(weights, filters.len);
            }
        });
    }
}

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
    /// Whether the window has no taps in the padding, and each of its rows is one run. A filter has `len` elements.
    fn is_whole(&self, len: usize) -> bool {
        self.runs == 1 && self.lines * self.run_len == len
    }

    /// Copies the window's inputs in the order of a filter's weights, with the zero point for taps in the padding.
    #[inline(never)]
    fn gather(&self, input: &[i8], zero_point: i32, window: &mut [i8]) {
        if self.lines * self.runs * self.run_len < window.len() {
            // A valid zero point is in the range of a byte.
            window.fill(zero_point as i8);
        }
        for ky in 0..self.lines {
            let from = self.input.wrapping_add(ky.wrapping_mul(self.input_line));
            let at = self.weights.wrapping_add(ky.wrapping_mul(self.weights_line));
            for kx in 0..self.runs {
                let from = from.wrapping_add(kx.wrapping_mul(self.input_run));
                let at = at.wrapping_add(kx.wrapping_mul(self.run_len));
                if let Some(to) = window.get_mut(at..at.wrapping_add(self.run_len)) {
                    copy_run(to, run(input, from, self.run_len));
                }
            }
        }
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
    #[inline(never)]
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

/// Adds the whole window to the accumulators of `N` filters.
#[inline(never)]
fn accumulate<const N: usize>(
    accumulators: &mut [i32; N],
    patch: &Patch,
    padding: &Padding<'_>,
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
    let mut filters = filters;
    for accumulator in accumulators {
        let filter = take(&mut filters, filter_len).unwrap_or(&[]);
        let part = padding.zero_point.wrapping_mul(padding.sum(filter));
        *accumulator = accumulator.wrapping_add(part);
    }
}
