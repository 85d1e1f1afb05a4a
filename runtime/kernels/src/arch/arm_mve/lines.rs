//! Lines of depthwise convolutions, sixteen channels at a time.
//!
//! The input that adjacent pixels read is copied with its padding channel by channel, and in a channel column by
//! column, so that the taps of a pixel in one channel are adjacent bytes, and so are its weights. A sum is then one
//! load and one `VMLADAVA`, of up to sixteen taps; the weights of missing taps are 0. All pixels have the same taps,
//! those at the border too. Scattering stores write a byte to each of eight channels in one instruction.

use super::shifted;
use crate::DepthwiseConv2d;
use crate::lines::run;
use crate::quant::Channel;
use crate::window::{Lines, pixel_start};
use core::arch::naked_asm;
use core::mem::{MaybeUninit, offset_of};
use core::ops::Range;
use tealight_types::ActivationRange;

/// The number of channels of a block.
const BLOCK: usize = 16;

/// The maximum number of taps, and the distance from the weights of a channel to those of the next.
const TAPS: usize = 16;

/// The minimum number of pixels: for fewer, copying their taps and weights takes longer than it saves.
const PIXELS: usize = 4;

/// The distance from the input of a channel to that of the next, and its maximum number of elements: columns times
/// kernel rows.
const COPIED: usize = 24;

/// A block of channels of some pixels. The assembly knows the fields by their names.
#[repr(C, align(8))]
struct Block {
    /// Channel by channel, column by column; 0 beyond the last tap.
    weights: [MaybeUninit<i8>; BLOCK * TAPS],
    /// Of four channels each: the biases, the multipliers, and the shifts or what stands for them.
    constants: [MaybeUninit<i32>; BLOCK * 3],
    /// The input: channel by channel, column by column. The last window is read as if it had all taps.
    columns: [MaybeUninit<i8>; BLOCK * COPIED + TAPS],
    copy: Copy,
    /// Of the block's channels.
    channels: *const Channel,
    /// Whether some of the copied columns or rows are padding.
    padded: bool,
    /// Whether the output's range is that of a byte; whether besides no shift needs more than two multiplications.
    full: bool,
    simple: bool,
    padding: i32,
    zero_point: i32,
    bounds: [i32; 2],
    outputs: *mut i8,
    count: usize,
    /// Distances to the next pixel, in the columns and in the outputs.
    pixel_steps: [usize; 2],
}

/// Elements of sixteen channels that are copied: rows, which are adjacent in the copy, of columns. The assembly knows
/// the order of the fields.
#[repr(C)]
struct Copy {
    /// Distances from a column to the next, in the input and in the copy.
    column_steps: [usize; 2],
    input: *const i8,
    /// The place of the copy in the block.
    output: usize,
    row_step: usize,
    columns: usize,
    rows: usize,
}

/// [`composed::depthwise_lines`](crate::composed::depthwise_lines), for at least sixteen channels, windows of few taps
/// that are not dilated, and some pixels.
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
        && elements <= input.len()
        && weights.len() >= taps.saturating_mul(depth)
        && channels.len() >= depth
        && output.len() >= PIXELS.saturating_mul(depth);
    if !fits {
        return false;
    }
    let pixel_step = p.window.stride[1].saturating_mul(height);
    let most = COPIED.saturating_sub(taps).checked_div(pixel_step).unwrap_or(0) + 1;
    let mut block = Block {
        weights: [MaybeUninit::uninit(); BLOCK * TAPS],
        constants: [MaybeUninit::uninit(); BLOCK * 3],
        columns: [MaybeUninit::uninit(); BLOCK * COPIED + TAPS],
        copy: Copy {
            column_steps: [depth, height],
            input: weights.as_ptr(),
            output: 0,
            row_step: 0,
            columns: 0,
            rows: 0,
        },
        channels: channels.as_ptr(),
        padded: false,
        full: p.activation == ActivationRange::FULL,
        simple: false,
        padding: p.input_zero_point,
        zero_point: p.output_zero_point,
        bounds: p.activation.bounds(),
        outputs: output.as_mut_ptr(),
        count: 0,
        pixel_steps: [pixel_step, depth],
    };
    let mut at = 0;
    while at < depth {
        // Where channels are left over, the last block begins so much earlier that it is whole.
        let channel = at.min(depth - BLOCK);
        block.channels = run(channels, channel, BLOCK).as_ptr();
        block.copy.input = weights.as_ptr().wrapping_add(channel);
        block.copy.output = offset_of!(Block, weights);
        (block.copy.row_step, block.copy.columns, block.copy.rows) = (width * depth, width, height);
        // SAFETY: all taps lie within the weights, as checked above, there is room for them, and there are as many
        // channels as the block has.
        unsafe { prepare(&mut block) };
        lines.for_each(rows.clone(), output, |at, xs, line| block.compute(p, (input, channel), most, at, xs, line));
        at += BLOCK;
    }
    true
}

impl Block {
    /// Computes the block's channels, from `channel` on, of the pixels `xs` of an output row, at most `most` at a time.
    /// `input` has all elements of its shape.
    #[inline(never)]
    fn compute(
        &mut self,
        p: &DepthwiseConv2d,
        (input, channel): (&[i8], usize),
        most: usize,
        [image, y]: [usize; 2],
        xs: Range<usize>,
        line: &mut [i8],
    ) {
        let ([_, in_height, in_width, depth], [height, width]) = (p.input, p.window.kernel);
        let ([stride_y, stride], [pad_y, pad]) = (p.window.stride, p.window.pad);
        if line.len() < xs.len() * depth {
            return;
        }
        let (above, rows, row) = inside(y.wrapping_mul(stride_y), height, pad_y, in_height);
        (self.copy.row_step, self.copy.rows) = (in_width * depth, rows);
        self.outputs = line.as_mut_ptr().wrapping_add(channel);
        let mut first = xs.start;
        while first < xs.end {
            let count = most.min(xs.end - first);
            let all = (count - 1) * stride + width;
            let (before, columns, column) = inside(first.wrapping_mul(stride), all, pad, in_width);
            self.copy.input = input.as_ptr().wrapping_add(pixel_start(p.input, [image, row, column]) + channel);
            self.copy.output = offset_of!(Block, columns) + before * height + above;
            self.copy.columns = columns;
            self.padded = rows < height || columns < all;
            self.count = count;
            // SAFETY: the rows and columns inside the input are elements of it, which has all of them; there is room
            // for the columns of `count` pixels, and the line has the outputs of all pixels.
            unsafe { convolve(self) };
            first += count;
            self.outputs = self.outputs.wrapping_add(count * depth);
        }
    }
}

/// Of `count` places from `from` on, which begin `pad` before those of an input: how many lie before the input, how
/// many in it, and the first in the input.
#[inline]
fn inside(from: usize, count: usize, pad: usize, len: usize) -> (usize, usize, usize) {
    let before = pad.saturating_sub(from).min(count);
    let end = pad.saturating_add(len).saturating_sub(from).clamp(before, count);
    (before, end - before, from.saturating_sub(pad))
}

/// Copies as the block at `r0` describes. A channel's copy is as many times eight bytes from the next as `$spacing` is.
macro_rules! scatter {
    ($spacing:literal) => {
        concat!(
            // Where eight channels go, and the next eight.
            "movs r2, #0\n",
            "vidup.u16 q2, r2, #8\n",
            "movs r1, #",
            $spacing,
            "\n",
            "vmul.i16 q2, q2, r1\n",
            "lsls r1, r1, #6\n",
            "vadd.i16 q3, q2, r1\n",
            "add r1, r0, #{copy}\n",
            "ldm r1, {{r3-r9}}\n",
            "add r6, r6, r0\n",
            "cmp r9, #0\n",
            "beq 24f\n",
            "21:\n",
            "mov r1, r5\n",
            "mov r2, r6\n",
            "wls lr, r8, 23f\n",
            "22:\n",
            "vldrb.u16 q0, [r1]\n",
            "vldrb.u16 q1, [r1, #8]\n",
            "add r1, r1, r3\n",
            "vstrb.16 q0, [r2, q2]\n",
            "vstrb.16 q1, [r2, q3]\n",
            "add r2, r2, r4\n",
            "le lr, 22b\n",
            "23:\n",
            "add r5, r5, r7\n",
            "adds r6, r6, #1\n",
            "subs r9, r9, #1\n",
            "bne 21b\n",
            "24:\n",
        )
    };
}

/// Copies a block's weights, and the constants of its channels.
///
/// A shift of `s`, 1 to 11, places to the right is the second of two rounding multiplications, by `2^(31 - s) + 1`, in
/// which the zero point is added too. The 1 moves the product away from zero by less than a unit of `2^-s`, the
/// distance of two products, as long as `x` is below `2^(31 - s)`: it decides ties alone, which thus go away from zero,
/// as they shall. Where `x` is not below that, the quotient is at least `2^(31 - 2s)`, beyond the range of a byte with
/// any zero point.
///
/// # Safety
/// `block` must describe memory that may be read and written.
#[unsafe(naked)]
unsafe extern "C" fn prepare(block: &mut Block) {
    naked_asm!(
        // The assembler does not know the extension here by itself.
        ".cpu cortex-m55",
        "push {{r3-r9, lr}}",
        "vmov.i32 q0, #0",
        "add r1, r0, #{weights}",
        "movs r2, #8",
        "dls lr, r2",
        "2:",
        "vstrw.32 q0, [r1], #16",
        "vstrw.32 q0, [r1], #16",
        "le lr, 2b",
        scatter!("2"),
        // Four channels: the addresses of their biases, one iteration before the first.
        "ldr r1, [r0, #{channels}]",
        "movs r2, #0",
        "vidup.u32 q0, r2, #4",
        "movs r2, #3",
        "vmul.i32 q0, q0, r2",
        "subs r1, r1, #48",
        "vadd.i32 q0, q0, r1",
        "add r1, r0, #{constants}",
        "mov r3, r1",
        "movs r4, #11",
        "vmov.i32 q3, #0",
        "movs r2, #4",
        "dls lr, r2",
        "3:",
        "vldrw.u32 q1, [q0, #48]!",
        "vldrw.u32 q2, [q0, #4]",
        "vstrw.32 q1, [r1], #16",
        "vldrw.u32 q1, [q0, #8]",
        "vstrw.32 q2, [r1], #16",
        "vadd.i32 q2, q1, r4",
        "vstrw.32 q1, [r1], #16",
        "vmax.u32 q3, q3, q2",
        "le lr, 3b",
        "movs r1, #0",
        "vmaxv.u32 r1, q3",
        "cmp r1, #10",
        "ldrb r1, [r0, #{full}]",
        "it hi",
        "movhi r1, #0",
        "strb r1, [r0, #{simple}]",
        "cbz r1, 5f",
        "movs r1, #31",
        "vmov.i32 q1, #1",
        "dls lr, r2",
        "4:",
        "vldrw.u32 q0, [r3, #32]",
        "vadd.i32 q0, q0, r1",
        "vshl.s32 q0, q1, q0",
        "vadd.i32 q0, q0, q1",
        "vstrw.32 q0, [r3, #32]",
        "adds r3, r3, #48",
        "le lr, 4b",
        "5:",
        "pop {{r3-r9, pc}}",
        weights = const offset_of!(Block, weights),
        constants = const offset_of!(Block, constants),
        copy = const offset_of!(Block, copy),
        channels = const offset_of!(Block, channels),
        full = const offset_of!(Block, full),
        simple = const offset_of!(Block, simple),
    )
}

/// The sums of four channels of a pixel, to `q4`.
macro_rules! sums {
    () => {
        "ldm r7, {{r0, r2, r4, r8}}\n\
         vldrb.u8 q4, [r1]\n\
         vmladava.s8 r0, q4, q0\n\
         vldrb.u8 q5, [r1, #{apart}]\n\
         vmladava.s8 r2, q5, q1\n\
         vldrb.u8 q4, [r1, #2 * {apart}]\n\
         vmladava.s8 r4, q4, q2\n\
         vldrb.u8 q5, [r1, #3 * {apart}]\n\
         vmladava.s8 r8, q5, q3\n\
         vmov q4[2], q4[0], r0, r4\n\
         add r1, r1, r5\n\
         vmov q4[3], q4[1], r2, r8\n"
    };
}

/// Copies the input of some pixels, and computes their outputs.
///
/// # Safety `block` must describe memory that may be read and written, and at least one pixel; [`prepare`] has written
/// its weights and constants.
#[unsafe(naked)]
unsafe extern "C" fn convolve(block: &mut Block) {
    naked_asm!(
        // The assembler does not know the extension here by itself.
        ".cpu cortex-m55",
        "push {{r0, r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldrb r1, [r0, #{padded}]",
        "cbz r1, 2f",
        "ldr r1, [r0, #{padding}]",
        "vdup.8 q0, r1",
        "add r2, r0, #{columns}",
        "movs r1, #6",
        "dls lr, r1",
        "3:",
        "vstrw.32 q0, [r2], #16",
        "vstrw.32 q0, [r2], #16",
        "vstrw.32 q0, [r2], #16",
        "vstrw.32 q0, [r2], #16",
        "le lr, 3b",
        "2:",
        scatter!("3"),
        "add r10, r0, #{weights}",
        "add r11, r0, #{columns}",
        "add r7, r0, #{constants}",
        "ldr r12, [r0, #{outputs}]",
        "ldrd r5, r6, [r0, #{pixel_steps}]",
        "ldr r9, [r0, #{zero_point}]",
        // Four channels.
        "4:",
        "ldr r1, [r0, #{count}]",
        "ldrb r0, [r0, #{simple}]",
        "vldrw.u32 q0, [r10], #16",
        "vldrw.u32 q1, [r10], #16",
        "vldrw.u32 q2, [r10], #16",
        "vldrw.u32 q3, [r10], #16",
        "vldrw.u32 q6, [r7, #16]",
        "vldrw.u32 q7, [r7, #32]",
        "mov r3, r12",
        "dls lr, r1",
        "mov r1, r11",
        "cbz r0, 7f",
        "5:",
        sums!(),
        "vqrdmulh.s32 q4, q4, q6",
        "vqrdmlash.s32 q4, q7, r9",
        "vqmovnb.s32 q4, q4",
        "vqmovnb.s16 q4, q4",
        "vstrb.32 q4, [r3]",
        "add r3, r3, r6",
        "le lr, 5b",
        "6:",
        "ldr r0, [sp, #64]",
        "adds r7, r7, #48",
        "adds r11, r11, #4 * {apart}",
        "adds r12, r12, #4",
        "add r1, r0, #{weights} + 256",
        "cmp r10, r1",
        "bne 4b",
        "vpop {{d8-d15}}",
        "pop {{r0, r4-r11, pc}}",
        // Shifts of any number of places, to any range.
        "7:",
        sums!(),
        "ldr r0, [sp, #64]",
        shifted!("q4", "q6", "q7", "q5", "r9"),
        "ldrd r0, r2, [r0, #{bounds}]",
        "vdup.32 q5, r0",
        "vmax.s32 q4, q4, q5",
        "vdup.32 q5, r2",
        "vmin.s32 q4, q4, q5",
        "vstrb.32 q4, [r3]",
        "add r3, r3, r6",
        "le lr, 7b",
        "b 6b",
        weights = const offset_of!(Block, weights),
        constants = const offset_of!(Block, constants),
        columns = const offset_of!(Block, columns),
        copy = const offset_of!(Block, copy),
        padded = const offset_of!(Block, padded),
        padding = const offset_of!(Block, padding),
        outputs = const offset_of!(Block, outputs),
        pixel_steps = const offset_of!(Block, pixel_steps),
        zero_point = const offset_of!(Block, zero_point),
        bounds = const offset_of!(Block, bounds),
        count = const offset_of!(Block, count),
        simple = const offset_of!(Block, simple),
        apart = const COPIED,
    )
}
