//! Products of one input with rows of weights in pairs.
//!
//! Four rows share each load of eight widened inputs: per two inputs and two rows, a word of weights is multiplied as it is,
//! and once more when `SXTB16` has widened its lower bytes. With the loads, 27 instructions for 32 products.

use super::products::{clamp_lines, stay_small};
use super::widen::widen;
use crate::matrix::Output;
use crate::paired::{self, FOUR};
use crate::quant::Channel;
use core::arch::naked_asm;
use core::mem::MaybeUninit;
use tealight_types::can_pair;

/// The number of words of the buffer: of inputs, and of sums between two parts of them.
const BUFFER: usize = 200;

/// The number of fours of rows whose sums are kept between two parts of the input.
const KEPT: usize = 10;

/// The operands of [`multiply_fours`].
#[repr(C)]
struct Fours {
    /// The widened inputs, and their end.
    inputs: [*const u32; 2],
    channels: [*const Channel; 2],
    output: *mut i8,
    /// From the end of a four's part to the start of the next one's.
    skip: usize,
    sums: *mut i32,
    zero_point: i32,
    weights: *const u8,
    /// The number of eights of inputs.
    steps: usize,
    first: u8,
    last: u8,
}

/// The products of two inputs with a pair of rows.
macro_rules! pair {
    ($weights:literal, $input:literal, $both:literal, $first:literal) => {
        concat!(
            "smlad ", $both, ", ", $input, ", ", $weights, ", ", $both, "\n", "sxtb16 ", $weights, ", ", $weights,
            "\n", "smlad ", $first, ", ", $input, ", ", $weights, ", ", $first, "\n",
        )
    };
}

/// The products of four inputs with four rows.
macro_rules! four {
    ($even:literal, $odd:literal) => {
        concat!(
            "ldm r12!, {{r8, r9, r10, r11}}\n",
            pair!("r8", $even, "r0", "r1"),
            pair!("r9", $odd, "r0", "r1"),
            pair!("r10", $even, "r2", "r3"),
            pair!("r11", $odd, "r2", "r3"),
        )
    };
}

/// Multiplies an input, or a part of it, with fours of rows.
///
/// # Safety
/// `fours` must describe memory that may be read and written: at least eight widened inputs, at least four channels, and
/// their outputs and sums; four sums for each four, if there are several parts. Weights must be at multiples of four.
#[unsafe(naked)]
unsafe extern "C" fn multiply_fours(fours: *const Fours) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #44",
        "ldm r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r12}}",
        "stm sp, {{r1, r2, r3, r4, r5, r6, r7, r8}}",
        "ldr r9, [r0]",
        "ldrb r10, [r0, #4]",
        "ldrb r11, [r0, #5]",
        // sp + 32: the step of the loop that is the first. Four steps are in the loop.
        "adr.w r6, 31f",
        "rsb r9, r9, #0",
        "and r9, r9, #3",
        "mov r8, #108",
        "mla r6, r8, r9, r6",
        "orr r6, r6, #1",
        "str r6, [sp, #32]",
        // sp + 36: whether this part is the first; sp + 40: whether it is the last.
        "strd r10, r11, [sp, #36]",
        "20:",
        "ldr r4, [sp, #36]",
        "cbz r4, 21f",
        "mov r0, #0",
        "mov r1, #0",
        "mov r2, #0",
        "mov r3, #0",
        "b 3f",
        "21:",
        "ldr r4, [sp, #24]",
        "ldm r4, {{r0, r1, r2, r3}}",
        "3:",
        "ldr lr, [sp]",
        "ldr pc, [sp, #32]",
        ".p2align 2",
        "31:",
        ".rept 4",
        "ldm.w lr!, {{r4, r5, r6, r7}}",
        four!("r4", "r5"),
        four!("r6", "r7"),
        ".endr",
        "ldr r4, [sp, #4]",
        "cmp lr, r4",
        "bne 31b",
        "ldr r4, [sp, #20]",
        "add r12, r12, r4",
        "ldr r4, [sp, #40]",
        "ldr lr, [sp, #8]",
        "cbnz r4, 51f",
        "ldr r4, [sp, #24]",
        "stm r4!, {{r0, r1, r2, r3}}",
        "str r4, [sp, #24]",
        "add lr, lr, #48",
        "b 5f",
        "51:",
        // The sums of the second rows are 24 bits above those of the first.
        "sub r0, r0, r1",
        "asr r4, r0, #8",
        "sub r2, r2, r3",
        "asr r2, r2, #8",
        "ldr r11, [sp, #28]",
        "ldr r8, [sp, #16]",
        ".irp sum, 1, 4, 3, 2",
        "ldm lr!, {{r5, r6, r7}}",
        "add r\\sum, r\\sum, r5",
        requantize!("r6", "r7", "r11"),
        "strb r\\sum, [r8], #1",
        ".endr",
        "str r8, [sp, #16]",
        "ldr r4, [sp, #24]",
        "add r4, r4, #16",
        "str r4, [sp, #24]",
        "5:",
        "str lr, [sp, #8]",
        "ldr r4, [sp, #12]",
        "cmp lr, r4",
        "bne 20b",
        "add sp, sp, #44",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".irp sum, 1, 4, 3, 2",
        requantize_seldom!("r6", "r7", "r11"),
        ".endr",
    )
}

/// Computes what [`paired::multiply_rows`] does.
#[inline(never)]
pub(crate) fn multiply_paired(weights: &[u8], channels: &[Channel], input: &[i8], output: Output, outputs: &mut [i8]) {
    let (rows, len) = (channels.len(), input.len());
    if !can_pair([rows, len])
        || outputs.len() < rows
        || weights.len() < rows.saturating_mul(len)
        || !weights.as_ptr().addr().is_multiple_of(4)
        || !stay_small(channels, len, 0)
    {
        return paired::multiply_rows(weights, channels, input, output, outputs);
    }
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    // SAFETY: there are weights, channels and outputs for all rows, and no sum overflows when it is doubled.
    unsafe { multiply(weights.as_ptr(), channels, input, output.zero_point, &mut buffer, outputs.as_mut_ptr()) };
    clamp_lines(output.activation, rows, rows, outputs.get_mut(..rows).unwrap_or(&mut []));
}

/// Multiplies an input with fours of rows, part by part if the buffer does not hold all of it.
///
/// # Safety
/// The numbers of channels and inputs must be ones that [`can_pair`] accepts, and there must be weights and outputs
/// for all of them, the weights at a multiple of four.
unsafe fn multiply(
    weights: *const u8,
    channels: &[Channel],
    input: &[i8],
    zero_point: i32,
    buffer: &mut [MaybeUninit<u32>; BUFFER],
    outputs: *mut i8,
) {
    let (steps, rows, four) = (input.len() / 8, channels.len(), FOUR * input.len());
    let fits = 4 * steps <= BUFFER;
    let (room, block) = if fits { (BUFFER, rows) } else { (BUFFER - FOUR * KEPT, FOUR * KEPT) };
    let parts = steps.div_ceil(room / 4);
    let part = steps.div_ceil(parts.max(1));
    let words = buffer.as_mut_ptr().cast::<u32>();
    let mut row = 0;
    while row < rows {
        let end = rows.min(row + block);
        let mut from = 0;
        while from < steps {
            let now = part.min(steps - from);
            // SAFETY: the elements are a part of the input, and the buffer has room for them.
            unsafe { widen(words, input.as_ptr().wrapping_add(8 * from), 0, 2 * now, 1) };
            let channels = channels.as_ptr();
            let fours = Fours {
                inputs: [words, words.wrapping_add(4 * now)],
                channels: [channels.wrapping_add(row), channels.wrapping_add(end)],
                output: outputs.wrapping_add(row),
                skip: four - 32 * now,
                sums: words.wrapping_add(room).cast(),
                zero_point,
                weights: weights.wrapping_add(row / FOUR * four + 32 * from),
                steps: now,
                first: u8::from(from == 0),
                last: u8::from(from + now == steps),
            };
            // SAFETY: the rows, channels and outputs are the caller's, and the buffer has the inputs, and room for the
            // sums if there are several parts.
            unsafe { multiply_fours(&fours) };
            from += now;
        }
        row = end;
    }
}
