//! Eight lanes of f32 in two registers.
//!
//! Product and sum are two instructions: `FMLA` would round once, and other targets do not have it.

use crate::arch::lanes::{self, Element, some_bytes, some_halves};
use crate::float::Weight;
use crate::float::products::{Pixels, rows_fit};
use crate::portable::Window;
use core::arch::aarch64::{
    float32x4_t, int8x8_t, uint16x8_t, vaddq_f32, vbslq_f32, vcgtq_f32, vcltq_f32, vcombine_f32, vcombine_u16,
    vcreate_s8, vcreate_u16, vcvtq_f32_s32, vdupq_n_f32, vget_high_s16, vget_low_f32, vget_low_s16, vld1_f32, vld1_s8,
    vld1q_f32, vld1q_lane_f32, vld1q_u16, vmovl_s8, vmovl_s16, vmulq_f32, vreinterpretq_f32_f64, vreinterpretq_f64_f32,
    vst1q_f32, vtrn1q_f32, vtrn1q_f64, vtrn2q_f32, vtrn2q_f64,
};
use core::arch::asm;
use half::f16;

/// The eight lanes of a sum.
#[derive(Clone, Copy)]
pub struct Lanes([float32x4_t; 2]);

impl Lanes {
    #[inline(always)]
    pub(in crate::arch) fn zero() -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        Self([unsafe { vdupq_n_f32(0.0) }; 2])
    }

    /// Adds the products of the lanes of `x` and `w`.
    #[inline(always)]
    pub(in crate::arch) fn add_product(self, x: Self, w: Self) -> Self {
        let ([a, b], [x_a, x_b], [w_a, w_b]) = (self.0, x.0, w.0);
        // SAFETY: this file is compiled only for targets with NEON.
        Self(unsafe { [vaddq_f32(a, vmulq_f32(x_a, w_a)), vaddq_f32(b, vmulq_f32(x_b, w_b))] })
    }

    #[inline(always)]
    pub(in crate::arch) fn of(elements: &[f32; 8]) -> Self {
        // SAFETY: this file is compiled only for targets with NEON; there are eight.
        unsafe { f32::load(elements.as_ptr()) }
    }

    #[inline(always)]
    pub(in crate::arch) fn add(self, other: Self) -> Self {
        let ([a, b], [other_a, other_b]) = (self.0, other.0);
        // SAFETY: this file is compiled only for targets with NEON.
        Self(unsafe { [vaddq_f32(a, other_a), vaddq_f32(b, other_b)] })
    }

    /// Each lane, clamped to an inclusive range as [`add_bias`](crate::float::products::add_bias) does.
    #[inline(always)]
    pub(in crate::arch) fn clamp(self, [min, max]: [f32; 2]) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        let four = |x| unsafe {
            let (min, max) = (vdupq_n_f32(min), vdupq_n_f32(max));
            vbslq_f32(vcltq_f32(x, min), min, vbslq_f32(vcgtq_f32(x, max), max, x))
        };
        let [a, b] = self.0;
        Self([four(a), four(b)])
    }

    #[inline(always)]
    pub(in crate::arch) fn elements(self) -> [f32; 8] {
        let mut elements = [0.0; 8];
        for (four, half) in elements.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: this file is compiled only for targets with NEON; there is room for four.
            unsafe { vst1q_f32(four.as_mut_ptr(), half) };
        }
        elements
    }

    /// The total of each sum, in its lane: `((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))`.
    #[inline(always)]
    pub(in crate::arch) fn totals(sums: [Self; 8]) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let [a, b, c, d, e, f, g, h] = sums.map(|Self([low, high])| vaddq_f32(low, high));
            // Of two sums: elements 0 and 1 of each, and elements 2 and 3, added.
            let pairs = |x, y| {
                let (x, y) = (vreinterpretq_f64_f32(x), vreinterpretq_f64_f32(y));
                vaddq_f32(vreinterpretq_f32_f64(vtrn1q_f64(x, y)), vreinterpretq_f32_f64(vtrn2q_f64(x, y)))
            };
            // Elements 0 and 2 of `x` and of `y` alternate, then 1 and 3.
            let last = |x, y| vaddq_f32(vtrn1q_f32(x, y), vtrn2q_f32(x, y));
            Self([last(pairs(a, c), pairs(b, d)), last(pairs(e, g), pairs(f, h))])
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> Lanes {
        // SAFETY: guaranteed by the caller.
        Lanes(unsafe { [vld1q_f32(from), vld1q_f32(from.wrapping_add(4))] })
    }

    #[inline(always)]
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes {
        // SAFETY: guaranteed by the caller.
        unsafe {
            match count.checked_sub(4) {
                Some(more) => Lanes([vld1q_f32(from), fewer_than_four(from.wrapping_add(4), more)]),
                None => Lanes([fewer_than_four(from, count), vdupq_n_f32(0.0)]),
            }
        }
    }
}

/// Fewer than four elements, and 0 behind them.
///
/// # Safety
/// There are `count` from `from` on.
#[inline(always)]
unsafe fn fewer_than_four(from: *const f32, count: usize) -> float32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let none = vdupq_n_f32(0.0);
        match count {
            0 => none,
            1 => vld1q_lane_f32::<0>(from, none),
            2 => vcombine_f32(vld1_f32(from), vget_low_f32(none)),
            _ => vld1q_lane_f32::<2>(from.wrapping_add(2), vcombine_f32(vld1_f32(from), vget_low_f32(none))),
        }
    }
}

impl Element for f16 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> Lanes {
        // SAFETY: guaranteed by the caller.
        singles(unsafe { vld1q_u16(from.cast()) })
    }

    #[inline(always)]
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes {
        // SAFETY: guaranteed by the caller; this file is compiled only for targets with NEON.
        singles(unsafe {
            let [low, high] = some_halves(from, count);
            vcombine_u16(vcreate_u16(low), vcreate_u16(high))
        })
    }
}

/// Halves in single precision.
#[inline(always)]
fn singles(halves: uint16x8_t) -> Lanes {
    let (low, high);
    // SAFETY: the instructions are Armv8.0's; of a signaling NaN they set a sticky flag.
    unsafe {
        asm!(
            "fcvtl {low:v}.4s, {halves:v}.4h",
            "fcvtl2 {high:v}.4s, {halves:v}.8h",
            halves = in(vreg) halves,
            low = out(vreg) low,
            high = lateout(vreg) high,
            options(pure, nomem, nostack),
        );
    }
    Lanes([low, high])
}

impl Element for i8 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> Lanes {
        // SAFETY: guaranteed by the caller.
        numbers(unsafe { vld1_s8(from) })
    }

    #[inline(always)]
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes {
        // SAFETY: guaranteed by the caller; this file is compiled only for targets with NEON.
        numbers(unsafe { vcreate_s8(some_bytes(from, count)) })
    }
}

/// Bytes in single precision.
#[inline(always)]
fn numbers(bytes: int8x8_t) -> Lanes {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let halves = vmovl_s8(bytes);
        let four = |halves| vcvtq_f32_s32(vmovl_s16(halves));
        Lanes([four(vget_low_s16(halves)), four(vget_high_s16(halves))])
    }
}

/// [`products::multiply_f32`](crate::float::products::multiply_f32).
#[inline(never)]
pub(crate) fn multiply_f32<W: Weight>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
    outputs: &mut [f32],
) {
    if rows_fit(window, len, [input.len(), weights.len()], stride, outputs.len()) {
        // SAFETY: this file is compiled only for targets with NEON, and the operands fit.
        unsafe { lanes::multiply(window, len, input.as_ptr(), weights.as_ptr(), stride, outputs) }
    }
}

/// [`products::depthwise_f32`](crate::float::products::depthwise_f32).
#[inline(never)]
pub(crate) fn depthwise_f32<W: Weight>(window: &Window, input: &[f32], weights: &[W], outputs: &mut [f32]) {
    if window.fits(outputs.len(), [input.len(), weights.len()]) {
        // SAFETY: this file is compiled only for targets with NEON, and the operands fit.
        unsafe { lanes::depthwise(window, input.as_ptr(), weights.as_ptr(), outputs) }
    }
}

/// Layers compute whole lines of pixels.
pub(crate) const WHOLE_LINES: bool = true;

/// [`products::multiply_pixels`](crate::float::products::multiply_pixels).
#[inline(never)]
pub(crate) fn multiply_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    let fits =
        |room| rows_fit(&pixels.window, pixels.len, [room, pixels.weights.len()], pixels.stride, pixels.channels);
    if pixels.room(outputs.len()).is_some_and(fits) {
        // SAFETY: this file is compiled only for targets with NEON, and the operands fit.
        unsafe { lanes::multiply_pixels(pixels, outputs) }
    }
}

/// [`products::depthwise_pixels`](crate::float::products::depthwise_pixels).
#[inline(never)]
pub(crate) fn depthwise_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    let fits = |room| pixels.window.fits(pixels.channels, [room, pixels.weights.len()]);
    if pixels.room(outputs.len()).is_some_and(fits) {
        // SAFETY: this file is compiled only for targets with NEON, and the operands fit.
        unsafe { lanes::depthwise_pixels(pixels, outputs) }
    }
}
