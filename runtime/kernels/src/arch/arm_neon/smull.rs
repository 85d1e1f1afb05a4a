//! Products of bytes on every core with NEON.

use super::products::{Products, total};
use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vget_low_s8, vmull_high_s8, vmull_s8, vpadalq_s16, vpaddlq_s16,
};
use core::arch::asm;

/// `SMULL` multiplies eight pairs of bytes to 16 bits, which every such product fits, and `SADALP` adds adjacent
/// products to 32-bit sums.
pub(super) struct Long;

impl Products for Long {
    #[inline(always)]
    unsafe fn add_two([a, b]: [int32x4_t; 2], x: int8x16_t, w: [int8x16_t; 2]) -> [int32x4_t; 2] {
        let mut sums = [a, b];
        // SAFETY: this file is compiled only for targets with NEON.
        unsafe {
            asm!(
                "smull {c:v}.8h, {x:v}.8b, {v:v}.8b",
                "smull {d:v}.8h, {x:v}.8b, {w:v}.8b",
                "smull2 {e:v}.8h, {x:v}.16b, {v:v}.16b",
                "smull2 {f:v}.8h, {x:v}.16b, {w:v}.16b",
                "sadalp {a:v}.4s, {c:v}.8h",
                "sadalp {b:v}.4s, {d:v}.8h",
                "sadalp {a:v}.4s, {e:v}.8h",
                "sadalp {b:v}.4s, {f:v}.8h",
                a = inout(vreg) sums[0], b = inout(vreg) sums[1],
                x = in(vreg) x, v = in(vreg) w[0], w = in(vreg) w[1],
                c = out(vreg) _, d = out(vreg) _, e = out(vreg) _, f = out(vreg) _,
                options(nomem, nostack, preserves_flags),
            );
        }
        sums
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
                let mut total = vpaddlq_s16(vmull_s8(vget_low_s8(x[0]), vget_low_s8(filter[0])));
                if Q > 1 {
                    total = vpadalq_s16(total, vmull_high_s8(x[0], filter[0]));
                }
                x.iter().zip(filter).skip(1).fold(total, |total, (&x, &w)| add(total, x, w))
            };
            let [a, b, c, d] = filters;
            vaddq_s32(sums, total([one(a), one(b), one(c), one(d)]))
        }
    }
}

/// Adds the products of sixteen pairs to four sums.
#[inline(always)]
fn add(sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
        vpadalq_s16(sums, vmull_high_s8(x, w))
    }
}
