//! MaxPoolIndices2d and MaxUnpool2d over NHWC: where the maximum of each window is, and the way back.
//!
//! The place of tap `(y, x)` of a window is `y·KW + x`, and is stored as a number greater by 0.1, which rounds down to it. Of
//! equal taps the first counts; the place of a window without a finite tap or +∞ is 0. On the way back, an input is written
//! at its place in its window, over what an input before it has written there; all else is 0. Places outside the window are
//! skipped.
//!
//! Source: MediaPipe `MaxPoolingWithArgmax2D` and `MaxUnpooling2D`, which for places outside the window counts on.

use core::ops::Range;

use super::at;
use crate::lines::{for_each_line, run};
use crate::window::{Axis, div_rem, pixel_start};
use tealight_types::Window2d;

/// Parameters of [`max_pool_indices2d`] and [`max_unpool2d`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unpool2d {
    /// The shape of what is pooled, or is the result of unpooling, NHWC.
    pub image: [usize; 4],
    /// The shape of the maxima, NHWC, with the image's channels.
    pub maxima: [usize; 4],
    /// The window of a maximum in the image; its dilation counts as 1.
    pub window: Window2d,
}

/// Finds the places of the maxima of rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and
/// `output` holds the lines of `rows` only.
pub fn max_pool_indices2d(p: &Unpool2d, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    let [.., width, depth] = p.image;
    let [_, out_height, out_width, _] = p.maxima;
    let window = Window2d { dilation: [1, 1], ..p.window };
    let [vertical, horizontal] = Axis::pair(p.image, &window);
    for_each_line(rows, out_width * depth, output, |row, line| {
        let (image, row) = div_rem(row, out_height);
        let y = vertical.clip(row);
        for_each_line(0..out_width, depth, line, |column, pixel| {
            let x = horizontal.clip(column);
            let first = pixel_start(p.image, [image, y.input, x.input]);
            for (channel, output) in pixel.iter_mut().enumerate() {
                let (mut max, mut place) = (f32::MIN, 0usize);
                for down in 0..y.len() {
                    for right in 0..x.len() {
                        let tap = at(input, first + (down * width + right) * depth + channel);
                        if tap > max {
                            max = tap;
                            place = (y.taps.start + down) * window.kernel[1] + x.taps.start + right;
                        }
                    }
                }
                *output = place as f32 + 0.1;
            }
        });
    });
}

/// Writes rows `rows` of the image; a row is one of the `N * H` lines of `W * C` elements, and `output` holds the lines of
/// `rows` only. `places` are those of the `maxima`, as [`max_pool_indices2d`] writes them.
pub fn max_unpool2d(p: &Unpool2d, rows: Range<usize>, maxima: &[f32], places: &[f32], output: &mut [f32]) {
    let [_, height, width, depth] = p.image;
    let [_, inputs, columns, _] = p.maxima;
    let Window2d { kernel, stride, pad, .. } = p.window;
    for_each_line(rows, width * depth, output, |row, line| {
        let (image, row) = div_rem(row, height);
        line.fill(0.0);
        let row = row.saturating_add(pad[0]);
        // The last window that begins at this row or above it, and the first one that reaches it.
        let (last, _) = div_rem(row, stride[0]);
        let before = row.saturating_add(1).saturating_sub(kernel[0]);
        let (mut first, rest) = div_rem(before, stride[0]);
        first = first.saturating_add(usize::from(rest > 0));
        for y in first..last.saturating_add(1).min(inputs) {
            let tap = row.wrapping_sub(y.wrapping_mul(stride[0]));
            for x in 0..columns {
                let at_input = pixel_start(p.maxima, [image, y, x]);
                let (values, places) = (run(maxima, at_input, depth), run(places, at_input, depth));
                for (channel, (&value, &place)) in values.iter().zip(places).enumerate() {
                    // A conversion of a number below 0, or of none, would be 0.
                    let is_place = place > -1.0;
                    if !is_place {
                        continue;
                    }
                    let (down, right) = div_rem(place as usize, kernel[1]);
                    let column = x.wrapping_mul(stride[1]).saturating_add(right).checked_sub(pad[1]);
                    let Some(column) = column.filter(|&column| down == tap && column < width) else { continue };
                    if let Some(output) = line.get_mut(column.wrapping_mul(depth).wrapping_add(channel)) {
                        *output = value;
                    }
                }
            }
        }
    });
}
