//! AvgPool2d and MaxPool2d over NHWC, of int16 elements: as those of int8.
//!
//! The sum wraps at 32 bits, but cannot reach that in a valid model file, where at most 2^15 taps meet the input.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::AveragePool` and `MaxPool` for int16.

use core::ops::Range;

use crate::lines::for_each_line;
use crate::pool2d::average;
use crate::window::{Axis, div_rem, pixel_start};
use tealight_types::{ActivationRangeI16, Window2d};

/// Parameters of [`avg_pool2d`] and [`max_pool2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC, with the input's channels.
    pub output: [usize; 4],
    /// The window of an output pixel in the input; its dilation counts as 1.
    pub window: Window2d,
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

/// Averages output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
///
/// For a window that is entirely in the padding, the output pixel stays unchanged.
pub fn avg_pool2d(p: &Pool2d, rows: Range<usize>, input: &[i16], output: &mut [i16]) {
    pool(p, rows, input, output, 0, i32::wrapping_add, average);
}

/// Takes the maxima of output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements,
/// and `output` holds the lines of `rows` only.
pub fn max_pool2d(p: &Pool2d, rows: Range<usize>, input: &[i16], output: &mut [i16]) {
    pool(p, rows, input, output, i16::MIN.into(), i32::max, |maximum, _| Some(maximum));
}

/// Reduces each channel of the windows of rows, tap by tap from `start` on; `finish` makes the result of so many taps, or
/// leaves the output unchanged.
#[inline]
fn pool(
    p: &Pool2d,
    rows: Range<usize>,
    input: &[i16],
    output: &mut [i16],
    start: i32,
    add: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32, usize) -> Option<i32>,
) {
    let [_, _, width, depth] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &Window2d { dilation: [1, 1], ..p.window });
    for_each_line(rows, out_width * depth, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, depth, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            for (channel, output) in pixel.iter_mut().enumerate() {
                let mut value = start;
                for i in 0..y.len() {
                    for j in 0..x.len() {
                        let tap = i.wrapping_mul(width).wrapping_add(j).wrapping_mul(depth).wrapping_add(channel);
                        value = add(value, input.get(first.wrapping_add(tap)).copied().unwrap_or(0).into());
                    }
                }
                if let Some(value) = finish(value, y.len() * x.len()) {
                    *output = p.activation.clamp(value);
                }
            }
        });
    });
}
