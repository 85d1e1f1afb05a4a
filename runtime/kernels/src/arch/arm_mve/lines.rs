//! Lines of depthwise convolutions, sixteen channels at a time.
//!
//! The columns of input that adjacent pixels read are copied with their padding, kernel row by kernel row, so that the
//! taps of a pixel follow each other in memory, and so do their weights: a tap is two loads with a post-increment, two
//! multiplications, and four widening additions. All pixels have the same taps, those at the border too.

use super::{initial_16, products_16, requantized, store_16};
use crate::DepthwiseConv2d;
use crate::lines::run;
use crate::quant::Channel;
use crate::window::{Lines, pixel_start};
use core::arch::naked_asm;
use core::mem::{MaybeUninit, offset_of};
use core::ops::Range;

/// The number of channels of a block.
const BLOCK: usize = 16;

/// The maximum number of taps.
const TAPS: usize = 16;

/// The minimum number of pixels: for fewer, copying their taps and weights takes longer than it saves.
const PIXELS: usize = 4;

/// The maximum number of copied blocks of input: columns times kernel rows.
const COPIED: usize = 28;

/// A block of channels of some pixels, whose taps follow each other. The assembly knows the fields by their names.
#[repr(C, align(8))]
struct Pixels {
    /// Of the block's channels.
    initial: *const i32,
    columns: *const i8,
    weights: *const i8,
    channels: *const Channel,
    outputs: *mut i8,
    count: usize,
    taps: usize,
    /// Distances to the next pixel, in the columns and in the outputs.
    steps: [usize; 2],
    zero_point: i32,
    bounds: [i32; 2],
    /// Whether all shifts are right shifts.
    right_shifts: bool,
}

/// [`composed::depthwise_lines`](crate::composed::depthwise_lines), for at least sixteen channels, windows of few taps
/// that are not dilated, and some pixels. Windows of a single row without padding are not worth copying.
#[inline(never)]
pub(crate) fn depthwise_lines(
    p: &DepthwiseConv2d,
    (lines, rows): (&Lines, &Range<usize>),
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let (depth, [height, width]) = (p.input[3], p.window.kernel);
    let taps = height.saturating_mul(width);
    let elements = p.input.iter().fold(1usize, |elements, &n| elements.saturating_mul(n));
    let fits = p.output[3] == depth
        && depth >= BLOCK
        && (1..=TAPS).contains(&taps)
        && p.window.dilation == [1, 1]
        && (height > 1 || p.window.pad[1] > 0)
        && elements <= input.len()
        && weights.len() >= taps.saturating_mul(depth)
        && channels.len() >= depth
        && output.len() >= PIXELS.saturating_mul(depth);
    if !fits {
        return false;
    }
    let (mut initial, mut taps) = ([0; BLOCK], [MaybeUninit::<i8>::uninit(); BLOCK * TAPS]);
    let mut at = 0;
    while at < depth {
        // Where channels are left over, the last block begins so much earlier that it is whole.
        let channel = at.min(depth - BLOCK);
        let channels = run(channels, channel, BLOCK);
        for (initial, channel) in initial.iter_mut().zip(channels) {
            *initial = channel.bias;
        }
        let mut copy = Copy {
            output: taps.as_mut_ptr().cast(),
            input: weights.as_ptr().wrapping_add(channel),
            steps: [height * BLOCK, depth],
            row_step: width * depth,
            columns: [0, width, 0],
            rows: [0, height, 0],
            padding: [0; BLOCK],
        };
        // SAFETY: all taps lie within the weights, as checked above, and there is room for them.
        unsafe { copy_columns(&mut copy) };
        let right_shifts = channels.iter().all(|channel| channel.shift < 0);
        let block = Block { p, input, channel, channels, right_shifts, initial: &initial, taps: taps.as_ptr().cast() };
        lines.for_each(rows.clone(), output, |at, xs, line| block.compute(at, xs, line));
        at += BLOCK;
    }
    true
}

/// What all lines of a block of channels share.
struct Block<'a> {
    p: &'a DepthwiseConv2d,
    /// All elements of its shape.
    input: &'a [i8],
    channel: usize,
    channels: &'a [Channel],
    right_shifts: bool,
    initial: &'a [i32; BLOCK],
    /// Tap by tap, column by column.
    taps: *const i8,
}

impl Block<'_> {
    /// Computes the block's channels of the pixels `xs` of an output row.
    #[inline(never)]
    fn compute(&self, [image, y]: [usize; 2], xs: Range<usize>, line: &mut [i8]) {
        let Self { p, input, channel, channels, .. } = *self;
        let ([_, in_height, in_width, depth], [height, width]) = (p.input, p.window.kernel);
        let ([stride_y, stride], [pad_y, pad]) = (p.window.stride, p.window.pad);
        if line.len() < xs.len() * depth {
            return;
        }
        let (rows, row) = parts(y.wrapping_mul(stride_y), height, pad_y, in_height);
        let mut columns = [MaybeUninit::<i8>::uninit(); BLOCK * COPIED];
        let columns = columns.as_mut_ptr().cast::<i8>();
        // A window has at most sixteen taps, so there is room for those of a pixel.
        let most = (COPIED / height.max(1)).saturating_sub(width).checked_div(stride).unwrap_or(0) + 1;
        let mut outputs = line.as_mut_ptr().wrapping_add(channel);
        let mut first = xs.start;
        while first < xs.end {
            let count = most.min(xs.end - first);
            let (parts, column) = parts(first.wrapping_mul(stride), (count - 1) * stride + width, pad, in_width);
            let mut copy = Copy {
                output: columns,
                input: input.as_ptr().wrapping_add(pixel_start(p.input, [image, row, column]) + channel),
                steps: [height * BLOCK, depth],
                row_step: in_width * depth,
                columns: parts,
                rows,
                // A valid zero point is in the range of a byte.
                padding: [p.input_zero_point as i8; BLOCK],
            };
            // SAFETY: the rows and columns inside the input are elements of it, which has all of them, and there is room
            // for so many columns.
            unsafe { copy_columns(&mut copy) };
            let pixels = Pixels {
                initial: self.initial.as_ptr(),
                columns,
                weights: self.taps,
                channels: channels.as_ptr(),
                outputs,
                count,
                taps: height * width,
                steps: [stride * height * BLOCK, depth],
                zero_point: p.output_zero_point,
                bounds: p.activation.bounds(),
                right_shifts: self.right_shifts,
            };
            // SAFETY: there are the columns of `count` pixels, the taps and channels of a block, and in the line the
            // outputs of all pixels.
            unsafe { convolve(&pixels) };
            (first, outputs) = (first + count, outputs.wrapping_add(count * depth));
        }
    }
}

/// Of `count` places from `from` on, which begin `pad` before those of an input: how many lie before the input, in it, and
/// after it; and the first in the input.
#[inline]
fn parts(from: usize, count: usize, pad: usize, len: usize) -> ([usize; 3], usize) {
    let before = pad.saturating_sub(from).min(count);
    let end = pad.saturating_add(len).saturating_sub(from).clamp(before, count);
    ([before, end - before, count - end], from.saturating_sub(pad))
}

/// Blocks of sixteen elements that are copied, with padding around them: column by column, from their rows. The assembly
/// knows the fields by their names.
#[repr(C, align(8))]
struct Copy {
    output: *mut i8,
    /// The first row and column that is not padding.
    input: *const i8,
    /// Distances from a column to the next, in the output and in the input.
    steps: [usize; 2],
    /// From a row to the next in the input; in the output rows are adjacent.
    row_step: usize,
    /// How many are padding before the input, in the input, and padding after it; not 0 together.
    columns: [usize; 3],
    rows: [usize; 3],
    padding: [i8; BLOCK],
}

/// Copies blocks. Counts the rows of padding after the input down to 0.
///
/// # Safety
/// `copy` must describe memory that may be read and written.
#[unsafe(naked)]
unsafe extern "C" fn copy_columns(copy: &mut Copy) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "add r1, r0, #{padding}",
        "vldrb.u8 q1, [r1]",
        "ldrd r4, r5, [r0, #{output}]",
        "ldrd r2, r3, [r0, #{steps}]",
        "ldrd r6, r7, [r0, #{row_step}]",
        "ldrd r8, r9, [r0, #{columns} + 4]",
        "add r10, r7, r8",
        "add r10, r10, r9",
        "ldrd r11, r12, [r0, #{rows}]",
        // Rows in the padding: before the input, and at last after it.
        "1:",
        "cmp r11, #0",
        "beq 3f",
        "2:",
        "mov r1, r4",
        "dls lr, r10",
        "4:",
        "vstrb.8 q1, [r1]",
        "add r1, r1, r2",
        "le lr, 4b",
        "adds r4, r4, #16",
        "subs r11, r11, #1",
        "bne 2b",
        "3:",
        "cmp r12, #0",
        "beq 5f",
        // Those of the input.
        "6:",
        "mov r1, r4",
        "wls lr, r7, 7f",
        "8:",
        "vstrb.8 q1, [r1]",
        "add r1, r1, r2",
        "le lr, 8b",
        "7:",
        "mov r11, r5",
        "wls lr, r8, 7f",
        "8:",
        "vldrb.u8 q0, [r11]",
        "add r11, r11, r3",
        "vstrb.8 q0, [r1]",
        "add r1, r1, r2",
        "le lr, 8b",
        "7:",
        "wls lr, r9, 7f",
        "8:",
        "vstrb.8 q1, [r1]",
        "add r1, r1, r2",
        "le lr, 8b",
        "7:",
        "adds r4, r4, #16",
        "add r5, r5, r6",
        "subs r12, r12, #1",
        "bne 6b",
        "5:",
        "ldr r11, [r0, #{rows} + 8]",
        "movs r1, #0",
        "str r1, [r0, #{rows} + 8]",
        "cmp r11, #0",
        "bne 1b",
        "pop {{r4-r11, pc}}",
        output = const offset_of!(Copy, output),
        steps = const offset_of!(Copy, steps),
        row_step = const offset_of!(Copy, row_step),
        columns = const offset_of!(Copy, columns),
        rows = const offset_of!(Copy, rows),
        padding = const offset_of!(Copy, padding),
    )
}

/// Requantizes four sums as [`requantized!`] does, if all shifts are right shifts.
macro_rules! shifted_right {
    ($sums:literal, $shift:literal, $multiplier:literal) => {
        concat!(
            "vldrw.u32 q6, [q4, #",
            $multiplier,
            "]\n",
            "vldrw.u32 q5, [q4, #",
            $shift,
            "]\n",
            "vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q6\n",
            // A negative number is decremented, so that its halves are rounded down.
            "vshr.s32 q6, ",
            $sums,
            ", #31\n",
            "vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", q6\n",
            "vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5\n",
            "vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", r1\n",
        )
    };
}

/// Computes the outputs of all pixels.
///
/// # Safety
/// `pixels` must describe memory that may be read and written: all taps of at least one pixel, and its outputs.
#[unsafe(naked)]
unsafe extern "C" fn convolve(pixels: &Pixels) {
    naked_asm!(
        // The assembler does not know the extension here by itself.
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r6, r0",
        // The addresses of four shifts.
        "ldr r1, [r6, #{channels}]",
        "movs r0, #0",
        "vidup.u32 q4, r0, #4",
        "movs r2, #12",
        "vmul.i32 q4, q4, r2",
        "adds r1, r1, #8",
        "vadd.i32 q4, q4, r1",
        "ldr r0, [r6, #{initial}]",
        "ldrd r10, r5, [r6, #{columns}]",
        "ldrd r11, r12, [r6, #{outputs}]",
        "ldr r9, [r6, #{taps}]",
        "ldrd r3, r4, [r6, #{steps}]",
        "ldrb r7, [r6, #{right_shifts}]",
        // A pixel.
        "3:",
        initial_16!(),
        "mov r1, r10",
        "mov r2, r5",
        "dls lr, r9",
        "4:",
        "vldrb.u8 q5, [r1], #16",
        "vldrb.u8 q6, [r2], #16",
        products_16!(),
        "le lr, 4b",
        "ldr r1, [r6, #{zero_point}]",
        "ldrd r2, r8, [r6, #{bounds}]",
        "cmp r7, #0",
        "beq.w 6f",
        shifted_right!("q0", "0", "-4"),
        shifted_right!("q1", "12", "8"),
        shifted_right!("q2", "24", "20"),
        shifted_right!("q3", "36", "32"),
        "5:",
        store_16!(),
        "add r10, r10, r3",
        "add r11, r11, r4",
        "subs r12, r12, #1",
        "bne 3b",
        "vpop {{d8-d15}}",
        "pop {{r3-r11, pc}}",
        "6:",
        requantized!("q0", "0", "-4"),
        requantized!("q1", "12", "8"),
        requantized!("q2", "24", "20"),
        requantized!("q3", "36", "32"),
        "b 5b",
        initial = const offset_of!(Pixels, initial),
        columns = const offset_of!(Pixels, columns),
        channels = const offset_of!(Pixels, channels),
        outputs = const offset_of!(Pixels, outputs),
        taps = const offset_of!(Pixels, taps),
        steps = const offset_of!(Pixels, steps),
        zero_point = const offset_of!(Pixels, zero_point),
        bounds = const offset_of!(Pixels, bounds),
        right_shifts = const offset_of!(Pixels, right_shifts),
    )
}
