//! Arm's M-profile vector extension (MVE, Helium; Cortex-M52, M55, M85): sixteen products in one instruction.
//!
//! `VMLADAVA` multiplies sixteen pairs of bytes and adds all products to a core register. The loops are
//! tail-predicated: in the last iteration the lanes beyond the end load nothing and add nothing, so no length needs a
//! second loop. The order of a sum differs from the portable loop's, but not its value, because sums wrap.
//!
//! `VQRDMULH` is the rounded doubling high product. `VRSHL` is a rounding shift with ties upward; as in the portable
//! function, a negative number is decremented before it is shifted.

// The compiler keeps the counts of its own loops in `lr`, and some of its passes do not see that inline assembly writes
// it. Every loop here therefore restores `lr`, and names its other registers, so that none of them is allocated to
// `lr`.

use crate::add::AddSub;
use crate::composed;
use crate::matrix::{Filters, Inputs, Output};
use crate::portable::{Steps, Window};
use crate::quant::{Channel, clamp};
use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::ptr;
use tealight_types::ActivationRange;

mod lines;
#[cfg(arm_vfp)]
mod quantize;

pub(crate) use lines::depthwise_lines;
#[cfg(arm_vfp)]
pub(crate) use quantize::{dequantize_bytes, quantize_bytes};

/// [`portable::SHORTEST_RUN`](crate::portable::SHORTEST_RUN): copying shorter runs takes less than their loops.
pub(crate) const SHORTEST_RUN: usize = 8;

/// [`portable::ROWS`](crate::portable::ROWS): [`composed::multiply`] has only what is left of fewer than four rows.
pub(crate) const ROWS: usize = 1;

/// [`portable::POOLED`](crate::portable::POOLED): the sums of this many channels fit four registers.
pub(crate) const POOLED: usize = 16;

/// The operands of the tiles, and their state. The assembly knows the offsets of the fields, and the order of those
/// that follow each other.
#[repr(C, align(8))]
struct Tiles {
    tile: Tile,
    /// A tile's rows: the first and third, the second and fourth.
    rows: [*const i8; 4],
    run: usize,
    lines: usize,
    /// Distances from where a loop over a run ends, a multiple of sixteen elements from its start, to the next run.
    next_run: [usize; 2],
    /// Where a tile's outputs go.
    outputs: *mut i8,
    output_step: usize,
    /// 0 if the shifts of a tile's channels are multiplications.
    shifts: usize,
    zero_point: i32,
    offset: i32,
    bounds: [i32; 2],
    /// Distances of four channels from the first.
    apart: [usize; 4],
    /// Bias, multiplier, and shift of a tile's channels; where all shifts are multiplications, the second multiplier.
    constants: [[i32; 4]; 3],
    first: Tile,
    /// Distances to the next tile but for the second.
    advance: [usize; 2],
    /// The next rows and their channels, how many there are from them on, and where their first outputs go.
    weights: *const i8,
    len: usize,
    channels: *const Channel,
    row_count: usize,
    first_output: *mut i8,
    /// From where a row ends to the row four later, for one input at a time.
    next_row: usize,
}

/// The inputs of a tile of some rows.
#[repr(C)]
#[derive(Clone, Copy)]
struct Tile {
    /// The first elements.
    inputs: [*const i8; 3],
    /// The number of tiles from this one on.
    left: usize,
    /// Distances to the next tile, in the inputs and in the outputs.
    advance: [usize; 2],
}

/// [`composed::multiply`](crate::composed::multiply): tiles of three inputs by four rows.
///
/// Where rows or inputs are left over, the last tile begins so much earlier that it is whole; its outputs are the same
/// again.
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let Filters { weights, channels, len, offset, output } = *filters;
    let Inputs { values, count, step, lines, line, run } = *inputs;
    if channels.len() < 4 || len == 0 {
        multiply_few(filters, inputs, output_step, outputs);
        return;
    }
    if count == 0 || !inputs.fit(filters, output_step, outputs.len()) {
        return;
    }
    let whole = run.next_multiple_of(16);
    // One input is left over from tiles of three; two share a tile with an input before them, if there is one.
    let tiles = if count % 3 == 2 && count > 3 { count / 3 + 1 } else { count / 3 };
    let first = if count % 3 == 2 { 2 } else { 3 };
    let first_tile = Tile {
        inputs: [0, 1, 2].map(|i| values.as_ptr().wrapping_add(step.wrapping_mul(i))),
        left: tiles,
        advance: [step.wrapping_mul(first), output_step.wrapping_mul(first)],
    };
    let mut state = Tiles {
        tile: first_tile,
        rows: [weights.as_ptr(); 4],
        run,
        lines,
        next_run: [line.wrapping_sub(whole), run.wrapping_sub(whole)],
        outputs: outputs.as_mut_ptr(),
        output_step,
        shifts: 0,
        zero_point: output.zero_point,
        offset,
        bounds: output.activation.bounds(),
        apart: [0, 1, 2, 3].map(|i| i * size_of::<Channel>()),
        constants: [[0; 4]; 3],
        first: first_tile,
        advance: [step.wrapping_mul(3), output_step.wrapping_mul(3)],
        weights: weights.as_ptr(),
        len,
        channels: channels.as_ptr(),
        row_count: channels.len(),
        first_output: outputs.as_mut_ptr(),
        next_row: len.wrapping_mul(3).wrapping_add(run).wrapping_sub(whole),
    };
    if tiles > 0 {
        // SAFETY: `fit` has checked that all inputs, rows and outputs lie within their slices, and there is a tile of
        // each. A tile reads and writes only whole inputs, rows, channels and outputs. Half of a multiple of 32
        // elements takes as many iterations of sixteen as the run has of 32.
        unsafe {
            if run % 32 == 0 {
                state.run = run / 2;
                multiply_tiles_by_32(&raw mut state);
                state.run = run;
            } else {
                multiply_tiles(&raw mut state);
            }
        }
    }
    for input in if tiles * 3 >= count { count } else { tiles * 3 }..count {
        state.first.inputs[0] = values.as_ptr().wrapping_add(input * step);
        state.first_output = outputs.as_mut_ptr().wrapping_add(input * output_step);
        state.weights = weights.as_ptr();
        state.channels = channels.as_ptr();
        state.row_count = channels.len();
        // SAFETY: as above; four rows at a time, of which there are as many.
        unsafe { multiply_one(&raw mut state) };
    }
}

/// [`composed::multiply`], of fewer than four rows.
// Out of line: other products do not save its registers.
#[inline(never)]
fn multiply_few(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    composed::multiply(filters, inputs, output_step, outputs);
}

/// Sixteen elements of three inputs, multiplied with those of two rows.
macro_rules! tile {
    ($multiply:literal) => {
        concat!(
            "vldrb.u8 q6, [r9], #16\n",
            "vldrb.u8 q5, [r1], #16\n",
            $multiply,
            " r0, q5, q6\n",
            "vldrb.u8 q7, [r11], #16\n",
            $multiply,
            " r2, q5, q7\n",
            "vldrb.u8 q5, [r3], #16\n",
            $multiply,
            " r4, q5, q6\n",
            $multiply,
            " r8, q5, q7\n",
            "vldrb.u8 q5, [r5], #16\n",
            $multiply,
            " r10, q5, q6\n",
            $multiply,
            " r12, q5, q7\n",
        )
    };
}

/// The loop over the elements of a run after the first sixteen, and the step to the next run. The code goes on at
/// label `$end`.
macro_rules! tile_loop {
    ($loop:literal, $run:literal, $end:literal, $more:expr) => {
        concat!(
            $loop,
            ":\n",
            $more,
            "letp lr, ",
            $loop,
            "b\n",
            "subs r7, r7, #1\n",
            "beq ",
            $end,
            "f\n",
            $run,
            ":\n",
            "ldr lr, [r6, #{next_run}]\n",
            "add r1, r1, lr\n",
            "add r3, r3, lr\n",
            "add r5, r5, lr\n",
            "ldr lr, [r6, #{next_run} + 4]\n",
            "add r9, r9, lr\n",
            "add r11, r11, lr\n",
            "ldr lr, [r6, #{run}]\n",
            "dlstp.8 lr, lr\n",
            "b ",
            $loop,
            "b\n",
        )
    };
}

/// Multiplies three inputs with two rows: all runs. The first elements set the sums.
macro_rules! tile_sums {
    ($loop:literal, $run:literal, $end:literal, $first:expr) => {
        concat!(
            "ldrd lr, r7, [r6, #{run}]\n",
            "dlstp.8 lr, lr\n",
            $first,
            "letp lr, ",
            $loop,
            "b\n",
            "subs r7, r7, #1\n",
            "bne ",
            $run,
            "b\n",
            $end,
            ":\n",
        )
    };
}

/// Requantizes four sums by their multipliers and shifts, and adds the zero point.
macro_rules! shifted {
    ($sums:literal, $multipliers:literal, $shifts:literal, $free:literal, $zero_point:literal) => {
        concat!(
            "vpt.s32 gt, ",
            $shifts,
            ", zr\n",
            "vshlt.s32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $shifts,
            "\n",
            "vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $multipliers,
            "\n",
            "vpttt.s32 lt, ",
            $shifts,
            ", zr\n",
            "vshrt.s32 ",
            $free,
            ", ",
            $sums,
            ", #31\n",
            "vaddt.i32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $free,
            "\n",
            "vrshlt.s32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $shifts,
            "\n",
            "vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", ",
            $zero_point,
            "\n",
        )
    };
}

use shifted;

/// Computes the outputs of all tiles of three inputs, with all rows. `$first` and `$more` are the products of an
/// iteration, the first and others.
macro_rules! multiply_all {
    ($first:expr, $more:expr) => {
    naked_asm!(
        // The assembler does not know the extension here by itself.
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r6, r0",
        "ldrd r0, r1, [r6, #{bounds}]",
        "vdup.32 q3, r0",
        "vdup.32 q4, r1",
        "b 2f",
        tile_loop!("20", "21", "22", $more),
        tile_loop!("30", "31", "32", $more),
        // Four rows.
        "2:",
        "add r12, r6, #{weights}",
        "ldm r12, {{r0-r4}}",
        "adds r5, r0, r1",
        "adds r7, r5, r1",
        "add r8, r7, r1",
        "strd r0, r7, [r6, #{rows}]",
        "strd r5, r8, [r6, #{rows} + 8]",
        "str r4, [r6, #{outputs}]",
        // The next rows: four, or as many as are left.
        "mov r5, r2",
        "add r0, r8, r1",
        "adds r2, r2, #4 * {channel}",
        "adds r4, r4, #4",
        "subs r3, r3, #4",
        "cmp r3, #4",
        "blo 9f",
        "7:",
        "stm r12, {{r0-r4}}",
        // The constants of these rows' channels.
        "vldrw.u32 q5, [r6, #{apart}]",
        "vadd.i32 q5, q5, r5",
        "vldrw.u32 q0, [q5]",
        "vldrw.u32 q1, [q5, #4]",
        "vldrw.u32 q2, [q5, #8]",
        "ldr r0, [r6, #{offset}]",
        "vadd.i32 q0, q0, r0",
        "vstrw.32 q0, [r6, #{constants}]",
        "vstrw.32 q1, [r6, #{constants} + 16]",
        // A second multiplication shifts by 1 to 11 places to the right: `lines::prepare` says why.
        "movs r0, #31",
        "vadd.i32 q1, q2, r0",
        "vmov.i32 q0, #1",
        "vshl.s32 q1, q0, q1",
        "vadd.i32 q1, q1, q0",
        "mov r0, #1 << 20",
        "vcmp.s32 le, q1, r0",
        "vmrs r0, p0",
        "str r0, [r6, #{shifts}]",
        "cbz r0, 4f",
        "vmov q1, q2",
        "4:",
        "vstrw.32 q1, [r6, #{constants} + 32]",
        "add r12, r6, #{first}",
        "ldm r12, {{r1, r3, r5, r7, r8, r9}}",
        "stm r6, {{r1, r3, r5, r7, r8, r9}}",
        // A tile. Two rows at a time: lanes 0 and 2, then lanes 1 and 3.
        "3:",
        "ldrd r9, r11, [r6, #{rows}]",
        tile_sums!("20", "21", "22", $first),
        "vmov q0[2], q0[0], r0, r2",
        "vmov q1[2], q1[0], r4, r8",
        "vmov q2[2], q2[0], r10, r12",
        "ldm r6, {{r1, r3, r5}}",
        "ldrd r9, r11, [r6, #{rows} + 8]",
        tile_sums!("30", "31", "32", $first),
        "vmov q0[3], q0[1], r0, r2",
        "vmov q1[3], q1[1], r4, r8",
        "vmov q2[3], q2[1], r10, r12",
        // Requantization.
        "vldrw.u32 q5, [r6, #{constants}]",
        "ldrd r7, r0, [r6, #{shifts}]",
        "vldrw.u32 q6, [r6, #{constants} + 16]",
        "vadd.i32 q0, q0, q5",
        "vldrw.u32 q7, [r6, #{constants} + 32]",
        "vadd.i32 q1, q1, q5",
        "vadd.i32 q2, q2, q5",
        "cbnz r7, 8f",
        "vqrdmulh.s32 q0, q0, q6",
        "vqrdmulh.s32 q1, q1, q6",
        "vqrdmulh.s32 q2, q2, q6",
        "vqrdmlash.s32 q0, q7, r0",
        "vqrdmlash.s32 q1, q7, r0",
        "vqrdmlash.s32 q2, q7, r0",
        "6:",
        "ldrd r0, r2, [r6, #{outputs}]",
        "vmax.s32 q0, q0, q3",
        "vmax.s32 q1, q1, q3",
        "vmax.s32 q2, q2, q3",
        "vmin.s32 q0, q0, q4",
        "vmin.s32 q1, q1, q4",
        "vmin.s32 q2, q2, q4",
        "adds r3, r0, r2",
        "vstrb.32 q0, [r0]",
        "adds r4, r3, r2",
        "vstrb.32 q1, [r3]",
        "vstrb.32 q2, [r4]",
        // The next tile.
        "ldm r6, {{r1, r3, r5, r7, r8, r9}}",
        "subs r7, r7, #1",
        "beq 4f",
        "ldrd r10, r11, [r6, #{advance}]",
        "add r1, r1, r8",
        "add r3, r3, r8",
        "add r5, r5, r8",
        "add r0, r0, r9",
        "stm r6, {{r1, r3, r5, r7, r10, r11}}",
        "str r0, [r6, #{outputs}]",
        "b 3b",
        // Shifts of any number of places.
        "8:",
        shifted!("q0", "q6", "q7", "q5", "r0"),
        shifted!("q1", "q6", "q7", "q5", "r0"),
        shifted!("q2", "q6", "q7", "q5", "r0"),
        "b 6b",
        // Fewer than four rows are left, or none.
        "9:",
        "cmp r3, #0",
        "beq 7b",
        "rsb r7, r3, #4",
        "mls r0, r7, r1, r0",
        "add r3, r7, r7, lsl #1",
        "sub r2, r2, r3, lsl #2",
        "subs r4, r4, r7",
        "movs r3, #4",
        "b 7b",
        "4:",
        "ldr r0, [r6, #{row_count}]",
        "cmp r0, #0",
        "bne 2b",
        "vpop {{d8-d15}}",
        "pop {{r3-r11, pc}}",
        rows = const offset_of!(Tiles, rows),
        run = const offset_of!(Tiles, run),
        next_run = const offset_of!(Tiles, next_run),
        outputs = const offset_of!(Tiles, outputs),
        shifts = const offset_of!(Tiles, shifts),
        offset = const offset_of!(Tiles, offset),
        bounds = const offset_of!(Tiles, bounds),
        apart = const offset_of!(Tiles, apart),
        constants = const offset_of!(Tiles, constants),
        first = const offset_of!(Tiles, first),
        advance = const offset_of!(Tiles, advance),
        weights = const offset_of!(Tiles, weights),
        row_count = const offset_of!(Tiles, row_count),
        channel = const size_of::<Channel>(),
    )
    };
}

/// Tiles of three inputs, sixteen elements at a time.
#[unsafe(naked)]
unsafe extern "C" fn multiply_tiles(state: *mut Tiles) {
    multiply_all!(tile!("vmladav.s8"), tile!("vmladava.s8"))
}

/// Tiles of three inputs, 32 elements at a time, of which a run is a multiple; the state has half of its length.
#[unsafe(naked)]
unsafe extern "C" fn multiply_tiles_by_32(state: *mut Tiles) {
    multiply_all!(
        concat!(tile!("vmladav.s8"), tile!("vmladava.s8")),
        concat!(tile!("vmladava.s8"), tile!("vmladava.s8"))
    )
}

/// Sixteen elements of an input, multiplied with those of four rows.
macro_rules! rows {
    ($multiply:literal) => {
        concat!(
            "vldrb.u8 q5, [r1], #16\n",
            "vldrb.u8 q6, [r3], #16\n",
            $multiply,
            " r2, q5, q6\n",
            "vldrb.u8 q6, [r9], #16\n",
            $multiply,
            " r4, q5, q6\n",
            "vldrb.u8 q6, [r5], #16\n",
            $multiply,
            " r8, q5, q6\n",
            "vldrb.u8 q6, [r11], #16\n",
            $multiply,
            " r12, q5, q6\n",
        )
    };
}

/// Computes the outputs of one input, with all rows.
#[unsafe(naked)]
unsafe extern "C" fn multiply_one(state: *mut Tiles) {
    naked_asm!(
        // The assembler does not know the extension here by itself.
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r6, r0",
        "ldrd r0, r1, [r6, #{bounds}]",
        "vdup.32 q3, r0",
        "vdup.32 q4, r1",
        // The addresses of four shifts, one iteration before the first.
        "ldr r1, [r6, #{channels}]",
        "movs r0, #0",
        "vidup.u32 q7, r0, #4",
        "movs r2, #3",
        "vmul.i32 q7, q7, r2",
        "subs r1, r1, #40",
        "vadd.i32 q7, q7, r1",
        "ldrd r3, r1, [r6, #{weights}]",
        "add r9, r3, r1",
        "add r5, r9, r1",
        "add r11, r5, r1",
        "ldr r10, [r6, #{row_count}]",
        "subs r10, r10, #4",
        "ldr r0, [r6, #{first_output}]",
        "b 2f",
        "20:",
        rows!("vmladava.s8"),
        "letp lr, 20b",
        "subs r7, r7, #1",
        "beq 22f",
        "21:",
        "ldr lr, [r6, #{next_run}]",
        "add r1, r1, lr",
        "ldr lr, [r6, #{next_run} + 4]",
        "add r3, r3, lr",
        "add r9, r9, lr",
        "add r5, r5, lr",
        "add r11, r11, lr",
        "ldr lr, [r6, #{run}]",
        "dlstp.8 lr, lr",
        "b 20b",
        // Four rows.
        "2:",
        "ldr r1, [r6, #{first_input}]",
        "ldrd lr, r7, [r6, #{run}]",
        "dlstp.8 lr, lr",
        rows!("vmladav.s8"),
        "letp lr, 20b",
        "subs r7, r7, #1",
        "bne 21b",
        "22:",
        // Requantization.
        "vldrw.u32 q5, [q7, #48]!",
        "vmov q0[2], q0[0], r2, r8",
        "vmov q0[3], q0[1], r4, r12",
        "vldrw.u32 q1, [q7, #-8]",
        "ldrd r1, r2, [r6, #{zero_point}]",
        "vadd.i32 q0, q0, q1",
        "vldrw.u32 q2, [q7, #-4]",
        "vadd.i32 q0, q0, r2",
        shifted!("q0", "q2", "q5", "q1", "r1"),
        "vmax.s32 q0, q0, q3",
        "vmin.s32 q0, q0, q4",
        "vstrb.32 q0, [r0], #4",
        // The next rows: four, or as many as are left.
        "ldr r1, [r6, #{next_row}]",
        "add r3, r3, r1",
        "add r9, r9, r1",
        "add r5, r5, r1",
        "add r11, r11, r1",
        "subs r10, r10, #4",
        "bge 2b",
        "adds r1, r10, #4",
        "beq 5f",
        "rsb r10, r10, #0",
        "sub r0, r0, r10",
        "ldr r1, [r6, #{len}]",
        "mul r1, r1, r10",
        "sub r3, r3, r1",
        "sub r9, r9, r1",
        "sub r5, r5, r1",
        "sub r11, r11, r1",
        "add r1, r10, r10, lsl #1",
        "lsl r1, r1, #2",
        "rsb r1, r1, #0",
        "vadd.i32 q7, q7, r1",
        "mov r10, #0",
        "b 2b",
        "5:",
        "vpop {{d8-d15}}",
        "pop {{r3-r11, pc}}",
        run = const offset_of!(Tiles, run),
        next_run = const offset_of!(Tiles, next_run),
        zero_point = const offset_of!(Tiles, zero_point),
        bounds = const offset_of!(Tiles, bounds),
        first_input = const offset_of!(Tiles, first),
        weights = const offset_of!(Tiles, weights),
        len = const offset_of!(Tiles, len),
        channels = const offset_of!(Tiles, channels),
        row_count = const offset_of!(Tiles, row_count),
        first_output = const offset_of!(Tiles, first_output),
        next_row = const offset_of!(Tiles, next_row),
    )
}

/// The operands of a depthwise convolution. The assembly knows the fields by their names.
#[repr(C)]
struct Taps {
    /// Null if these are the biases.
    initial: *const i32,
    /// Of the block's channels.
    weights: *const i8,
    input: *const i8,
    outputs: *mut i8,
    channels: *const Channel,
    channel_count: usize,
    count: usize,
    steps: [usize; 2],
    lines: usize,
    runs: usize,
    /// Distances to the next tap, in the input and in the weights.
    run: [usize; 2],
    /// Distances from the end of a kernel row to the start of the next.
    next_line: [usize; 2],
    zero_point: i32,
    bounds: [i32; 2],
}

/// [`composed::depthwise`](crate::composed::depthwise): sixteen or eight channels of a pixel at a time, from the
/// initial sums to the outputs in registers.
///
/// Where channels are left over, the last block begins so much earlier that it is whole; its outputs are the same
/// again.
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
    if window.is_empty() || channels.len() < 8 || initial.len() < channels.len() {
        composed::depthwise(initial, window, steps, input, weights, channels, output, outputs);
        return;
    }
    depthwise_from(Some(initial), window, steps, [input, weights], channels, output, outputs);
}

/// [`composed::depthwise_of_biases`](crate::composed::depthwise_of_biases), of at least eight channels.
#[inline]
pub(crate) fn depthwise_of_biases(
    window: &Window,
    steps: &Steps,
    operands: [&[i8]; 2],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) -> bool {
    let computes = !window.is_empty() && channels.len() >= 8;
    if computes {
        depthwise_from(None, window, steps, operands, channels, output, outputs);
    }
    computes
}

/// [`depthwise`] of at least eight channels, from their biases on unless there are as many initial sums. The window is
/// not empty.
#[inline(never)]
fn depthwise_from(
    initial: Option<&[i32]>,
    window: &Window,
    steps: &Steps,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) {
    let channel_count = channels.len();
    if steps.count == 0 || !steps.fit(window, channel_count, [input.len(), weights.len()], outputs.len()) {
        return;
    }
    let mut taps = Taps {
        initial: initial.map_or(ptr::null(), <[i32]>::as_ptr),
        input: input.as_ptr(),
        weights: weights.as_ptr(),
        channels: channels.as_ptr(),
        outputs: outputs.as_mut_ptr(),
        channel_count,
        count: steps.count,
        steps: [steps.input, steps.output],
        lines: window.lines,
        runs: window.runs,
        run: window.run,
        next_line: [0, 1].map(|i| window.line[i].wrapping_sub(window.run[i].wrapping_mul(window.runs))),
        zero_point: output.zero_point,
        bounds: output.activation.bounds(),
    };
    // SAFETY: `fit` has checked that all taps and outputs of all pixels lie within their slices, and there are as many
    // initial sums as channels. Only whole blocks of sixteen or eight channels are read and written.
    unsafe {
        if channel_count < 16 {
            depthwise_by_8(&raw mut taps);
        } else {
            depthwise_by_16(&raw mut taps);
        }
    }
}

/// Requantizes four sums, whose shifts are at the addresses in `q4`, plus an offset.
macro_rules! requantized {
    ($sums:literal, $shift:literal, $multiplier:literal) => {
        concat!(
            "vldrw.u32 q5, [q4, #",
            $shift,
            "]\n",
            "vldrw.u32 q6, [q4, #",
            $multiplier,
            "]\n",
            shifted!($sums, "q6", "q5", "q6", "r1"),
        )
    };
}

/// Loads the sums of sixteen channels at `r0`: 0, 4, 8 and 12 to `q0`, 1, 5, 9 and 13 to `q1`, and so on, the order in which
/// products are widened.
macro_rules! initial_16 {
    () => {
        "vld40.32 {{q0, q1, q2, q3}}, [r0]\n\
         vld41.32 {{q0, q1, q2, q3}}, [r0]\n\
         vld42.32 {{q0, q1, q2, q3}}, [r0]\n\
         vld43.32 {{q0, q1, q2, q3}}, [r0]\n"
    };
}

/// Adds to these sums the products of the bytes in `q5` and `q6`.
macro_rules! products_16 {
    () => {
        "vmullb.s8 q7, q5, q6\n\
         vmullt.s8 q5, q5, q6\n\
         vmovlb.s16 q6, q7\n\
         vadd.i32 q0, q0, q6\n\
         vmovlt.s16 q7, q7\n\
         vadd.i32 q2, q2, q7\n\
         vmovlb.s16 q6, q5\n\
         vadd.i32 q1, q1, q6\n\
         vmovlt.s16 q5, q5\n\
         vadd.i32 q3, q3, q5\n"
    };
}

/// Stores the requantized sums of sixteen channels, clamped to the range from `r2` to `r8`, at `r11`.
macro_rules! store_16 {
    () => {
        "vqmovnb.s32 q0, q0\n\
         vqmovnb.s32 q1, q1\n\
         vqmovnt.s32 q0, q2\n\
         vqmovnt.s32 q1, q3\n\
         vqmovnb.s16 q0, q0\n\
         vdup.8 q5, r2\n\
         vqmovnt.s16 q0, q1\n\
         vdup.8 q6, r8\n\
         vmax.s8 q0, q0, q5\n\
         vmin.s8 q0, q0, q6\n\
         vstrb.8 q0, [r11]\n"
    };
}

/// A depthwise convolution by blocks of `$block` channels: all pixels of a block, then the next block.
///
/// Interleaved loads and stores of the sums match the order in which products are widened: of sixteen channels `q0`
/// sums 0, 4, 8 and 12, `q1` 1, 5, 9 and 13, and so on; of eight `q0` the even ones, `q1` the odd ones.
macro_rules! depthwise_blocks {
    ($block:literal, $spacing:literal, $biases:expr, $initial:expr, $tap:expr, $finish:expr) => {
        naked_asm!(
            // The assembler does not know the extension here by itself.
            ".cpu cortex-m55",
            "push {{r3-r11, lr}}",
            "vpush {{d8-d15}}",
            "mov r6, r0",
            "ldrd r3, r4, [r6, #{run}]",
            "ldrd r5, r7, [r6, #{next_line}]",
            "ldr r9, [r6, #{runs}]",
            // The addresses of four shifts.
            "ldr r1, [r6, #{channels}]",
            "movs r0, #0",
            "vidup.u32 q4, r0, #4",
            concat!("movs r2, #", $spacing),
            "vmul.i32 q4, q4, r2",
            "adds r1, r1, #8",
            "vadd.i32 q4, q4, r1",
            "ldr r0, [r6, #{initial}]",
            "ldrd r10, r11, [r6, #{input}]",
            // A block.
            "2:",
            "ldr r12, [r6, #{count}]",
            // A pixel.
            "3:",
            "cbnz r0, 8f",
            $biases,
            "b 9f",
            "8:",
            $initial,
            "9:",
            "mov r1, r10",
            "ldr r2, [r6, #{weights}]",
            "ldr r8, [r6, #{lines}]",
            "4:",
            "dls lr, r9",
            "5:",
            $tap,
            "le lr, 5b",
            "adds r1, r1, r5",
            "adds r2, r2, r7",
            "subs r8, r8, #1",
            "bne 4b",
            "ldr r1, [r6, #{zero_point}]",
            "ldrd r2, r8, [r6, #{bounds}]",
            $finish,
            "subs r12, r12, #1",
            "beq 6f",
            "ldrd r1, r2, [r6, #{steps}]",
            "add r10, r10, r1",
            "add r11, r11, r2",
            "b 3b",
            // The next block, or as many channels as are left.
            "6:",
            "ldr r1, [r6, #{channel_count}]",
            concat!("subs r1, r1, #", $block),
            "beq 7f",
            concat!("movs r2, #", $block),
            "cmp r1, r2",
            "itt lo",
            "movlo r2, r1",
            concat!("movlo r1, #", $block),
            "str r1, [r6, #{channel_count}]",
            "cmp r0, #0",
            "it ne",
            "addne r0, r0, r2, lsl #2",
            "add r12, r6, #{weights}",
            "ldm r12, {{r8, r10, r11}}",
            "add r8, r8, r2",
            "add r10, r10, r2",
            "add r11, r11, r2",
            "stm r12, {{r8, r10, r11}}",
            "add r2, r2, r2, lsl #1",
            "lsls r2, r2, #2",
            "vadd.i32 q4, q4, r2",
            "b 2b",
            "7:",
            "vpop {{d8-d15}}",
            "pop {{r3-r11, pc}}",
            initial = const offset_of!(Taps, initial),
            input = const offset_of!(Taps, input),
            weights = const offset_of!(Taps, weights),
            channels = const offset_of!(Taps, channels),
            channel_count = const offset_of!(Taps, channel_count),
            count = const offset_of!(Taps, count),
            steps = const offset_of!(Taps, steps),
            lines = const offset_of!(Taps, lines),
            runs = const offset_of!(Taps, runs),
            run = const offset_of!(Taps, run),
            next_line = const offset_of!(Taps, next_line),
            zero_point = const offset_of!(Taps, zero_point),
            bounds = const offset_of!(Taps, bounds),
        )
    };
}

/// All channels, at least sixteen.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_by_16(taps: *mut Taps) {
    depthwise_blocks!(
        "16",
        "12",
        "vldrw.u32 q0, [q4, #-8]\n\
         vldrw.u32 q1, [q4, #4]\n\
         vldrw.u32 q2, [q4, #16]\n\
         vldrw.u32 q3, [q4, #28]\n",
        initial_16!(),
        concat!("vldrb.u8 q5, [r1]\n", "adds r1, r1, r3\n", "vldrb.u8 q6, [r2]\n", "adds r2, r2, r4\n", products_16!(),),
        concat!(
            requantized!("q0", "0", "-4"),
            requantized!("q1", "12", "8"),
            requantized!("q2", "24", "20"),
            requantized!("q3", "36", "32"),
            store_16!(),
        )
    )
}

/// All channels, at least eight.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_by_8(taps: *mut Taps) {
    depthwise_blocks!(
        "8",
        "6",
        "vldrw.u32 q0, [q4, #-8]\n\
         vldrw.u32 q1, [q4, #4]\n",
        concat!("vld20.32 {{q0, q1}}, [r0]\n", "vld21.32 {{q0, q1}}, [r0]\n"),
        concat!(
            "vldrb.s16 q5, [r1]\n",
            "adds r1, r1, r3\n",
            "vldrb.s16 q6, [r2]\n",
            "adds r2, r2, r4\n",
            "vmullb.s16 q7, q5, q6\n",
            "vmullt.s16 q5, q5, q6\n",
            "vadd.i32 q0, q0, q7\n",
            "vadd.i32 q1, q1, q5\n",
        ),
        concat!(
            requantized!("q0", "0", "-4"),
            requantized!("q1", "12", "8"),
            "vqmovnb.s32 q0, q0\n",
            "vdup.16 q5, r2\n",
            "vqmovnt.s32 q0, q1\n",
            "vdup.16 q6, r8\n",
            "vmax.s16 q0, q0, q5\n",
            "mov r1, r11\n",
            "vmin.s16 q0, q0, q6\n",
            "vstrb.16 q0, [r1]\n",
        )
    )
}

/// The constants of a sum. The assembly knows the fields by their names.
#[repr(C)]
struct Sum {
    /// Pointers to the operands and to the output.
    operands: [*const i8; 2],
    output: *mut i8,
    /// What is added to an element of each operand.
    offsets: [i32; 2],
    left_shift: i32,
    /// Of the first operand, the second, and the output.
    multipliers: [i32; 3],
    zero_point: i32,
    /// 1 if there is a right shift, in the same order.
    rounded: [i32; 3],
    len: usize,
    /// Right shifts, as negative numbers.
    shifts: [i32; 3],
    bounds: [i32; 2],
}

/// [`portable::add_some`](crate::portable::add_some): all elements, four at a time.
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let len = a.len().min(b.len()).min(output.len());
    if len == 0 {
        return 0;
    }
    // Right shifts are 0 below 0 and 31 above 31.
    let shifts = [p.a.shift, p.b.shift, p.output.shift].map(|shift| clamp(shift, [-31, 0]));
    let mut sum = Sum {
        operands: [a.as_ptr(), b.as_ptr()],
        output: output.as_mut_ptr(),
        offsets: [p.a_zero_point.wrapping_neg(), p.b_zero_point.wrapping_neg()],
        left_shift: p.left_shift & 31,
        multipliers: [p.a.multiplier, p.b.multiplier, p.output.multiplier],
        zero_point: p.output_zero_point,
        rounded: shifts.map(|shift| i32::from(shift < 0)),
        len,
        shifts,
        bounds: p.activation.bounds(),
    };
    // SAFETY: each slice has at least `len` elements, and `len` is not 0.
    unsafe { add_elements(&raw mut sum) };
    len
}

/// Multiplies by a Q31 multiplier and shifts right, both with rounding.
macro_rules! scaled {
    ($values:literal, $multiplier:literal, $rounded:literal, $shift:literal) => {
        concat!(
            "vqrdmulh.s32 ",
            $values,
            ", ",
            $values,
            ", ",
            $multiplier,
            "\n",
            "vpt.s32 lt, ",
            $values,
            ", zr\n",
            "vqsubt.s32 ",
            $values,
            ", ",
            $values,
            ", ",
            $rounded,
            "\n",
            "vrshl.s32 ",
            $values,
            ", ",
            $values,
            ", ",
            $shift,
            "\n",
        )
    };
}

/// Adds `len` elements, at least one.
#[unsafe(naked)]
unsafe extern "C" fn add_elements(sum: *mut Sum) {
    naked_asm!(
        // The assembler does not know the extension here by itself.
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldr r1, [r0, #{shifts}]",
        "vdup.32 q2, r1",
        "ldrd r1, r2, [r0, #{shifts} + 4]",
        "vdup.32 q3, r1",
        "vdup.32 q4, r2",
        "ldrd r1, r2, [r0, #{bounds}]",
        "vdup.32 q5, r1",
        "vdup.32 q6, r2",
        "ldr lr, [r0, #{len}]",
        "ldm r0, {{r0-r12}}",
        "dlstp.32 lr, lr",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "vldrb.s32 q1, [r1], #4",
        "vadd.i32 q0, q0, r3",
        "vadd.i32 q1, q1, r4",
        "vshl.s32 q0, r5",
        "vshl.s32 q1, r5",
        scaled!("q0", "r6", "r10", "q2"),
        scaled!("q1", "r7", "r11", "q3"),
        "vadd.i32 q0, q0, q1",
        scaled!("q0", "r8", "r12", "q4"),
        "vadd.i32 q0, q0, r9",
        "vmax.s32 q0, q0, q5",
        "vmin.s32 q0, q0, q6",
        "vstrb.32 q0, [r2], #4",
        "letp lr, 2b",
        "vpop {{d8-d15}}",
        "pop {{r3-r11, pc}}",
        shifts = const offset_of!(Sum, shifts),
        bounds = const offset_of!(Sum, bounds),
        len = const offset_of!(Sum, len),
    )
}

/// [`portable::dot_rows`](crate::portable::dot_rows): sixteen elements of four rows in one iteration.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    // End of the last row. A saturated sum exceeds the length of any slice.
    let end = stride.saturating_mul(N.saturating_sub(1)).saturating_add(input.len());
    if input.is_empty() || end > weights.len() {
        return;
    }
    let mut row = weights.as_ptr();
    let (by_4, rest) = accumulators.as_chunks_mut::<4>();
    for [a0, a1, a2, a3] in by_4 {
        let rows = [row, row.wrapping_add(stride), row.wrapping_add(2 * stride), row.wrapping_add(3 * stride)];
        // SAFETY: the loop reads `input.len()` bytes from `input` and from each of the four rows, which all end within
        // `weights`, as checked above; it writes no memory.
        unsafe {
            asm!(
                "mov r11, lr",
                "dlstp.8 lr, r10",
                "2:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u8 q1, [r3], #16",
                "vmladava.s8 r0, q0, q1",
                "vldrb.u8 q1, [r5], #16",
                "vmladava.s8 r2, q0, q1",
                "vldrb.u8 q1, [r8], #16",
                "vmladava.s8 r4, q0, q1",
                "vldrb.u8 q1, [r9], #16",
                "vmladava.s8 r12, q0, q1",
                "letp lr, 2b",
                "mov lr, r11",
                inout("r1") input.as_ptr() => _,
                inout("r3") rows[0] => _,
                inout("r5") rows[1] => _,
                inout("r8") rows[2] => _,
                inout("r9") rows[3] => _,
                inout("r0") *a0,
                inout("r2") *a1,
                inout("r4") *a2,
                inout("r12") *a3,
                in("r10") input.len(),
                out("r11") _,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                options(readonly, nostack, preserves_flags),
            );
        }
        row = row.wrapping_add(4 * stride);
    }
    for accumulator in rest {
        // SAFETY: as above, with one row.
        unsafe {
            asm!(
                "mov r4, lr",
                "dlstp.8 lr, r3",
                "2:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u8 q1, [r2], #16",
                "vmladava.s8 r0, q0, q1",
                "letp lr, 2b",
                "mov lr, r4",
                inout("r1") input.as_ptr() => _,
                inout("r2") row => _,
                inout("r0") *accumulator,
                in("r3") input.len(),
                out("r4") _,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                options(readonly, nostack, preserves_flags),
            );
        }
        row = row.wrapping_add(stride);
    }
}

/// [`portable::multiply_taps`](crate::portable::multiply_taps): sixteen channels at a time, whose sums stay in
/// registers over all taps; remaining channels in groups of four.
#[inline]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    let Window { lines, runs, line, run } = *window;
    if lines == 0 || runs == 0 || !window.fits(accumulators.len(), [input.len(), weights.len()]) {
        return;
    }
    // Distance from the end of a kernel row to the start of the next.
    let next = [0, 1].map(|i| line[i].wrapping_sub(run[i].wrapping_mul(runs)));
    let (mut input, mut weights) = (input.as_ptr(), weights.as_ptr());
    let (by_16, rest) = accumulators.as_chunks_mut::<16>();
    for accumulators in by_16 {
        // SAFETY: of each tap, sixteen elements of input and weights are read from the chunk's first on, which lie
        // within both slices, as `fits` has checked for all the chunks; sixteen accumulators are read and written.
        unsafe {
            asm!(
                // The products of even and odd bytes are split into even and odd lanes again when they are widened: q0
                // sums bytes 0, 4, 8 and 12, q1 bytes 1, 5, 9 and 13, and so on. These loads and stores use the same
                // order.
                initial_16!(),
                "mov r11, lr",
                "3:",
                "dls lr, r9",
                "2:",
                "vldrb.u8 q4, [r1]",
                "add r1, r1, r3",
                "vldrb.u8 q5, [r2]",
                "add r2, r2, r4",
                "vmullb.s8 q6, q4, q5",
                "vmullt.s8 q4, q4, q5",
                "vmovlb.s16 q5, q6",
                "vadd.i32 q0, q0, q5",
                "vmovlt.s16 q6, q6",
                "vadd.i32 q2, q2, q6",
                "vmovlb.s16 q5, q4",
                "vadd.i32 q1, q1, q5",
                "vmovlt.s16 q4, q4",
                "vadd.i32 q3, q3, q4",
                "le lr, 2b",
                "add r1, r1, r5",
                "add r2, r2, r8",
                "subs r10, r10, #1",
                "bne 3b",
                "mov lr, r11",
                "vst40.32 {{q0, q1, q2, q3}}, [r0]",
                "vst41.32 {{q0, q1, q2, q3}}, [r0]",
                "vst42.32 {{q0, q1, q2, q3}}, [r0]",
                "vst43.32 {{q0, q1, q2, q3}}, [r0]",
                in("r0") accumulators.as_mut_ptr(),
                inout("r1") input => _,
                inout("r2") weights => _,
                in("r3") run[0],
                in("r4") run[1],
                in("r5") next[0],
                in("r8") next[1],
                in("r9") runs,
                inout("r10") lines => _,
                out("r11") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                options(nostack),
            );
        }
        (input, weights) = (input.wrapping_add(16), weights.wrapping_add(16));
    }
    if rest.is_empty() {
        return;
    }
    let back = [0, 1].map(|i| line[i].wrapping_mul(lines).wrapping_sub(4));
    let steps = [next[0], next[1], back[0], back[1], lines, runs];
    // SAFETY: as above, four elements of each tap at a time. All of it is a loop over `rest`, in whose last iteration
    // the lanes beyond the end read and write nothing.
    unsafe {
        asm!(
            "mov r12, lr",
            "dlstp.32 lr, r8",
            "4:",
            "vldrw.u32 q0, [r2]",
            "ldr r9, [r5, #16]",
            "3:",
            "ldr r10, [r5, #20]",
            "2:",
            "vldrb.s32 q1, [r0]",
            "add r0, r0, r3",
            "vldrb.s32 q2, [r1]",
            "add r1, r1, r4",
            "vmul.i32 q1, q1, q2",
            "vadd.i32 q0, q0, q1",
            "subs r10, r10, #1",
            "bne 2b",
            "ldrd r10, r11, [r5]",
            "add r0, r0, r10",
            "add r1, r1, r11",
            "subs r9, r9, #1",
            "bne 3b",
            "ldrd r10, r11, [r5, #8]",
            "sub r0, r0, r10",
            "sub r1, r1, r11",
            "vstrw.32 q0, [r2], #16",
            "letp lr, 4b",
            "mov lr, r12",
            // Widening loads need their address in one of the first eight registers.
            inout("r0") input => _,
            inout("r1") weights => _,
            inout("r2") rest.as_mut_ptr() => _,
            in("r3") run[0],
            in("r4") run[1],
            in("r5") steps.as_ptr(),
            in("r8") rest.len(),
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}

/// [`copy`](crate::lines::copy): sixteen at a time. For few elements, faster than a call of `memcpy`.
#[inline]
pub(crate) fn copy_run(output: &mut [i8], input: &[i8]) {
    let len = output.len().min(input.len());
    // SAFETY: both slices have at least `len` bytes; in the last iteration the lanes beyond the end read and write
    // nothing.
    unsafe {
        asm!(
            "mov r12, lr",
            "wlstp.8 lr, r3, 3f",
            "2:",
            "vldrb.u8 q0, [r1], #16",
            "vstrb.8 q0, [r0], #16",
            "letp lr, 2b",
            "3:",
            "mov lr, r12",
            inout("r0") output.as_mut_ptr() => _,
            inout("r1") input.as_ptr() => _,
            in("r3") len,
            out("r12") _,
            out("d0") _,
            out("d1") _,
            options(nostack, preserves_flags),
        );
    }
}

/// [`portable::requantize`](crate::portable::requantize): four at a time.
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
    let [low, high] = activation.bounds();
    // SAFETY: the loop reads `len` elements of `accumulators` and the last two fields, at bytes 4 and 8 of twelve, of
    // as many `channels`, and writes as many bytes to `outputs`; each slice has at least `len` elements. Saturation
    // sets FPSCR.QC, so the flags are not preserved.
    unsafe {
        asm!(
            // The addresses of four shifts, one iteration before the first.
            "vidup.u32 q0, r0, #4",
            "vmul.i32 q0, q0, r1",
            "vadd.i32 q0, q0, r2",
            "vmov.i32 q1, #0",
            "vdup.32 q4, r3",
            "vdup.32 q5, r5",
            "mov r10, lr",
            "dlstp.32 lr, r12",
            "2:",
            "vldrw.u32 q3, [q0, #48]!",
            "vldrw.u32 q2, [r9], #16",
            "vmax.s32 q6, q3, q1",
            "vshl.s32 q2, q2, q6",
            "vldrw.u32 q6, [q0, #-4]",
            "vqrdmulh.s32 q2, q2, q6",
            "vmin.s32 q3, q3, q1",
            "vand q6, q2, q3",
            "vshr.s32 q6, q6, #31",
            "vqadd.s32 q2, q2, q6",
            "vrshl.s32 q2, q2, q3",
            "vadd.i32 q2, q2, r8",
            "vmax.s32 q2, q2, q4",
            "vmin.s32 q2, q2, q5",
            "vstrb.32 q2, [r4], #4",
            "letp lr, 2b",
            "mov lr, r10",
            inout("r0") 0 => _,
            in("r1") 3,
            in("r2") channels.as_ptr().wrapping_byte_sub(48 - 8),
            in("r3") low,
            // Narrowing stores need their address in one of the first eight registers.
            inout("r4") outputs.as_mut_ptr() => _,
            in("r5") high,
            in("r8") zero_point,
            inout("r9") accumulators.as_ptr() => _,
            out("r10") _,
            in("r12") len,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
            options(nostack),
        );
    }
}
