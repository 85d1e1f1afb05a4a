//! Sums of tensors of one shape.
//!
//! Of the two operands, that with the larger scale is nearly always halved exactly, and the other one, as the sum, is
//! shifted to the right after its product: for these the general steps are shortened, with the same bits.

use super::finish::{Finish, round_shift};
use crate::add::AddSub;
use crate::matrix::Output;
use core::arch::aarch64::{
    int8x8_t, int8x16_t, int32x4_t, vaddq_s32, vdup_n_s8, vdupq_n_s32, vget_high_s8, vget_high_s16, vget_low_s8,
    vget_low_s16, vld1q_s8, vmovl_s8, vmovl_s16, vqrdmulhq_s32, vrshlq_s32, vshll_n_s16, vshlq_n_s16, vshlq_s32,
    vsraq_n_s32, vst1q_s8, vsubl_s8, vsubq_s32,
};
use tealight_types::Multiplier;

/// [`portable::add_some`](crate::portable::add_some): sixteen elements at a time.
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let finish = Finish::new(&Output { zero_point: p.output_zero_point, activation: p.activation });
    let operands = [Operand::new(p.a, p.a_zero_point, p.left_shift), Operand::new(p.b, p.b_zero_point, p.left_shift)];
    let out = Scale::new(p.output);
    let mut done = 0;
    for ((a, b), output) in a.as_chunks().0.iter().zip(b.as_chunks().0).zip(output.as_chunks_mut().0) {
        let (a, b): (&[i8; 16], &[i8; 16]) = (a, b);
        let output: &mut [i8; 16] = output;
        // SAFETY: this file is compiled only for targets with NEON; the arrays have sixteen bytes.
        unsafe {
            let a = operands[0].in_common_scale(vld1q_s8(a.as_ptr()));
            let b = operands[1].in_common_scale(vld1q_s8(b.as_ptr()));
            let sums = core::array::from_fn(|i| vaddq_s32(a[i], b[i]));
            let numbers = if out.lowers { out.lowered(sums) } else { finish.settle(out.any(sums)) };
            vst1q_s8(output.as_mut_ptr(), finish.narrow(numbers));
        }
        done += 16;
    }
    done
}

/// A factor below one.
struct Scale {
    multiplier: int32x4_t,
    right: int32x4_t,
    /// Whether it shifts to the right by at least one place.
    lowers: bool,
}

impl Scale {
    #[inline(always)]
    fn new(factor: Multiplier) -> Self {
        // SAFETY: this file is compiled only for targets with NEON.
        let [multiplier, right] = [factor.multiplier, factor.shift.clamp(-31, 0)].map(|n| unsafe { vdupq_n_s32(n) });
        Self { multiplier, right, lowers: factor.shift < 0 }
    }

    /// The products with numbers.
    #[inline(always)]
    fn any(&self, numbers: [int32x4_t; 4]) -> [int32x4_t; 4] {
        // SAFETY: this file is compiled only for targets with NEON.
        numbers.map(|numbers| round_shift(unsafe { vqrdmulhq_s32(numbers, self.multiplier) }, self.right))
    }

    /// [`any`](Self::any) for a factor that [lowers](Self::lowers).
    #[inline(always)]
    fn lowered(&self, numbers: [int32x4_t; 4]) -> [int32x4_t; 4] {
        // SAFETY: this file is compiled only for targets with NEON.
        numbers.map(|numbers| unsafe {
            let products = vqrdmulhq_s32(numbers, self.multiplier);
            vrshlq_s32(vsraq_n_s32::<31>(products, products), self.right)
        })
    }
}

/// The conversion of an operand to the common scale.
struct Operand {
    scale: Scale,
    zero_point: i32,
    left: i32,
    kind: Kind,
}

/// How an operand is converted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With 20 spare bits and a factor of exactly one half.
    Halved,
    /// With 20 spare bits and a factor that lowers.
    Lowered,
    Any,
}

impl Operand {
    #[inline(always)]
    fn new(factor: Multiplier, zero_point: i32, left_shift: i32) -> Self {
        let scale = Scale::new(factor);
        let narrow = left_shift == 20 && (-128..128).contains(&zero_point);
        let kind = match factor {
            Multiplier { multiplier: 0x4000_0000, shift: 0 } if narrow => Kind::Halved,
            Multiplier { shift: ..0, .. } if narrow => Kind::Lowered,
            _ => Kind::Any,
        };
        Self { scale, zero_point, left: left_shift & 31, kind }
    }

    /// Sixteen elements in the common scale.
    #[inline(always)]
    fn in_common_scale(&self, elements: int8x16_t) -> [int32x4_t; 4] {
        match self.kind {
            Kind::Halved => shifted_by_15::<4>(elements, self.zero_point),
            Kind::Lowered => self.scale.lowered(shifted_by_15::<5>(elements, self.zero_point)),
            Kind::Any => {
                // SAFETY: this file is compiled only for targets with NEON.
                let [zero_point, left] = [self.zero_point, self.left].map(|n| unsafe { vdupq_n_s32(n) });
                // SAFETY: as above.
                self.scale.any(widen(elements).map(|x| unsafe { vshlq_s32(vsubq_s32(x, zero_point), left) }))
            }
        }
    }
}

/// The differences of sixteen bytes and a byte, shifted to the left by `15 + MORE` places.
#[inline(always)]
fn shifted_by_15<const MORE: i32>(bytes: int8x16_t, zero_point: i32) -> [int32x4_t; 4] {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let zero_point = vdup_n_s8(zero_point as i8);
        let part = |bytes: int8x8_t| {
            // A difference has nine bits.
            let differences = vshlq_n_s16::<MORE>(vsubl_s8(bytes, zero_point));
            [vshll_n_s16::<15>(vget_low_s16(differences)), vshll_n_s16::<15>(vget_high_s16(differences))]
        };
        let ([a, b], [c, d]) = (part(vget_low_s8(bytes)), part(vget_high_s8(bytes)));
        [a, b, c, d]
    }
}

/// Sixteen bytes as four vectors of numbers.
#[inline(always)]
fn widen(bytes: int8x16_t) -> [int32x4_t; 4] {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes)));
        [
            vmovl_s16(vget_low_s16(low)),
            vmovl_s16(vget_high_s16(low)),
            vmovl_s16(vget_low_s16(high)),
            vmovl_s16(vget_high_s16(high)),
        ]
    }
}
