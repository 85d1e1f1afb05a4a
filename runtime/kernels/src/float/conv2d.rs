//! Conv2d: 2-D convolution, NHWC input, OHWI weights. A 1-D convolution is one of height 1.
//!
//! `out[n, y, x, o] = clamp(Σ w[o, ky, kx, i] * in[n, iy, ix, i] + bias[o])`; taps in the padding add
//! nothing. The sum runs over the kernel's rows; each contiguous run of the input starts at lane 0 of the
//! eight sums.

use core::ops::Range;

use super::finish::Finish;
use super::products::Pixels;
use super::weights::Weights;
use crate::arch::Arranged;
use crate::lines::{for_each_line, tail};
use crate::portable::{Steps, Window};
use crate::window::{Axis, Lines, Taps, for_each_part, pixel_start};
use tealight_types::Window2d;

/// Parameters of [`conv2d`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC.
    pub output: [usize; 4],
    /// The window of an output pixel in the input.
    pub window: Window2d,
    /// Number of groups: each reads `input[3] / groups` channels and computes `output[3] / groups`.
    pub groups: usize,
    /// Minimum and maximum of the output.
    pub activation: [f32; 2],
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is OHWI with `I = input[3] / groups`, `channels` has `output[3]` entries, or none for biases of 0, and
/// `output` holds the lines of `rows` only.
pub fn conv2d<S: Weights>(
    p: &Conv2d,
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
        exchanged = Conv2d { input, output: lines.output, window, ..*p };
        &exchanged
    } else {
        lines = Lines::rows(p.output);
        p
    };
    let [_, _, in_width, in_channels] = p.input;
    let [_, _, out_width, out_channels] = p.output;
    let ([kernel_height, kernel_width], groups) = (p.window.kernel, p.groups.max(1));
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let group_inputs = in_channels / groups;
    let filter_len = kernel_height * kernel_width * group_inputs;
    // With a single tap the dilation has no effect; it may be huge, and these products may wrap.
    let line_step = p.window.dilation[0].wrapping_mul(in_width).wrapping_mul(in_channels);
    let tap_step = p.window.dilation[1].wrapping_mul(in_channels);
    let tap_of = |y: &Taps, x: &Taps| (y.taps.start * kernel_width + x.taps.start) * group_inputs;
    // Each of a column's taps is a kernel row, and starts at lane 0.
    let rows_join = !lines.are_columns() || group_inputs.is_multiple_of(8);
    // The taps of a kernel row are one run if they are contiguous in the input too.
    let window_of = |y: &Taps, x: &Taps| {
        let joined = rows_join && group_inputs == in_channels && p.window.dilation[1] <= 1;
        let taps = x.taps.end.saturating_sub(x.taps.start);
        let (runs, len) = if joined && taps > 1 { (1, taps * group_inputs) } else { (taps, group_inputs) };
        let line = [line_step, kernel_width.wrapping_mul(group_inputs)];
        (Window { lines: y.len(), runs, line, run: [tap_step, len] }, len)
    };
    let weights_of = |filter: usize, tap| weights.tail((filter * filter_len).wrapping_add(tap));
    let whole = if const { S::WHOLE_LINES } { horizontal.whole_windows(out_width) } else { 0..0 };
    let row_pixels = if lines.are_columns() { 1 } else { out_width };
    let pixels = rows.len().saturating_mul(row_pixels);

    // Some filters, the same number of each group.
    let mut compute = |filters: Range<usize>, arranged: Option<Arranged<'_>>| {
        let group_outputs = filters.len() / groups;
        lines.for_each(rows.clone(), output, |[image, y], xs, line| {
            let y = vertical.clip(y);
            let start = |x: &Taps| pixel_start(p.input, [image, y.input, x.input]);
            // If no tap is in the input, the start is meaningless, and this sum may wrap too.
            let input_of = |first: usize, group: usize| tail(input, first.wrapping_add(group * group_inputs));
            // Adjacent pixels whose windows have the same taps.
            let together = |columns: Range<usize>, pixels: &mut [f32]| {
                let x = horizontal.clip(columns.start);
                let (first, tap, (window, len)) = (start(&x), tap_of(&y, &x), window_of(&y, &x));
                for group in 0..groups {
                    let filter = filters.start + group * group_outputs;
                    let of_group = Pixels {
                        window,
                        len,
                        input: input_of(first, group),
                        weights: weights_of(filter, tap),
                        stride: filter_len,
                        finish: tail(channels, filter),
                        activation: p.activation,
                        channels: group_outputs,
                        steps: Steps {
                            count: columns.end.saturating_sub(columns.start),
                            input: p.window.stride[1].wrapping_mul(in_channels),
                            output: out_channels,
                        },
                        arranged: arranged.map(|arranged| arranged.tail(tap)),
                    };
                    S::multiply_pixels(&of_group, pixels.get_mut(filter..).unwrap_or(&mut []));
                }
            };
            let apart = |columns: Range<usize>, pixels: &mut [f32]| {
                for_each_line(columns, out_channels, pixels, |x, pixel| {
                    if const { S::WHOLE_LINES } {
                        return together(x..x + 1, pixel);
                    }
                    let x = horizontal.clip(x);
                    let (first, tap, (window, len)) = (start(&x), tap_of(&y, &x), window_of(&y, &x));
                    for_each_line(0..groups, group_outputs, pixel, |group, outputs| {
                        let filter = group * group_outputs;
                        weights_of(filter, tap).multiply(&window, len, input_of(first, group), filter_len, outputs);
                        S::Finish::finish(outputs, tail(channels, filter), p.activation);
                    });
                });
            };
            for_each_part(&whole, xs, out_channels, line, apart, together);
        });
    };
    if const { S::WHOLE_LINES } && groups == 1 {
        weights.for_each_block(filter_len, out_channels, pixels, compute);
    } else {
        compute(0..out_channels, None);
    }
}
