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
    let [vertical, horizontal] = axes(p).map(|axis| Grid::new(p, axis));
    let at = (|y| vertical.at(y), |x| horizontal.at(x));
    for_each_pixel(p, rows, input, output, at, |[down, right], [a, b, c, d], output| {
        let weights = weights(down, right);
        let (left, right) = (a.iter().zip(b), c.iter().zip(d));
        for (output, (left, right)) in output.iter_mut().zip(left.zip(right)) {
            *output = interpolate([*left.0, *left.1, *right.0, *right.1], weights);
        }
    });
}

/// The numbers of input and of output coordinates of the vertical and of the horizontal axis.
#[inline]
pub(crate) fn axes(p: &ResizeBilinear) -> [[usize; 2]; 2] {
    let ([_, in_height, in_width, _], [_, out_height, out_width, _]) = (p.input, p.output);
    [[in_height, out_height], [in_width, out_width]]
}

/// The length of an axis of the input that becomes that of the output: their quotient is the step from one output
/// coordinate to the next.
#[inline]
pub(crate) fn lengths(p: &ResizeBilinear, [input, output]: [usize; 2]) -> [usize; 2] {
    let aligned = p.align_corners && output > 1;
    if aligned { [input.saturating_sub(1), output.wrapping_sub(1)] } else { [input, output] }
}

/// Calls `write` for each output pixel of `rows`: with the fractions of its position, the channels of the upper left, lower
/// left, upper right and lower right pixel around that, and its own channels. `at` finds a position on the vertical and on
/// the horizontal axis.
#[inline]
pub(crate) fn for_each_pixel<T, F: Copy>(
    p: &ResizeBilinear,
    rows: Range<usize>,
    input: &[T],
    output: &mut [T],
    at: (impl Fn(usize) -> Between<F>, impl Fn(usize) -> Between<F>),
    write: impl Fn([F; 2], [&[T]; 4], &mut [T]),
) {
    let [_, in_height, in_width, channels] = p.input;
    let [_, out_height, out_width, _] = p.output;
    let line_len = in_width.wrapping_mul(channels);
    for_each_line(rows, out_width.wrapping_mul(channels), output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = at.0(y);
        let line_at =
            |y: usize| run(input, image.wrapping_mul(in_height).wrapping_add(y).wrapping_mul(line_len), line_len);
        let (upper, lower) = (line_at(y.first), line_at(y.second));
        for_each_line(0..out_width, channels, line, |x, output| {
            let x = at.1(x);
            let pixel = |line, x: usize| run(line, x.wrapping_mul(channels), channels);
            let [left, right] = [x.first, x.second].map(|x| [pixel(upper, x), pixel(lower, x)]);
            write([y.fraction, x.fraction], [left[0], left[1], right[0], right[1]], output);
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
pub(crate) struct Between<F> {
    pub(crate) first: usize,
    pub(crate) second: usize,
    /// 0 at `first`; at `second` 1024, or 1 in f32.
    pub(crate) fraction: F,
}

impl Grid {
    /// The axis of these numbers of input and output coordinates.
    fn new(p: &ResizeBilinear, axis: [usize; 2]) -> Self {
        let (last, [from, to]) = (axis[0].saturating_sub(1), lengths(p, axis));
        let rounded = (from as u32).wrapping_shl(BITS).wrapping_add(to as u32 / 2).checked_div(to as u32);
        let step = rounded.unwrap_or(0).cast_signed();
        let start = if p.half_pixel_centers { (step / 2).wrapping_sub(1 << (BITS - 1)) } else { 0 };
        Self { last, step, start }
    }

    /// The input coordinates around output coordinate `x`.
    #[inline]
    fn at(self, x: usize) -> Between<i32> {
        let position = (x as i32).wrapping_mul(self.step).wrapping_add(self.start).max(0).cast_unsigned();
        let first = (position >> BITS) as usize;
        let fraction = (position % (1 << BITS)).cast_signed();
        let second = first.wrapping_add(usize::from(fraction > 0)).min(self.last);
        Between { first: first.min(self.last), second, fraction }
    }
}
