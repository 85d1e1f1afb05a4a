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
use crate::resize_bilinear::{Between, axes, for_each_pixel, lengths};

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
pub fn resize_bilinear(p: &ResizeBilinear, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    let [vertical, horizontal] = axes(p).map(|axis| Grid::new(p, axis));
    let at = (|y| vertical.at(y), |x| horizontal.at(x));
    for_each_pixel(p, rows, input, output, at, |[down, right], [a, b, c, d], output| {
        let (up, left) = (1.0 - down, 1.0 - right);
        for (output, ((a, b), (c, d))) in output.iter_mut().zip(a.iter().zip(b).zip(c.iter().zip(d))) {
            *output = a * up * left + b * down * left + c * up * right + d * down * right;
        }
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

impl Grid {
    /// The axis of these numbers of input and output coordinates.
    fn new(p: &ResizeBilinear, axis: [usize; 2]) -> Self {
        let [from, to] = lengths(p, axis);
        Self {
            last: axis[0].saturating_sub(1),
            step: from as f32 / to as f32,
            half_pixel_centers: p.half_pixel_centers,
        }
    }

    /// The input coordinates around output coordinate `x`.
    #[inline]
    fn at(self, x: usize) -> Between<f32> {
        let x = x as f32;
        let position = if self.half_pixel_centers { (x + 0.5) * self.step - 0.5 } else { x * self.step };
        // The conversion truncates, which rounds down, and makes a negative position 0.
        let whole = position as usize;
        let up = usize::from(position > whole as f32);
        let first = whole.min(self.last);
        Between { first, second: whole.saturating_add(up).min(self.last), fraction: position - first as f32 }
    }
}
