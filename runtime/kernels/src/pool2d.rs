//! AvgPool2d over NHWC.
//!
//! Padding does not count: the average divides by the number of taps inside the input, rounding to
//! nearest, halves away from zero. Input and output share scale and zero point. The sum wraps at 32 bits, but cannot
//! reach that in a valid model file, where at most 2^23 taps meet the input.
//!
//! A block of adjacent channels is summed in registers over all taps.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::AveragePool`.

use core::ops::Range;

use crate::arch::POOLED;
use crate::lines::{for_each_line, tail};
use crate::window::{Axis, Taps, div_rem, pixel_start};
use tealight_types::{ActivationRange, Window2d};

/// Parameters of [`avg_pool2d`] and [`max_pool2d`](crate::max_pool2d()).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC, with the input's channels.
    pub output: [usize; 4],
    /// The window of an output pixel in the input; its dilation counts as 1.
    pub window: Window2d,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// Averages output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
///
/// For a window that is entirely in the padding, the output pixel stays unchanged.
pub fn avg_pool2d(p: &Pool2d, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    let [.., depth] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &Window2d { dilation: [1, 1], ..p.window });

    for_each_line(rows, out_width * depth, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, depth, line, |x, pixel| {
            let x = horizontal.clip(x);
            let first = pixel_start(p.input, [image, y.input, x.input]);
            let input = tail(input, first);
            let mut at = 0;
            let (blocks, left) = if POOLED > 4 { pixel.as_chunks_mut::<POOLED>() } else { (&mut [][..], pixel) };
            for outputs in blocks {
                average_block::<POOLED>(p, [&y, &x], tail(input, at), outputs);
                at += POOLED;
            }
            let (by_4, left) = left.as_chunks_mut::<4>();
            for outputs in by_4 {
                average_block::<4>(p, [&y, &x], tail(input, at), outputs);
                at += 4;
            }
            for output in left.as_chunks_mut::<1>().0 {
                average_block::<1>(p, [&y, &x], tail(input, at), output);
                at += 1;
            }
        });
    });
}

/// Returns a sum of `taps` elements divided by their number, halves rounded away from zero; `None` if there are none.
#[inline]
pub(crate) fn average(sum: i32, taps: usize) -> Option<i32> {
    let taps = taps as i32;
    let half = if sum > 0 { taps / 2 } else { -(taps / 2) };
    sum.wrapping_add(half).checked_div(taps)
}

/// Computes `N` channels of one pixel; `input` starts at the first of them under the window's first tap.
// Cores with few registers have none for the callers' values beside the sums.
#[cfg_attr(target_arch = "arm", inline(never))]
#[cfg_attr(not(target_arch = "arm"), inline)]
fn average_block<const N: usize>(p: &Pool2d, [y, x]: [&Taps; 2], input: &[i8], outputs: &mut [i8; N]) {
    let [_, _, width, depth] = p.input;
    let mut sums = [0i32; N];
    let mut line = 0usize;
    for _ in y.taps.clone() {
        let mut at = line;
        for _ in x.taps.clone() {
            let Some(inputs) = input.get(at..).and_then(<[_]>::first_chunk::<N>) else {
                break;
            };
            for (sum, &x) in sums.iter_mut().zip(inputs) {
                *sum = sum.wrapping_add(x.into());
            }
            at = at.wrapping_add(depth);
        }
        line = line.wrapping_add(width.wrapping_mul(depth));
    }
    let taps = y.len() * x.len();
    for (output, sum) in outputs.iter_mut().zip(sums) {
        if let Some(value) = average(sum, taps) {
            *output = p.activation.clamp(value);
        }
    }
}
