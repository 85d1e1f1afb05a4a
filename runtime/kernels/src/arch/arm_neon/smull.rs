//! Products of bytes on every core with NEON.

use super::products::{Products, total};
use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vget_low_s8, vmlal_high_s8, vmull_high_s8, vmull_s8, vpadalq_s16, vpaddlq_s16,
};
use core::arch::asm;

/// For any filters.
pub(super) type Long = Multiplied<false>;

/// `SMULL` multiplies eight pairs of bytes to 16 bits, which every such product fits, and `SADALP` adds adjacent
/// products to 32-bit sums.
///
/// `NARROW` says that no element of a filter is -128: then `SMLAL` adds a second product to the first in 16 bits, and
/// half as many sums are added in 32 bits.
pub(super) struct Multiplied<const NARROW: bool>;

impl<const NARROW: bool> Products for Multiplied<NARROW> {
    type OfNarrow = Multiplied<true>;
    const NARROWS: bool = !NARROW;

    #[inline(always)]
    unsafe fn add_two([mut a, mut b]: [int32x4_t; 2], x: int8x16_t, [v, w]: [int8x16_t; 2]) -> [int32x4_t; 2] {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            if NARROW {
                asm!(
                    "smull {c:v}.8h, {x:v}.8b, {v:v}.8b",
                    "smull {d:v}.8h, {x:v}.8b, {w:v}.8b",
                    "smlal2 {c:v}.8h, {x:v}.16b, {v:v}.16b",
                    "smlal2 {d:v}.8h, {x:v}.16b, {w:v}.16b",
                    "sadalp {a:v}.4s, {c:v}.8h",
                    "sadalp {b:v}.4s, {d:v}.8h",
                    a = inout(vreg) a, b = inout(vreg) b, x = in(vreg) x, v = in(vreg) v, w = in(vreg) w,
                    c = out(vreg) _, d = out(vreg) _,
                    options(nomem, nostack, preserves_flags),
                );
            } else {
                asm!(
                    "smull {c:v}.8h, {x:v}.8b, {v:v}.8b",
                    "smull {d:v}.8h, {x:v}.8b, {w:v}.8b",
                    "smull2 {e:v}.8h, {x:v}.16b, {v:v}.16b",
                    "smull2 {f:v}.8h, {x:v}.16b, {w:v}.16b",
                    "sadalp {a:v}.4s, {c:v}.8h",
                    "sadalp {b:v}.4s, {d:v}.8h",
                    "sadalp {a:v}.4s, {e:v}.8h",
                    "sadalp {b:v}.4s, {f:v}.8h",
                    a = inout(vreg) a, b = inout(vreg) b, x = in(vreg) x, v = in(vreg) v, w = in(vreg) w,
                    c = out(vreg) _, d = out(vreg) _, e = out(vreg) _, f = out(vreg) _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
        [a, b]
    }

    #[inline(always)]
    unsafe fn arrange<const Q: usize, const V: usize>(filters: [[int8x16_t; V]; 4]) -> [[int8x16_t; V]; 4] {
        filters
    }

    #[inline(always)]
    unsafe fn four<const Q: usize, const V: usize>(
        sums: int32x4_t,
        x: [int8x16_t; V],
        filters: &[[int8x16_t; V]; 4],
    ) -> int32x4_t {
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            let one = |filter: &[int8x16_t; V]| {
                let low = |v: usize| vmull_s8(vget_low_s8(x[v]), vget_low_s8(filter[v]));
                if Q == 1 {
                    return vpaddlq_s16(low(0));
                }
                if NARROW {
                    let pairs = |v: usize| vmlal_high_s8(low(v), x[v], filter[v]);
                    return (1..V).fold(vpaddlq_s16(pairs(0)), |total, v| vpadalq_s16(total, pairs(v)));
                }
                let high = |v: usize| vmull_high_s8(x[v], filter[v]);
                let first = vpadalq_s16(vpaddlq_s16(low(0)), high(0));
                (1..V).fold(first, |total, v| vpadalq_s16(vpadalq_s16(total, low(v)), high(v)))
            };
            let [a, b, c, d] = filters;
            vaddq_s32(sums, total([one(a), one(b), one(c), one(d)]))
        }
    }
}
