//! Sums of two tensors.

use crate::add::AddSub;
use crate::arch::arm_strips::clamp;
use core::arch::naked_asm;
use tealight_types::ActivationRange;

/// The operands of [`add_elements`].
#[repr(C)]
struct Operands {
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    /// Of each operand the zero point, negated and shifted by 21 places, and the multiplier.
    factors: [[i32; 2]; 2],
    /// The right shift of the second operand, from 1 to 31.
    right_shift: u32,
    output_multiplier: i32,
    /// The right shift of the output less one, at least 1.
    output_shift: u32,
    output_zero_point: i32,
    /// Where the outputs end.
    end: *mut i8,
}

/// Adds elements, at least one, and limits the sums to the full range of a byte.
///
/// # Safety
/// `a`, `b` and `output` must point to as many elements as there are from `output` to `end`.
#[unsafe(naked)]
unsafe extern "C" fn add_elements(operands: &Operands) {
    naked_asm!(
        "ldr r1, [r0, #44]",
        "push {{r1, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
        "2:",
        "ldrsb r11, [r0], #1",
        "ldrsb lr, [r1], #1",
        // Twice the shifted elements, so that the high halves of the products need no shift.
        "add r11, r3, r11, lsl #21",
        "smull r12, r11, r11, r4",
        "adds r12, r12, r12",
        "adc r11, r11, #0",
        "add lr, r5, lr, lsl #21",
        "smull r12, lr, lr, r6",
        "adds r12, r12, r12",
        "adc lr, lr, #0",
        // A negative number is decremented, so that its halves are rounded down.
        "add lr, lr, lr, asr #31",
        "asrs lr, lr, r7",
        "adc r11, r11, lr",
        "asr lr, r11, #31",
        "mov r12, #0x40000000",
        "add r12, r12, lr, lsl #31",
        "smlal r12, lr, r11, r8",
        "ldr r12, [sp]",
        "asrs lr, lr, r9",
        "adc lr, lr, r10",
        "ssat lr, #8, lr",
        "strb lr, [r2], #1",
        "cmp r2, r12",
        "bne 2b",
        "pop {{r1, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// [`portable::add_some`](crate::portable::add_some): all elements, or none unless the factors are [`AddSub::in_order`].
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let count = output.len();
    let Some(operands) = p.in_order(a, b, count) else { return 0 };
    let [(a, ..), (b, _, other)] = operands;
    let start = output.as_mut_ptr();
    let operands = Operands {
        a: a.as_ptr(),
        b: b.as_ptr(),
        output: start,
        factors: operands.map(|(_, zero_point, factor)| [-zero_point << 21, factor.multiplier]),
        right_shift: other.shift.unsigned_abs(),
        output_multiplier: p.output.multiplier,
        output_shift: p.output.shift.unsigned_abs().wrapping_sub(1),
        output_zero_point: p.output_zero_point,
        end: start.wrapping_add(count),
    };
    // SAFETY: all three slices have at least `count` elements, which is not 0.
    unsafe { add_elements(&operands) };
    if p.activation != ActivationRange::FULL {
        clamp(p.activation, count, 0, 1, output);
    }
    count
}
