//! DepthwiseConv2d: each input channel has its own filter, or several; NHWC input, 1HWO weights.
//!
//! `out[n, y, x, o] = clamp(Σ w[ky, kx, o] * in[n, iy, ix, o / multiplier] + bias[o])`; taps in the
//! padding add nothing. The sum of a channel runs over its taps in order, from 0.

use core::ops::Range;

use super::at;
use super::finish::Finish;
use super::products::Pixels;
use super::weights::Weights;
use crate::lines::{for_each_line, tail};
use crate::portable::{Steps, Window};
use crate::window::{Axis, Lines, Taps, for_each_part, pixel_start};
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
/// `weights` is 1HWO, `channels` has `output[3]` entries, or none for biases of 0, and `output` holds the lines of
/// `rows` only.
pub fn depthwise_conv2d<S: Weights>(
    p: &DepthwiseConv2d,
    rows: Range<usize>,
    input: &[f32],
    weights: S,
    channels: &[S::Finish],
    output: &mut [f32],
) {
    let (lines, exchanged);
    let p = if const { S::WHOLE_LINES } {
        let (input, window);
        (lines, input, window) = Lines::new(p.input, p.output, &p.window);
        exchanged = DepthwiseConv2d { input, output: lines.output, window, ..*p };
        &exchanged
    } else {
        lines = Lines::rows(p.output);
        p
    };
    let [_, _, in_width, in_channels] = p.input;
    let [_, _, out_width, out_channels] = p.output;
    let multiplier = out_channels / in_channels.max(1);
    let kernel_width = p.window.kernel[1];
    // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
    let dilation = p.window.dilation.map(|dilation| dilation.wrapping_mul(in_channels));
    let line_step = [dilation[0].wrapping_mul(in_width), kernel_width.wrapping_mul(out_channels)];
    let run_step = [dilation[1], out_channels];
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let window_of = |y: &Taps, x: &Taps| Window { lines: y.len(), runs: x.len(), line: line_step, run: run_step };
    let weights_of = |y: &Taps, x: &Taps| weights.tail((y.taps.start * kernel_width + x.taps.start) * out_channels);
    let whole = if const { S::WHOLE_LINES } { horizontal.whole_windows(out_width) } else { 0..0 };

    lines.for_each(rows, output, |[image, y], xs, line| {
        let y = vertical.clip(y);
        let input_of = |x: &Taps| tail(input, pixel_start(p.input, [image, y.input, x.input]));
        // Adjacent pixels whose windows have the same taps.
        let together = |columns: Range<usize>, outputs: &mut [f32]| {
            let x = horizontal.clip(columns.start);
            let pixels = Pixels {
                window: window_of(&y, &x),
                len: out_channels,
                input: input_of(&x),
                weights: weights_of(&y, &x),
                stride: 0,
                finish: channels,
                activation: p.activation,
                channels: out_channels,
                steps: Steps {
                    count: columns.end.saturating_sub(columns.start),
                    input: p.window.stride[1].wrapping_mul(in_channels),
                    output: out_channels,
                },
                arranged: None,
            };
            S::depthwise_pixels(&pixels, outputs);
        };
        let apart = |columns: Range<usize>, pixels: &mut [f32]| {
            for_each_line(columns, out_channels, pixels, |x, pixel| {
                if const { S::WHOLE_LINES } && multiplier == 1 {
                    return together(x..x + 1, pixel);
                }
                let x = horizontal.clip(x);
                let (window, input, weights) = (window_of(&y, &x), input_of(&x), weights_of(&y, &x));
                if multiplier == 1 {
                    weights.depthwise(&window, input, pixel);
                } else {
                    several_filters(&window, [in_channels, multiplier], input, weights, pixel);
                }
                S::Finish::finish(pixel, channels, p.activation);
            });
        };
        let whole = if multiplier == 1 { &whole } else { &(0..0) };
        for_each_part(whole, xs, out_channels, line, apart, together);
    });
}

/// The sums of a pixel if each of its `channels` has `multiplier` filters.
#[inline]
fn several_filters<S: Weights>(
    window: &Window,
    [channels, multiplier]: [usize; 2],
    input: &[f32],
    weights: S,
    outputs: &mut [f32],
) {
    outputs.fill(0.0);
    window.for_each_start(|from, weight| {
        let (input, weights) = (tail(input, from), weights.tail(weight));
        for_each_line(0..channels, multiplier, outputs, |i, outputs| {
            weights.tail(i * multiplier).add_scaled(outputs, at(input, i));
        });
    });
}
