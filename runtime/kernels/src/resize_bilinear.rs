//! ResizeBilinear: each output pixel is interpolated linearly between the four input pixels around its position, NHWC.
//!
//! Positions are in 1024ths of an input pixel. A pixel's four weights are products of two such fractions, so their sum
//! is `2^20`; the weighted sum is divided by that, to nearest, halves away from zero. Everything fits in 32 bits for
//! heights and widths up to `2^20`.
//!
//! Source: TensorFlow Lite Micro `reference_ops::ResizeBilinearInteger`. That computes positions before the first pixel
//! centre with a negative fraction and one pixel twice, which is the pixel itself, as here.

use core::ops::Range;

use crate::lines::{for_each_line, run};
use crate::window::div_rem;

/// The number of positions from one pixel to the next, as a power of two.
const BITS: u32 = 10;

/// Parameters of [`resize_bilinear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeBilinear {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC.
    pub output: [usize; 4],
    /// Whether the centres of the corner pixels of input and output are aligned.
    pub align_corners: bool,
    /// Whether pixel centres are at half-integer coordinates.
    pub half_pixel_centers: bool,
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
pub fn resize_bilinear(p: &ResizeBilinear, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
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
            let weights = weights(y.fraction, x.fraction);
            let pixel = |line, x: usize| run(line, x.wrapping_mul(channels), channels);
            let left = pixel(upper, x.first).iter().zip(pixel(lower, x.first));
            let right = pixel(upper, x.second).iter().zip(pixel(lower, x.second));
            for (output, (left, right)) in output.iter_mut().zip(left.zip(right)) {
                *output = interpolate([*left.0, *left.1, *right.0, *right.1], weights);
            }
        });
    });
}

/// The weights of the upper left, lower left, upper right and lower right pixel; their sum is `2^20`.
#[inline]
fn weights(down: i32, right: i32) -> [i32; 4] {
    let (up, left) = ((1i32 << BITS).wrapping_sub(down), (1i32 << BITS).wrapping_sub(right));
    [up.wrapping_mul(left), down.wrapping_mul(left), up.wrapping_mul(right), down.wrapping_mul(right)]
}

/// The weighted sum divided by `2^20`, to nearest, halves away from zero.
#[inline]
fn interpolate(pixels: [i8; 4], weights: [i32; 4]) -> i8 {
    let products = pixels.into_iter().zip(weights).map(|(x, weight)| i32::from(x).wrapping_mul(weight));
    let sum = products.fold(0, i32::wrapping_add);
    let half = if sum > 0 { 1 << (2 * BITS - 1) } else { -(1 << (2 * BITS - 1)) };
    (sum.wrapping_add(half) / (1 << (2 * BITS))) as i8
}

/// The positions of output coordinates along one axis of the input.
#[derive(Clone, Copy)]
struct Grid {
    /// The last input coordinate.
    last: usize,
    /// From one output coordinate to the next.
    step: i32,
    /// The position of output coordinate 0.
    start: i32,
}

/// The two input coordinates around a position, and where between them it is.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    /// 0 at `first`, 1024 at `second`.
    fraction: i32,
}

impl Grid {
    /// The axis of `input` coordinates that becomes one of `output` coordinates.
    fn new(p: &ResizeBilinear, input: usize, output: usize) -> Self {
        let last = input.saturating_sub(1);
        let [from, to] = if p.align_corners && output > 1 { [last, output.wrapping_sub(1)] } else { [input, output] };
        let rounded = (from as u32).wrapping_shl(BITS).wrapping_add(to as u32 / 2).checked_div(to as u32);
        let step = rounded.unwrap_or(0).cast_signed();
        let start = if p.half_pixel_centers { (step / 2).wrapping_sub(1 << (BITS - 1)) } else { 0 };
        Self { last, step, start }
    }

    /// The input coordinates around output coordinate `x`.
    #[inline]
    fn at(self, x: usize) -> Between {
        let position = (x as i32).wrapping_mul(self.step).wrapping_add(self.start).max(0).cast_unsigned();
        let first = (position >> BITS) as usize;
        let fraction = (position % (1 << BITS)).cast_signed();
        let second = first.wrapping_add(usize::from(fraction > 0)).min(self.last);
        Between { first: first.min(self.last), second, fraction }
    }
}
