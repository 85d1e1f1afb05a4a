//! Arm's M profile with 32-bit Thumb instructions, but without the DSP extension (ARMv7-M: Cortex-M3).
//!
//! One instruction loads a byte with its sign, another multiplies and adds. A tile of two inputs and three rows has its
//! sums, operands and addresses in registers: five loads for six products. A single input is multiplied with six rows.
//! These loops need every register, so they are functions of assembly.
//!
//! Requantization rounds twice by adding to the 64-bit product, before its only shift, whose carry is the last rounding:
//! `product + 2^30`, less `2^31` if the sum is negative, halved by taking the upper half. A shift by less than two places
//! is done in steps.

use super::arm_strips::clamp;
use super::channels;
use crate::lines::tail;
use crate::matrix::{Filters, Inputs, Output};
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use core::arch::naked_asm;
use core::mem::offset_of;
use tealight_types::ActivationRange;

mod sums;

pub(crate) use super::arm_words::copy_run;
pub(crate) use crate::portable::{ROWS, dot_rows};
pub(crate) use strips::{LOAD_SIZE, convolve_strip, lead};
pub(crate) use sums::add_some;

/// As [`portable::SHORTEST_RUN`](crate::portable::SHORTEST_RUN): copying a window of few elements takes longer than a run
/// more in a tile.
pub(crate) const SHORTEST_RUN: usize = 8;

/// The operands of the functions below, which multiply one or two inputs with `groups` groups of rows. `weights`,
/// `channels` and `outputs` are those of the first group, and afterwards those that follow the last one.
///
/// The first five fields are loaded together.
#[repr(C)]
struct Tile {
    /// The first input.
    values: *const i8,
    weights: *const i8,
    /// The distance from the first input to the second.
    step: usize,
    /// The length of a row.
    len: usize,
    /// The number of runs of an input.
    lines: usize,
    /// The length of a run, rounded down to a multiple of four.
    blocks: usize,
    /// The number of the other elements of a run.
    rest: usize,
    /// From the end of a run to the start of the next one.
    gap: usize,
    channels: *const Channel,
    /// Added to each bias.
    offset: i32,
    zero_point: i32,
    outputs: *mut i8,
    /// The distance from the outputs of the first input to those of the second.
    output_step: usize,
    groups: usize,
}

/// Computes for each input `i` and each row `r` of the weights
/// `outputs[i * output_step + r] = requantized(bias[r] + offset + dot product)`.
///
/// If the operands do not fit their slices, nothing is written.
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    if !inputs.fit(filters, output_step, outputs.len()) {
        return;
    }
    let rows = filters.channels.len();
    let mut tile = Tile {
        values: inputs.values.as_ptr(),
        weights: filters.weights.as_ptr(),
        step: inputs.step,
        len: filters.len,
        lines: inputs.lines,
        blocks: inputs.run & !3,
        rest: inputs.run & 3,
        gap: inputs.line.wrapping_sub(inputs.run),
        channels: filters.channels.as_ptr(),
        offset: filters.offset,
        zero_point: filters.output.zero_point,
        outputs: outputs.as_mut_ptr(),
        output_step,
        groups: 0,
    };
    // Four rows are better taken as two pairs than as three and one.
    let twos = match rows % 3 {
        1 => 2,
        rest => rest / 2,
    };
    let mut left = inputs.count;
    while left > 0 {
        let now = if left > 1 && rows > 1 { 2 } else { 1 };
        let start = Tile { ..tile };
        let shapes: [(Function, usize); 3] = match now {
            2 => [(tile_2x3, (rows - 2 * twos) / 3), (tile_2x2, twos), (tile_1x1, 0)],
            _ => [(tile_1x6, rows / 6), (tile_1x2, rows % 6 / 2), (tile_1x1, rows % 2)],
        };
        for (function, groups) in shapes {
            tile.groups = groups;
            if groups > 0 {
                // SAFETY: the inputs, the rows of weights, the channels and the outputs lie within their slices, as `fit`
                // has checked: `left` inputs from `values` on, and as many rows as the groups of all shapes have.
                unsafe { function(&mut tile) };
            }
        }
        tile = Tile {
            values: start.values.wrapping_add(now * inputs.step),
            outputs: start.outputs.wrapping_add(now * output_step),
            ..start
        };
        left -= now;
    }
    if filters.output.activation != ActivationRange::FULL {
        clamp(filters.output.activation, rows, output_step, inputs.count, outputs);
    }
}

/// One of the functions that `tile!` defines.
type Function = unsafe extern "C" fn(&mut Tile);

/// Defines a function that multiplies groups of rows. Each row has the accumulators of the first input and, if there is
/// one, of the second. `$element` multiplies one element and steps on: `r0` points to that of the first input, the second
/// one's is at `r0 + r2`, `r1` points to that of the first row, the rows are `r3` apart, and `r10` to `r12` are free.
/// `$prepare` may set `r2` otherwise, and `$next` moves `r1` from the end of the first row to the next group.
macro_rules! tile {
    (
        $(#[$doc:meta])* $name:ident, $rows:literal,
        [$($row:literal => $first:literal $(, $second:literal)?;)+], $prepare:literal, $element:expr, $next:literal
    ) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// All operands must lie within allocated memory.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(tile: &mut Tile) {
            naked_asm!(
                "push {{r0, r1, r2, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "mov lr, r0",
                "2:",
                "ldrd r1, r10, [lr, #{channels}]",
                $(
                    concat!("ldr ", $first, ", [r1, #12*", $row, "]"),
                    concat!("add ", $first, ", ", $first, ", r10"),
                    $(concat!("mov ", $second, ", ", $first),)?
                )+
                "ldm lr, {{r0, r1, r2, r3, r12}}",
                $prepare,
                "cmp r12, #0",
                "beq 7f",
                // The runs: blocks of four elements, and the rest.
                "3:",
                "str r12, [sp, #4]",
                "ldrd r11, r12, [lr, #{blocks}]",
                "str r12, [sp, #8]",
                "add lr, r0, r11",
                "cmp r11, #0",
                "beq 5f",
                "4:",
                $element,
                $element,
                $element,
                $element,
                "cmp r0, lr",
                "bne 4b",
                "5:",
                "ldr lr, [sp, #8]",
                "cmp lr, #0",
                "beq 6f",
                "5:",
                $element,
                "subs lr, #1",
                "bne 5b",
                "6:",
                "ldr r12, [sp, #4]",
                "ldr lr, [sp]",
                "ldr r11, [lr, #{gap}]",
                "add r0, r0, r11",
                "subs r12, #1",
                "bne 3b",
                "7:",
                $next,
                "str r1, [lr, #{weights}]",
                "ldr r0, [lr, #{channels}]",
                "ldrd r3, r1, [lr, #{zero_point}]",
                "mov r2, #0x40000000",
                $(
                    concat!("ldrd r10, r11, [r0, #12*", $row, "+4]"),
                    "rsbs r11, r11, #-1",
                    concat!("ble 3", $row, "f"),
                    requantize!($first),
                    $(requantize!($second),)?
                    concat!("2", $row, ":"),
                )+
                "ldr lr, [sp]",
                "ldr r12, [lr, #{output_step}]",
                "add r2, r1, r12",
                $(
                    concat!("strb ", $first, ", [r1, #", $row, "]"),
                    $(concat!("strb ", $second, ", [r2, #", $row, "]"),)?
                )+
                concat!("adds r1, #", $rows),
                "str r1, [lr, #{outputs}]",
                concat!("adds r0, #12*", $rows),
                "str r0, [lr, #{channels}]",
                "ldr r12, [lr, #{groups}]",
                "subs r12, #1",
                "str r12, [lr, #{groups}]",
                "bne 2b",
                "pop {{r0, r1, r2, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                $(
                    concat!("3", $row, ":"),
                    requantize_seldom!($first),
                    $(requantize_seldom!($second),)?
                    concat!("b 2", $row, "b"),
                )+
                weights = const offset_of!(Tile, weights),
                blocks = const offset_of!(Tile, blocks),
                gap = const offset_of!(Tile, gap),
                channels = const offset_of!(Tile, channels),
                zero_point = const offset_of!(Tile, zero_point),
                outputs = const offset_of!(Tile, outputs),
                output_step = const offset_of!(Tile, output_step),
                groups = const offset_of!(Tile, groups),
                seldom = sym requantize_seldom,
            )
        }
    };
}

/// Turns an accumulator into an output, with the multiplier in `r10`, a right shift less one in `r11`, the zero point in
/// `r3` and `2^30` in `r2`.
macro_rules! requantize {
    ($sum:literal) => {
        concat!(
            "asr lr, ",
            $sum,
            ", #31\n",
            "add r12, r2, lr, lsl #31\n",
            "smlal r12, lr, ",
            $sum,
            ", r10\n",
            "asrs lr, lr, r11\n",
            "adc lr, lr, r3\n",
            "ssat ",
            $sum,
            ", #8, lr",
        )
    };
}

/// [`requantize!`] with any other shift.
macro_rules! requantize_seldom {
    ($sum:literal) => {
        concat!("mov r12, ", $sum, "\nbl {seldom}\nssat ", $sum, ", #8, r12")
    };
}

// Behind the macros that it uses.
mod strips;

/// Requantizes `r12` with a left shift or a right shift by one place, in the registers of [`requantize!`]. Uses `lr`.
///
/// # Safety
/// It is called by the functions of this module, not by the calling convention that is declared.
#[unsafe(naked)]
unsafe extern "C" fn requantize_seldom() {
    naked_asm!(
        "cmp r11, #-1",
        "bge 2f",
        "mvn r2, r11",
        "lsl r12, r12, r2",
        "2:",
        "smull r2, r12, r12, r10",
        "adds r2, r2, r2",
        "adc r12, r12, r12",
        "add r12, r12, r2, lsr #31",
        "cmp r11, #0",
        "bne 3f",
        "add r12, r12, r12, asr #31",
        "asrs r12, r12, #1",
        "adc r12, r12, #0",
        "3:",
        "add r12, r12, r3",
        "mov r2, #0x40000000",
        "bx lr",
    )
}

tile!(
    /// Multiplies two inputs with three rows.
    tile_2x3, 3,
    [0 => "r4", "r7"; 1 => "r5", "r8"; 2 => "r6", "r9";],
    "",
    concat!(
        "ldrsb r11, [r0, r2]\n",
        "ldrsb r10, [r0], #1\n",
        "ldrsb r12, [r1, r3]\n",
        "mla r5, r10, r12, r5\n",
        "mla r8, r11, r12, r8\n",
        "ldrsb r12, [r1, r3, lsl #1]\n",
        "mla r6, r10, r12, r6\n",
        "mla r9, r11, r12, r9\n",
        "ldrsb r12, [r1], #1\n",
        "mla r4, r10, r12, r4\n",
        "mla r7, r11, r12, r7",
    ),
    "add r1, r1, r3, lsl #1"
);

tile!(
    /// Multiplies two inputs with two rows.
    tile_2x2, 2,
    [0 => "r4", "r7"; 1 => "r5", "r8";],
    "",
    concat!(
        "ldrsb r11, [r0, r2]\n",
        "ldrsb r10, [r0], #1\n",
        "ldrsb r12, [r1, r3]\n",
        "mla r5, r10, r12, r5\n",
        "mla r8, r11, r12, r8\n",
        "ldrsb r12, [r1], #1\n",
        "mla r4, r10, r12, r4\n",
        "mla r7, r11, r12, r7",
    ),
    "add r1, r1, r3"
);

tile!(
    /// Multiplies one input with six rows; `r2` points to the fourth.
    tile_1x6, 6,
    [0 => "r4"; 1 => "r5"; 2 => "r6"; 3 => "r7"; 4 => "r8"; 5 => "r9";],
    "add r2, r1, r3\nadd r2, r2, r3, lsl #1",
    concat!(
        "ldrsb r10, [r0], #1\n",
        "ldrsb r11, [r1, r3]\n",
        "ldrsb r12, [r1, r3, lsl #1]\n",
        "mla r5, r10, r11, r5\n",
        "mla r6, r10, r12, r6\n",
        "ldrsb r11, [r1, r3, lsl #2]\n",
        "ldrsb r12, [r2, r3, lsl #1]\n",
        "mla r8, r10, r11, r8\n",
        "mla r9, r10, r12, r9\n",
        "ldrsb r11, [r1], #1\n",
        "ldrsb r12, [r2], #1\n",
        "mla r4, r10, r11, r4\n",
        "mla r7, r10, r12, r7",
    ),
    "add r1, r1, r3\nadd r1, r1, r3, lsl #2"
);

tile!(
    /// Multiplies one input with two rows.
    tile_1x2, 2,
    [0 => "r4"; 1 => "r5";],
    "",
    concat!(
        "ldrsb r10, [r0], #1\n",
        "ldrsb r11, [r1, r3]\n",
        "ldrsb r12, [r1], #1\n",
        "mla r5, r10, r11, r5\n",
        "mla r4, r10, r12, r4",
    ),
    "add r1, r1, r3"
);

tile!(
    /// Multiplies one input with one row.
    tile_1x1, 1,
    [0 => "r4";],
    "",
    concat!("ldrsb r10, [r0], #1\n", "ldrsb r12, [r1], #1\n", "mla r4, r10, r12, r4"),
    ""
);

/// The number of channels whose taps are summed in registers.
const BLOCK: usize = 8;

/// A window's taps for [`add_taps`]; neither number is 0.
#[repr(C)]
struct Taps {
    lines: usize,
    runs: usize,
    /// Distances from one tap to the next, in the input and in the weights.
    run: [usize; 2],
    /// Distances from the end of a kernel row to the next one.
    gap: [usize; 2],
}

impl Taps {
    fn of(window: &Window) -> Self {
        let Window { lines, runs, line, run } = *window;
        let gap = |k: [usize; 2]| k[0].wrapping_sub(runs.wrapping_mul(k[1]));
        Self { lines, runs, run, gap: [gap([line[0], run[0]]), gap([line[1], run[1]])] }
    }
}

impl channels::Taps<BLOCK> for Taps {
    #[inline(always)]
    unsafe fn add(&self, window: &Window, sums: &mut [i32; BLOCK], input: &[i8], weights: &[i8], at: usize) {
        if !window.is_empty() {
            let (input, weights) = (input.as_ptr().wrapping_add(at), weights.as_ptr().wrapping_add(at));
            // SAFETY: the caller's; the window has taps.
            unsafe { add_taps(sums, input, weights, self) };
        }
    }
}

/// Computes `channels.len()` channels of adjacent pixels of a depthwise convolution: see [`crate::composed::depthwise`].
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
    if !steps.fit(window, count, [input.len(), weights.len()], outputs.len()) {
        return;
    }
    let taps = Taps::of(window);
    let (mut input, mut outputs, mut left) = (input, outputs, steps.count);
    let adjacent = window.runs == 3 && window.run == [steps.input; 2];
    while adjacent && left >= 3 && count > 0 && window.lines > 0 {
        let mut triple = Triple {
            input: input.as_ptr(),
            weights: weights.as_ptr(),
            initial: initial.as_ptr(),
            channels: channels.as_ptr(),
            outputs: outputs.as_mut_ptr(),
            zero_point: output.zero_point,
            line: window.line,
            step: steps.input,
            lines: window.lines,
            output_step: steps.output,
            count: count.min(initial.len()),
        };
        // SAFETY: the windows of `left` pixels and their outputs lie within the slices, as `fit` has checked.
        unsafe { depthwise_triple(&mut triple) };
        if output.activation != ActivationRange::FULL {
            clamp(output.activation, count, steps.output, 3, outputs);
        }
        input = tail(input, 3 * steps.input);
        outputs = outputs.get_mut(3 * steps.output..).unwrap_or(&mut []);
        left -= 3;
    }
    let steps = Steps { count: left, ..*steps };
    // SAFETY: the operands of the pixels that are left fit, and the taps are those of the window.
    unsafe { channels::depthwise(initial, window, &steps, input, weights, channels, output, outputs, &taps) };
}

/// Three adjacent pixels of a depthwise convolution, whose windows are three taps wide and move by one tap.
///
/// The first five fields are loaded together, and are then those of the next channel.
#[repr(C)]
struct Triple {
    input: *const i8,
    weights: *const i8,
    initial: *const i32,
    channels: *const Channel,
    outputs: *mut i8,
    zero_point: i32,
    /// Distances from one kernel row to the next, in the input and in the weights.
    line: [usize; 2],
    /// The distance from one tap to the next in both, and from one pixel to the next.
    step: usize,
    /// The number of kernel rows, not 0.
    lines: usize,
    output_step: usize,
    /// The number of channels, not 0.
    count: usize,
}

/// Computes all channels of three pixels: five columns of the input and three of weights in a kernel row are loaded once
/// for nine products.
///
/// # Safety
/// All operands must lie within allocated memory.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_triple(triple: &mut Triple) {
    naked_asm!(
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov lr, r0",
        "2:",
        "ldm lr, {{r0, r1, r7, r8, r9}}",
        "ldr r4, [r7], #4",
        "add r5, r0, #1",
        "add r6, r1, #1",
        "add r8, r8, #12",
        "add r9, r9, #1",
        "stm lr, {{r5, r6, r7, r8, r9}}",
        "mov r5, r4",
        "mov r6, r4",
        "ldrd r11, r12, [lr, #{line}]",
        "ldrd r2, lr, [lr, #{step}]",
        "3:",
        "ldrsb r7, [r1]",
        "ldrsb r8, [r1, r2]",
        "ldrsb r9, [r1, r2, lsl #1]",
        "ldrsb r10, [r0]",
        "ldrsb r3, [r0, r2]",
        "mla r4, r10, r7, r4",
        "mla r4, r3, r8, r4",
        "mla r5, r3, r7, r5",
        "ldrsb r10, [r0, r2, lsl #1]",
        "add r3, r0, r2",
        "ldrsb r3, [r3, r2, lsl #1]",
        "mla r4, r10, r9, r4",
        "mla r5, r10, r8, r5",
        "mla r6, r10, r7, r6",
        "ldrsb r10, [r0, r2, lsl #2]",
        "mla r5, r3, r9, r5",
        "mla r6, r3, r8, r6",
        "mla r6, r10, r9, r6",
        "add r0, r0, r11",
        "add r1, r1, r12",
        "subs lr, #1",
        "bne 3b",
        "ldr lr, [sp]",
        "ldr r0, [lr, #{channels}]",
        "ldrd r1, r3, [lr, #{outputs}]",
        "ldrd r10, r11, [r0, #-8]",
        "mov r2, #0x40000000",
        "rsbs r11, r11, #-1",
        "ble 5f",
        requantize!("r4"),
        requantize!("r5"),
        requantize!("r6"),
        "4:",
        "ldr lr, [sp]",
        "ldrd r12, r0, [lr, #{output_step}]",
        "strb r4, [r1, #-1]!",
        "strb r5, [r1, r12]",
        "strb r6, [r1, r12, lsl #1]",
        "subs r0, #1",
        "str r0, [lr, #{count}]",
        "bne 2b",
        "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        "5:",
        requantize_seldom!("r4"),
        requantize_seldom!("r5"),
        requantize_seldom!("r6"),
        "b 4b",
        line = const offset_of!(Triple, line),
        step = const offset_of!(Triple, step),
        channels = const offset_of!(Triple, channels),
        outputs = const offset_of!(Triple, outputs),
        output_step = const offset_of!(Triple, output_step),
        count = const offset_of!(Triple, count),
        seldom = sym requantize_seldom,
    )
}

/// [`portable::multiply_taps`](crate::portable::multiply_taps): eight channels at a time.
#[inline(never)]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    // SAFETY: the taps are those of the window.
    unsafe { channels::multiply_taps(accumulators, window, input, weights, &Taps::of(window)) };
}

/// Adds the products of every tap of eight channels to their sums.
///
/// # Safety
/// `input` and `weights` must point to the first tap, and eight elements of every tap must lie within allocated memory.
#[unsafe(naked)]
unsafe extern "C" fn add_taps(sums: &mut [i32; BLOCK], input: *const i8, weights: *const i8, taps: &Taps) {
    naked_asm!(
        "push {{r0, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        "sub sp, #8",
        "ldm r0, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "ldr r12, [r3, #{lines}]",
        "2:",
        "str r12, [sp, #4]",
        "ldr r0, [r3, #{runs}]",
        "ldrd r3, lr, [r3, #{run}]",
        "3:",
        "str r0, [sp]",
        ".irp at, 0, 1, 2, 3, 4, 5, 6, 7",
        "ldrsb r0, [r1, #\\at]",
        "ldrsb r12, [r2, #\\at]",
        ".if \\at == 0",
        "mla r4, r0, r12, r4",
        ".elseif \\at == 1",
        "mla r5, r0, r12, r5",
        ".elseif \\at == 2",
        "mla r6, r0, r12, r6",
        ".elseif \\at == 3",
        "mla r7, r0, r12, r7",
        ".elseif \\at == 4",
        "mla r8, r0, r12, r8",
        ".elseif \\at == 5",
        "mla r9, r0, r12, r9",
        ".elseif \\at == 6",
        "mla r10, r0, r12, r10",
        ".else",
        "mla r11, r0, r12, r11",
        ".endif",
        ".endr",
        "add r1, r1, r3",
        "add r2, r2, lr",
        "ldr r0, [sp]",
        "subs r0, #1",
        "bne 3b",
        "ldr r3, [sp, #12]",
        "ldrd r0, r12, [r3, #{gap}]",
        "add r1, r1, r0",
        "add r2, r2, r12",
        "ldr r12, [sp, #4]",
        "subs r12, #1",
        "bne 2b",
        "ldr r0, [sp, #8]",
        "stm r0, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "add sp, #8",
        "pop {{r0, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
        lines = const offset_of!(Taps, lines),
        runs = const offset_of!(Taps, runs),
        run = const offset_of!(Taps, run),
        gap = const offset_of!(Taps, gap),
    )
}

/// [`portable::requantize`](crate::portable::requantize).
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    let len = accumulators.len().min(channels.len()).min(outputs.len());
    if len == 0 {
        return;
    }
    // SAFETY: each slice has `len` elements, at least one.
    unsafe { requantize_all(accumulators.as_ptr(), channels.as_ptr(), outputs.as_mut_ptr(), len, zero_point) };
    if activation != ActivationRange::FULL {
        clamp(activation, len, 0, 1, outputs);
    }
}

/// Requantizes `len` accumulators to the full range of a byte; `len` is not 0.
///
/// # Safety
/// The pointers must be those of `len` elements each.
#[unsafe(naked)]
unsafe extern "C" fn requantize_all(
    accumulators: *const i32,
    channels: *const Channel,
    outputs: *mut i8,
    len: usize,
    zero_point: i32,
) {
    naked_asm!(
        "push {{r4, r5, r6, r10, r11, lr}}",
        "mov r5, r2",
        "mov r6, r3",
        "ldr r3, [sp, #24]",
        "mov r2, #0x40000000",
        "adds r1, #4",
        "2:",
        "ldr r4, [r0], #4",
        "ldrd r10, r11, [r1], #12",
        "rsbs r11, r11, #-1",
        "ble 4f",
        requantize!("r4"),
        "3:",
        "strb r4, [r5], #1",
        "subs r6, #1",
        "bne 2b",
        "pop {{r4, r5, r6, r10, r11, pc}}",
        "4:",
        requantize_seldom!("r4"),
        "b 3b",
        seldom = sym requantize_seldom,
    )
}
