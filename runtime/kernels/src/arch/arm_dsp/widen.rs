//! Gathering of inputs, and widening to 16 bits.

use crate::matrix::Inputs;
use core::arch::naked_asm;

/// Widens `groups` times four elements of each of `pixels` pixels, which are `step` elements apart.
///
/// # Safety
/// The elements must be readable, `output` must have `2 * groups * pixels` words, `pixels` must be from 1 to 6 and
/// `groups` not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen(output: *mut u32, input: *const i8, step: usize, groups: usize, pixels: usize) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldr r4, [sp, #36]",
        "sub r5, r4, #1",
        "mla r10, r5, r2, r1",
        "sub r9, r10, r2",
        "sub r8, r9, r2",
        "sub r7, r8, r2",
        "sub r6, r7, r2",
        "sub r5, r6, r2",
        // The last `pixels` of six pieces of code of 16 bytes.
        "adr.w r11, 3f",
        "sub r4, r11, r4, lsl #4",
        "orr r4, r4, #1",
        "bx r4",
        "2:",
        ".irp pixel, r5, r6, r7, r8, r9, r10",
        "ldr r11, [\\pixel], #4",
        "sxtb16 r12, r11",
        "sxtb16 lr, r11, ror #8",
        "strd r12, lr, [r0], #8",
        ".endr",
        "3:",
        "subs r3, r3, #1",
        "it ne",
        "bxne r4",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Copies inputs, so that they have no gaps: one after the other, each line by line. Returns whether it did, which it
/// does if they lie within the values, they fit `output`, and a run has at least four elements.
#[inline(never)]
pub(crate) fn gather(inputs: &Inputs<'_>, output: &mut [i8]) -> bool {
    let len = inputs.lines.saturating_mul(inputs.run);
    if inputs.run < 4
        || len == 0
        || inputs.count == 0
        || inputs.end() > inputs.values.len()
        || inputs.count.saturating_mul(len) > output.len()
    {
        return false;
    }
    let sizes = [inputs.count, inputs.step, inputs.lines, inputs.line, inputs.run];
    // SAFETY: all inputs lie within the values, and the output has room for all of them.
    unsafe { copy_lines(output.as_mut_ptr(), inputs.values.as_ptr(), &sizes) };
    true
}

/// Copies `count` inputs, `step` elements apart, of `lines` runs, `line` elements apart, of `run` elements.
///
/// # Safety
/// The elements must be readable and writable. No size may be 0, except for distances, and `run` must be at least 4.
#[unsafe(naked)]
unsafe extern "C" fn copy_lines(output: *mut i8, input: *const i8, sizes: &[usize; 5]) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r2, {{r4, r5, r6, r7, r8}}",
        "sub r8, r8, #4",
        "1:",
        "mov r9, r1",
        "mov r10, r6",
        "2:",
        "mov r11, r9",
        "subs r3, r8, #0",
        "beq 4f",
        "3:",
        "ldr r12, [r11], #4",
        "subs r3, r3, #4",
        "str r12, [r0], #4",
        "bgt 3b",
        // The last word overlaps the one before by up to three bytes.
        "4:",
        "ldr r12, [r11, r3]",
        "add r0, r0, r3",
        "str r12, [r0], #4",
        "add r9, r9, r7",
        "subs r10, r10, #1",
        "bne 2b",
        "add r1, r1, r5",
        "subs r4, r4, #1",
        "bne 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
