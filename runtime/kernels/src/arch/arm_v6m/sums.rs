//! Sums of two tensors.
//!
//! A shifted element has nine bits that are not 0. The upper half of its doubled product with a multiplier is that of the
//! element with the upper half of the multiplier, and the upper bits of that with the lower half: nothing is carried
//! between them.

use crate::add::{AddSub, Operand};
use crate::arch::arm_strips::clamp;
use core::arch::naked_asm;
use core::mem::offset_of;
use tealight_types::ActivationRange;

/// The factor of an operand, such that `x * lower + lower_offset` is at its 11th bit what is added to
/// `x * upper + upper_offset`.
#[repr(C)]
struct Factor {
    lower: u32,
    upper: u32,
    lower_offset: i32,
    upper_offset: i32,
}

impl Factor {
    fn new((_, zero_point, factor): Operand<'_>) -> Self {
        let multiplier = factor.multiplier.cast_unsigned();
        let (lower, upper) = (multiplier & 0xffff, multiplier >> 16 << 5);
        let offset = |half: u32| zero_point.wrapping_mul(half.cast_signed()).wrapping_neg();
        Self { lower, upper, lower_offset: offset(lower).wrapping_add(1 << 10), upper_offset: offset(upper) }
    }
}

/// The operands of [`add_elements`]. The first four fields are passed in registers, and the others on the stack.
#[repr(C)]
struct Operands {
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    /// Not 0.
    count: usize,
    first: Factor,
    second: Factor,
    /// The right shift of the second operand, from 1 to 31.
    right_shift: u32,
    /// The halves of the output's multiplier.
    output_lower: u32,
    output_upper: u32,
    /// The right shift of the output less one, at least 1.
    output_shift: u32,
    output_zero_point: i32,
}

/// The position of a field on the stack: after nine registers, without the four fields that are passed in registers.
const fn place(field: usize) -> usize {
    field + 36 - 16
}

/// Adds elements and limits the sums to the full range of a byte.
///
/// # Safety
/// `a`, `b` and `output` must point to `count` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_elements(operands: Operands) {
    naked_asm!(
        save!(),
        // The ends of the operands, and the negative index of an element.
        "adds r5, r0, r3",
        "adds r6, r1, r3",
        "adds r2, r2, r3",
        "mov r8, r2",
        "rsbs r7, r3, #0",
        "ldr r0, [sp, #{first} + 8]",
        "mov r9, r0",
        "ldr r0, [sp, #{first} + 12]",
        "mov r10, r0",
        "ldr r0, [sp, #{second} + 8]",
        "mov r11, r0",
        "ldr r0, [sp, #{second} + 12]",
        "mov r12, r0",
        "ldr r0, [sp, #{output_lower}]",
        "mov lr, r0",
        "2:",
        "ldrsb r0, [r5, r7]",
        "ldr r1, [sp, #{first}]",
        "muls r1, r0, r1",
        "add r1, r9",
        "asrs r1, r1, #11",
        "ldr r2, [sp, #{first} + 4]",
        "muls r0, r2, r0",
        "add r0, r10",
        "adds r0, r0, r1",
        "ldrsb r1, [r6, r7]",
        "ldr r2, [sp, #{second}]",
        "muls r2, r1, r2",
        "add r2, r11",
        "asrs r2, r2, #11",
        "ldr r3, [sp, #{second} + 4]",
        "muls r1, r3, r1",
        "add r1, r12",
        "adds r1, r1, r2",
        // A negative number is decremented, so that its halves are rounded down.
        "asrs r2, r1, #31",
        "adds r1, r1, r2",
        "ldr r2, [sp, #{right_shift}]",
        "asrs r1, r2",
        "adcs r0, r1",
        // The product of the sum as in `requantize_next`.
        "uxth r2, r0",
        "ldr r1, [sp, #{output_upper}]",
        "mov r3, lr",
        "mov r4, lr",
        "asrs r0, r0, #16",
        "bmi 4f",
        multiply_halves!(),
        round_up!(),
        "3:",
        "adds r0, r0, r2",
        "ldr r1, [sp, #{output_shift}]",
        "asrs r0, r1",
        "ldr r1, [sp, #{output_zero_point}]",
        "adcs r0, r1",
        unless_byte!("5f"),
        "6:",
        "mov r1, r8",
        "strb r0, [r1, r7]",
        "adds r7, #1",
        "bne 2b",
        restore!(),
        "pop {{r4, r5, r6, r7, pc}}",
        "4:",
        multiply_halves!(),
        round_down!(),
        "b 3b",
        "5:",
        limit!(),
        "b 6b",
        first = const place(offset_of!(Operands, first)),
        second = const place(offset_of!(Operands, second)),
        right_shift = const place(offset_of!(Operands, right_shift)),
        output_lower = const place(offset_of!(Operands, output_lower)),
        output_upper = const place(offset_of!(Operands, output_upper)),
        output_shift = const place(offset_of!(Operands, output_shift)),
        output_zero_point = const place(offset_of!(Operands, output_zero_point)),
    )
}

/// [`portable::add_some`](crate::portable::add_some): all elements, or none unless the factors are [`AddSub::in_order`].
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let count = output.len();
    let Some([first, second]) = p.in_order(a, b, count) else { return 0 };
    let multiplier = p.output.multiplier.cast_unsigned();
    let operands = Operands {
        a: first.0.as_ptr(),
        b: second.0.as_ptr(),
        output: output.as_mut_ptr(),
        count,
        first: Factor::new(first),
        second: Factor::new(second),
        right_shift: second.2.shift.unsigned_abs(),
        output_lower: multiplier & 0xffff,
        output_upper: multiplier >> 16,
        output_shift: p.output.shift.unsigned_abs().wrapping_sub(1),
        output_zero_point: p.output_zero_point,
    };
    // SAFETY: all three slices have at least `count` elements, which is not 0.
    unsafe { add_elements(operands) };
    if p.activation != ActivationRange::FULL {
        clamp(p.activation, count, 0, 1, output);
    }
    count
}
