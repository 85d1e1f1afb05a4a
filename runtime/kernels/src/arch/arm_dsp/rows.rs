//! Products of one input with all filters: a matrix times a vector.
//!
//! Weights are used once each, so unpacking them is most of the work: per eight weights one `LDRD`, four `SXTB16`s and
//! four `SMLAD`s. Three filters share each load of eight widened inputs.

use super::widen::widen;
use crate::matrix::{Filters, Inputs};
use crate::quant::Channel;
use core::arch::naked_asm;
use core::mem::MaybeUninit;

/// The number of filters in a tile.
const ROWS: usize = 3;

/// The maximum number of filters whose sums are kept between two parts of the input; a multiple of [`ROWS`].
const BLOCK: usize = 24;

/// The operands of [`multiply_rows`].
#[repr(C)]
struct Rows {
    inputs: [*const u32; 2],
    channels: [*const Channel; 2],
    output: *mut i8,
    len: usize,
    weights: *const i8,
    sums: *mut i32,
    offset: i32,
    zero_point: i32,
    steps: usize,
    first: bool,
    last: bool,
}

/// The products of eight inputs with a row's weights.
macro_rules! row {
    ($weights:literal, $sum:literal) => {
        concat!(
            "ldrd r6, r7, [",
            $weights,
            "], #8\n",
            "sxtb16 r12, r6\n",
            "smlad ",
            $sum,
            ", r8, r12, ",
            $sum,
            "\n",
            "sxtb16 r6, r6, ror #8\n",
            "smlad ",
            $sum,
            ", r9, r6, ",
            $sum,
            "\n",
            "sxtb16 r12, r7\n",
            "smlad ",
            $sum,
            ", r10, r12, ",
            $sum,
            "\n",
            "sxtb16 r7, r7, ror #8\n",
            "smlad ",
            $sum,
            ", r11, r7, ",
            $sum,
            "\n",
        )
    };
}

/// Multiplies an input, or a part of it, with rows of weights, three at a time.
///
/// # Safety
/// `rows` must describe memory that may be read and written: a multiple of eight widened inputs, a multiple of three
/// rows and channels, and their outputs and sums. The weights and their distance must be multiples of four.
#[unsafe(naked)]
unsafe extern "C" fn multiply_rows(rows: *const Rows) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #52",
        "ldm r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "stm sp, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
        "ldrb r4, [r0]",
        "ldrb r5, [r0, #1]",
        "mov r7, r3",
        // sp + 40: the step of the loop that is the first. Four steps are in the loop.
        "adr.w r6, 31f",
        "rsb r11, r11, #0",
        "and r11, r11, #3",
        "mov r10, #112",
        "mla r6, r10, r11, r6",
        "orr r6, r6, #1",
        "str r6, [sp, #40]",
        // sp + 44: the start of a tile; sp + 48: its end.
        "adr.w r6, 20f",
        "cmp r9, #0",
        "beq 2f",
        "adr.w r6, 21f",
        "2:",
        "cbnz r4, 2f",
        "adr.w r6, 22f",
        "2:",
        "orr r6, r6, #1",
        "str r6, [sp, #44]",
        "adr.w r6, 51f",
        "cbnz r5, 2f",
        "adr.w r6, 50f",
        "2:",
        "orr r6, r6, #1",
        "str r6, [sp, #48]",
        "ldr pc, [sp, #44]",
        "22:",
        "ldr r6, [sp, #28]",
        "ldm r6, {{r0, r1, r2}}",
        "b 3f",
        "21:",
        "ldr r6, [sp, #32]",
        "ldr r0, [r7]",
        "ldr r1, [r7, #12]",
        "ldr r2, [r7, #24]",
        "add r0, r0, r6",
        "add r1, r1, r6",
        "add r2, r2, r6",
        "b 3f",
        "20:",
        "ldr r0, [r7]",
        "ldr r1, [r7, #12]",
        "ldr r2, [r7, #24]",
        "3:",
        "ldrd r6, r3, [sp, #20]",
        "add r4, r3, r6",
        "add r5, r4, r6",
        "add r6, r5, r6",
        "str r6, [sp, #24]",
        "ldr lr, [sp]",
        "ldr pc, [sp, #40]",
        "31:",
        ".rept 4",
        "ldm lr!, {{r8, r9, r10, r11}}",
        row!("r3", "r0"),
        row!("r4", "r1"),
        row!("r5", "r2"),
        ".endr",
        "ldr r6, [sp, #4]",
        "cmp lr, r6",
        "bne 31b",
        "ldr r7, [sp, #8]",
        "ldr pc, [sp, #48]",
        "50:",
        "ldr r6, [sp, #28]",
        "stm r6!, {{r0, r1, r2}}",
        "b 5f",
        "51:",
        "ldr r11, [sp, #36]",
        "ldr r8, [sp, #16]",
        ".irp row, 0, 1, 2",
        "ldrd r9, r10, [r7, #\\row * 12 + 4]",
        "rsbs r10, r10, #0",
        "ble 6\\row\\()f",
        "add r\\row, r\\row, r\\row",
        "smmulr r\\row, r\\row, r9",
        // A negative number is decremented, so that its halves are rounded down.
        "add r\\row, r\\row, r\\row, asr #31",
        "asrs r\\row, r\\row, r10",
        "adc r\\row, r\\row, r11",
        "7\\row\\():",
        "ssat r\\row, #8, r\\row",
        "strb r\\row, [r8], #1",
        ".endr",
        "str r8, [sp, #16]",
        "ldr r6, [sp, #28]",
        "add r6, r6, #12",
        "5:",
        "str r6, [sp, #28]",
        "ldr r6, [sp, #12]",
        "add r7, r7, #36",
        "str r7, [sp, #8]",
        "cmp r7, r6",
        "beq 8f",
        "ldr pc, [sp, #44]",
        "8:",
        "add sp, sp, #52",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        // Factors of at least one half, which few layers have: any left shift comes before the product.
        ".irp row, 0, 1, 2",
        "6\\row\\():",
        "rsb r10, r10, #0",
        "lsl r\\row, r\\row, r10",
        "smull r12, r\\row, r\\row, r9",
        "adds r12, r12, r12",
        "adc r\\row, r\\row, r\\row",
        "add r\\row, r\\row, r12, lsr #31",
        "add r\\row, r\\row, r11",
        "b 7\\row\\()b",
        ".endr",
    )
}

/// Whether [`multiply`] supports these operands: the input of a pixel is one run, and weights can be loaded in
/// pairs of words.
pub(super) fn are_supported(filters: &Filters<'_>, inputs: &Inputs<'_>) -> bool {
    inputs.lines == 1
        && filters.len.is_multiple_of(8)
        && filters.channels.len() >= ROWS
        && filters.weights.as_ptr().addr().is_multiple_of(4)
}

/// Multiplies one input with as many filters as fill tiles, and returns their number.
///
/// # Safety
/// The operands must be supported and fit, and the buffer must have at least [`BLOCK`] + 8 words.
#[inline(never)]
pub(super) unsafe fn multiply(
    filters: &Filters<'_>,
    inputs: &Inputs<'_>,
    pixel: usize,
    buffer: &mut [MaybeUninit<u32>],
    outputs: *mut i8,
) -> usize {
    let count = filters.channels.len() - filters.channels.len() % ROWS;
    let (room, block) =
        if filters.len / 2 <= buffer.len() { (buffer.len(), count) } else { (buffer.len() - BLOCK, BLOCK) };
    let steps = filters.len / 8;
    let parts = steps.div_ceil((room / 4).max(1));
    let part = steps.div_ceil(parts.max(1));
    let words = buffer.as_mut_ptr().cast::<u32>();
    let channels = filters.channels.as_ptr();
    for first in (0..count).step_by(block.max(1)) {
        let rows = first..count.min(first + block);
        for from in (0..steps).step_by(part.max(1)) {
            let steps_now = part.min(steps - from);
            let input = inputs.values.as_ptr().wrapping_add(pixel * inputs.step + 8 * from);
            // SAFETY: the elements are a part of the pixel's input, and the buffer has room for them.
            unsafe { widen(words, input, 0, 2 * steps_now, 1) };
            let operands = Rows {
                inputs: [words, words.wrapping_add(4 * steps_now)],
                channels: [channels.wrapping_add(rows.start), channels.wrapping_add(rows.end)],
                output: outputs.wrapping_add(rows.start),
                len: filters.len,
                weights: filters.weights.as_ptr().wrapping_add(rows.start * filters.len + 8 * from),
                sums: words.wrapping_add(room).cast(),
                offset: filters.offset,
                zero_point: filters.output.zero_point,
                steps: steps_now,
                first: from == 0,
                last: from + steps_now == steps,
            };
            // SAFETY: the rows, channels and outputs fit, and the buffer has the inputs, and room for a block's sums if
            // there are several parts.
            unsafe { multiply_rows(&operands) };
        }
    }
    count
}
