//! Sums of tensors of one shape.

use super::finish::{Finish, round_shift};
use crate::add::AddSub;
use crate::matrix::Output;
use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vdupq_n_s32, vget_high_s16, vget_low_s8, vget_low_s16, vld1q_s8, vmovl_high_s8,
    vmovl_s8, vmovl_s16, vqrdmulhq_s32, vshlq_s32, vst1q_s8, vsubq_s32,
};
use tealight_types::Multiplier;

/// [`portable::add_some`](crate::portable::add_some): sixteen elements at a time.
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let finish = Finish::new(&Output { zero_point: p.output_zero_point, activation: p.activation });
    let scales = [Scale::new(p.a, p.a_zero_point, p.left_shift), Scale::new(p.b, p.b_zero_point, p.left_shift)];
    let out = Scale::new(p.output, 0, 0);
    let sixteen = |a: &[i8; 16], b: &[i8; 16], output: &mut [i8; 16]| {
        // SAFETY: this file is compiled only for targets with NEON; the arrays have sixteen bytes.
        unsafe {
            let [a, b] = [widen(vld1q_s8(a.as_ptr())), widen(vld1q_s8(b.as_ptr()))];
            let sum = |i: usize| out.multiply(vaddq_s32(scales[0].apply(a[i]), scales[1].apply(b[i])));
            vst1q_s8(output.as_mut_ptr(), finish.narrow([sum(0), sum(1), sum(2), sum(3)]));
        }
    };
    let mut done = 0;
    for ((a, b), output) in a.as_chunks().0.iter().zip(b.as_chunks().0).zip(output.as_chunks_mut().0) {
        sixteen(a, b, output);
        done += 16;
    }
    done
}

/// The conversion of an operand to the common scale.
struct Scale {
    zero_point: int32x4_t,
    left: int32x4_t,
    multiplier: int32x4_t,
    right: int32x4_t,
}

impl Scale {
    #[inline(always)]
    fn new(factor: Multiplier, zero_point: i32, left_shift: i32) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            Self {
                zero_point: vdupq_n_s32(zero_point),
                left: vdupq_n_s32(left_shift & 31),
                multiplier: vdupq_n_s32(factor.multiplier),
                right: vdupq_n_s32(factor.shift.clamp(-31, 0)),
            }
        }
    }

    /// Four elements in the common scale.
    #[inline(always)]
    fn apply(&self, elements: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        self.multiply(unsafe { vshlq_s32(vsubq_s32(elements, self.zero_point), self.left) })
    }

    #[inline(always)]
    fn multiply(&self, numbers: int32x4_t) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        round_shift(unsafe { vqrdmulhq_s32(numbers, self.multiplier) }, self.right)
    }
}

/// Sixteen bytes as four vectors of numbers.
#[inline(always)]
fn widen(bytes: int8x16_t) -> [int32x4_t; 4] {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
        [
            vmovl_s16(vget_low_s16(low)),
            vmovl_s16(vget_high_s16(low)),
            vmovl_s16(vget_low_s16(high)),
            vmovl_s16(vget_high_s16(high)),
        ]
    }
}
