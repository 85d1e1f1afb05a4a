//! DepthwiseConv2d: NHWC input, 1HWO weights, one scale per output channel.
//!
//! Output channel `o` reads input channel `i = o / (O / C)`: `acc = bias[o] + Σ w[ky, kx, o] * x[n, iy, ix, i]`, where a
//! tap in the padding adds nothing; then `out = clamp(acc * factor[o])`.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::DepthwiseConvPerChannel` for int16.

use core::ops::Range;

use super::channels::Channels;
use crate::lines::{for_each_line, tail};
use crate::window::{Axis, Taps, div_rem, pixel_start};
use tealight_types::{ActivationRangeI16, Window2d};

/// Up to so many products are summed in 32 bits: 2^8 times 2^15 times 2^7 fits.
const CHUNK: usize = 256;

/// Parameters of [`depthwise_conv2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC; its channels are a multiple of the input's.
    pub output: [usize; 4],
    /// The window of an output pixel in the input.
    pub window: Window2d,
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is 1HWO, `channels` has `output[3]` entries, and `output` holds the lines of `rows` only.
pub fn depthwise_conv2d(
    p: &DepthwiseConv2d,
    rows: Range<usize>,
    input: &[i16],
    weights: &[i8],
    channels: Channels<'_>,
    output: &mut [i16],
) {
    let [_, _, _, depth] = p.input;
    let [_, out_height, out_width, out_channels] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let Some(multiple) = out_channels.checked_div(depth) else { return };
    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let input = tail(input, pixel_start(p.input, [image, y.input, x.input]));
            let tap = y.taps.start.wrapping_mul(p.window.kernel[1]).wrapping_add(x.taps.start);
            let weights = tail(weights, tap.wrapping_mul(out_channels));
            let layer = Layer { p, channels: &channels, taps: [&y, &x] };
            if multiple != 1 {
                for_each_line(0..depth, multiple, pixel, |from, outputs| {
                    for (k, output) in outputs.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                        layer.channels(input, weights, [from, from * multiple + k], output);
                    }
                });
                return;
            }
            let mut channel = 0;
            let (by_4, left) = pixel.as_chunks_mut::<4>();
            for outputs in by_4 {
                layer.channels(input, weights, [channel; 2], outputs);
                channel += 4;
            }
            for outputs in left.as_chunks_mut::<1>().0 {
                layer.channels(input, weights, [channel; 2], outputs);
                channel += 1;
            }
        });
    });
}

/// A layer at one pixel.
struct Layer<'a> {
    p: &'a DepthwiseConv2d,
    channels: &'a Channels<'a>,
    /// The taps of the pixel's window that are in the input, vertical and horizontal.
    taps: [&'a Taps; 2],
}

impl Layer<'_> {
    /// Computes `N` adjacent channels, which start at these of the input and of the output. `input` and `weights` start
    /// at the first tap.
    #[inline]
    fn channels<const N: usize>(&self, input: &[i16], weights: &[i8], [from, to]: [usize; 2], outputs: &mut [i16; N]) {
        let ([_, _, width, depth], out_channels) = (self.p.input, self.p.output[3]);
        let [dilation_y, dilation_x] = self.p.window.dilation;
        // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
        let input_step = dilation_x.wrapping_mul(depth);
        let input_line = dilation_y.wrapping_mul(width).wrapping_mul(depth);
        let weights_line = self.p.window.kernel[1].wrapping_mul(out_channels);
        let [y, x] = self.taps;
        let (mut input, mut weights) = (tail(input, from), tail(weights, to));
        let mut sums = [0i64; N];
        for _ in 0..y.len() {
            let (mut values, mut taps, mut left) = (input, weights, x.len());
            while left > 0 {
                let count = left.min(CHUNK);
                let mut part = [0i32; N];
                for _ in 0..count {
                    let (Some(xs), Some(ws)) = (values.first_chunk::<N>(), taps.first_chunk::<N>()) else { break };
                    for ((sum, &x), &w) in part.iter_mut().zip(xs).zip(ws) {
                        *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
                    }
                    (values, taps) = (tail(values, input_step), tail(taps, out_channels));
                }
                for (sum, part) in sums.iter_mut().zip(part) {
                    *sum = sum.wrapping_add(i64::from(part));
                }
                left -= count;
            }
            (input, weights) = (tail(input, input_line), tail(weights, weights_line));
        }
        for (k, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
            if let Some(code) = self.channels.finish(to + k, sum, self.p.activation) {
                *output = code;
            }
        }
    }
}
