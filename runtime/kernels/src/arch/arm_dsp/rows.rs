//! Products of one input with all filters: a matrix times a vector.
//!
//! Weights are used once each, so unpacking them is most of the work: per eight weights one `LDRD`, four `SXTB16`s and
//! four `SMLAD`s. Three filters share each load of eight widened inputs.

use super::definition;
use super::products::{clamp_lines, stay_small};
use super::widen::widen;
use crate::matrix::{Filters, Inputs};
use crate::paths::{DSP_ROWS, is_dsp_row};
use crate::quant::Channel;
use core::arch::naked_asm;
use core::mem::MaybeUninit;
use core::ops::Range;

/// The number of filters in a tile.
const ROWS: usize = DSP_ROWS;

/// The minimum number of filters whose sums are kept between two parts of the input; a multiple of [`ROWS`].
const BLOCK: usize = 24;

/// The number of words of the buffer of [`multiply_vector`].
const VECTOR: usize = 200;

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
            instruction!("smlad", $sum, "r8", "r12", $sum),
            "sxtb16 r6, r6, ror #8\n",
            instruction!("smlad", $sum, "r9", "r6", $sum),
            "sxtb16 r12, r7\n",
            instruction!("smlad", $sum, "r10", "r12", $sum),
            "sxtb16 r7, r7, ror #8\n",
            instruction!("smlad", $sum, "r11", "r7", $sum),
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
        ".irp sum, 0, 1, 2",
        "ldrd r5, r6, [r7, #\\sum * 12 + 4]",
        requantize!("r5", "r6", "r11"),
        "strb r\\sum, [r8], #1",
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
        ".irp sum, 0, 1, 2",
        requantize_seldom!("r5", "r6", "r11"),
        ".endr",
    )
}

/// Whether [`multiply`] supports these operands: the input of a pixel is one run, and weights can be loaded in
/// pairs of words.
pub(super) fn are_supported(filters: &Filters<'_>, inputs: &Inputs<'_>) -> bool {
    inputs.lines == 1
        && is_dsp_row(filters.len)
        && filters.channels.len() >= ROWS
        && filters.weights.as_ptr().addr().is_multiple_of(4)
}

/// Multiplies a vector with all filters as [`composed::multiply`](crate::composed::multiply) does one input. Returns
/// whether it did, which it does if the operands fit and are supported, and no sum can be larger than 2^30.
#[inline(never)]
pub(crate) fn multiply_vector(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) -> bool {
    let inputs = Inputs::one(input);
    if !inputs.fit(filters, 0, outputs.len())
        || !are_supported(filters, &inputs)
        || !stay_small(filters.channels, filters.len, filters.offset)
    {
        return false;
    }
    let mut buffer = [MaybeUninit::uninit(); VECTOR];
    // SAFETY: the operands fit and are supported.
    unsafe { multiply(filters, input.as_ptr(), &mut buffer, outputs.as_mut_ptr()) };
    let outputs = outputs.get_mut(..filters.channels.len()).unwrap_or(&mut []);
    clamp_lines(filters.output.activation, filters.channels.len(), filters.channels.len(), outputs);
    true
}

/// Multiplies a vector with the filters that [`multiply_vector`] does not support, for programs that link no other
/// products: few rows, and channels with large biases.
pub(crate) fn multiply_others(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) {
    let inputs = Inputs::one(input);
    if inputs.fit(filters, 0, outputs.len()) {
        definition::multiply(filters, &inputs, 0, outputs);
    }
}

/// Multiplies one input with all filters. Where they fill no tile, the last three are computed, some of them again.
///
/// # Safety
/// The operands must be supported and fit, and the buffer must have at least 32 words.
#[inline(never)]
pub(super) unsafe fn multiply(
    filters: &Filters<'_>,
    input: *const i8,
    buffer: &mut [MaybeUninit<u32>],
    outputs: *mut i8,
) {
    let count = filters.channels.len();
    let whole = count - count % ROWS;
    let fits = filters.len / 2 <= buffer.len();
    let block = if fits { whole } else { BLOCK.max(buffer.len() / 4).next_multiple_of(ROWS) };
    let room = if fits { buffer.len() } else { buffer.len() - block };
    if fits {
        // SAFETY: the buffer has room for all elements.
        unsafe { widen(buffer.as_mut_ptr().cast(), input, 0, filters.len / 4, 1) };
    }
    let mut first = 0;
    while first < count {
        let end = count.min(first + block);
        // A block ends with whole tiles; the first has none before it to begin with.
        let end = if (end - first).next_multiple_of(ROWS) > end { whole } else { end };
        let rows = end - (end - first).next_multiple_of(ROWS)..end;
        // SAFETY: the operands are the caller's, and the buffer has the whole input, or room for a part of it and for the
        // block's sums.
        unsafe { multiply_block(filters, rows, input, buffer, room, outputs) };
        first = end;
    }
}

/// Multiplies one input with a block of filters, a multiple of three, part by part if it has more elements than the first
/// `room` words of the buffer hold, in which all of it is otherwise.
///
/// # Safety
/// The operands must be supported and fit. If there are several parts, the buffer must have room for a sum of each filter
/// after the first `room` words.
unsafe fn multiply_block(
    filters: &Filters<'_>,
    rows: Range<usize>,
    input: *const i8,
    buffer: &mut [MaybeUninit<u32>],
    room: usize,
    outputs: *mut i8,
) {
    let steps = filters.len / 8;
    let parts = steps.div_ceil((room / 4).max(1));
    let part = steps.div_ceil(parts.max(1));
    let words = buffer.as_mut_ptr().cast::<u32>();
    let channels = filters.channels.as_ptr();
    let mut from = 0;
    while from < steps {
        let now = part.min(steps - from);
        if parts > 1 {
            // SAFETY: the elements are a part of the input, and the buffer has room for them.
            unsafe { widen(words, input.wrapping_add(8 * from), 0, 2 * now, 1) };
        }
        let operands = Rows {
            inputs: [words, words.wrapping_add(4 * now)],
            channels: [channels.wrapping_add(rows.start), channels.wrapping_add(rows.end)],
            output: outputs.wrapping_add(rows.start),
            len: filters.len,
            weights: filters.weights.as_ptr().wrapping_add(rows.start * filters.len + 8 * from),
            sums: words.wrapping_add(room).cast(),
            offset: filters.offset,
            zero_point: filters.output.zero_point,
            steps: now,
            first: from == 0,
            last: from + now == steps,
        };
        // SAFETY: the rows, channels and outputs fit, and the buffer has the inputs, and room for the sums if there are
        // several parts.
        unsafe { multiply_rows(&operands) };
        from += now;
    }
}
