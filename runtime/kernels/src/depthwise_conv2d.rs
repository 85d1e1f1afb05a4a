//! DepthwiseConv2d: 2-D convolution of each channel by itself, NHWC input, 1HWO weights.
//!
//! Output channels `i * m .. (i + 1) * m` read input channel `i`, where the depth multiplier `m` is
//! `output[3] / input[3]`: `acc = bias[o] + Σ w[ky, kx, o] * x[n, iy, ix, o / m]`, a tap in the
//! padding reading the input's zero point; then `out = clamp(zero_point + acc * factor[o])`.
//! All accumulation wraps.
//!
//! The weights of one tap are contiguous by channel, and so is the input if `m` is 1: a block of
//! adjacent channels is summed tap by tap, each tap two slices multiplied element by element, for all
//! adjacent pixels whose windows lie inside the input. With `m > 1` a block belongs to one input channel,
//! whose value multiplies all of it.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, DEPTHWISE_CONV_2D; TensorFlow Lite
//! Micro `reference_integer_ops::DepthwiseConvPerChannel`.

use core::ops::Range;

use crate::arch::{PADS_DEPTHWISE, depthwise, depthwise_line, depthwise_lines, depthwise_of_biases, multiply_taps};
use crate::lines::{for_each_line, run, tail, take};
use crate::matrix::Output;
use crate::padded::PaddedLines;
use crate::paths::{AllPaths, LinkedPaths};
use crate::portable::{Steps, Window, multiply_add_scalar};
use crate::quant::Channel;
use crate::window::{Axis, Lines, Taps, div_rem, pixel_start};
use tealight_types::{ActivationRange, Window2d};

/// Parameters of [`depthwise_conv2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC; its channels are a multiple of the input's.
    pub output: [usize; 4],
    /// The window of an output pixel in the input.
    pub window: Window2d,
    /// Quantized value of a real zero in the input, which a tap in the padding reads.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is 1HWO, `channels` has `output[3]` entries, and `output` holds the lines of `rows` only.
pub fn depthwise_conv2d(
    p: &DepthwiseConv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    depthwise_conv2d_in::<AllPaths>(p, rows, input, weights, channels, output);
}

/// As [`depthwise_conv2d`], with the paths of `P` alone, which must have those of the layer:
/// [`Paths::of_depthwise_conv2d`](crate::Paths::of_depthwise_conv2d).
#[inline]
pub fn depthwise_conv2d_in<P: LinkedPaths>(
    p: &DepthwiseConv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: &mut [i8],
) {
    let (lines, input_shape, window) = Lines::new(p.input, p.output, &p.window);
    let p = DepthwiseConv2d { input: input_shape, output: lines.output, window, ..*p };
    if depthwise_lines(&p, (&lines, &rows), [input, weights], channels, output) {
        return;
    }
    Layer::new(&p, weights, channels).compute::<P>(&lines, rows, input, output);
}

/// A buffer for lines with their padding. Where no layer has one, it takes no room on the stack.
#[cfg(not(arm_neon))]
type Padded = PaddedLines;
#[cfg(arm_neon)]
type Padded = &'static mut PaddedLines;

/// What all rows of a layer share.
struct Layer<'a> {
    p: &'a DepthwiseConv2d,
    axes: [Axis; 2],
    weights: &'a [i8],
    channels: &'a [Channel],
    /// The number of output channels for each input channel.
    multiplier: usize,
    /// The output columns whose windows lie inside the input.
    whole: Range<usize>,
    /// The number of pixels that there is room for in the buffer for padded lines.
    room: usize,
}

impl<'a> Layer<'a> {
    fn new(p: &'a DepthwiseConv2d, weights: &'a [i8], channels: &'a [Channel]) -> Self {
        let axes = Axis::pair(p.input, &p.window);
        let (multiplier, _) = div_rem(p.output[3], p.input[3]);
        let whole = axes[1].whole_windows(p.output[2]);
        Self { p, axes, weights, channels, multiplier, whole, room: PaddedLines::room(axes, p.input[3]) }
    }

    /// A buffer for lines with their padding, if the layer needs one.
    #[cfg(arm_neon)]
    #[inline]
    fn padded_lines(&self) -> Option<Padded> {
        None
    }

    /// A buffer for lines with their padding, if the layer needs one.
    #[cfg(not(arm_neon))]
    #[inline]
    fn padded_lines(&self) -> Option<Padded> {
        (PADS_DEPTHWISE && self.room > 0).then(PaddedLines::new)
    }

    /// Computes `rows`, which are of these lines.
    // Where another function computes most layers, its stack is not to contain this one's.
    #[cfg_attr(x86_64_vectors, inline(never))]
    #[cfg_attr(not(x86_64_vectors), inline(always))]
    fn compute<P: LinkedPaths>(&self, lines: &Lines, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
        let mut padded = self.padded_lines();
        lines.for_each(rows, output, |at, xs, line| self.compute_line::<P>(at, xs, &mut padded, input, line));
    }

    /// Computes the pixels `xs` of output row `y`.
    #[inline]
    fn compute_line<P: LinkedPaths>(
        &self,
        [image, y]: [usize; 2],
        xs: Range<usize>,
        padded: &mut Option<Padded>,
        input: &[i8],
        line: &mut [i8],
    ) {
        let Self { p, axes, weights, channels, .. } = *self;
        let room = if PADS_DEPTHWISE { self.room } else { 0 };
        if const { P::PATHS.depthwise_lines }
            && self.multiplier == 1
            && depthwise_line(p, [image, y], &xs, [input, weights], channels, line)
        {
            return;
        }
        if const { !P::PATHS.any_depthwise } {
            return;
        }
        let [vertical, horizontal] = axes;
        let y_taps = vertical.clip(y);
        let [all_y, all_x] = &axes.map(|axis| Taps { taps: 0..axis.kernel, input: 0 });
        let all_fit = xs.len() <= room;
        let whole = if all_fit || (room > 0 && y_taps.len() < vertical.kernel) { 0..0 } else { self.whole.clone() };
        let (mut x, mut line) = (xs.start, line);
        while x < xs.end {
            let end = if x < whole.start { whole.start.min(xs.end) } else { xs.end };
            let x_taps = horizontal.clip(x);
            let (source, input_line, window, count) = match padded {
                Some(padded) if !whole.contains(&x) => {
                    let count = room.min(end - x);
                    // A valid zero point is in the range of a byte.
                    let lines = padded.fill(input, p.input, p.input_zero_point as i8, axes, [image, y, x], count);
                    (lines, PaddedLines::line(horizontal, p.input[3], count), [all_y, all_x], count)
                }
                _ => {
                    let source = tail(input, pixel_start(p.input, [image, y_taps.input, x_taps.input]));
                    // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
                    let input_line = p.window.dilation[0].wrapping_mul(p.input[2]).wrapping_mul(p.input[3]);
                    // Pixels whose windows are clipped in the same way are computed together.
                    let count = if whole.contains(&x) { whole.end.min(xs.end) - x } else { 1 };
                    (source, input_line, [&y_taps, &x_taps], count)
                }
            };
            let clipped = window[0].len() < vertical.kernel || window[1].len() < horizontal.kernel;
            let pixels = Pixels { p, input: source, input_line, weights, channels, count, window, clipped };
            if self.multiplier == 1 {
                pixels.compute(line);
            } else {
                pixels.compute_shared(self.multiplier, line);
            }
            x += count;
            line = line.get_mut(count * p.output[3]..).unwrap_or(&mut []);
        }
    }
}

/// The number of channels that are summed together.
const BLOCK: usize = 64;

/// Adjacent output pixels whose windows have the same taps inside the input.
struct Pixels<'a> {
    p: &'a DepthwiseConv2d,
    /// From the first pixel's first tap inside the input on.
    input: &'a [i8],
    /// The distance from the input of one kernel row to that of the next.
    input_line: usize,
    weights: &'a [i8],
    channels: &'a [Channel],
    count: usize,
    window: [&'a Taps; 2],
    /// Whether some taps are in the padding.
    clipped: bool,
}

impl Pixels<'_> {
    /// Computes all channels, each from its own input channel.
    #[inline(never)]
    fn compute(&self, outputs: &mut [i8]) {
        let [.., in_channels] = self.p.input;
        let out_channels = self.p.output[3];
        let steps =
            Steps { count: self.count, input: self.p.window.stride[1].wrapping_mul(in_channels), output: out_channels };
        let (mut channels, mut at) = (run(self.channels, 0, out_channels), 0);
        let operands = [self.input, tail(self.weights, self.first_weight())];
        if !self.clipped && depthwise_of_biases(&self.taps(), &steps, operands, channels, self.output(), outputs) {
            return;
        }
        while !channels.is_empty() {
            let count = channels.len().min(BLOCK);
            let Some(now) = take(&mut channels, count) else { return };
            self.with_initial(now, at, |initial| {
                let (input, weights) = (tail(self.input, at), tail(self.weights, self.first_weight() + at));
                let outputs = outputs.get_mut(at..).unwrap_or(&mut []);
                depthwise(initial, &self.taps(), &steps, input, weights, now, self.output(), outputs);
            });
            at += count;
        }
    }

    /// Computes all channels, `multiplier` of them from each input channel.
    #[inline(never)]
    fn compute_shared(&self, multiplier: usize, outputs: &mut [i8]) {
        let [.., in_channels] = self.p.input;
        let step = self.p.window.stride[1].wrapping_mul(in_channels);
        for_each_line(0..self.count, self.p.output[3], outputs, |pixel, outputs| {
            let (mut channels, mut at) = (self.channels, 0);
            for_each_line(0..in_channels, multiplier, outputs, |channel, mut outputs| {
                let input = tail(self.input, pixel.wrapping_mul(step).wrapping_add(channel));
                while !outputs.is_empty() {
                    let count = outputs.len().min(BLOCK);
                    let Some(now) = take(&mut channels, count) else { return };
                    let Some((these, later)) = outputs.split_at_mut_checked(count) else { return };
                    self.with_initial(now, at, |accumulators| {
                        self.taps().for_each_tap(input, tail(self.weights, self.first_weight() + at), |x, weights| {
                            let factor = x.first().copied().unwrap_or(0);
                            multiply_add_scalar(accumulators, factor.into(), weights);
                        });
                        self.output().store(accumulators, now, these);
                    });
                    outputs = later;
                    at += count;
                }
            });
        });
    }

    fn output(&self) -> Output {
        Output { zero_point: self.p.output_zero_point, activation: self.p.activation }
    }

    /// The index of the first weight of the first tap inside the input.
    fn first_weight(&self) -> usize {
        let [y, x] = self.window;
        (y.taps.start * self.p.window.kernel[1] + x.taps.start) * self.p.output[3]
    }

    /// The taps inside the input.
    fn taps(&self) -> Window {
        let [.., in_channels] = self.p.input;
        let out_channels = self.p.output[3];
        let [y, x] = self.window;
        let [_, horizontal] = self.p.window.dilation;
        Window {
            lines: y.len(),
            runs: x.len(),
            line: [self.input_line, self.p.window.kernel[1] * out_channels],
            run: [horizontal.wrapping_mul(in_channels), out_channels],
        }
    }

    /// Calls `f` with the initial accumulators of at most [`BLOCK`] channels, the first of which is `at`: each
    /// channel's bias, and the products of the taps in the padding, which read the input's zero point.
    #[inline]
    fn with_initial(&self, channels: &[Channel], at: usize, f: impl FnOnce(&mut [i32])) {
        let mut accumulators = [0; BLOCK];
        let Some(accumulators) = accumulators.get_mut(..channels.len()) else { return };
        for (accumulator, channel) in accumulators.iter_mut().zip(channels) {
            *accumulator = channel.bias;
        }
        if self.clipped {
            self.padding(accumulators, at);
        }
        f(accumulators);
    }

    /// Adds the taps in the padding: the kernel rows above and below the input, and in the others the taps to the left
    /// and to the right of it.
    #[inline(never)]
    fn padding(&self, accumulators: &mut [i32], at: usize) {
        // A valid zero point is in the range of a byte.
        let zero_points = [self.p.input_zero_point as i8; BLOCK];
        let ([height, width], out_channels) = (self.p.window.kernel, self.p.output[3]);
        let [y, x] = self.window.map(|taps| taps.taps.clone());
        let parts = [(0..y.start, 0..width), (y.end..height, 0..width), (y.clone(), 0..x.start), (y, x.end..width)];
        let zero_points = run(&zero_points, 0, accumulators.len());
        for (lines, runs) in parts {
            let first = (lines.start * width + runs.start) * out_channels + at;
            let window = Window {
                lines: lines.len(),
                runs: runs.len(),
                line: [0, width * out_channels],
                run: [0, out_channels],
            };
            multiply_taps(accumulators, &window, zero_points, tail(self.weights, first));
        }
    }
}
