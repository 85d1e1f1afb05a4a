//! From sums in registers to output bytes.
//!
//! Nearly all channels shift to the right by at least one place. Then a scaled sum has at most 31 bits, so that it may be
//! narrowed before the zero point is added, and every negative product is lowered before its shift.

use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::aarch64::{
    int8x16_t, int16x8_t, int32x4_t, vaddq_s32, vandq_s32, vdupq_n_s8, vdupq_n_s16, vdupq_n_s32, vmaxq_s8, vmaxq_s32,
    vmaxvq_s32, vminq_s8, vminq_s32, vqaddq_s16, vqmovn_high_s16, vqmovn_high_s32, vqmovn_s16, vqmovn_s32,
    vqrdmulhq_s32, vqsubq_s32, vrshlq_s32, vshlq_s32, vsraq_n_s32,
};
use core::arch::asm;

/// What is added to the sums of four channels, and their requantization factors.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) bias: int32x4_t,
    multipliers: int32x4_t,
    shifts: int32x4_t,
}

impl Factors {
    /// # Safety
    /// There must be four channels from the pointer on.
    #[inline(always)]
    pub(super) unsafe fn load(channels: *const Channel, offset: i32) -> Self {
        let (bias, multipliers, shifts): (int32x4_t, int32x4_t, int32x4_t);
        // SAFETY: four channels are twelve numbers. In assembly, because the compiler keeps the three vectors in registers
        // that follow one another, and saves all three where one is needed later.
        unsafe {
            asm!(
                "ld3 {{v0.4s, v1.4s, v2.4s}}, [{channels}]",
                channels = in(reg) channels, out("v0") bias, out("v1") multipliers, out("v2") shifts,
                options(pure, readonly, nostack, preserves_flags),
            );
            Self { bias: if offset == 0 { bias } else { vaddq_s32(bias, vdupq_n_s32(offset)) }, multipliers, shifts }
        }
    }

    #[inline(always)]
    pub(super) fn add_bias(&self, sums: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe { vaddq_s32(sums, self.bias) }
    }

    /// Four sums as numbers of the output without zero point and range, for [usual](are_usual) channels.
    #[inline(always)]
    fn scale(&self, sums: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let products = vqrdmulhq_s32(sums, self.multipliers);
            vrshlq_s32(vsraq_n_s32::<31>(products, products), self.shifts)
        }
    }

    /// [`scale`](Self::scale) for channels that shift to the left or not at all, too.
    #[inline(always)]
    fn scale_any(&self, sums: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let zero = vdupq_n_s32(0);
            let shifted = vshlq_s32(sums, vmaxq_s32(self.shifts, zero));
            round_shift(vqrdmulhq_s32(shifted, self.multipliers), vminq_s32(self.shifts, zero))
        }
    }
}

/// Whether all channels shift to the right by at least one place.
#[inline(always)]
pub(super) fn are_usual<const G: usize>(factors: &[Factors; G]) -> bool {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let highest = |highest, group: &Factors| vmaxq_s32(highest, group.shifts);
        vmaxvq_s32(factors.iter().skip(1).fold(factors[0].shifts, highest)) < 0
    }
}

/// The output's zero point and range in registers.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    zero_point: int16x8_t,
    /// For channels that are not usual.
    wide_zero_point: i32,
    lowest: int8x16_t,
    highest: int8x16_t,
}

impl Finish {
    #[inline(always)]
    pub(super) fn new(output: &Output) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            Self {
                // A valid zero point is in the range of a byte.
                zero_point: vdupq_n_s16(output.zero_point as i16),
                wide_zero_point: output.zero_point,
                lowest: vdupq_n_s8(output.activation.min()),
                highest: vdupq_n_s8(output.activation.max()),
            }
        }
    }

    /// Requantizes four times four sums, of which vector `i` belongs to the channels of `factors[i % G]`. `usual` is
    /// what [`are_usual`] says of them.
    #[inline(always)]
    pub(super) fn bytes<const G: usize>(&self, factors: &[Factors; G], usual: bool, sums: [int32x4_t; 4]) -> int8x16_t {
        self.narrow(if usual {
            core::array::from_fn(|i| factors[i % G].scale(sums[i]))
        } else {
            core::array::from_fn(|i| self.scale_any(&factors[i % G], sums[i]))
        })
    }

    /// [`Factors::scale_any`], for [`narrow`](Self::narrow).
    #[inline(always)]
    fn scale_any(&self, factors: &Factors, sums: int32x4_t) -> int32x4_t {
        let [numbers, ..] = self.settle([factors.scale_any(sums)]);
        numbers
    }

    /// Numbers of up to 32 bits, for [`narrow`](Self::narrow): a sum with the zero point may wrap.
    #[inline(always)]
    pub(super) fn settle<const N: usize>(&self, numbers: [int32x4_t; N]) -> [int32x4_t; N] {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let zero_point = vdupq_n_s32(self.wide_zero_point);
            // What the saturated difference lost is beyond the range of a byte.
            numbers.map(|numbers| vqsubq_s32(vaddq_s32(numbers, zero_point), zero_point))
        }
    }

    /// Requantizes the sums of sixteen channels, four at a time, whose factors are loaded only then.
    ///
    /// # Safety
    /// There must be as many channels from the pointer on.
    #[inline(always)]
    pub(super) unsafe fn sixteen(&self, channels: *const Channel, offset: i32, sums: [int32x4_t; 4]) -> int8x16_t {
        let mut numbers = sums;
        for (group, number) in numbers.iter_mut().enumerate() {
            // SAFETY: guaranteed by the caller.
            let factors = unsafe { Factors::load(late(channels.wrapping_add(4 * group)), offset) };
            let sum = factors.add_bias(*number);
            *number = if are_usual(&[factors]) { factors.scale(sum) } else { self.scale_any(&factors, sum) };
        }
        self.narrow(numbers)
    }

    /// The numbers of the output, without zero point and range, of `P` pixels' sums of `4 * G` channels.
    ///
    /// Four channels at a time, whose factors are loaded only then: the sums have the other registers. `usual` is what
    /// [`are_usual`] says of all of them.
    ///
    /// # Safety
    /// There must be as many channels from the pointer on.
    #[inline(always)]
    pub(super) unsafe fn scale<const P: usize, const G: usize>(
        &self,
        channels: *const Channel,
        usual: bool,
        mut sums: [[int32x4_t; G]; P],
    ) -> [[int32x4_t; G]; P] {
        for group in 0..G {
            // SAFETY: guaranteed by the caller.
            let factors = unsafe { Factors::load(late(channels.wrapping_add(4 * group)), 0) };
            for sums in &mut sums {
                let sum = sums[group];
                sums[group] = if usual { factors.scale(sum) } else { self.scale_any(&factors, sum) };
            }
        }
        sums
    }

    /// Adds the zero point to sixteen numbers, whose sums with it have at most 32 bits, and clamps them to the range.
    #[inline(always)]
    pub(super) fn narrow(&self, [a, b, c, d]: [int32x4_t; 4]) -> int8x16_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero_point);
            let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), self.zero_point);
            let bytes = vqmovn_high_s16(vqmovn_s16(low), high);
            vminq_s8(vmaxq_s8(bytes, self.lowest), self.highest)
        }
    }
}

/// The same pointer, of which the compiler does not know that it is: what is loaded from it is loaded there, and not held
/// in registers from an earlier load on.
#[inline(always)]
pub(super) fn late<T>(mut pointer: *const T) -> *const T {
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(readonly, nostack, preserves_flags)) };
    pointer
}

/// Rounded products shifted to the right by `-shifts`, 0 to 31 places. As in the portable function, a negative number is
/// decremented before it is shifted; one that is not shifted is not.
///
/// No product of a number with a multiplier that is not negative is the lowest number, which would wrap.
#[inline(always)]
pub(super) fn round_shift(products: int32x4_t, shifts: int32x4_t) -> int32x4_t {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe { vrshlq_s32(vsraq_n_s32::<31>(products, vandq_s32(products, shifts)), shifts) }
}
