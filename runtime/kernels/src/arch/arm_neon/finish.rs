//! From sums in registers to output bytes.

use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::aarch64::{
    int8x16_t, int32x4_t, int32x4x3_t, vaddq_s32, vandq_s32, vdupq_n_s8, vdupq_n_s32, vld3q_s32, vmaxq_s8, vmaxq_s32,
    vmaxvq_s32, vminq_s8, vminq_s32, vqmovn_high_s16, vqmovn_high_s32, vqmovn_s16, vqmovn_s32, vqrdmulhq_s32,
    vrshlq_s32, vshlq_s32, vsraq_n_s32,
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
        // SAFETY: four channels are twelve numbers.
        unsafe {
            let int32x4x3_t(bias, multipliers, shifts) = vld3q_s32(channels.cast());
            Self { bias: vaddq_s32(bias, vdupq_n_s32(offset)), multipliers, shifts }
        }
    }

    #[inline(always)]
    pub(super) fn add_bias(&self, sums: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe { vaddq_s32(sums, self.bias) }
    }

    /// Four sums as numbers of the output without zero point and range, for channels that shift to the right.
    #[inline(always)]
    fn scale(&self, sums: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        round_shift(unsafe { vqrdmulhq_s32(sums, self.multipliers) }, self.shifts)
    }

    /// Shifts the sums to the left for channels that do, and returns the factors of what is left to do.
    #[inline(always)]
    fn shift_left(&self, sums: int32x4_t) -> (Self, int32x4_t) {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let zero = vdupq_n_s32(0);
            let right = Self { shifts: vminq_s32(self.shifts, zero), ..*self };
            (right, vshlq_s32(sums, vmaxq_s32(self.shifts, zero)))
        }
    }
}

/// Whether some of the channels shift to the left.
#[inline(always)]
pub(super) fn shifts_left<const G: usize>(factors: &[Factors; G]) -> bool {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe { vmaxvq_s32(factors.iter().fold(vdupq_n_s32(0), |shifts, group| vmaxq_s32(shifts, group.shifts))) > 0 }
}

/// The output's zero point and range in registers.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    zero_point: int32x4_t,
    lowest: int8x16_t,
    highest: int8x16_t,
}

impl Finish {
    #[inline(always)]
    pub(super) fn new(output: &Output) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            Self {
                zero_point: vdupq_n_s32(output.zero_point),
                lowest: vdupq_n_s8(output.activation.min()),
                highest: vdupq_n_s8(output.activation.max()),
            }
        }
    }

    /// Requantizes four times four sums, of which vector `i` belongs to the channels of `factors[i % G]`. `shifts_left`
    /// is what the function of this name says of them.
    #[inline(always)]
    pub(super) fn bytes<const G: usize>(
        &self,
        factors: &[Factors; G],
        shifts_left: bool,
        sums: [int32x4_t; 4],
    ) -> int8x16_t {
        let (mut sums, mut right) = (sums, *factors);
        if shifts_left {
            for (i, sum) in sums.iter_mut().enumerate() {
                (right[i % G], *sum) = factors[i % G].shift_left(*sum);
            }
        }
        self.narrow(core::array::from_fn(|i| right[i % G].scale(sums[i])))
    }

    /// The numbers of the output, without zero point and range, of `P` pixels' sums of `4 * G` channels.
    ///
    /// Four channels at a time, whose factors are loaded only then: the sums have the other registers.
    ///
    /// # Safety
    /// There must be as many channels from the pointer on.
    #[inline(always)]
    pub(super) unsafe fn scale<const P: usize, const G: usize>(
        channels: *const Channel,
        mut sums: [[int32x4_t; G]; P],
    ) -> [[int32x4_t; G]; P] {
        for group in 0..G {
            // SAFETY: guaranteed by the caller.
            let mut factors = unsafe { Factors::load(late(channels.wrapping_add(4 * group)), 0) };
            if shifts_left(&[factors]) {
                let mut right = factors;
                for sums in &mut sums {
                    (right, sums[group]) = factors.shift_left(sums[group]);
                }
                factors = right;
            }
            for sums in &mut sums {
                sums[group] = factors.scale(sums[group]);
            }
        }
        sums
    }

    /// Adds the zero point to sixteen numbers, and clamps them to the range.
    #[inline(always)]
    pub(super) fn narrow(&self, numbers: [int32x4_t; 4]) -> int8x16_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let [a, b, c, d] = numbers.map(|numbers| vaddq_s32(numbers, self.zero_point));
            let low = vqmovn_high_s32(vqmovn_s32(a), b);
            let high = vqmovn_high_s32(vqmovn_s32(c), d);
            let bytes = vqmovn_high_s16(vqmovn_s16(low), high);
            vminq_s8(vmaxq_s8(bytes, self.lowest), self.highest)
        }
    }
}

/// The same pointer, of which the compiler does not know that it is: what is loaded from it is loaded there, and not held
/// in registers from an earlier load on.
#[inline(always)]
fn late<T>(mut pointer: *const T) -> *const T {
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
