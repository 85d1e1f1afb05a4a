//! Conv2d: 2-D convolution, NHWC input, OHWI weights, one scale per output channel.
//!
//! For output channel `o`: `acc = bias[o] + Σ w[o, ky, kx, i] * x[n, iy, ix, i]`, where a tap in the padding adds
//! nothing; then `out = clamp(acc * factor[o])`.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::ConvPerChannel` for int16.

use core::ops::Range;

use super::channels::Channels;
use super::dot::add_dots;
use crate::lines::{for_each_line, run, tail};
use crate::window::{Axis, div_rem, pixel_start};
use tealight_types::{ActivationRangeI16, Window2d};

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
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

/// The taps of a pixel's window that are in the input: `lines` kernel rows of `runs` contiguous pieces of `len` elements.
struct Patch {
    lines: usize,
    runs: usize,
    len: usize,
    /// From one kernel row to the next: elements of the input, and weights.
    line: [usize; 2],
    /// From one run to the next, likewise.
    run: [usize; 2],
    /// The weights of one filter.
    filter_len: usize,
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is OHWI with `I = input[3] / groups`, `channels` has `output[3]` entries, and `output` holds the lines of
/// `rows` only.
pub fn conv2d(
    p: &Conv2d,
    rows: Range<usize>,
    input: &[i16],
    weights: &[i8],
    channels: Channels<'_>,
    output: &mut [i16],
) {
    let [_, _, in_width, in_channels] = p.input;
    let [_, out_height, out_width, out_channels] = p.output;
    let ([kernel_height, kernel_width], groups) = (p.window.kernel, p.groups.max(1));
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let (inputs, outputs) = (in_channels / groups, out_channels / groups);
    let filter_len = kernel_height.wrapping_mul(kernel_width).wrapping_mul(inputs);
    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            let tap = (y.taps.start.wrapping_mul(kernel_width).wrapping_add(x.taps.start)).wrapping_mul(inputs);
            // The taps of a kernel row are one run if they are contiguous in the input too. With a single tap the
            // dilation has no effect; it may be huge, and these products may wrap.
            let is_run = x.len() == 1 || (groups == 1 && p.window.dilation[1] <= 1);
            let (runs, len) = if is_run { (1, x.len() * inputs) } else { (x.len(), inputs) };
            let patch = Patch {
                lines: y.len(),
                runs,
                len,
                line: [
                    p.window.dilation[0].wrapping_mul(in_width).wrapping_mul(in_channels),
                    kernel_width.wrapping_mul(inputs),
                ],
                run: [p.window.dilation[1].wrapping_mul(in_channels), inputs],
                filter_len,
            };
            for_each_line(0..groups, outputs, pixel, |group, pixel| {
                let input = tail(input, first.wrapping_add(group * inputs));
                let weights = run(weights, group * outputs * filter_len, outputs * filter_len);
                let (mut weights, mut channel) = (tail(weights, tap), group * outputs);
                let (by_4, left) = pixel.as_chunks_mut::<4>();
                for outputs in by_4 {
                    patch.filters(p, input, weights, &channels, channel, outputs);
                    (weights, channel) = (tail(weights, 4 * filter_len), channel + 4);
                }
                for outputs in left.as_chunks_mut::<1>().0 {
                    patch.filters(p, input, weights, &channels, channel, outputs);
                    (weights, channel) = (tail(weights, filter_len), channel + 1);
                }
            });
        });
    });
}

impl Patch {
    /// Computes `N` channels of a pixel, from number `first` on. `input` and `weights` start at the first tap.
    #[inline]
    fn filters<const N: usize>(
        &self,
        p: &Conv2d,
        input: &[i16],
        weights: &[i8],
        channels: &Channels<'_>,
        first: usize,
        outputs: &mut [i16; N],
    ) {
        let mut sums = [0; N];
        let mut line = [0usize; 2];
        for _ in 0..self.lines {
            let mut at = line;
            for _ in 0..self.runs {
                add_dots(&mut sums, run(input, at[0], self.len), tail(weights, at[1]), self.filter_len);
                at = [at[0].wrapping_add(self.run[0]), at[1].wrapping_add(self.run[1])];
            }
            line = [line[0].wrapping_add(self.line[0]), line[1].wrapping_add(self.line[1])];
        }
        for (k, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
            if let Some(code) = channels.finish(first + k, sum, p.activation) {
                *output = code;
            }
        }
    }
}
