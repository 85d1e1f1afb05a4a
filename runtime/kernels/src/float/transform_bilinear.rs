//! TransformBilinear: an image seen through an affine transform, NHWC with one image.
//!
//! The first two rows of a matrix, `(a, b, _, t)` and `(c, d, _, u)`, put output pixel `(y, x)` at
//! `(a·x + b·y + t', c·x + d·y + u')` in the input, where `t' = t + (a·0.5 + b·0.5 - 0.5)` and `u'` likewise: pixels are centred
//! at half-integer coordinates. A place outside the centres of the border is 0, and so is one that is not a number. Otherwise,
//! with `x0` and `y0` the coordinates rounded down, `dx` and `dy` the rest, and pixels to the right and below of 0 beyond the
//! border, `dy·((1-dx)·in[y1, x0] + dx·in[y1, x1]) + (1-dy)·((1-dx)·in[y0, x0] + dx·in[y0, x1])`.
//!
//! Source: MediaPipe `TransformTensorBilinear`, version 2, which computes products with `1-dx` and `1-dy` in f64.

use core::ops::Range;

use super::at;
use crate::lines::{for_each_line, run};

/// The sizes of [`transform_bilinear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransformBilinear {
    /// Height, width and channels of the input.
    pub input: [usize; 3],
    /// The width of the output.
    pub out_width: usize,
}

/// Computes output rows `rows`; a row is one of the `OH` lines of `OW * C` elements, and `output` holds the lines of `rows`
/// only. `matrix` is `[4, 4]`.
pub fn transform_bilinear(
    p: &TransformBilinear,
    rows: Range<usize>,
    input: &[f32],
    matrix: &[f32],
    output: &mut [f32],
) {
    let [height, width, depth] = p.input;
    let [horizontal, vertical] = [0, 4].map(|row| Line::new(matrix, row));
    for_each_line(rows, p.out_width * depth, output, |row, line| {
        for_each_line(0..p.out_width, depth, line, |column, pixel| {
            let (x, y) = (horizontal.at(column, row), vertical.at(column, row));
            let last = [width, height].map(|length| length.saturating_sub(1) as f32);
            let inside = x >= 0.0 && x <= last[0] && y >= 0.0 && y <= last[1];
            if !inside {
                pixel.fill(0.0);
                return;
            }
            // Not negative, so this rounds down.
            let (x0, y0) = (x as usize, y as usize);
            let (dx, dy) = (x - x0 as f32, y - y0 as f32);
            let inputs = |y: usize, x: usize| {
                let is_inside = y < height && x < width;
                if is_inside {
                    run(input, y.wrapping_mul(width).wrapping_add(x).wrapping_mul(depth), depth)
                } else {
                    &[]
                }
            };
            let (x1, y1) = (x0.wrapping_add(1), y0.wrapping_add(1));
            let [upper, lower] = [y0, y1].map(|y| [inputs(y, x0), inputs(y, x1)]);
            for (channel, output) in pixel.iter_mut().enumerate() {
                let between = |[left, right]: [&[f32]; 2]| (1.0 - dx) * at(left, channel) + dx * at(right, channel);
                *output = dy * between(lower) + (1.0 - dy) * between(upper);
            }
        });
    });
}

/// A coordinate of the input as a function of those of the output.
#[derive(Clone, Copy)]
struct Line {
    of_x: f32,
    of_y: f32,
    start: f32,
}

impl Line {
    /// That of the row of the matrix which begins at element `row`.
    fn new(matrix: &[f32], row: usize) -> Self {
        let [of_x, of_y, start] = [0, 1, 3].map(|column| at(matrix, row.wrapping_add(column)));
        Self { of_x, of_y, start: start + (of_x * 0.5 + of_y * 0.5 - 0.5) }
    }

    #[inline]
    fn at(self, x: usize, y: usize) -> f32 {
        self.of_x * x as f32 + self.of_y * y as f32 + self.start
    }
}
