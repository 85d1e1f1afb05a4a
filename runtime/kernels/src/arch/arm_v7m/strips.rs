//! A strip of a depthwise convolution: see [`arm_strips`](crate::arch::arm_strips).

use super::requantize_seldom;
use crate::arch::arm_strips::Strip;
use core::arch::naked_asm;
use core::mem::offset_of;

/// The number of bytes of the load of a column.
pub(crate) const LOAD_SIZE: usize = 4;

/// The number of steps from where a row is entered to the column that is loaded there: columns are loaded in pairs.
pub(crate) const fn lead(entry: usize) -> usize {
    if entry < 6 { entry % 2 } else { 0 }
}

/// The position of a field on the stack: after nine registers.
const fn place(field: usize) -> usize {
    field + 36
}

/// The position of variable `i`, likewise.
const fn variable(i: usize) -> usize {
    place(offset_of!(Strip, variables)) + 4 * i
}

/// Loads a column of a pair and adds its products with weights to the sums of pixels. Uses `r1`.
macro_rules! column {
    (even, $label:literal $(; $sum:literal, $weight:literal)*) => {
        concat!($label, "\nldrsb.w r1, [r0]\n", $("mla ", $sum, ", r1, ", $weight, ", ", $sum, "\n",)*)
    };
    (odd, $label:literal $(; $sum:literal, $weight:literal)*) => {
        concat!(
            $label,
            "\nldrsb.w r1, [r0, r11]\nadd r0, r0, r11, lsl #1\n",
            $("mla ", $sum, ", r1, ", $weight, ", ", $sum, "\n",)*
        )
    };
    // Only goes on to this column, as the one that follows is not the first of a pair.
    (last, $label:literal $(; $sum:literal, $weight:literal)*) => {
        concat!(
            $label,
            "\nldrsb.w r1, [r0, r11]\nadd r0, r0, r11\n",
            $("mla ", $sum, ", r1, ", $weight, ", ", $sum, "\n",)*
        )
    };
}

/// Computes all channels of a strip. The weights of a row are in `r2`, `r3` and `r10`, the next ones at `lr`, the step in
/// `r11`, the sums in `r4` to `r9`, and the next row at `r12`.
///
/// # Safety
/// All operands must lie within allocated memory, and the strip must be one that `depthwise_line` makes.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn convolve_strip(strip: Strip) {
    naked_asm!(
        "push {{r0, r1, r2, r3}}",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // Where the first and the last column are loaded, and where outputs are computed and stored.
        "adr r0, 60f",
        "ldrd r1, r2, [sp, #{entry}]",
        "ldrd r3, r4, [sp, #{first}]",
        "ldrh r5, [r0, r1, lsl #1]",
        "add r3, r3, r5",
        "add r3, r3, r0",
        "adds r3, #1",
        "ldrh r5, [r0, #24]",
        "add r4, r4, r5",
        "add r4, r4, r0",
        "adds r4, #1",
        "str r3, [sp, #{entry}]",
        "str r4, [sp, #{last}]",
        "add r0, r0, r2, lsl #1",
        "ldrh r3, [r0, #26]",
        "ldrh r4, [r0, #38]",
        "sub r0, r0, r2, lsl #1",
        "add r3, r3, r0",
        "add r4, r4, r0",
        "adds r3, #1",
        "adds r4, #1",
        "strd r3, r4, [sp, #{computing}]",
        "ldr r11, [sp, #{step}]",
        // A channel.
        "2:",
        "ldrd lr, r1, [sp, #{weights}]",
        "add r0, lr, #1",
        "str r0, [sp, #{weights}]",
        "ldr r4, [r1]",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "mov r8, r4",
        "mov r9, r4",
        "add r12, sp, #{rows}",
        // A row.
        "3:",
        "ldr r0, [r12]",
        "cmp r0, #1",
        "add r1, r0, #1",
        "bls 4f",
        "str r1, [r12], #4",
        "ldrsb r2, [lr]",
        "ldrsb r3, [lr, r11]",
        "ldrsb r10, [lr, r11, lsl #1]",
        "add lr, lr, r11",
        "add lr, lr, r11, lsl #1",
        "ldr r1, [sp, #{input_zero_point}]",
        "ldr pc, [sp, #{entry}]",
        // A row in the padding.
        "4:",
        "beq 6f",
        "adds r12, #4",
        "ldrsb r2, [lr]",
        "ldrsb r3, [lr, r11]",
        "ldrsb r10, [lr, r11, lsl #1]",
        "add lr, lr, r11",
        "add lr, lr, r11, lsl #1",
        "add r2, r2, r3",
        "add r2, r2, r10",
        "ldr r1, [sp, #{input_zero_point}]",
        "mla r4, r1, r2, r4",
        "mla r5, r1, r2, r5",
        "mla r6, r1, r2, r6",
        "mla r7, r1, r2, r7",
        "mla r8, r1, r2, r8",
        "mla r9, r1, r2, r9",
        "b 3b",
        // Where each pixel is entered, with a stride of 1 and of 2, the last column, and where the outputs of each number of
        // pixels are computed and stored.
        ".p2align 2",
        "60:",
        ".hword 40f - 60b, 41f - 60b, 42f - 60b, 43f - 60b, 44f - 60b, 45f - 60b",
        ".hword 50f - 60b, 51f - 60b, 52f - 60b, 53f - 60b, 54f - 60b, 55f - 60b",
        ".hword 61f - 60b",
        ".hword 70f - 60b, 71f - 60b, 72f - 60b, 73f - 60b, 74f - 60b, 75f - 60b",
        ".hword 80f - 60b, 81f - 60b, 82f - 60b, 83f - 60b, 84f - 60b, 85f - 60b",
        ".p2align 1",
        // The columns but the last one, with a stride of 2.
        column!(even, "50:"; "r4", "r2"),
        column!(odd, ""; "r4", "r3"),
        column!(even, "51:"; "r4", "r10"; "r5", "r2"),
        column!(odd, ""; "r5", "r3"),
        column!(even, "52:"; "r5", "r10"; "r6", "r2"),
        column!(odd, ""; "r6", "r3"),
        column!(even, "53:"; "r6", "r10"; "r7", "r2"),
        column!(odd, ""; "r7", "r3"),
        column!(even, "54:"; "r7", "r10"; "r8", "r2"),
        column!(odd, ""; "r8", "r3"),
        column!(even, "55:"; "r8", "r10"; "r9", "r2"),
        column!(last, ""; "r9", "r3"),
        "b 62f",
        // Likewise, with a stride of 1.
        column!(even, "40:"; "r4", "r2"),
        column!(odd, "41:"; "r4", "r3"; "r5", "r2"),
        column!(even, "42:"; "r4", "r10"; "r5", "r3"; "r6", "r2"),
        column!(odd, "43:"; "r5", "r10"; "r6", "r3"; "r7", "r2"),
        column!(even, "44:"; "r6", "r10"; "r7", "r3"; "r8", "r2"),
        column!(odd, "45:"; "r7", "r10"; "r8", "r3"; "r9", "r2"),
        column!(even, ""; "r8", "r10"; "r9", "r3"),
        "62:",
        "ldr r1, [sp, #{input_zero_point}]",
        "ldr pc, [sp, #{last}]",
        "61:",
        "ldrsb.w r1, [r0, r11]",
        "mla r9, r1, r10, r9",
        "b 3b",
        // The outputs.
        "6:",
        "ldrd r0, r1, [sp, #{channels}]",
        "ldrd r10, r11, [r0, #4]",
        "adds r0, #12",
        "add r2, r1, #1",
        "strd r0, r2, [sp, #{channels}]",
        "ldr r3, [sp, #{zero_point}]",
        "mov r2, #0x40000000",
        "ldr r0, [sp, #{step}]",
        "rsbs r11, r11, #-1",
        "ble 8f",
        "ldr pc, [sp, #{computing}]",
        "70:",
        requantize!("r4"),
        "71:",
        requantize!("r5"),
        "72:",
        requantize!("r6"),
        "73:",
        requantize!("r7"),
        "74:",
        requantize!("r8"),
        "75:",
        requantize!("r9"),
        "7:",
        "mov r11, r0",
        "ldr pc, [sp, #{storing}]",
        "80:",
        "strb r4, [r1]",
        "add r1, r1, r0",
        "81:",
        "strb r5, [r1]",
        "add r1, r1, r0",
        "82:",
        "strb r6, [r1]",
        "add r1, r1, r0",
        "83:",
        "strb r7, [r1]",
        "add r1, r1, r0",
        "84:",
        "strb r8, [r1]",
        "add r1, r1, r0",
        "85:",
        "strb r9, [r1]",
        "add r1, r1, r0",
        "ldr r0, [sp, #{count}]",
        "subs r0, #1",
        "str r0, [sp, #{count}]",
        "bne 2b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "add sp, #16",
        "bx lr",
        // A left shift, or a right shift by one place.
        "8:",
        requantize_seldom!("r4"),
        requantize_seldom!("r5"),
        requantize_seldom!("r6"),
        requantize_seldom!("r7"),
        requantize_seldom!("r8"),
        requantize_seldom!("r9"),
        "b 7b",
        weights = const place(offset_of!(Strip, weights)),
        channels = const place(offset_of!(Strip, channels)),
        count = const place(offset_of!(Strip, count)),
        step = const place(offset_of!(Strip, step)),
        zero_point = const place(offset_of!(Strip, zero_point)),
        input_zero_point = const place(offset_of!(Strip, input_zero_point)),
        rows = const place(offset_of!(Strip, rows)),
        entry = const place(offset_of!(Strip, entry)),
        first = const place(offset_of!(Strip, first)),
        last = const place(offset_of!(Strip, last)),
        computing = const variable(0),
        storing = const variable(1),
        seldom = sym requantize_seldom,
    )
}
