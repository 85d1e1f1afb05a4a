//! Conversions between `f32` and 8 bits: floating point in single registers, the rest in vectors of four.
//!
//! The registers of the floating-point unit are the lanes of the vectors. The vectors' own conversions belong to their
//! floating-point extension, which flushes subnormal numbers to zero.

use crate::lines::of_equal_length;
use crate::portable;
use core::arch::asm;
use tealight_types::Quantization;

/// [`portable::quantize_bytes`]: four at a time.
// One function for both types in a program.
#[inline(never)]
pub(crate) fn quantize_bytes(to: Quantization, [low, high]: [i32; 2], input: &[f32], output: &mut [u8]) {
    let (input, output) = of_equal_length(input, output);
    let ((blocks, inputs), (output_blocks, outputs)) = (input.as_chunks::<4>(), output.as_chunks_mut::<4>());
    // SAFETY: the loop reads and writes all blocks of four, of which both have as many. Conversions and saturation set
    // flags of the FPSCR, so the flags are not preserved.
    unsafe {
        asm!(
            "mov r12, lr",
            "vdup.32 q2, r4",
            "vdup.32 q3, r5",
            "wls lr, r3, 3f",
            "2:",
            "vldrw.u32 q0, [r1], #16",
            "vdiv.f32 s0, s0, s4",
            "vdiv.f32 s1, s1, s4",
            "vdiv.f32 s2, s2, s4",
            "vdiv.f32 s3, s3, s4",
            // Rounds halves away from zero and saturates; NaN becomes 0.
            "vcvta.s32.f32 s0, s0",
            "vcvta.s32.f32 s1, s1",
            "vcvta.s32.f32 s2, s2",
            "vcvta.s32.f32 s3, s3",
            "vqadd.s32 q0, q0, r8",
            "vmax.s32 q0, q0, q2",
            "vmin.s32 q0, q0, q3",
            "vstrb.32 q0, [r0], #4",
            "le lr, 2b",
            "3:",
            "mov lr, r12",
            inout("r0") output_blocks.as_mut_ptr() => _,
            inout("r1") blocks.as_ptr() => _,
            in("r3") blocks.len(),
            in("r4") low,
            in("r5") high,
            in("r8") to.zero_point,
            in("s4") to.scale,
            out("r12") _,
            out("d0") _, out("d1") _,
            out("d4") _, out("d5") _,
            out("d6") _, out("d7") _,
            options(nostack),
        );
    }
    portable::quantize_bytes(to, [low, high], inputs, outputs);
}

/// [`portable::dequantize_bytes`]: four at a time.
#[inline(never)]
pub(crate) fn dequantize_bytes(from: Quantization, signed: bool, input: &[u8], output: &mut [f32]) {
    let (input, output) = of_equal_length(input, output);
    let ((blocks, inputs), (output_blocks, outputs)) = (input.as_chunks::<4>(), output.as_chunks_mut::<4>());
    // With its sign inverted, a signed code is an unsigned one that is 128 higher.
    let flip = if signed { 0x80 } else { 0 };
    // SAFETY: the loop reads and writes all blocks of four, of which both have as many. Products set flags of the FPSCR,
    // so the flags are not preserved.
    unsafe {
        asm!(
            "mov r12, lr",
            "vdup.32 q2, r4",
            "wls lr, r3, 3f",
            "2:",
            "vldrb.u32 q0, [r1], #4",
            "veor q0, q0, q2",
            "vsub.i32 q0, q0, r8",
            "vcvt.f32.s32 s0, s0",
            "vcvt.f32.s32 s1, s1",
            "vcvt.f32.s32 s2, s2",
            "vcvt.f32.s32 s3, s3",
            "vmul.f32 s0, s0, s4",
            "vmul.f32 s1, s1, s4",
            "vmul.f32 s2, s2, s4",
            "vmul.f32 s3, s3, s4",
            "vstrw.32 q0, [r0], #16",
            "le lr, 2b",
            "3:",
            "mov lr, r12",
            inout("r0") output_blocks.as_mut_ptr() => _,
            inout("r1") blocks.as_ptr() => _,
            in("r3") blocks.len(),
            in("r4") flip,
            in("r8") from.zero_point.wrapping_add(flip),
            in("s4") from.scale,
            out("r12") _,
            out("d0") _, out("d1") _,
            out("d4") _, out("d5") _,
            options(nostack),
        );
    }
    portable::dequantize_bytes(from, signed, inputs, outputs);
}
