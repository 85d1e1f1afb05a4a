//! The dot product instruction `SDOT` (Armv8.2's optional extension, in every core from Cortex-A75 and A55 on): sixteen
//! products of bytes, added by fours to four sums.
//!
//! On Linux a program finds out when it runs whether the core has it; elsewhere the build's flags say so.

use super::arranged;
use super::products::Products;
use crate::matrix::{Filters, Inputs};
use core::arch::aarch64::{int8x16_t, int32x4_t, vreinterpretq_s8_s32, vreinterpretq_s32_s8, vzip1q_s32, vzip2q_s32};
use core::arch::asm;

/// Whether the core has the instruction, as the kernel said when the program first asked.
#[cfg(not(target_feature = "dotprod"))]
#[inline]
pub(super) fn is_available() -> bool {
    use core::sync::atomic::{AtomicU8, Ordering};
    const UNKNOWN: u8 = 0;
    const ABSENT: u8 = 1;
    const PRESENT: u8 = 2;
    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let present = hwcap() & HWCAP_ASIMDDP != 0;
            STATE.store(if present { PRESENT } else { ABSENT }, Ordering::Relaxed);
            present
        }
        state => state == PRESENT,
    }
}

/// Linux, "ARM64 ELF hwcaps": the bit of `SDOT` and `UDOT`.
#[cfg(not(target_feature = "dotprod"))]
const HWCAP_ASIMDDP: u64 = 1 << 20;

/// The extensions that the kernel tells every program of.
#[cfg(not(target_feature = "dotprod"))]
#[inline(never)]
fn hwcap() -> u64 {
    const AT_HWCAP: u64 = 16;
    unsafe extern "C" {
        /// In every C library for Linux (glibc from 2.16 on, musl, Android's): a word of the auxiliary vector.
        safe fn getauxval(kind: u64) -> u64;
    }
    getauxval(AT_HWCAP)
}

/// Sixteen products in one instruction.
pub(super) struct Dot;

impl Products for Dot {
    type OfNarrow = Self;
    const NARROWS: bool = false;

    #[inline(always)]
    unsafe fn multiply_many(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: *mut i8) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe { arranged::multiply(filters, inputs, output_step, outputs) }
    }

    #[inline(always)]
    unsafe fn add_two([a, b]: [int32x4_t; 2], x: int8x16_t, w: [int8x16_t; 2]) -> [int32x4_t; 2] {
        let mut sums = [a, b];
        // SAFETY: the caller guarantees that the core has the instruction.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {a:v}.4s, {x:v}.16b, {v:v}.16b",
                "sdot {b:v}.4s, {x:v}.16b, {w:v}.16b",
                a = inout(vreg) sums[0], b = inout(vreg) sums[1],
                x = in(vreg) x, v = in(vreg) w[0], w = in(vreg) w[1],
                options(nomem, nostack, preserves_flags),
            );
        }
        sums
    }

    /// Four adjacent elements of all four filters in a register.
    #[inline(always)]
    unsafe fn arrange<const Q: usize, const V: usize>(filters: [[int8x16_t; V]; 4]) -> [[int8x16_t; V]; 4] {
        let mut arranged = filters;
        for v in 0..V {
            let transposed = transpose(filters.map(|filter| filter[v]));
            for (arranged, part) in arranged.iter_mut().zip(transposed) {
                arranged[v] = part;
            }
        }
        arranged
    }

    #[inline(always)]
    unsafe fn four<const Q: usize, const V: usize>(
        sums: int32x4_t,
        x: [int8x16_t; V],
        filters: &[[int8x16_t; V]; 4],
    ) -> int32x4_t {
        let mut sums = sums;
        for (v, &x) in x.iter().enumerate() {
            // SAFETY: guaranteed by the caller.
            unsafe {
                sums = add_by_lane::<0>(sums, x, filters[0][v]);
                sums = add_by_lane::<1>(sums, x, filters[1][v]);
                if 2 * v + 1 < Q {
                    sums = add_by_lane::<2>(sums, x, filters[2][v]);
                    sums = add_by_lane::<3>(sums, x, filters[3][v]);
                }
            }
        }
        sums
    }
}

/// Adds to each sum the products of four inputs with four elements of its filter.
///
/// # Safety
/// The core must have the instruction.
#[inline(always)]
unsafe fn add_by_lane<const LANE: i32>(sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: the caller guarantees that the core has the instruction.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            sums = inout(vreg) sums, x = in(vreg) x, w = in(vreg) w, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Transposes a matrix whose elements are groups of four bytes.
#[inline(always)]
pub(super) fn transpose(rows: [int8x16_t; 4]) -> [int8x16_t; 4] {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let [a, b, c, d] = rows.map(|row| vreinterpretq_s32_s8(row));
        let (even_low, odd_low) = (vzip1q_s32(a, c), vzip1q_s32(b, d));
        let (even_high, odd_high) = (vzip2q_s32(a, c), vzip2q_s32(b, d));
        [
            vzip1q_s32(even_low, odd_low),
            vzip2q_s32(even_low, odd_low),
            vzip1q_s32(even_high, odd_high),
            vzip2q_s32(even_high, odd_high),
        ]
        .map(|part| vreinterpretq_s8_s32(part))
    }
}
