//! DepthwiseConv2d with int4 weights.

use core::ops::Range;

use super::{Int4, UNPACKED};
use crate::arch::{depthwise, multiply_taps};
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::lines::{run, tail};
use crate::matrix::Output;
use crate::portable::{Steps, Window, multiply_add_scalar};
use crate::quant::Channel;
use crate::window::{Axis, Lines, Taps, div_rem, pixel_start};

/// The number of channels that are summed together.
const BLOCK: usize = 64;

/// As [`depthwise_conv2d`](crate::depthwise_conv2d()), with the same bits, for weights that are packed.
///
/// A block of channels of a line is computed at a time, with the weights of all of its taps unpacked. Where these are too
/// many, or several channels share an input, pixels are computed one by one, and the weights of a tap unpacked for each.
pub fn depthwise_conv2d_int4(
    p: &DepthwiseConv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: Int4<'_>,
    channels: &[Channel],
    output: &mut [i8],
) {
    let (lines, input_shape, window) = Lines::new(p.input, p.output, &p.window);
    let p = DepthwiseConv2d { input: input_shape, output: lines.output, window, ..*p };
    let axes = Axis::pair(p.input, &p.window);
    let (multiplier, _) = div_rem(p.output[3], p.input[3]);
    let taps = p.window.kernel[0].saturating_mul(p.window.kernel[1]);
    let block = (UNPACKED / taps.max(1)).min(BLOCK);
    let layer = Layer { p: &p, axes, weights, multiplier, whole: axes[1].whole_windows(p.output[2]) };
    let by_line = multiplier == 1 && block >= 8.min(p.output[3]);
    let mut unpacked = [0; UNPACKED];
    lines.for_each(rows, output, |at, xs, line| {
        let mut first = 0;
        while first < p.output[3] {
            let count = (p.output[3] - first).min(if by_line { block } else { BLOCK });
            let channels = run(channels, first, count);
            if channels.is_empty() {
                return;
            }
            if by_line {
                layer.compute_line(at, xs.clone(), (first, channels), input, &mut unpacked, line);
            } else {
                layer.compute_pixels(at, xs.clone(), (first, channels), input, line);
            }
            first += count;
        }
    });
}

/// What all rows of a layer share.
struct Layer<'a> {
    p: &'a DepthwiseConv2d,
    axes: [Axis; 2],
    weights: Int4<'a>,
    /// The number of output channels for each input channel.
    multiplier: usize,
    /// The output columns whose windows lie inside the input.
    whole: Range<usize>,
}

impl Layer<'_> {
    fn output(&self) -> Output {
        Output { zero_point: self.p.output_zero_point, activation: self.p.activation }
    }

    /// The input from the first tap of a pixel on.
    fn source<'b>(&self, input: &'b [i8], image: usize, [y, x]: [&Taps; 2]) -> &'b [i8] {
        tail(input, pixel_start(self.p.input, [image, y.input, x.input]))
    }

    /// The taps inside the input, of weights with `count` channels.
    fn window(&self, [y, x]: [&Taps; 2], count: usize) -> Window {
        let [_, _, in_width, in_channels] = self.p.input;
        // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
        let [vertical, horizontal] = self.p.window.dilation.map(|dilation| dilation.wrapping_mul(in_channels));
        Window {
            lines: y.len(),
            runs: x.len(),
            line: [vertical.wrapping_mul(in_width), self.p.window.kernel[1].wrapping_mul(count)],
            run: [horizontal, count],
        }
    }

    /// Computes `channels`, the first of which is `first`, of the pixels `xs` of a line.
    #[inline(never)]
    fn compute_line(
        &self,
        [image, y]: [usize; 2],
        xs: Range<usize>,
        (first, channels): (usize, &[Channel]),
        input: &[i8],
        unpacked: &mut [i8; UNPACKED],
        line: &mut [i8],
    ) {
        let ([kernel_height, kernel_width], out_channels) = (self.p.window.kernel, self.p.output[3]);
        let count = channels.len();
        let Some(unpacked) = unpacked.get_mut(..kernel_height * kernel_width * count) else { return };
        let mut from = self.weights.tail(first);
        for codes in unpacked.chunks_mut(count.max(1)) {
            from.unpack(codes);
            from = from.tail(out_channels);
        }
        let input = tail(input, first);
        let y = self.axes[0].clip(y);
        let mut x = xs.start;
        while x < xs.end {
            let taps = [&y, &self.axes[1].clip(x)];
            // Pixels whose windows are clipped in the same way are computed together.
            let pixels = if self.whole.contains(&x) { self.whole.end.min(xs.end) - x } else { 1 };
            let mut initial = [0; BLOCK];
            let initial = initial.get_mut(..count).unwrap_or(&mut []);
            for (initial, channel) in initial.iter_mut().zip(channels) {
                *initial = channel.bias;
            }
            if taps[0].len() < kernel_height || taps[1].len() < kernel_width {
                self.add_padding(taps, unpacked, initial);
            }
            let [first_line, first_run] = taps.map(|taps| taps.taps.start);
            let weights = tail(unpacked, (first_line * kernel_width + first_run) * count);
            let step = self.p.window.stride[1].wrapping_mul(self.p.input[3]);
            let steps = Steps { count: pixels, input: step, output: out_channels };
            let at = (x - xs.start).wrapping_mul(out_channels).wrapping_add(first);
            let outputs = line.get_mut(at..).unwrap_or(&mut []);
            let (window, source) = (self.window(taps, count), self.source(input, image, taps));
            depthwise(initial, &window, &steps, source, weights, channels, self.output(), outputs);
            x += pixels;
        }
    }

    /// Adds the products of the taps in the padding, which read the input's zero point.
    fn add_padding(&self, [y, x]: [&Taps; 2], weights: &[i8], accumulators: &mut [i32]) {
        let [_, kernel_width] = self.p.window.kernel;
        for (tap, weights) in weights.chunks_exact(accumulators.len().max(1)).enumerate() {
            let (ky, kx) = div_rem(tap, kernel_width);
            if !(y.taps.contains(&ky) && x.taps.contains(&kx)) {
                multiply_add_scalar(accumulators, self.p.input_zero_point, weights);
            }
        }
    }

    /// As [`compute_line`](Self::compute_line), pixel by pixel.
    #[inline(never)]
    fn compute_pixels(
        &self,
        [image, y]: [usize; 2],
        xs: Range<usize>,
        (first, channels): (usize, &[Channel]),
        input: &[i8],
        line: &mut [i8],
    ) {
        let ([kernel_height, kernel_width], out_channels) = (self.p.window.kernel, self.p.output[3]);
        let y = self.axes[0].clip(y);
        for x in xs.clone() {
            let taps = [&y, &self.axes[1].clip(x)];
            let window = self.window(taps, out_channels);
            let source = self.source(input, image, taps);
            let mut accumulators = [0; BLOCK];
            let accumulators = accumulators.get_mut(..channels.len()).unwrap_or(&mut []);
            for (accumulator, channel) in accumulators.iter_mut().zip(channels) {
                *accumulator = channel.bias;
            }
            let [mut inputs, mut codes] = [[0; BLOCK]; 2];
            let inputs = inputs.get_mut(..channels.len()).unwrap_or(&mut []);
            let codes = codes.get_mut(..channels.len()).unwrap_or(&mut []);
            let mut weights = self.weights.tail(first);
            for tap in 0..kernel_height * kernel_width {
                let (ky, kx) = div_rem(tap, kernel_width);
                weights.unpack(codes);
                weights = weights.tail(out_channels);
                if taps[0].taps.contains(&ky) && taps[1].taps.contains(&kx) {
                    let lines = (ky - taps[0].taps.start).wrapping_mul(window.line[0]);
                    let from = lines.wrapping_add((kx - taps[1].taps.start).wrapping_mul(window.run[0]));
                    self.shared(tail(source, from), first, inputs);
                    multiply_taps(accumulators, &Window::ONE, inputs, codes);
                } else {
                    multiply_add_scalar(accumulators, self.p.input_zero_point, codes);
                }
            }
            let at = (x - xs.start).wrapping_mul(out_channels).wrapping_add(first);
            if let Some(outputs) = line.get_mut(at..at.wrapping_add(channels.len())) {
                self.output().store(accumulators, channels, outputs);
            }
        }
    }

    /// Writes the inputs of output channels from `first` on, from those of a pixel.
    fn shared(&self, pixel: &[i8], first: usize, inputs: &mut [i8]) {
        let (mut channel, mut of_channel) = div_rem(first, self.multiplier);
        for input in inputs {
            *input = pixel.get(channel).copied().unwrap_or(0);
            of_channel += 1;
            if of_channel >= self.multiplier {
                (channel, of_channel) = (channel + 1, 0);
            }
        }
    }
}
