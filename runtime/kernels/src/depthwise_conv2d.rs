//! DepthwiseConv2d: 2-D convolution of each channel by itself, NHWC input, 1HWO weights.
//!
//! Output channels `i * m .. (i + 1) * m` read input channel `i`, where the depth multiplier `m` is
//! `output[3] / input[3]`: `acc = bias[o] + Σ w[ky, kx, o] * x[n, iy, ix, o / m]`, a tap in the
//! padding reading the input's zero point; then `out = clamp(zero_point + acc * factor[o])`.
//! All accumulation wraps.
//!
//! The weights of one tap are contiguous by channel, and so is the input if `m` is 1: a block of
//! adjacent channels is summed tap by tap, each tap two slices multiplied element by element. With
//! `m > 1` a block belongs to one input channel, whose value multiplies all of it.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, DEPTHWISE_CONV_2D; TensorFlow Lite
//! Micro `reference_integer_ops::DepthwiseConvPerChannel`.

use core::ops::Range;

use crate::arch::multiply_taps;
use crate::lines::{for_each_line, run, tail, take};
use crate::matrix::Output;
use crate::portable::{Window, multiply_add_scalar};
use crate::quant::Channel;
use crate::window::{Axis, Taps, div_rem, pixel_start};
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
    let [.., in_channels] = p.input;
    let [_, out_height, out_width, out_channels] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let (multiplier, _) = div_rem(out_channels, in_channels);

    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            let mut block = Block {
                p,
                input,
                weights,
                input_at: first,
                weights_at: 0,
                output: Output { zero_point: p.output_zero_point, activation: p.activation },
                clipped: y.len() < vertical.kernel || x.len() < horizontal.kernel,
                window: [&y, &x],
            };
            if multiplier == 1 {
                block.channels::<false>(channels, pixel);
                return;
            }
            let mut channels = channels;
            for_each_line(0..in_channels, multiplier, pixel, |_, outputs| {
                let channels = take(&mut channels, multiplier).unwrap_or(&[]);
                block.channels::<true>(channels, outputs);
                block.input_at = block.input_at.wrapping_add(1);
            });
        });
    });
}

/// The number of channels that are summed together.
const BLOCK: usize = 64;

/// Adjacent output channels of one pixel.
struct Block<'a> {
    p: &'a DepthwiseConv2d,
    input: &'a [i8],
    weights: &'a [i8],
    /// Index of the input element under the first tap inside the input, for the block's first channel.
    input_at: usize,
    /// The block's first output channel.
    weights_at: usize,
    output: Output,
    /// Whether some taps are in the padding.
    clipped: bool,
    window: [&'a Taps; 2],
}

impl Block<'_> {
    /// Computes all of `channels`. With `SHARED` they read one input channel; otherwise each has its own.
    #[inline]
    fn channels<const SHARED: bool>(&mut self, channels: &[Channel], outputs: &mut [i8]) {
        let (mut channels, mut outputs) = (channels, outputs);
        while !outputs.is_empty() {
            let count = outputs.len().min(BLOCK);
            let Some(now) = take(&mut channels, count) else {
                return;
            };
            let Some((these, later)) = outputs.split_at_mut_checked(count) else {
                return;
            };
            self.compute::<SHARED>(now, these);
            outputs = later;
            self.weights_at = self.weights_at.wrapping_add(count);
            if !SHARED {
                self.input_at = self.input_at.wrapping_add(count);
            }
        }
    }

    /// Computes at most [`BLOCK`] channels.
    #[inline]
    fn compute<const SHARED: bool>(&self, channels: &[Channel], outputs: &mut [i8]) {
        let mut accumulators = [0; BLOCK];
        let Some(accumulators) = accumulators.get_mut(..channels.len()) else {
            return;
        };
        for (accumulator, channel) in accumulators.iter_mut().zip(channels) {
            *accumulator = channel.bias;
        }
        self.taps::<SHARED>(accumulators);
        if self.clipped {
            self.padding(accumulators);
        }
        self.output.store(accumulators, channels, outputs);
    }

    /// Adds the taps inside the input.
    #[inline]
    fn taps<const SHARED: bool>(&self, accumulators: &mut [i32]) {
        let [_, _, in_width, in_channels] = self.p.input;
        let [_, kernel_width] = self.p.window.kernel;
        let out_channels = self.p.output[3];
        let [y, x] = self.window;
        // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
        let [vertical, horizontal] = self.p.window.dilation;
        let input_line = vertical.wrapping_mul(in_width).wrapping_mul(in_channels);
        let window = Window {
            lines: y.len(),
            runs: x.len(),
            line: [input_line, kernel_width * out_channels],
            run: [horizontal.wrapping_mul(in_channels), out_channels],
        };
        let first = (y.taps.start * kernel_width + x.taps.start) * out_channels + self.weights_at;
        let (input, weights) = (tail(self.input, self.input_at), tail(self.weights, first));
        if SHARED {
            window.for_each_tap(input, weights, |input, weights| {
                let factor = input.first().copied().unwrap_or(0);
                multiply_add_scalar(accumulators, factor.into(), weights);
            });
        } else {
            multiply_taps(accumulators, &window, input, weights);
        }
    }

    /// Adds the taps in the padding, which read the input's zero point.
    fn padding(&self, accumulators: &mut [i32]) {
        let [kernel_height, kernel_width] = self.p.window.kernel;
        let out_channels = self.p.output[3];
        let [y, x] = self.window;
        for ky in 0..kernel_height {
            for kx in 0..kernel_width {
                if y.taps.contains(&ky) && x.taps.contains(&kx) {
                    continue;
                }
                let at = (ky * kernel_width + kx) * out_channels + self.weights_at;
                let weights = run(self.weights, at, accumulators.len());
                multiply_add_scalar(accumulators, self.p.input_zero_point, weights);
            }
        }
    }
}
