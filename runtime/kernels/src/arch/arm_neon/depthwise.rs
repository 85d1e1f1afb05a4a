//! Depthwise convolutions: sixteen or eight channels of up to four adjacent pixels, whose sums stay in registers over
//! all taps and up to the requantized byte.

use super::finish::Finish;
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use core::arch::aarch64::{
    int8x8_t, int8x16_t, int16x8_t, int32x4_t, vaddw_high_s16, vaddw_s16, vcombine_s8, vget_high_s8, vget_low_s8,
    vget_low_s16, vld1_s8, vld1q_s8, vld1q_s32, vmull_high_s8, vmull_s8, vst1_s8, vst1q_s8,
};

/// The operands of [`composed::depthwise`](crate::composed::depthwise).
pub(super) struct Job<'a> {
    pub(super) initial: &'a [i32],
    pub(super) window: Window,
    pub(super) steps: &'a Steps,
    pub(super) input: *const i8,
    pub(super) weights: *const i8,
    pub(super) channels: &'a [Channel],
    pub(super) finish: Finish,
    pub(super) outputs: *mut i8,
}

impl Job<'_> {
    /// Computes all channels. If their number is not a multiple of eight, the last block overlaps with the one before.
    ///
    /// # Safety
    /// The operands must fit ([`Steps::fit`]), and there must be at least eight channels with as many initial sums.
    #[inline(always)]
    pub(super) unsafe fn compute(&self) {
        let (count, mut at) = (self.channels.len(), 0);
        // SAFETY: guaranteed by the caller.
        unsafe {
            while count - at >= 16 {
                self.block::<2, 4>(at);
                at += 16;
            }
            if count - at >= 8 {
                self.block::<1, 2>(at);
                at += 8;
            }
            if at < count {
                self.block::<1, 2>(count - 8);
            }
        }
    }

    /// Computes `8 * H` channels, which have `G = 2 * H` vectors of sums, from `at` on.
    ///
    /// # Safety
    /// As of [`compute`](Self::compute), and the channels must be there.
    #[inline(always)]
    unsafe fn block<const H: usize, const G: usize>(&self, at: usize) {
        let initial = self.initial.as_ptr().wrapping_add(at);
        // SAFETY: guaranteed by the caller.
        let initial = core::array::from_fn(|group| unsafe { vld1q_s32(initial.wrapping_add(4 * group)) });
        let mut pixel = 0;
        let mut left = self.steps.count;
        let tile = |pixel: usize| Tile {
            input: self.input.wrapping_add(pixel * self.steps.input + at),
            weights: self.weights.wrapping_add(at),
            outputs: self.outputs.wrapping_add(pixel * self.steps.output + at),
            channels: self.channels.as_ptr().wrapping_add(at),
            initial,
        };
        // SAFETY: guaranteed by the caller.
        unsafe {
            while left >= 4 {
                self.pixels::<4, H, G>(&tile(pixel));
                (pixel, left) = (pixel + 4, left - 4);
            }
            match left {
                3 => self.pixels::<3, H, G>(&tile(pixel)),
                2 => self.pixels::<2, H, G>(&tile(pixel)),
                1 => self.pixels::<1, H, G>(&tile(pixel)),
                _ => {}
            }
        }
    }

    /// Computes `P` adjacent pixels.
    ///
    /// # Safety
    /// As of [`compute`](Self::compute), and the channels and pixels must be there.
    #[inline(always)]
    unsafe fn pixels<const P: usize, const H: usize, const G: usize>(&self, tile: &Tile<G>) {
        let mut sums = [tile.initial; P];
        let Window { lines, runs, line, run } = self.window;
        let inputs: [_; P] = core::array::from_fn(|i| tile.input.wrapping_add(i * self.steps.input));
        let (mut x_line, mut w_line) = (0usize, tile.weights);
        for _ in 0..lines {
            let (mut x, mut w) = (x_line, w_line);
            for _ in 0..runs {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let weights = load::<H>(w);
                    for (sums, input) in sums.iter_mut().zip(inputs) {
                        add_products::<H, G>(sums, load::<H>(input.wrapping_add(x)), weights);
                    }
                }
                (x, w) = (x.wrapping_add(run[0]), w.wrapping_add(run[1]));
            }
            (x_line, w_line) = (x_line.wrapping_add(line[0]), w_line.wrapping_add(line[1]));
        }
        // SAFETY: guaranteed by the caller.
        unsafe { self.store::<P, G>(tile, sums) };
    }

    /// Requantizes and stores `P` adjacent pixels.
    ///
    /// # Safety
    /// The outputs must be there.
    #[inline(always)]
    unsafe fn store<const P: usize, const G: usize>(&self, tile: &Tile<G>, sums: [[int32x4_t; G]; P]) {
        let output = |pixel: usize| tile.outputs.wrapping_add(pixel * self.steps.output);
        // SAFETY: guaranteed by the caller.
        let numbers = unsafe { Finish::scale(tile.channels, sums) };
        let bytes = |numbers: [int32x4_t; 4]| self.finish.narrow(numbers);
        // SAFETY: guaranteed by the caller.
        unsafe {
            if G == 4 {
                for (pixel, numbers) in numbers.iter().enumerate() {
                    vst1q_s8(output(pixel), bytes([numbers[0], numbers[1], numbers[2 % G], numbers[3 % G]]));
                }
            } else {
                for pixel in (0..P).step_by(2) {
                    let [a, b] = [numbers[pixel], numbers[(pixel + 1).min(P - 1)]];
                    let bytes = bytes([a[0], a[1], b[0], b[1]]);
                    vst1_s8(output(pixel), vget_low_s8(bytes));
                    if pixel + 1 < P {
                        vst1_s8(output(pixel + 1), vget_high_s8(bytes));
                    }
                }
            }
        }
    }
}

/// Adjacent pixels of a block of channels.
struct Tile<const G: usize> {
    input: *const i8,
    weights: *const i8,
    outputs: *mut i8,
    channels: *const Channel,
    initial: [int32x4_t; G],
}

/// Loads `8 * H` bytes; if they are only eight, twice the same.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
pub(super) unsafe fn load<const H: usize>(from: *const i8) -> int8x16_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if H == 2 {
            return vld1q_s8(from);
        }
        let half: int8x8_t = vld1_s8(from);
        vcombine_s8(half, half)
    }
}

/// Adds the products of `8 * H` channels to their sums.
#[inline(always)]
pub(super) fn add_products<const H: usize, const G: usize>(sums: &mut [int32x4_t; G], x: int8x16_t, w: int8x16_t) {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let low: int16x8_t = vmull_s8(vget_low_s8(x), vget_low_s8(w));
        sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
        sums[1] = vaddw_high_s16(sums[1], low);
        if H == 2 {
            let high = vmull_high_s8(x, w);
            sums[2 % G] = vaddw_s16(sums[2 % G], vget_low_s16(high));
            sums[3 % G] = vaddw_high_s16(sums[3 % G], high);
        }
    }
}
