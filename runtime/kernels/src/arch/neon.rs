//! Arm's Advanced SIMD (NEON), which every aarch64 core has: eight products of bytes in one instruction.
//!
//! `SMULL` multiplies eight pairs of bytes to 16 bits, which every such product fits, and `SADALP` adds neighbouring products
//! to sums of 32 bits. The order of a sum differs from the portable loop's, its value does not: sums wrap.

use crate::portable;
use core::arch::aarch64::{
    int8x8_t, int32x4_t, vaddvq_s32, vand_s8, vdupq_n_s32, vget_low_s8, vld1_s8, vld1q_s8, vmull_high_s8, vmull_s8,
    vpadalq_s16,
};

/// [`portable::dot_rows`]: sixteen elements of each row in one turn of the loop.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    // Where the last row ends. A sum that does not fit is longer than any slice.
    let end = stride.saturating_mul(N.saturating_sub(1)).saturating_add(input.len());
    if input.len() < 8 || end > weights.len() {
        return few(accumulators, input, weights, stride);
    }
    let rows = core::array::from_fn(|r| weights.as_ptr().wrapping_add(r * stride));
    // SAFETY: this file is compiled where there is NEON; the input has at least eight elements, and every row as many.
    unsafe { sum_rows(accumulators, input, rows) };
}

/// Rows that are shorter than a register; out of line, to keep the loops around it small.
#[inline(never)]
fn few<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    portable::dot_rows(accumulators, input, weights, stride);
}

/// # Safety
/// The input has at least eight elements, and each row as many as it.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sum_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], rows: [*const i8; N]) {
    let (input, len) = (input.as_ptr(), input.len());
    let mut sums = [vdupq_n_s32(0); N];
    let mut at = 0;
    while len - at >= 16 {
        // SAFETY: the input and each row have sixteen elements from `at` on.
        let x = unsafe { vld1q_s8(input.add(at)) };
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: as said.
            let w = unsafe { vld1q_s8(row.add(at)) };
            *sum = vpadalq_s16(*sum, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
            *sum = vpadalq_s16(*sum, vmull_high_s8(x, w));
        }
        at += 16;
    }
    if len - at >= 8 {
        // SAFETY: they have eight elements from `at` on.
        unsafe { eight(&mut sums, vld1_s8(input.add(at)), rows, at) };
        at += 8;
    }
    if at < len {
        // The last eight, of which those that are summed already count as zero.
        let last = len - 8;
        // SAFETY: they have at least eight elements; fewer than eight are left, and so many from the mask's end are read.
        unsafe {
            let left = vld1_s8(LEFT.as_ptr().add(len - at));
            eight(&mut sums, vand_s8(vld1_s8(input.add(last)), left), rows, last);
        }
    }
    for (accumulator, sum) in accumulators.iter_mut().zip(sums) {
        *accumulator = accumulator.wrapping_add(vaddvq_s32(sum));
    }
}

/// Adds the products of eight inputs with the elements of each row from `at` on.
///
/// # Safety
/// There are eight.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn eight<const N: usize>(sums: &mut [int32x4_t; N], x: int8x8_t, rows: [*const i8; N], at: usize) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        // SAFETY: as the caller says.
        let w = unsafe { vld1_s8(row.add(at)) };
        *sum = vpadalq_s16(*sum, vmull_s8(x, w));
    }
}

/// The eight bytes from the `n`th on keep the last `n` of eight elements.
static LEFT: [i8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1];
