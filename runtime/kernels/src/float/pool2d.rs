//! AvgPool2d and MaxPool2d over NHWC.
//!
//! The average sums the taps inside the input in order, from 0, and divides by their number, or by the size
//! of the window if padding counts. The maximum starts from minus infinity and ignores NaN.

use core::ops::Range;

use super::clamp;
use crate::lines::{for_each_line, run};
use crate::window::{Axis, div_rem, pixel_start};
use tealight_types::Window2d;

/// Parameters of [`avg_pool2d`] and [`max_pool2d`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC, with the input's channels.
    pub output: [usize; 4],
    /// The window of an output pixel in the input; its dilation counts as 1.
    pub window: Window2d,
    /// Whether the average divides by the size of the window, as if the padding contained zeros.
    pub count_padding: bool,
    /// Minimum and maximum of the output.
    pub activation: [f32; 2],
}

/// Averages output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
///
/// The average of a window that is entirely in the padding is 0.
pub fn avg_pool2d(p: &Pool2d, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    let all = p.window.kernel[0].wrapping_mul(p.window.kernel[1]);
    pool(
        p,
        rows,
        input,
        output,
        0.0,
        |sum, x| sum + x,
        |sum, taps| {
            let taps = if p.count_padding { all } else { taps };
            sum / taps.max(1) as f32
        },
    );
}

/// Takes the maxima of output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and
/// `output` holds the lines of `rows` only.
pub fn max_pool2d(p: &Pool2d, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    let max_of = |max, x| if x > max { x } else { max };
    pool(p, rows, input, output, f32::NEG_INFINITY, max_of, |max, _| max);
}

/// Folds the taps of each window with `add`, then calls `finish` with the result and the number of taps.
#[inline]
fn pool(
    p: &Pool2d,
    rows: Range<usize>,
    input: &[f32],
    output: &mut [f32],
    start: f32,
    add: impl Fn(f32, f32) -> f32,
    finish: impl Fn(f32, usize) -> f32,
) {
    let [.., width, depth] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &Window2d { dilation: [1, 1], ..p.window });
    for_each_line(rows, out_width * depth, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, depth, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            pixel.fill(start);
            for line in 0..y.len() {
                for column in 0..x.len() {
                    let inputs = run(input, first + (line * width + column) * depth, depth);
                    for (output, &x) in pixel.iter_mut().zip(inputs) {
                        *output = add(*output, x);
                    }
                }
            }
            for output in pixel {
                *output = clamp(finish(*output, y.len() * x.len()), p.activation);
            }
        });
    });
}
