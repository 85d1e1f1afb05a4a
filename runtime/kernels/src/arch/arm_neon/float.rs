//! Eight lanes of f32 in two registers.
//!
//! Product and sum are two instructions: `FMLA` would round once, and other targets do not have it.

use crate::arch::lanes::{self, Element, some_bytes, some_halves};
use crate::float::Weight;
use crate::float::products::{Pixels, rows_fit};
use crate::lines::of_equal_length;
use crate::portable::{self, Window};
use core::arch::aarch64::{
    float32x4_t, int8x8_t, uint16x8_t, vaddq_f32, vbslq_f32, vcgtq_f32, vcltq_f32, vcombine_f32, vcombine_s8,
    vcombine_s16, vcombine_u16, vcreate_s8, vcreate_u16, vcvtaq_s32_f32, vcvtq_f32_s32, vdivq_f32, vdupq_n_f32,
    vdupq_n_s32, vget_high_s16, vget_low_f32, vget_low_s16, vld1_f32, vld1_s8, vld1q_f32, vld1q_lane_f32, vld1q_u16,
    vmaxq_f32, vmaxq_s32, vminq_f32, vminq_s32, vmovl_s8, vmovl_s16, vmovn_s16, vmovn_s32, vmulq_f32, vmulq_n_f32,
    vpaddq_f32, vqaddq_s32, vreinterpretq_f32_f64, vreinterpretq_f64_f32, vst1q_f32, vst1q_s8, vtrn1q_f64, vtrn2q_f64,
};
use core::arch::asm;
use half::f16;
use tealight_types::Quantization;

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

    /// Whether [`clamp_in_order`](Self::clamp_in_order) clamps to this range as [`clamp`](Self::clamp) does, numbers
    /// that are -0 only if they are `scaled`.
    #[inline(always)]
    pub(in crate::arch) fn are_in_order([min, max]: [f32; 2], scaled: bool) -> bool {
        // Of zeros of either sign the instructions return the one that is less, or greater.
        min <= max && max.to_bits() != (-0.0f32).to_bits() && !(scaled && min.to_bits() == 0)
    }

    /// Each lane, clamped to a range that [`are_in_order`](Self::are_in_order).
    #[inline(always)]
    pub(in crate::arch) fn clamp_in_order(self, [min, max]: [f32; 2]) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        let four = |x| unsafe { vmaxq_f32(vminq_f32(x, vdupq_n_f32(max)), vdupq_n_f32(min)) };
        let [a, b] = self.0;
        Self([four(a), four(b)])
    }

    #[inline(always)]
    pub(in crate::arch) fn multiply(self, w: Self) -> Self {
        let ([a, b], [w_a, w_b]) = (self.0, w.0);
        // SAFETY: this file is compiled only for targets with NEON.
        Self(unsafe { [vmulq_f32(a, w_a), vmulq_f32(b, w_b)] })
    }

    /// `x` times the lanes.
    #[inline(always)]
    pub(in crate::arch) fn scaled(self, x: f32) -> Self {
        let [a, b] = self.0;
        // SAFETY: this file is compiled only for targets with NEON.
        Self(unsafe { [vmulq_n_f32(a, x), vmulq_n_f32(b, x)] })
    }

    /// Adds `x` times the lanes of `w`.
    #[inline(always)]
    pub(in crate::arch) fn add_scaled(self, w: Self, x: f32) -> Self {
        let ([a, b], [w_a, w_b]) = (self.0, w.0);
        // SAFETY: this file is compiled only for targets with NEON.
        Self(unsafe { [vaddq_f32(a, vmulq_n_f32(w_a, x)), vaddq_f32(b, vmulq_n_f32(w_b, x))] })
    }

    /// Writes the lanes.
    ///
    /// # Safety
    /// There is room for eight.
    #[inline(always)]
    pub(in crate::arch) unsafe fn store(self, to: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe { self.store_halves([to, to.wrapping_add(4)]) };
    }

    /// Writes lanes 0 to 3, and those after them elsewhere.
    ///
    /// # Safety
    /// There is room for four in both places.
    #[inline(always)]
    pub(in crate::arch) unsafe fn store_halves(self, [low, high]: [*mut f32; 2]) {
        // SAFETY: guaranteed by the caller; this file is compiled only for targets with NEON.
        unsafe {
            vst1q_f32(low, self.0[0]);
            vst1q_f32(high, self.0[1]);
        }
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
            // Adjacent elements, added.
            Self([vpaddq_f32(pairs(a, b), pairs(c, d)), vpaddq_f32(pairs(e, f), pairs(g, h))])
        }
    }
}

/// The functions of [`Element`] that multiply blocks, of the instructions that load `{wa}` and `{wb}` from each of the
/// pointers `w0` to `w7` and move it.
macro_rules! blocks {
    (
        [$load_0:expr, $load_1:expr, $load_2:expr, $load_3:expr],
        [$load_4:expr, $load_5:expr, $load_6:expr, $load_7:expr]
    ) => {
        #[inline(always)]
        unsafe fn multiply_block(x: &mut [*const f32; 2], w: &mut [*const Self; 4]) -> [Lanes; 8] {
            let ([x0, x1], [w0, w1, w2, w3]) = (x, w);
            let (s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15);
            // SAFETY: it reads the eight elements from each pointer on that the caller guarantees.
            unsafe {
                asm!(
                    "ldp {xa:q}, {xb:q}, [{x0}], #32",
                    "ldp {xc:q}, {xd:q}, [{x1}], #32",
                    products!($load_0, "s0", "s1", "s8", "s9"),
                    products!($load_1, "s2", "s3", "s10", "s11"),
                    products!($load_2, "s4", "s5", "s12", "s13"),
                    products!($load_3, "s6", "s7", "s14", "s15"),
                    x0 = inout(reg) *x0, x1 = inout(reg) *x1,
                    w0 = inout(reg) *w0, w1 = inout(reg) *w1, w2 = inout(reg) *w2, w3 = inout(reg) *w3,
                    xa = out(vreg) _, xb = out(vreg) _, xc = out(vreg) _, xd = out(vreg) _,
                    wa = out(vreg) _, wb = out(vreg) _,
                    s0 = out(vreg) s0, s1 = out(vreg) s1, s2 = out(vreg) s2, s3 = out(vreg) s3,
                    s4 = out(vreg) s4, s5 = out(vreg) s5, s6 = out(vreg) s6, s7 = out(vreg) s7,
                    s8 = out(vreg) s8, s9 = out(vreg) s9, s10 = out(vreg) s10, s11 = out(vreg) s11,
                    s12 = out(vreg) s12, s13 = out(vreg) s13, s14 = out(vreg) s14, s15 = out(vreg) s15,
                    options(readonly, nostack),
                );
            }
            [[s0, s1], [s2, s3], [s4, s5], [s6, s7], [s8, s9], [s10, s11], [s12, s13], [s14, s15]].map(Lanes)
        }

        #[inline(always)]
        unsafe fn add_blocks(sums: &mut [Lanes; 8], blocks: usize, x: &mut [*const f32; 2], w: &mut [*const Self; 4]) {
            let ([x0, x1], [w0, w1, w2, w3]) = (x, w);
            let [a, b, c, d, e, f, g, h] = sums;
            // SAFETY: it reads as many times eight elements from each pointer on, at least once, as the caller
            // guarantees.
            unsafe {
                asm!(
                    "2:",
                    "ldp {xa:q}, {xb:q}, [{x0}], #32",
                    "ldp {xc:q}, {xd:q}, [{x1}], #32",
                    add_products!($load_0, "s0", "s1", "s8", "s9"),
                    add_products!($load_1, "s2", "s3", "s10", "s11"),
                    add_products!($load_2, "s4", "s5", "s12", "s13"),
                    add_products!($load_3, "s6", "s7", "s14", "s15"),
                    "subs {blocks}, {blocks}, #1",
                    "b.ne 2b",
                    blocks = inout(reg) blocks => _,
                    x0 = inout(reg) *x0, x1 = inout(reg) *x1,
                    w0 = inout(reg) *w0, w1 = inout(reg) *w1, w2 = inout(reg) *w2, w3 = inout(reg) *w3,
                    xa = out(vreg) _, xb = out(vreg) _, xc = out(vreg) _, xd = out(vreg) _,
                    wa = out(vreg) _, wb = out(vreg) _,
                    ta = out(vreg) _, tb = out(vreg) _, tc = out(vreg) _,
                    s0 = inout(vreg) a.0[0], s1 = inout(vreg) a.0[1], s2 = inout(vreg) b.0[0], s3 = inout(vreg) b.0[1],
                    s4 = inout(vreg) c.0[0], s5 = inout(vreg) c.0[1], s6 = inout(vreg) d.0[0], s7 = inout(vreg) d.0[1],
                    s8 = inout(vreg) e.0[0], s9 = inout(vreg) e.0[1],
                    s10 = inout(vreg) f.0[0], s11 = inout(vreg) f.0[1],
                    s12 = inout(vreg) g.0[0], s13 = inout(vreg) g.0[1],
                    s14 = inout(vreg) h.0[0], s15 = inout(vreg) h.0[1],
                    options(readonly, nostack),
                );
            }
        }

        #[inline(always)]
        unsafe fn add_rows(sums: &mut [Lanes; 8], blocks: usize, x: *const f32, w: *const Self, stride: usize) {
            let row = |r: usize| w.wrapping_add(r.wrapping_mul(stride));
            let [a, b, c, d, e, f, g, h] = sums;
            // SAFETY: it reads as many times eight elements from `x` and from each row on, at least once, as the caller
            // guarantees.
            unsafe {
                asm!(
                    "2:",
                    "ldp {xa:q}, {xb:q}, [{x}], #32",
                    add_row!($load_0, "s0", "s1"),
                    add_row!($load_1, "s2", "s3"),
                    add_row!($load_2, "s4", "s5"),
                    add_row!($load_3, "s6", "s7"),
                    add_row!($load_4, "s8", "s9"),
                    add_row!($load_5, "s10", "s11"),
                    add_row!($load_6, "s12", "s13"),
                    add_row!($load_7, "s14", "s15"),
                    "subs {blocks}, {blocks}, #1",
                    "b.ne 2b",
                    blocks = inout(reg) blocks => _,
                    x = inout(reg) x => _,
                    w0 = inout(reg) w => _, w1 = inout(reg) row(1) => _, w2 = inout(reg) row(2) => _,
                    w3 = inout(reg) row(3) => _, w4 = inout(reg) row(4) => _, w5 = inout(reg) row(5) => _,
                    w6 = inout(reg) row(6) => _, w7 = inout(reg) row(7) => _,
                    xa = out(vreg) _, xb = out(vreg) _, wa = out(vreg) _, wb = out(vreg) _,
                    s0 = inout(vreg) a.0[0], s1 = inout(vreg) a.0[1], s2 = inout(vreg) b.0[0], s3 = inout(vreg) b.0[1],
                    s4 = inout(vreg) c.0[0], s5 = inout(vreg) c.0[1], s6 = inout(vreg) d.0[0], s7 = inout(vreg) d.0[1],
                    s8 = inout(vreg) e.0[0], s9 = inout(vreg) e.0[1],
                    s10 = inout(vreg) f.0[0], s11 = inout(vreg) f.0[1],
                    s12 = inout(vreg) g.0[0], s13 = inout(vreg) g.0[1],
                    s14 = inout(vreg) h.0[0], s15 = inout(vreg) h.0[1],
                    options(readonly, nostack),
                );
            }
        }
    };
}

/// Loads the weights of a row, and multiplies them with two pixels into four registers.
macro_rules! products {
    ($load:expr, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            $load,
            "\n",
            "fmul {",
            $a,
            ":v}.4s, {xa:v}.4s, {wa:v}.4s\n",
            "fmul {",
            $b,
            ":v}.4s, {xb:v}.4s, {wb:v}.4s\n",
            "fmul {",
            $c,
            ":v}.4s, {xc:v}.4s, {wa:v}.4s\n",
            "fmul {",
            $d,
            ":v}.4s, {xd:v}.4s, {wb:v}.4s",
        )
    };
}

/// As `products`, added to what is in the registers.
macro_rules! add_products {
    ($load:expr, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            $load,
            "\n",
            "fmul {ta:v}.4s, {xa:v}.4s, {wa:v}.4s\n",
            "fmul {tb:v}.4s, {xb:v}.4s, {wb:v}.4s\n",
            "fmul {tc:v}.4s, {xc:v}.4s, {wa:v}.4s\n",
            "fmul {wb:v}.4s, {xd:v}.4s, {wb:v}.4s\n",
            "fadd {",
            $a,
            ":v}.4s, {",
            $a,
            ":v}.4s, {ta:v}.4s\n",
            "fadd {",
            $b,
            ":v}.4s, {",
            $b,
            ":v}.4s, {tb:v}.4s\n",
            "fadd {",
            $c,
            ":v}.4s, {",
            $c,
            ":v}.4s, {tc:v}.4s\n",
            "fadd {",
            $d,
            ":v}.4s, {",
            $d,
            ":v}.4s, {wb:v}.4s",
        )
    };
}

/// Loads the weights of a row, and adds their products with a pixel to two registers.
macro_rules! add_row {
    ($load:expr, $a:literal, $b:literal) => {
        concat!(
            $load,
            "\n",
            "fmul {wa:v}.4s, {xa:v}.4s, {wa:v}.4s\n",
            "fmul {wb:v}.4s, {xb:v}.4s, {wb:v}.4s\n",
            "fadd {",
            $a,
            ":v}.4s, {",
            $a,
            ":v}.4s, {wa:v}.4s\n",
            "fadd {",
            $b,
            ":v}.4s, {",
            $b,
            ":v}.4s, {wb:v}.4s",
        )
    };
}

/// Loads eight weights of type f32, and moves the pointer behind them.
macro_rules! load_singles {
    ($w:literal) => {
        concat!("ldp {wa:q}, {wb:q}, [{", $w, "}], #32")
    };
}

/// Loads eight weights of type f16.
macro_rules! load_halves {
    ($w:literal) => {
        concat!("ldr {wa:q}, [{", $w, "}], #16\n", "fcvtl2 {wb:v}.4s, {wa:v}.8h\n", "fcvtl {wa:v}.4s, {wa:v}.4h",)
    };
}

/// Loads eight weights of type i8.
macro_rules! load_bytes {
    ($w:literal) => {
        concat!(
            "ldr {wa:d}, [{",
            $w,
            "}], #8\n",
            "sshll {wa:v}.8h, {wa:v}.8b, #0\n",
            "sshll2 {wb:v}.4s, {wa:v}.8h, #0\n",
            "sshll {wa:v}.4s, {wa:v}.4h, #0\n",
            "scvtf {wb:v}.4s, {wb:v}.4s\n",
            "scvtf {wa:v}.4s, {wa:v}.4s",
        )
    };
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

    blocks!(
        [load_singles!("w0"), load_singles!("w1"), load_singles!("w2"), load_singles!("w3")],
        [load_singles!("w4"), load_singles!("w5"), load_singles!("w6"), load_singles!("w7")]
    );
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

    blocks!(
        [load_halves!("w0"), load_halves!("w1"), load_halves!("w2"), load_halves!("w3")],
        [load_halves!("w4"), load_halves!("w5"), load_halves!("w6"), load_halves!("w7")]
    );
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

    blocks!(
        [load_bytes!("w0"), load_bytes!("w1"), load_bytes!("w2"), load_bytes!("w3")],
        [load_bytes!("w4"), load_bytes!("w5"), load_bytes!("w6"), load_bytes!("w7")]
    );
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

/// [`portable::quantize_bytes`]: sixteen at a time.
pub(crate) fn quantize_bytes(to: Quantization, bounds: [i32; 2], input: &[f32], output: &mut [u8]) {
    let (input, output) = of_equal_length(input, output);
    let ((blocks, inputs), (output_blocks, outputs)) = (input.as_chunks::<16>(), output.as_chunks_mut::<16>());
    // SAFETY: this file is compiled only for targets with NEON; loads and stores are of sixteen elements.
    unsafe {
        let (scale, zero_point) = (vdupq_n_f32(to.scale), vdupq_n_s32(to.zero_point));
        let [low, high] = bounds.map(|bound| vdupq_n_s32(bound));
        for (block, output) in blocks.iter().zip(output_blocks) {
            // `FCVTAS` rounds halves away from zero and saturates; NaN becomes 0.
            let four = |from| {
                let quotient = vcvtaq_s32_f32(vdivq_f32(vld1q_f32(block.as_ptr().add(from)), scale));
                vmovn_s32(vminq_s32(vmaxq_s32(vqaddq_s32(quotient, zero_point), low), high))
            };
            let eight = |from| vmovn_s16(vcombine_s16(four(from), four(from + 4)));
            vst1q_s8(output.as_mut_ptr().cast(), vcombine_s8(eight(0), eight(8)));
        }
    }
    portable::quantize_bytes(to, bounds, inputs, outputs);
}
