//! MaxPool2d over NHWC.
//!
//! Padding does not count. Input and output share scale and zero point, so a maximum of bytes is one of values.
//!
//! Where one instruction takes several maxima, [`blocks`] of channels keep their maxima in registers over all taps.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::MaxPool`.

#[cfg(byte_maxima)]
pub(crate) mod blocks;

use core::ops::Range;

#[cfg(byte_maxima)]
use blocks::pool;
#[cfg(not(byte_maxima))]
use pool_each as pool;

use crate::Pool2d;
use crate::arch::rolled;
use crate::lines::{for_each_line, tail};
use crate::window::{Axis, div_rem, pixel_start};
use tealight_types::{ActivationRange, Window2d};

/// Takes the maxima of output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements,
/// and `output` holds the lines of `rows` only.
///
/// For a window that is entirely in the padding, the maximum is the least of the activation's range.
pub fn max_pool2d(p: &Pool2d, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    let [_, _, width, depth] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &Window2d { dilation: [1, 1], ..p.window });
    let whole = horizontal.whole_windows(out_width);
    for_each_line(rows, out_width * depth, output, |row, mut line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        let input = tail(input, pixel_start(p.input, [image, y.input, 0]));
        let mut at = 0;
        while at < out_width {
            // All pixels whose windows are whole, or one.
            let x = horizontal.clip(at);
            let pixels = if at == whole.start { whole.len().max(1) } else { 1 };
            let Some((outputs, later)) = line.split_at_mut_checked(pixels.wrapping_mul(depth)) else { return };
            let window = Window {
                taps: [y.len(), x.len()],
                line: width.wrapping_mul(depth),
                pixel: depth,
                step: horizontal.stride.wrapping_mul(depth),
                activation: p.activation,
            };
            let input = tail(input, x.input.wrapping_mul(depth));
            pool(&window, input, outputs);
            line = later;
            at = at.wrapping_add(pixels);
        }
    });
}

/// Windows of adjacent pixels, with as many taps each.
struct Window {
    /// The numbers of taps inside the input, vertical and horizontal.
    taps: [usize; 2],
    /// The distance between lines of the input, in elements.
    line: usize,
    /// The distance between pixels of the input, and of the output, in elements.
    pixel: usize,
    /// The distance between windows, in elements.
    step: usize,
    activation: ActivationRange,
}

/// Computes pixels, channel by channel; `input` starts at the first tap of the first window.
#[inline]
fn pool_each(window: &Window, mut input: &[i8], outputs: &mut [i8]) {
    let [low, high] = window.activation.bounds();
    for pixel in outputs.chunks_exact_mut(window.pixel.max(1)) {
        pixel.fill(low as i8);
        let [lines, pixels] = window.taps;
        for line in 0..lines {
            let mut input = tail(input, line.wrapping_mul(window.line));
            for _ in 0..pixels {
                for (maximum, &x) in pixel.iter_mut().zip(input) {
                    // Unrolled, the loop takes fewer instructions, except on cores with few registers.
                    if cfg!(arm_v6m) {
                        rolled();
                    }
                    if x > *maximum {
                        *maximum = x;
                    }
                }
                input = tail(input, window.pixel);
            }
        }
        for maximum in pixel.iter_mut().filter(|maximum| i32::from(**maximum) > high) {
            *maximum = high as i8;
        }
        input = tail(input, window.step);
    }
}
