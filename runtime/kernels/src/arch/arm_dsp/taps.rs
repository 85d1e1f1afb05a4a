//! Depthwise convolutions with windows of any shape, four channels at a time.
//!
//! Often there are few pixels in a call, so nothing is prepared: a pixel's sums stay in registers from the initial ones to
//! the requantized bytes, and per tap a word of inputs and one of weights are widened.

use super::products::clamp_lines;
use crate::composed;
use crate::lines::tail;
use crate::matrix::Output;
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use core::arch::naked_asm;

/// The operands of [`convolve_pixel`].
#[repr(C)]
struct Operands {
    input: *const i8,
    weights: *const i8,
    /// The distances from one tap to the next, in the input and in the weights.
    runs: [usize; 2],
    /// The distances from the end of a line of taps to the start of the next.
    next_lines: [isize; 2],
    /// The number of lines of taps, and of taps in each.
    line_count: usize,
    run_count: usize,
    initial: *const i32,
    channels: *const Channel,
    output: *mut i8,
    blocks: usize,
    zero_point: i32,
}

/// Computes blocks of four channels of a pixel. Returns 0, or 1 if it ends early at a sum that is too large to be doubled.
///
/// # Safety
/// The operands must describe memory that may be read and written: of each block, four bytes at each tap of the input and of
/// the weights, four initial sums, channels and outputs. There must be a block, a line and a tap.
#[unsafe(naked)]
unsafe extern "C" fn convolve_pixel(operands: &mut Operands) -> u32 {
    naked_asm!(
        core!(),
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "1:",
        "ldr lr, [sp]",
        "ldm lr, {{r8, r10}}",
        "ldrd r6, r11, [lr, #8]",
        "ldrd r9, r7, [lr, #24]",
        "ldr r12, [lr, #32]",
        "ldm r12!, {{r0, r1, r2, r3}}",
        "add r4, r8, #4",
        "add r5, r10, #4",
        "strd r4, r5, [lr]",
        "str r12, [lr, #32]",
        "mov r12, r10",
        "2:",
        "ldr r4, [r8]",
        "ldr r10, [r12]",
        "add r8, r8, r6",
        "add r12, r12, r11",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "sxtb16 lr, r10, ror #8",
        "sxtb16 r10, r10",
        "smlabb r0, r4, r10, r0",
        "smlabb r1, r5, lr, r1",
        "smlatt r2, r4, r10, r2",
        "smlatt r3, r5, lr, r3",
        "subs r7, r7, #1",
        "bne 2b",
        "ldr lr, [sp]",
        "ldrd r4, r5, [lr, #16]",
        "ldr r7, [lr, #28]",
        "subs r9, r9, #1",
        "add r8, r8, r4",
        "add r12, r12, r5",
        "bne 2b",
        "ldrd r6, r7, [lr, #36]",
        "ldrd r8, r9, [lr, #44]",
        ".irp sum, 0, 1, 2, 3",
        "ldrd r4, r5, [r6, #12 * \\sum + 4]",
        requantize!("r4", "r5", "r9", "bvs 9f"),
        ".endr",
        "bfi r0, r1, #8, #8",
        "bfi r0, r2, #16, #8",
        "bfi r0, r3, #24, #8",
        "str r0, [r7], #4",
        "add r6, r6, #48",
        "strd r6, r7, [lr, #36]",
        "subs r8, r8, #1",
        "str r8, [lr, #44]",
        "bne 1b",
        "mov r0, r8",
        "8:",
        "add sp, sp, #4",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".irp sum, 0, 1, 2, 3",
        requantize_seldom!("r4", "r5", "r9"),
        ".endr",
        "9:",
        "mov r0, #1",
        "b 8b",
    )
}

/// [`composed::depthwise`].
#[expect(clippy::too_many_arguments, reason = "the operands of a layer")]
#[inline(never)]
pub(crate) fn depthwise(
    initial: &[i32],
    window: &Window,
    steps: &Steps,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) {
    let count = channels.len();
    let fits = count >= 4
        && initial.len() >= count
        && !window.is_empty()
        && steps.count > 0
        && steps.fit(window, count, [input.len(), weights.len()], outputs.len());
    if fits && compute(initial, window, steps, [input, weights], channels, output.zero_point, outputs) {
        let len = count + steps.output * (steps.count - 1);
        clamp_lines(output.activation, count, steps.output, outputs.get_mut(..len).unwrap_or(&mut []));
    } else {
        composed::depthwise(initial, window, steps, input, weights, channels, output, outputs);
    }
}

/// Computes outputs that are not clamped yet. Returns whether [`convolve_pixel`] could compute all of them.
///
/// The caller has checked that the operands fit their slices, and that there are a pixel, a tap and four channels.
fn compute(
    initial: &[i32],
    window: &Window,
    steps: &Steps,
    operands: [&[i8]; 2],
    channels: &[Channel],
    zero_point: i32,
    outputs: &mut [i8],
) -> bool {
    let count = channels.len();
    let [line, run] = [window.line, window.run];
    let next = |line: usize, run: usize| line.wrapping_sub(window.runs.wrapping_mul(run)).cast_signed();
    let next_lines = [next(line[0], run[0]), next(line[1], run[1])];
    let mut pixel = |input: usize, output: usize, channel: usize, blocks: usize| {
        let mut operands = Operands {
            input: operands[0].as_ptr().wrapping_add(input + channel),
            weights: operands[1].as_ptr().wrapping_add(channel),
            runs: run,
            next_lines,
            line_count: window.lines,
            run_count: window.runs,
            initial: tail(initial, channel).as_ptr(),
            channels: tail(channels, channel).as_ptr(),
            output: outputs.as_mut_ptr().wrapping_add(output + channel),
            blocks,
            zero_point,
        };
        // SAFETY: at each tap and each output, `count` elements from the pixel's first on lie within the slices, and there
        // are as many initial sums and channels; the blocks are within these.
        unsafe { convolve_pixel(&mut operands) == 0 }
    };
    let (mut input, mut output) = (0, 0);
    for _ in 0..steps.count {
        // Channels that are left over are the last of four, some of which are computed again.
        let whole = pixel(input, output, 0, count / 4);
        if !whole || (!count.is_multiple_of(4) && !pixel(input, output, count - 4, 1)) {
            return false;
        }
        (input, output) = (input.wrapping_add(steps.input), output.wrapping_add(steps.output));
    }
    true
}
