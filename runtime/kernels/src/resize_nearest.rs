//! ResizeNearest: each output pixel is the nearest input pixel, NHWC.
//!
//! Output coordinate `x` reads input coordinate `(x + offset) * scale`, rounded down to an integer, or
//! to the nearest with aligned corners. The product is computed in `f32`, as in the reference, because its
//! rounding near an integer decides which pixel is read.
//!
//! Source: TensorFlow Lite Micro `reference_ops::ResizeNearestNeighbor`.

use core::ops::Range;

use crate::lines::{copy, for_each_line, run};
use crate::window::div_rem;

/// Parameters of [`resize_nearest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeNearest {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC.
    pub output: [usize; 4],
    /// Whether the centres of the corner pixels of input and output are aligned.
    pub align_corners: bool,
    /// Whether pixel centres are at half-integer coordinates.
    pub half_pixel_centers: bool,
    /// The number of bytes of an element.
    pub item: usize,
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
pub fn resize_nearest(p: &ResizeNearest, rows: Range<usize>, input: &[u8], output: &mut [u8]) {
    let [_, in_height, in_width, channels] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let pixel = channels.wrapping_mul(p.item);
    for_each_line(rows, out_width.wrapping_mul(pixel), output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = nearest(p, y, in_height, out_height);
        let line_at = image.wrapping_mul(in_height).wrapping_add(y).wrapping_mul(in_width);
        for_each_line(0..out_width, pixel, line, |x, output| {
            let x = nearest(p, x, in_width, out_width);
            copy(output, run(input, line_at.wrapping_add(x).wrapping_mul(pixel), pixel));
        });
    });
}

/// The input coordinate nearest to output coordinate `x`.
#[inline]
fn nearest(p: &ResizeNearest, x: usize, input: usize, output: usize) -> usize {
    let last = input.saturating_sub(1);
    let scale =
        if p.align_corners && output > 1 { last as f32 / (output - 1) as f32 } else { input as f32 / output as f32 };
    let offset = if p.half_pixel_centers { 0.5 } else { 0.0 };
    let at = (x as f32 + offset) * scale;
    // The conversion truncates, which rounds down because the value is not negative.
    let whole = at as usize;
    let up = p.align_corners && at - whole as f32 >= 0.5;
    whole.saturating_add(usize::from(up)).min(last)
}
