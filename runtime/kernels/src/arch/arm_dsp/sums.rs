//! Sums of two tensors.

use super::products::clamp_lines;
use crate::add::AddSub;
use core::arch::naked_asm;

/// The operands of [`add_elements`].
#[repr(C)]
struct Operands {
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    count: usize,
    /// The zero points, negated and shifted by 21 places.
    offsets: [i32; 2],
    multipliers: [i32; 2],
    /// The right shift of the second operand, from 1 to 31.
    right_shift: u32,
    output_multiplier: i32,
    /// `2^(32 - e)` for a right shift of the output by `e`, which is at least 2.
    output_power: i32,
    output_zero_point: i32,
}

/// Adds elements: `count` of them, which is not 0.
///
/// # Safety
/// `a`, `b` and `output` must point to `count` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_elements(operands: &Operands) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov lr, r0",
        "ldm lr, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "2:",
        "ldrsb r12, [r0], #1",
        "ldrsb lr, [r1], #1",
        // Twice the shifted elements, so that the high halves of the products need no shift.
        "add r12, r4, r12, lsl #21",
        "add lr, r5, lr, lsl #21",
        "smmulr r12, r12, r6",
        scale!("lr", "r7"),
        "asrs lr, lr, r8",
        "adc r12, r12, lr",
        requantize_by_power!("r12", "r9", "r10", "r11"),
        "strb r12, [r2], #1",
        "subs r3, r3, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// [`portable::add_some`](crate::portable::add_some): all elements, or none unless the factors are [`AddSub::in_order`].
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let count = output.len();
    let Some([(a, zero_point, factor), (b, other_zero_point, other_factor)]) = p.in_order(a, b, count) else {
        return 0;
    };
    let operands = Operands {
        a: a.as_ptr(),
        b: b.as_ptr(),
        output: output.as_mut_ptr(),
        count,
        offsets: [-zero_point << 21, -other_zero_point << 21],
        multipliers: [factor.multiplier, other_factor.multiplier],
        right_shift: other_factor.shift.unsigned_abs(),
        output_multiplier: p.output.multiplier,
        output_power: 1i32.rotate_right(p.output.shift.unsigned_abs()),
        output_zero_point: p.output_zero_point,
    };
    // SAFETY: all three slices have at least `count` elements, which is not 0.
    unsafe { add_elements(&operands) };
    clamp_lines(p.activation, count, count, output);
    count
}
