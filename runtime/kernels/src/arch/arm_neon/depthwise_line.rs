//! Whole lines of depthwise convolutions: a tap in the padding is read from a register's worth of zero points, so that
//! pixels at the border are computed in the same tiles as the others.

use super::depthwise::{add_products, load};
use super::finish::{Factors, Finish};
use crate::DepthwiseConv2d;
use crate::lines::{run, tail};
use crate::matrix::Output;
use crate::quant::Channel;
use crate::window::{Axis, Taps, pixel_start};
use core::arch::aarch64::{int8x16_t, int32x4_t, vget_high_s8, vget_low_s8, vst1_s8, vst1q_s8};
use core::ops::Range;

/// A line of output pixels, each channel of which reads the input channel of the same number.
pub(crate) struct Line<'a> {
    /// The input, from the first kernel row inside it on.
    pub(crate) input: &'a [i8],
    /// The distance between kernel rows in the input.
    pub(crate) input_line: usize,
    pub(crate) weights: &'a [i8],
    pub(crate) channels: &'a [Channel],
    /// The number of kernel rows, and those inside the input.
    pub(crate) height: usize,
    pub(crate) y: &'a Taps,
    pub(crate) horizontal: Axis,
    pub(crate) input_zero_point: i8,
    pub(crate) output: Output,
}

/// The minimum number of pixels in a line.
pub(crate) const SHORTEST_LINE: usize = 3;

/// [`composed::depthwise_line`](crate::composed::depthwise_line), for whole lines.
pub(crate) fn depthwise_line(
    p: &DepthwiseConv2d,
    [image, y]: [usize; 2],
    xs: &Range<usize>,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    outputs: &mut [i8],
) -> bool {
    let [_, _, in_width, depth] = p.input;
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let y = vertical.clip(y);
    let line = Line {
        input: tail(input, pixel_start(p.input, [image, y.input, 0])),
        // With a single kernel row the dilation has no effect; it may be huge, and these products may wrap.
        input_line: p.window.dilation[0].wrapping_mul(in_width).wrapping_mul(depth),
        weights,
        channels: run(channels, 0, depth),
        height: vertical.kernel,
        y: &y,
        horizontal,
        // A valid zero point is in the range of a byte.
        input_zero_point: p.input_zero_point as i8,
        output: Output { zero_point: p.output_zero_point, activation: p.activation },
    };
    *xs == (0..p.output[2]) && compute_line(&line, p.output[2], outputs)
}

/// Computes `width` pixels. Returns false, and writes nothing, if they are fewer than [`SHORTEST_LINE`], there are fewer
/// than eight channels, or the operands do not fit.
#[inline(never)]
pub(crate) fn compute_line(line: &Line<'_>, width: usize, outputs: &mut [i8]) -> bool {
    let (count, axis) = (line.channels.len(), &line.horizontal);
    let pixels = axis.input.saturating_mul(count);
    let last_line = line.input_line.saturating_mul(line.y.len().saturating_sub(1));
    let taps = line.height.saturating_mul(axis.kernel);
    let fits = (line.y.len() == 0 || last_line.saturating_add(pixels) <= line.input.len())
        && taps.saturating_mul(count) <= line.weights.len()
        && width.saturating_mul(count) <= outputs.len();
    if width < SHORTEST_LINE || count < 8 || !fits {
        return false;
    }
    let zero_points = [line.input_zero_point; 16];
    let job = Job { line, zero_points: zero_points.as_ptr(), finish: Finish::new(&line.output), width, count };
    let (outputs, mut at) = (outputs.as_mut_ptr(), 0);
    // SAFETY: the operands fit.
    unsafe {
        while count - at >= 16 {
            job.block::<2, 4>(at, outputs);
            at += 16;
        }
        if count - at >= 8 {
            job.block::<1, 2>(at, outputs);
            at += 8;
        }
        if at < count {
            // Overlaps with the block before.
            job.block::<1, 2>(count - 8, outputs);
        }
    }
    true
}

/// Adds the same products to the sums of all pixels.
#[inline(always)]
fn add_to_all<const P: usize, const H: usize, const G: usize>(
    sums: &mut [[int32x4_t; G]; P],
    x: int8x16_t,
    w: int8x16_t,
) {
    for sums in sums {
        add_products::<H, G>(sums, x, w);
    }
}

struct Job<'a> {
    line: &'a Line<'a>,
    /// Sixteen bytes.
    zero_points: *const i8,
    finish: Finish,
    width: usize,
    /// The number of channels.
    count: usize,
}

impl Job<'_> {
    /// Computes `8 * H` channels, which have `G = 2 * H` vectors of sums, from `at` on.
    ///
    /// # Safety
    /// The operands must fit, and the channels be there.
    #[inline(always)]
    unsafe fn block<const H: usize, const G: usize>(&self, at: usize, outputs: *mut i8) {
        let mut pixel = 0;
        while pixel < self.width {
            let output = outputs.wrapping_add(pixel * self.count + at);
            // SAFETY: guaranteed by the caller.
            pixel += unsafe {
                match self.width - pixel {
                    5 => self.tile::<5, H, G>(pixel, at, output),
                    3 | 6 => self.tile::<3, H, G>(pixel, at, output),
                    _ => self.tile::<4, H, G>(pixel, at, output),
                }
            };
        }
    }

    /// Computes `P` adjacent pixels, and returns `P`.
    ///
    /// # Safety
    /// As of [`block`](Self::block), and the pixels must be there.
    #[inline(always)]
    unsafe fn tile<const P: usize, const H: usize, const G: usize>(
        &self,
        pixel: usize,
        at: usize,
        output: *mut i8,
    ) -> usize {
        let Line { y, height, horizontal, .. } = *self.line;
        let channels = self.line.channels.as_ptr().wrapping_add(at);
        // SAFETY: guaranteed by the caller.
        let bias: [int32x4_t; G] =
            core::array::from_fn(|group| unsafe { Factors::load(channels.wrapping_add(4 * group), 0).bias });
        let mut sums = [bias; P];
        let weights = self.line.weights.as_ptr().wrapping_add(at);
        let [pixels, dilation, step] =
            [horizontal.input, horizontal.dilation.max(1), horizontal.stride].map(|n| n.wrapping_mul(self.count));
        // The tap's position in a line of the input, in elements; huge if it is to the left of it.
        let mut tap = pixel.wrapping_mul(step).wrapping_sub(horizontal.pad.wrapping_mul(self.count));
        let input = self.line.input.as_ptr().wrapping_add(at);
        let weights_line = horizontal.kernel.wrapping_mul(self.count);
        let lines = y.taps.clone();
        for outside in [0..lines.start, lines.end..height] {
            // All pixels have the same products.
            let mut weights = weights.wrapping_add(outside.start.wrapping_mul(weights_line));
            for _ in 0..outside.len() * horizontal.kernel {
                // SAFETY: guaranteed by the caller; there are sixteen zero points.
                unsafe { add_to_all::<P, H, G>(&mut sums, load::<H>(self.zero_points), load::<H>(weights)) };
                weights = weights.wrapping_add(self.count);
            }
        }
        let mut weights = weights.wrapping_add(lines.start.wrapping_mul(weights_line));
        for _ in 0..horizontal.kernel {
            // A tap's place in the input, the same column of each line, or zero points in each.
            let mut place = tap;
            let mut places = [(self.zero_points, 0); P];
            for places in &mut places {
                if place < pixels {
                    *places = (input.wrapping_add(place), self.line.input_line);
                }
                place = place.wrapping_add(step);
            }
            let mut column = weights;
            for _ in lines.clone() {
                // SAFETY: guaranteed by the caller; there are sixteen zero points.
                unsafe {
                    let w = load::<H>(column);
                    for (sums, (x, line)) in sums.iter_mut().zip(&mut places) {
                        add_products::<H, G>(sums, load::<H>(*x), w);
                        *x = x.wrapping_add(*line);
                    }
                }
                column = column.wrapping_add(weights_line);
            }
            tap = tap.wrapping_add(dilation);
            weights = weights.wrapping_add(self.count);
        }
        // SAFETY: guaranteed by the caller.
        unsafe { self.store::<P, G>(channels, sums, output) };
        P
    }

    /// Requantizes and stores `P` adjacent pixels.
    ///
    /// # Safety
    /// The channels and the outputs must be there.
    #[inline(always)]
    unsafe fn store<const P: usize, const G: usize>(
        &self,
        channels: *const Channel,
        sums: [[int32x4_t; G]; P],
        output: *mut i8,
    ) {
        // SAFETY: guaranteed by the caller.
        let numbers = unsafe { Finish::scale(channels, sums) };
        let bytes = |numbers: [int32x4_t; 4]| self.finish.narrow(numbers);
        let at = |pixel: usize| output.wrapping_add(pixel * self.count);
        // SAFETY: guaranteed by the caller.
        unsafe {
            if G == 4 {
                for (pixel, numbers) in numbers.iter().enumerate() {
                    vst1q_s8(at(pixel), bytes([numbers[0], numbers[1], numbers[2 % G], numbers[3 % G]]));
                }
            } else {
                for pixel in (0..P).step_by(2) {
                    let [a, b] = [numbers[pixel], numbers[(pixel + 1).min(P - 1)]];
                    let bytes = bytes([a[0], a[1], b[0], b[1]]);
                    vst1_s8(at(pixel), vget_low_s8(bytes));
                    if pixel + 1 < P {
                        vst1_s8(at(pixel + 1), vget_high_s8(bytes));
                    }
                }
            }
        }
    }
}
