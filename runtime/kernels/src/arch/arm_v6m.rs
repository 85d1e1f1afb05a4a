//! Arm's M profile with 16-bit Thumb instructions alone (ARMv6-M: Cortex-M0 and M0+).
//!
//! Eight registers take part in most instructions. A byte is loaded with its sign only at the sum of two of them, a product
//! overwrites a factor, and there is no 64-bit product. An input is multiplied with four rows: one index serves all five
//! addresses, and the sums are in the upper registers, which an addition can reach.
//!
//! Requantization composes the upper half of the 64-bit product of four products of halves, with what the two roundings
//! need added on the way, and shifts once. The carry of the shift is the last rounding.

use super::arm_strips::clamp;
use super::channels;
use crate::lines::{copy, tail};
use crate::matrix::{Filters, Inputs, Output};
use crate::portable::{self, Steps, Window};
use crate::quant::{Channel, requantize_accumulator};
use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use tealight_types::ActivationRange;

pub(crate) use crate::portable::{ROWS, dot_rows};
pub(crate) use strips::{LOAD_SIZE, convolve_strip, lead};
pub(crate) use sums::add_some;

/// Keeps the registers that a function must not change, behind which its stack begins.
macro_rules! save {
    () => {
        "push {{r4, r5, r6, r7, lr}}
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        push {{r4, r5, r6, r7}}"
    };
}

/// Restores the upper ones of these registers. The lower ones and the return address are then the first of the stack.
macro_rules! restore {
    () => {
        "pop {{r4, r5, r6, r7}}
        mov r8, r4
        mov r9, r5
        mov r10, r6
        mov r11, r7"
    };
}

/// Multiplies a sum, whose halves are in `r0` and `r2`, with a multiplier of the halves `r1` and `r3`, and again `r4`:
/// the upper half of the product is `r0` and the upper half of `r2`. Changes `r3` and `r4`. See [`requantize_next`].
macro_rules! multiply_halves {
    () => {
        "muls r4, r2, r4
        lsrs r4, r4, #16
        muls r3, r0, r3
        muls r2, r1, r2
        muls r0, r1, r0
        adds r2, r2, r3
        adds r2, r2, r4"
    };
}

/// The upper half of `r2` and `2^14`.
macro_rules! round_up {
    () => {
        "lsrs r2, r2, #14
        adds r2, #1
        lsrs r2, r2, #2"
    };
}

/// The upper half of `r2` less `2^14`, with its sign.
macro_rules! round_down {
    () => {
        "asrs r2, r2, #14
        subs r2, #1
        asrs r2, r2, #2"
    };
}

/// Branches unless `r0` is in the range of a byte. Changes `r2`.
macro_rules! unless_byte {
    ($label:literal) => {
        concat!("sxtb r2, r0\ncmp r2, r0\nbne ", $label)
    };
}

/// The end of the range of a byte that is nearest to `r0`, which is outside of it. Changes `r2`.
macro_rules! limit {
    () => {
        "asrs r0, r0, #31
        movs r2, #127
        eors r0, r2"
    };
}

// Behind the macros that they use.
mod strips;
mod sums;

/// As [`portable::SHORTEST_RUN`]: copying a window of few elements takes longer than a run more in a tile.
pub(crate) const SHORTEST_RUN: usize = 8;

/// The operands of the functions below, which multiply an input with `groups` groups of rows. `weights`, `channels` and
/// `outputs` are those of the first group, and afterwards those that follow the last one.
#[repr(C)]
struct Tile {
    /// The end of the first run of the input.
    values: *const i8,
    weights: *const i8,
    /// The length of a row.
    len: usize,
    /// The number of runs of an input; 0 if they are empty.
    lines: usize,
    /// The length of a run, negative.
    negative_run: usize,
    /// From one run to the next in the input.
    line: usize,
    channels: *const Channel,
    /// Added to each bias.
    offset: i32,
    zero_point: i32,
    outputs: *mut i8,
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
    let (mut values, mut bytes) = (inputs.values.as_ptr().wrapping_add(inputs.run), outputs.as_mut_ptr());
    for _ in 0..inputs.count {
        let mut tile = Tile {
            values,
            weights: filters.weights.as_ptr(),
            len: filters.len,
            lines: if inputs.run == 0 { 0 } else { inputs.lines },
            negative_run: inputs.run.wrapping_neg(),
            line: inputs.line,
            channels: filters.channels.as_ptr(),
            offset: filters.offset,
            zero_point: filters.output.zero_point,
            outputs: bytes,
            groups: rows / 4,
        };
        if rows >= 4 {
            // SAFETY: the input, the rows, their channels and their outputs lie within their slices, as `fit` has checked.
            unsafe { tile_1x4(&mut tile) };
        }
        tile.groups = rows % 4;
        if tile.groups > 0 {
            // SAFETY: likewise; `tile` has advanced by four rows a group.
            unsafe { tile_1x1(&mut tile) };
        }
        values = values.wrapping_add(inputs.step);
        bytes = bytes.wrapping_add(output_step);
    }
    if filters.output.activation != ActivationRange::FULL {
        clamp(filters.output.activation, rows, output_step, inputs.count, outputs);
    }
}

/// Adds the products of an element with its weights to their sums, and goes on to the next.
macro_rules! multiply_element {
    ($($weights:literal, $sum:literal);+) => {
        concat!(
            "ldrsb r6, [r0, r5]\n",
            $("ldrsb r7, [", $weights, ", r5]\nmuls r7, r6, r7\nadd ", $sum, ", r7\n",)+
            "adds r5, #1",
        )
    };
}

/// Defines a function that multiplies groups of rows with an input. `r0` points to the end of a run of the input, and the
/// registers from `r1` on to those of the rows; `r5` is the negative index of an element. `r6` and `r7` are free.
macro_rules! tile {
    (
        $(#[$doc:meta])* $name:ident, $rows:literal, $last:literal,
        [$($row:literal => $weights:literal, $sum:literal, $before:literal;)+]
    ) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// All operands must lie within allocated memory, and the number of groups must not be 0.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(tile: &mut Tile) {
            naked_asm!(
                save!(),
                "push {{r0}}",
                "sub sp, #8",
                "2:",
                "ldr r1, [r0, #{channels}]",
                "ldr r2, [r0, #{offset}]",
                $(
                    concat!("ldr r3, [r1, #12*", $row, "]"),
                    "adds r3, r3, r2",
                    concat!("mov ", $sum, ", r3"),
                )+
                // The ends of the rows, up to the next group.
                "ldr r5, [r0, #{len}]",
                "ldr r1, [r0, #{weights}]",
                $(concat!("adds ", $weights, ", ", $before, ", r5"),)+
                concat!("str ", $last, ", [r0, #{weights}]"),
                "ldr r6, [r0, #{lines}]",
                "str r6, [sp]",
                "ldr r5, [r0, #{negative_run}]",
                "cmp r6, #1",
                "beq 3f",
                "bhs 9f",
                "b 7f",
                // The ends of the first runs of several.
                "9:",
                "ldr r7, [r0, #{len}]",
                "adds r7, r7, r5",
                $(concat!("subs ", $weights, ", ", $weights, ", r7"),)+
                "3:",
                "ldr r0, [r0, #{values}]",
                // The elements that are no block of eight.
                "3:",
                "lsls r6, r5, #29",
                "beq 5f",
                "4:",
                multiply_element!($($weights, $sum);+),
                "lsls r6, r5, #29",
                "bne 4b",
                "cmp r5, #0",
                "beq 6f",
                "5:",
                ".rept 8",
                multiply_element!($($weights, $sum);+),
                ".endr",
                "bne 5b",
                "6:",
                "ldr r5, [sp]",
                "subs r5, #1",
                "bne 9f",
                "7:",
                "ldr r0, [sp, #8]",
                "ldr r7, [r0, #{channels}]",
                "ldr r6, [r0, #{zero_point}]",
                "ldr r1, [r0, #{outputs}]",
                "str r1, [sp]",
                concat!("adds r1, #", $rows),
                "str r1, [r0, #{outputs}]",
                $(
                    concat!("mov r0, ", $sum),
                    "bl {requantize}",
                    "ldr r2, [sp]",
                    concat!("strb r0, [r2, #", $row, "]"),
                )+
                "ldr r0, [sp, #8]",
                "str r7, [r0, #{channels}]",
                "ldr r1, [r0, #{groups}]",
                "subs r1, #1",
                "str r1, [r0, #{groups}]",
                "beq 8f",
                "b 2b",
                "8:",
                "add sp, #12",
                restore!(),
                "pop {{r4, r5, r6, r7, pc}}",
                // The next run.
                "9:",
                "str r5, [sp]",
                "ldr r6, [sp, #8]",
                "ldr r7, [r6, #{line}]",
                "adds r0, r0, r7",
                "ldr r5, [r6, #{negative_run}]",
                $(concat!("subs ", $weights, ", ", $weights, ", r5"),)+
                "b 3b",
                values = const offset_of!(Tile, values),
                weights = const offset_of!(Tile, weights),
                len = const offset_of!(Tile, len),
                lines = const offset_of!(Tile, lines),
                negative_run = const offset_of!(Tile, negative_run),
                line = const offset_of!(Tile, line),
                channels = const offset_of!(Tile, channels),
                offset = const offset_of!(Tile, offset),
                zero_point = const offset_of!(Tile, zero_point),
                outputs = const offset_of!(Tile, outputs),
                groups = const offset_of!(Tile, groups),
                requantize = sym requantize_next,
            )
        }
    };
}

tile!(
    /// Multiplies an input with four rows.
    tile_1x4, 4, "r4",
    [0 => "r1", "r8", "r1"; 1 => "r2", "r9", "r1"; 2 => "r3", "r10", "r2"; 3 => "r4", "r11", "r3";]
);

tile!(
    /// Multiplies an input with one row.
    tile_1x1, 1, "r1",
    [0 => "r1", "r8", "r1";]
);

/// Requantizes `r0` to the full range of a byte, with the channel at `r7`, which is moved to the next one, and the zero
/// point in `r6`. Changes `r1` to `r5`.
///
/// With the halves of the sum, `a`, and of the multiplier, `m`, the upper half of their product is `a1 * m1` and that of
/// `a1 * m0 + a0 * m1 + (a0 * m0 >> 16)`. To this sum, `2^14` is added for the first rounding; for a negative `a`, `2^15`
/// is subtracted, so that halves go down in the second one.
///
/// # Safety
/// It is called by the functions of this module, not by the calling convention that is declared.
#[unsafe(naked)]
unsafe extern "C" fn requantize_next() {
    naked_asm!(
        "ldm r7!, {{r1, r3, r5}}",
        // A right shift less one.
        "adds r5, #1",
        "rsbs r5, r5, #0",
        "ble 6f",
        "uxth r2, r0",
        "lsrs r1, r3, #16",
        "uxth r3, r3",
        "mov r4, r3",
        "asrs r0, r0, #16",
        "bmi 3f",
        multiply_halves!(),
        round_up!(),
        "2:",
        "adds r0, r0, r2",
        "asrs r0, r5",
        "adcs r0, r6",
        unless_byte!("4f"),
        "bx lr",
        "3:",
        multiply_halves!(),
        round_down!(),
        "b 2b",
        "4:",
        limit!(),
        "bx lr",
        "6:",
        "push {{r4, lr}}",
        "mov r1, r7",
        "subs r1, #12",
        "mov r2, r6",
        "bl {seldom}",
        "pop {{r4, pc}}",
        seldom = sym seldom,
    )
}

/// Requantizes with a left shift or a right shift by one place.
extern "C" fn seldom(sum: i32, channel: &Channel, zero_point: i32) -> i32 {
    requantize_accumulator(sum, channel, zero_point, ActivationRange::FULL).into()
}

/// [`portable::requantize`].
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
    let start = outputs.as_mut_ptr();
    // SAFETY: each slice has `len` elements, at least one.
    unsafe { requantize_all(accumulators.as_ptr(), channels.as_ptr(), start, start.wrapping_add(len), zero_point) };
    if activation != ActivationRange::FULL {
        clamp(activation, len, 0, 1, outputs);
    }
}

/// Requantizes accumulators to the full range of a byte, until `outputs` has reached `end`.
///
/// # Safety
/// The pointers must be those of as many elements each, not 0.
#[unsafe(naked)]
unsafe extern "C" fn requantize_all(
    accumulators: *const i32,
    channels: *const Channel,
    outputs: *mut i8,
    end: *mut i8,
    zero_point: i32,
) {
    naked_asm!(
        "push {{r4, r5, r6, r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "push {{r4, r5, r6}}",
        "mov r8, r0",
        "mov r7, r1",
        "mov r9, r2",
        "mov r10, r3",
        "ldr r6, [sp, #32]",
        "2:",
        "mov r1, r8",
        "ldm r1!, {{r0}}",
        "mov r8, r1",
        "bl {requantize}",
        "mov r1, r9",
        "strb r0, [r1]",
        "adds r1, #1",
        "mov r9, r1",
        "cmp r1, r10",
        "bne 2b",
        "pop {{r4, r5, r6}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "pop {{r4, r5, r6, r7, pc}}",
        requantize = sym requantize_next,
    )
}

/// [`copy`], byte by byte: for few elements, faster than a call of `memcpy`.
#[inline(never)]
pub(crate) fn copy_run(output: &mut [i8], input: &[i8]) {
    let len = output.len().min(input.len());
    if len > 16 || len == 0 {
        return copy(output, input);
    }
    // SAFETY: both slices have at least `len` bytes, and `len` is not 0.
    unsafe {
        asm!(
            "2:",
            "subs {left}, #1",
            "ldrsb {byte}, [{input}, {left}]",
            "strb {byte}, [{output}, {left}]",
            "bne 2b",
            input = in(reg) input.as_ptr(),
            output = in(reg) output.as_mut_ptr(),
            left = inout(reg) len => _,
            byte = out(reg) _,
            options(nostack),
        );
    }
}

/// The number of channels whose taps are summed in registers.
const BLOCK: usize = 4;

/// A window's taps for [`add_taps`]; neither number is 0.
#[repr(C)]
struct Taps {
    lines: usize,
    /// The extent of a kernel row: the number of its taps times `run`.
    extent: usize,
    /// The distance from one tap to the next, in the input and in the weights, not 0.
    run: usize,
    /// Distances from the end of a kernel row to the next one.
    gap: [usize; 2],
}

impl Taps {
    /// The taps of a window; `None` if it has none, or if their distances in the input and in the weights differ.
    fn of(window: &Window) -> Option<Self> {
        let Window { lines, runs, line, run: [run, other] } = *window;
        let extent = runs.wrapping_mul(run);
        let taps = Self { lines, extent, run, gap: line.map(|line| line.wrapping_sub(extent)) };
        (!window.is_empty() && run == other && run != 0).then_some(taps)
    }
}

impl channels::Taps<BLOCK> for Taps {
    #[inline(always)]
    unsafe fn add(&self, _: &Window, sums: &mut [i32; BLOCK], input: &[i8], weights: &[i8], at: usize) {
        // SAFETY: the caller's.
        unsafe { add_taps(sums, input.as_ptr().wrapping_add(at), weights.as_ptr().wrapping_add(at), self) };
    }
}

/// Other taps, and none, are added as [`portable::multiply_taps`] does.
impl channels::Taps<BLOCK> for Option<Taps> {
    #[inline(always)]
    unsafe fn add(&self, window: &Window, sums: &mut [i32; BLOCK], input: &[i8], weights: &[i8], at: usize) {
        match self {
            // SAFETY: the caller's.
            Some(taps) => unsafe { taps.add(window, sums, input, weights, at) },
            None => portable::multiply_taps(sums, window, tail(input, at), tail(weights, at)),
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
    if !steps.fit(window, channels.len(), [input.len(), weights.len()], outputs.len()) {
        return;
    }
    let taps = Taps::of(window);
    // SAFETY: the operands fit, and the taps are those of the window.
    unsafe { channels::depthwise(initial, window, steps, input, weights, channels, output, outputs, &taps) };
}

/// [`portable::multiply_taps`]: four channels at a time.
#[inline(never)]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    let Some(taps) = Taps::of(window) else { return portable::multiply_taps(accumulators, window, input, weights) };
    // SAFETY: the taps are those of the window.
    unsafe { channels::multiply_taps(accumulators, window, input, weights, &taps) };
}

/// Adds the products of every tap of four channels to their sums.
///
/// # Safety
/// `input` and `weights` must point to the first tap, and four elements of every tap must lie within allocated memory.
#[unsafe(naked)]
unsafe extern "C" fn add_taps(sums: &mut [i32; BLOCK], input: *const i8, weights: *const i8, taps: &Taps) {
    naked_asm!(
        save!(),
        "push {{r0, r3}}",
        "ldm r0!, {{r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "mov r0, r1",
        "mov r1, r2",
        "ldr r4, [r3, #{lines}]",
        "push {{r4}}",
        "ldr r4, [r3, #{run}]",
        "mov lr, r4",
        "movs r4, #0",
        "movs r5, #1",
        "movs r6, #2",
        "movs r7, #3",
        "2:",
        "ldr r2, [r3, #{extent}]",
        "adds r2, r2, r0",
        "mov r12, r2",
        "3:",
        "ldrsb r2, [r0, r4]",
        "ldrsb r3, [r1, r4]",
        "muls r2, r3, r2",
        "add r8, r2",
        "ldrsb r2, [r0, r5]",
        "ldrsb r3, [r1, r5]",
        "muls r2, r3, r2",
        "add r9, r2",
        "ldrsb r2, [r0, r6]",
        "ldrsb r3, [r1, r6]",
        "muls r2, r3, r2",
        "add r10, r2",
        "ldrsb r2, [r0, r7]",
        "ldrsb r3, [r1, r7]",
        "muls r2, r3, r2",
        "add r11, r2",
        "add r0, lr",
        "add r1, lr",
        "cmp r0, r12",
        "bne 3b",
        "ldr r3, [sp, #8]",
        "ldr r2, [r3, #{gap}]",
        "adds r0, r0, r2",
        "ldr r2, [r3, #{gap} + 4]",
        "adds r1, r1, r2",
        "ldr r2, [sp]",
        "subs r2, #1",
        "str r2, [sp]",
        "bne 2b",
        "ldr r0, [sp, #4]",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "stm r0!, {{r4, r5, r6, r7}}",
        "add sp, #12",
        restore!(),
        "pop {{r4, r5, r6, r7, pc}}",
        lines = const offset_of!(Taps, lines),
        extent = const offset_of!(Taps, extent),
        run = const offset_of!(Taps, run),
        gap = const offset_of!(Taps, gap),
    )
}
