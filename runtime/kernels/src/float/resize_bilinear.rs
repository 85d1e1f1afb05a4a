//! ResizeBilinear: each output pixel is interpolated linearly between the four input pixels around its position, NHWC.
//!
//! With the position `(y, x)`, `y0` and `x0` its coordinates rounded down, `y1` and `x1` rounded up, `dy = y - y0` and
//! `dx = x - x0`, in this order of operations:
//! `((in[y0, x0]·(1-dy)·(1-dx) + in[y1, x0]·dy·(1-dx)) + in[y0, x1]·(1-dy)·dx) + in[y1, x1]·dy·dx`.
//! With half-pixel centres, `dy` and `dx` are negative before the first pixel's centre, where `y0 = y1`.
//!
//! Source: TensorFlow Lite Micro `reference_ops::ResizeBilinear`.

use core::ops::Range;

use crate::ResizeBilinear;
use crate::lines::{for_each_line, run};
use crate::window::div_rem;

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
pub fn resize_bilinear(p: &ResizeBilinear, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    let [_, in_height, in_width, channels] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let (vertical, horizontal) = (Grid::new(p, in_height, out_height), Grid::new(p, in_width, out_width));
    let line_len = in_width.wrapping_mul(channels);
    for_each_line(rows, out_width.wrapping_mul(channels), output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.at(y);
        let line_at =
            |y: usize| run(input, image.wrapping_mul(in_height).wrapping_add(y).wrapping_mul(line_len), line_len);
        let (upper, lower) = (line_at(y.first), line_at(y.second));
        for_each_line(0..out_width, channels, line, |x, output| {
            let x = horizontal.at(x);
            let ([up, down], [left, right]) = (y.weights(), x.weights());
            let pixel = |line, x: usize| run(line, x.wrapping_mul(channels), channels);
            let lefts = pixel(upper, x.first).iter().zip(pixel(lower, x.first));
            let rights = pixel(upper, x.second).iter().zip(pixel(lower, x.second));
            for (output, ((a, b), (c, d))) in output.iter_mut().zip(lefts.zip(rights)) {
                *output = a * up * left + b * down * left + c * up * right + d * down * right;
            }
        });
    });
}

/// The positions of output coordinates along one axis of the input.
#[derive(Clone, Copy)]
struct Grid {
    /// The last input coordinate.
    last: usize,
    /// From one output coordinate to the next.
    step: f32,
    half_pixel_centers: bool,
}

/// The two input coordinates around a position, and where between them it is.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    /// 0 at `first`, 1 at `second`.
    fraction: f32,
}

impl Grid {
    /// The axis of `input` coordinates that becomes one of `output` coordinates.
    fn new(p: &ResizeBilinear, input: usize, output: usize) -> Self {
        let last = input.saturating_sub(1);
        let aligned = p.align_corners && output > 1;
        let [from, to] = if aligned { [last, output.wrapping_sub(1)] } else { [input, output] };
        Self { last, step: from as f32 / to as f32, half_pixel_centers: p.half_pixel_centers }
    }

    /// The input coordinates around output coordinate `x`.
    #[inline]
    fn at(self, x: usize) -> Between {
        let x = x as f32;
        let position = if self.half_pixel_centers { (x + 0.5) * self.step - 0.5 } else { x * self.step };
        // The conversion truncates, which rounds down, and makes a negative position 0.
        let whole = position as usize;
        let up = usize::from(position > whole as f32);
        let first = whole.min(self.last);
        Between { first, second: whole.saturating_add(up).min(self.last), fraction: position - first as f32 }
    }
}

impl Between {
    /// The weights of the first and the second coordinate.
    #[inline]
    fn weights(self) -> [f32; 2] {
        [1.0 - self.fraction, self.fraction]
    }
}
