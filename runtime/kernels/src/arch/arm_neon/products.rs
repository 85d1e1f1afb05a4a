//! Products of bytes, as the core has them.

use crate::matrix::{Filters, Inputs};
use core::arch::aarch64::{int8x16_t, int32x4_t, vdupq_n_s8, vld1q_s8, vld1q_s8_x4, vminq_s8, vminvq_s8, vpaddq_s32};
use core::arch::asm;

/// Instructions that multiply bytes. The order of a sum differs from the portable loop's, but not its value, because
/// sums wrap.
pub(super) trait Products {
    /// Faster products for filters of which no element is -128, if there are such.
    type OfNarrow: Products;
    /// Whether there are.
    const NARROWS: bool;

    /// [`multiply`](super::multiply::multiply) for many inputs, if there is a faster way. Returns whether it did.
    ///
    /// # Safety
    /// As of `multiply`.
    #[inline(always)]
    unsafe fn multiply_many(_: &Filters<'_>, _: &Inputs<'_>, _output_step: usize, _outputs: *mut i8) -> bool {
        false
    }

    /// Adds the products of sixteen inputs with as many elements of two filters to four sums each, of which only the
    /// total counts. In program order: the compiler neither moves it nor counts it when it decides whether to unroll a
    /// loop.
    ///
    /// # Safety
    /// The core must have the instructions.
    unsafe fn add_two(sums: [int32x4_t; 2], x: int8x16_t, w: [int8x16_t; 2]) -> [int32x4_t; 2];

    /// Arranges the first `8 * Q` elements of four filters for [`four`](Self::four).
    ///
    /// # Safety
    /// The core must have the instructions.
    unsafe fn arrange<const Q: usize, const V: usize>(filters: [[int8x16_t; V]; 4]) -> [[int8x16_t; V]; 4];

    /// The products of `8 * Q` inputs with each of four arranged filters, added to the four sums.
    ///
    /// # Safety
    /// The core must have the instructions.
    unsafe fn four<const Q: usize, const V: usize>(
        sums: int32x4_t,
        x: [int8x16_t; V],
        filters: &[[int8x16_t; V]; 4],
    ) -> int32x4_t;
}

/// The totals of four vectors of sums.
#[inline(always)]
pub(super) fn total([a, b, c, d]: [int32x4_t; 4]) -> int32x4_t {
    let totals;
    // SAFETY: this file is compiled only for targets with NEON. In assembly, because the compiler replaces an addition
    // of pairs that is followed by another addition by five instructions.
    unsafe {
        asm!(
            "addp {totals:v}.4s, {ab:v}.4s, {cd:v}.4s",
            totals = lateout(vreg) totals, ab = in(vreg) vpaddq_s32(a, b), cd = in(vreg) vpaddq_s32(c, d),
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    totals
}

/// Whether one of the bytes is -128: without it, two products of bytes can be added in 16 bits.
#[inline(never)]
pub(super) fn has_minimum(bytes: &[i8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let (vectors, rest) = rest.as_chunks::<16>();
    // SAFETY: this file is compiled only for targets with NEON; the arrays have as many bytes as are loaded.
    let minimum = unsafe {
        let mut minima = [vdupq_n_s8(0); 2];
        for block in blocks {
            let block = vld1q_s8_x4(block.as_ptr());
            minima[0] = vminq_s8(minima[0], vminq_s8(block.0, block.1));
            minima[1] = vminq_s8(minima[1], vminq_s8(block.2, block.3));
        }
        for vector in vectors {
            minima[0] = vminq_s8(minima[0], vld1q_s8(vector.as_ptr()));
        }
        vminvq_s8(vminq_s8(minima[0], minima[1]))
    };
    minimum == i8::MIN || rest.contains(&i8::MIN)
}
