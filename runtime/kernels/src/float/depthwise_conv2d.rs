//! DepthwiseConv2d: each input channel has its own filter, or several; NHWC input, 1HWO weights.
//!
//! `out[n, y, x, o] = clamp(Σ w[ky, kx, o] * in[n, iy, ix, o / multiplier] + bias[o])`; taps in the
//! padding add nothing. The sum of a channel runs over its taps in order, from 0.

use core::ops::Range;

use super::sum::{Weight, add_scaled};
use super::{at, clamp};
use crate::lines::{for_each_line, run, tail};
use crate::window::{Axis, div_rem, pixel_start};
use tealight_types::Window2d;

/// Parameters of [`depthwise_conv2d`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthwiseConv2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC; channels are a multiple of the input's.
    pub output: [usize; 4],
    /// The window of an output pixel in the input.
    pub window: Window2d,
    /// Minimum and maximum of the output.
    pub activation: [f32; 2],
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is 1HWO, `bias` has `output[3]` entries or none, and `output` holds the lines of `rows` only.
pub fn depthwise_conv2d<W: Weight>(
    p: &DepthwiseConv2d,
    rows: Range<usize>,
    input: &[f32],
    weights: &[W],
    bias: &[f32],
    output: &mut [f32],
) {
    let [_, _, in_width, in_channels] = p.input;
    let [_, out_height, out_width, out_channels] = p.output;
    let multiplier = out_channels / in_channels.max(1);
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);

    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            pixel.fill(0.0);
            for (line, ky) in y.taps.clone().enumerate() {
                for (column, kx) in x.taps.clone().enumerate() {
                    let step = line * p.window.dilation[0] * in_width + column * p.window.dilation[1];
                    let inputs = run(input, first + step * in_channels, in_channels);
                    let weights = tail(weights, (ky * p.window.kernel[1] + kx) * out_channels);
                    add_tap(inputs, weights, multiplier, pixel);
                }
            }
            for (o, output) in pixel.iter_mut().enumerate() {
                *output = clamp(*output + at(bias, o), p.activation);
            }
        });
    });
}

/// Adds one tap's products to all channels.
#[inline]
fn add_tap<W: Weight>(inputs: &[f32], weights: &[W], multiplier: usize, outputs: &mut [f32]) {
    if multiplier == 1 {
        for ((output, x), w) in outputs.iter_mut().zip(inputs).zip(weights) {
            *output += x * w.to_f32();
        }
    } else {
        for_each_line(0..inputs.len(), multiplier, outputs, |i, outputs| {
            add_scaled(outputs, at(inputs, i), tail(weights, i * multiplier));
        });
    }
}
