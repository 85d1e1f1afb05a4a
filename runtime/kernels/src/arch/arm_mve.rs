//! Arm's M-profile vector extension (MVE, Helium; Cortex-M52, M55, M85): sixteen products in one instruction.
//!
//! `VMLADAVA` multiplies sixteen pairs of bytes and adds all products to a core register. The loops are
//! tail-predicated: in the last iteration the lanes beyond the end load nothing and add nothing, so no length needs a
//! second loop. The order of a sum differs from the portable loop's, but not its value, because sums wrap.
//!
//! `VQRDMULH` is the rounded doubling high product. `VRSHL` is a rounding shift with ties upward; as in the portable
//! function, a negative number is decremented before it is shifted.

// The compiler keeps the counts of its own loops in `lr`, and some of its passes do not see that inline assembly writes
// it. Every loop here therefore restores `lr`, and names its other registers, so that none of them is allocated to
// `lr`.

use crate::portable::Window;
use crate::quant::Channel;
use core::arch::asm;
use tealight_types::ActivationRange;

pub(crate) use crate::composed::{depthwise, multiply};
pub(crate) use crate::portable::SHORTEST_RUN;

/// [`portable::ROWS`](crate::portable::ROWS): enough that setting up their requantization pays off.
pub(crate) const ROWS: usize = 16;

/// [`portable::dot_rows`](crate::portable::dot_rows): sixteen elements of four rows in one iteration.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    // End of the last row. A saturated sum exceeds the length of any slice.
    let end = stride.saturating_mul(N.saturating_sub(1)).saturating_add(input.len());
    if input.is_empty() || end > weights.len() {
        return;
    }
    let mut row = weights.as_ptr();
    let (by_4, rest) = accumulators.as_chunks_mut::<4>();
    for [a0, a1, a2, a3] in by_4 {
        let rows = [row, row.wrapping_add(stride), row.wrapping_add(2 * stride), row.wrapping_add(3 * stride)];
        // SAFETY: the loop reads `input.len()` bytes from `input` and from each of the four rows, which all end within
        // `weights`, as checked above; it writes no memory.
        unsafe {
            asm!(
                "mov r11, lr",
                "dlstp.8 lr, r10",
                "2:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u8 q1, [r3], #16",
                "vmladava.s8 r0, q0, q1",
                "vldrb.u8 q1, [r5], #16",
                "vmladava.s8 r2, q0, q1",
                "vldrb.u8 q1, [r8], #16",
                "vmladava.s8 r4, q0, q1",
                "vldrb.u8 q1, [r9], #16",
                "vmladava.s8 r12, q0, q1",
                "letp lr, 2b",
                "mov lr, r11",
                inout("r1") input.as_ptr() => _,
                inout("r3") rows[0] => _,
                inout("r5") rows[1] => _,
                inout("r8") rows[2] => _,
                inout("r9") rows[3] => _,
                inout("r0") *a0,
                inout("r2") *a1,
                inout("r4") *a2,
                inout("r12") *a3,
                in("r10") input.len(),
                out("r11") _,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                options(readonly, nostack, preserves_flags),
            );
        }
        row = row.wrapping_add(4 * stride);
    }
    for accumulator in rest {
        // SAFETY: as above, with one row.
        unsafe {
            asm!(
                "mov r4, lr",
                "dlstp.8 lr, r3",
                "2:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u8 q1, [r2], #16",
                "vmladava.s8 r0, q0, q1",
                "letp lr, 2b",
                "mov lr, r4",
                inout("r1") input.as_ptr() => _,
                inout("r2") row => _,
                inout("r0") *accumulator,
                in("r3") input.len(),
                out("r4") _,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                options(readonly, nostack, preserves_flags),
            );
        }
        row = row.wrapping_add(stride);
    }
}

/// [`portable::multiply_taps`](crate::portable::multiply_taps): sixteen channels at a time, whose sums stay in
/// registers over all taps; remaining channels in groups of four.
#[inline]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    let Window { lines, runs, line, run } = *window;
    if lines == 0 || runs == 0 || !window.fits(accumulators.len(), [input.len(), weights.len()]) {
        return;
    }
    // Distance from the end of a kernel row to the start of the next.
    let next = [0, 1].map(|i| line[i].wrapping_sub(run[i].wrapping_mul(runs)));
    let (mut input, mut weights) = (input.as_ptr(), weights.as_ptr());
    let (by_16, rest) = accumulators.as_chunks_mut::<16>();
    for accumulators in by_16 {
        // SAFETY: of each tap, sixteen elements of input and weights are read from the chunk's first on, which lie
        // within both slices, as `fits` has checked for all the chunks; sixteen accumulators are read and written.
        unsafe {
            asm!(
                // The products of even and odd bytes are split into even and odd lanes again when they are widened: q0
                // sums bytes 0, 4, 8 and 12, q1 bytes 1, 5, 9 and 13, and so on. These loads and stores use the same
                // order.
                "vld40.32 {{q0, q1, q2, q3}}, [r0]",
                "vld41.32 {{q0, q1, q2, q3}}, [r0]",
                "vld42.32 {{q0, q1, q2, q3}}, [r0]",
                "vld43.32 {{q0, q1, q2, q3}}, [r0]",
                "mov r11, lr",
                "3:",
                "dls lr, r9",
                "2:",
                "vldrb.u8 q4, [r1]",
                "add r1, r1, r3",
                "vldrb.u8 q5, [r2]",
                "add r2, r2, r4",
                "vmullb.s8 q6, q4, q5",
                "vmullt.s8 q4, q4, q5",
                "vmovlb.s16 q5, q6",
                "vadd.i32 q0, q0, q5",
                "vmovlt.s16 q6, q6",
                "vadd.i32 q2, q2, q6",
                "vmovlb.s16 q5, q4",
                "vadd.i32 q1, q1, q5",
                "vmovlt.s16 q4, q4",
                "vadd.i32 q3, q3, q4",
                "le lr, 2b",
                "add r1, r1, r5",
                "add r2, r2, r8",
                "subs r10, r10, #1",
                "bne 3b",
                "mov lr, r11",
                "vst40.32 {{q0, q1, q2, q3}}, [r0]",
                "vst41.32 {{q0, q1, q2, q3}}, [r0]",
                "vst42.32 {{q0, q1, q2, q3}}, [r0]",
                "vst43.32 {{q0, q1, q2, q3}}, [r0]",
                in("r0") accumulators.as_mut_ptr(),
                inout("r1") input => _,
                inout("r2") weights => _,
                in("r3") run[0],
                in("r4") run[1],
                in("r5") next[0],
                in("r8") next[1],
                in("r9") runs,
                inout("r10") lines => _,
                out("r11") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                options(nostack),
            );
        }
        (input, weights) = (input.wrapping_add(16), weights.wrapping_add(16));
    }
    if rest.is_empty() {
        return;
    }
    let back = [0, 1].map(|i| line[i].wrapping_mul(lines).wrapping_sub(4));
    let steps = [next[0], next[1], back[0], back[1], lines, runs];
    // SAFETY: as above, four elements of each tap at a time. All of it is a loop over `rest`, in whose last iteration
    // the lanes beyond the end read and write nothing.
    unsafe {
        asm!(
            "mov r12, lr",
            "dlstp.32 lr, r8",
            "4:",
            "vldrw.u32 q0, [r2]",
            "ldr r9, [r5, #16]",
            "3:",
            "ldr r10, [r5, #20]",
            "2:",
            "vldrb.s32 q1, [r0]",
            "add r0, r0, r3",
            "vldrb.s32 q2, [r1]",
            "add r1, r1, r4",
            "vmul.i32 q1, q1, q2",
            "vadd.i32 q0, q0, q1",
            "subs r10, r10, #1",
            "bne 2b",
            "ldrd r10, r11, [r5]",
            "add r0, r0, r10",
            "add r1, r1, r11",
            "subs r9, r9, #1",
            "bne 3b",
            "ldrd r10, r11, [r5, #8]",
            "sub r0, r0, r10",
            "sub r1, r1, r11",
            "vstrw.32 q0, [r2], #16",
            "letp lr, 4b",
            "mov lr, r12",
            // Widening loads need their address in one of the first eight registers.
            inout("r0") input => _,
            inout("r1") weights => _,
            inout("r2") rest.as_mut_ptr() => _,
            in("r3") run[0],
            in("r4") run[1],
            in("r5") steps.as_ptr(),
            in("r8") rest.len(),
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}

/// [`portable::requantize`](crate::portable::requantize): four at a time.
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    let len = accumulators.len().min(channels.len()).min(outputs.len());
    if len == 0 {
        return;
    }
    let [low, high] = activation.bounds();
    // SAFETY: the loop reads `len` elements of `accumulators` and the last two fields, at bytes 4 and 8 of twelve, of
    // as many `channels`, and writes as many bytes to `outputs`; each slice has at least `len` elements. Saturation
    // sets FPSCR.QC, so the flags are not preserved.
    unsafe {
        asm!(
            // The addresses of four shifts, one iteration before the first.
            "vidup.u32 q0, r0, #4",
            "vmul.i32 q0, q0, r1",
            "vadd.i32 q0, q0, r2",
            "vmov.i32 q1, #0",
            "vdup.32 q4, r3",
            "vdup.32 q5, r5",
            "mov r10, lr",
            "dlstp.32 lr, r12",
            "2:",
            "vldrw.u32 q3, [q0, #48]!",
            "vldrw.u32 q2, [r9], #16",
            "vmax.s32 q6, q3, q1",
            "vshl.s32 q2, q2, q6",
            "vldrw.u32 q6, [q0, #-4]",
            "vqrdmulh.s32 q2, q2, q6",
            "vmin.s32 q3, q3, q1",
            "vand q6, q2, q3",
            "vshr.s32 q6, q6, #31",
            "vqadd.s32 q2, q2, q6",
            "vrshl.s32 q2, q2, q3",
            "vadd.i32 q2, q2, r8",
            "vmax.s32 q2, q2, q4",
            "vmin.s32 q2, q2, q5",
            "vstrb.32 q2, [r4], #4",
            "letp lr, 2b",
            "mov lr, r10",
            inout("r0") 0 => _,
            in("r1") 3,
            in("r2") channels.as_ptr().wrapping_byte_sub(48 - 8),
            in("r3") low,
            // Narrowing stores need their address in one of the first eight registers.
            inout("r4") outputs.as_mut_ptr() => _,
            in("r5") high,
            in("r8") zero_point,
            inout("r9") accumulators.as_ptr() => _,
            out("r10") _,
            in("r12") len,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
            options(nostack),
        );
    }
}
