//! Lines of a depthwise convolution with a 3 × 3 window, four channels at a time.
//!
//! A column of three words, four channels of three rows of the input, is widened once to six words and used by all
//! pixels whose windows contain it. The columns are adjacent in a buffer, and columns and rows in the padding are there
//! too, so that each pixel is the same 36 products of 18 words of inputs and 18 of weights.

use super::products::clamp_lines;
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::lines::run;
use crate::paths::has_dsp_line;
use crate::quant::Channel;
use crate::window::pixel_start;
use core::arch::naked_asm;
use core::mem::MaybeUninit;
use core::ops::Range;

/// The maximum number of columns in the buffer.
const COLUMNS: usize = 26;

/// The operands of [`convolve_line`], and its variables.
#[repr(C)]
struct Operands {
    weights: MaybeUninit<[u32; 18]>,
    /// Of each channel, the multiplier and the power of two of the right shift.
    factors: MaybeUninit<[u32; 8]>,
    sums: MaybeUninit<[i32; 4]>,
    zero_point: i32,
    output: *mut i8,
    output_step: usize,
    /// The first column of the first pixel.
    columns: *const u32,
    /// The distance from the last column of a pixel to the first of the next.
    next_columns: isize,
    /// Where the pixel after the last would have its first column.
    end: *const u32,
    /// The first words of three rows of the input, the distance from one to the next column, and to the next channels:
    /// those of a row in the padding are 0.
    rows: [*const i8; 3],
    row_steps: [usize; 3],
    row_blocks: [usize; 3],
    column_count: usize,
    first_column: *mut u32,
    filter: *const i8,
    filter_step: usize,
    channels: *const Channel,
    first_output: *mut i8,
    blocks: usize,
    /// Whether a channel of the block has an unusually large factor or bias.
    unusual: u32,
}

/// Widens a column of words at `r1`, `r2` and `r3` to six words at `r0`, and goes to the next.
macro_rules! column {
    () => {
        "ldr r9, [r1]
        ldr r11, [r2]
        ldr lr, [r3]
        sxtb16 r8, r9
        sxtb16 r9, r9, ror #8
        sxtb16 r10, r11
        sxtb16 r11, r11, ror #8
        sxtb16 r12, lr
        sxtb16 lr, lr, ror #8
        add r1, r1, r4
        add r2, r2, r5
        add r3, r3, r6
        stm r0!, {{r8, r9, r10, r11, r12, lr}}"
    };
}

/// Adds the products of four channels of one element of a column.
macro_rules! products {
    ($even:literal, $odd:literal, $weights:literal) => {
        concat!(
            "ldrd r10, r11, [lr, #",
            $weights,
            "]\n",
            instruction!("smlabb", "r0", $even, "r10", "r0"),
            instruction!("smlabb", "r1", $odd, "r11", "r1"),
            instruction!("smlatt", "r2", $even, "r10", "r2"),
            instruction!("smlatt", "r3", $odd, "r11", "r3"),
        )
    };
}

/// Computes blocks of four channels of adjacent pixels.
///
/// # Safety
/// The operands must describe memory that may be read and written, with at least one block, pixel and column, and
/// columns in the padding must be in the buffer.
#[unsafe(naked)]
unsafe extern "C" fn convolve_line(operands: *mut Operands) {
    naked_asm!(
        core!(),
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov lr, r0",
        "1:",
        // The factors.
        "ldr r7, [lr, #196]",
        "mov r3, #0x80000000",
        "mov r5, #0",
        ".irp channel, 0, 1, 2, 3",
        "ldm r7!, {{r0, r1, r2}}",
        "str r0, [lr, #104 + 4 * \\channel]",
        // -shift - 1, which is positive unless the factor is at least a quarter.
        "rsbs r2, r2, #-1",
        "it le",
        "movle r5, #1",
        // A bias below 2^29 leads to a sum below 2^30, which can be doubled.
        "add r4, r0, #0x20000000",
        "cmp r4, #0x40000000",
        "it hs",
        "movhs r5, #1",
        "ror r2, r3, r2",
        "strd r1, r2, [lr, #72 + 8 * \\channel]",
        ".endr",
        "str r7, [lr, #196]",
        "str r5, [lr, #208]",
        // The weights: three columns of three words.
        "mov r0, lr",
        "ldrd r1, r4, [lr, #188]",
        "add r7, r1, #4",
        "str r7, [lr, #188]",
        "mov r5, r4",
        "mov r6, r4",
        "add r7, r4, r4, lsl #1",
        "add r2, r1, r7",
        "add r3, r2, r7",
        ".rept 3",
        column!(),
        ".endr",
        // The inputs.
        "ldr lr, [sp]",
        "add r0, lr, #144",
        "ldm r0, {{r1, r2, r3, r4, r5, r6, r8, r9, r10}}",
        "add r8, r8, r1",
        "add r9, r9, r2",
        "add r10, r10, r3",
        "stm r0, {{r8, r9, r10}}",
        "ldrd r7, r0, [lr, #180]",
        "2:",
        column!(),
        "subs r7, r7, #1",
        "bne 2b",
        // The pixels.
        "ldr lr, [sp]",
        "ldr r4, [lr, #200]",
        "str r4, [lr, #124]",
        "add r4, r4, #4",
        "str r4, [lr, #200]",
        "ldr r12, [lr, #132]",
        "3:",
        "ldrd r0, r1, [lr, #104]",
        "ldrd r2, r3, [lr, #112]",
        "ldm r12!, {{r4, r5, r6, r7, r8, r9}}",
        products!("r4", "r5", "0"),
        products!("r6", "r7", "8"),
        products!("r8", "r9", "16"),
        "ldm r12!, {{r4, r5, r6, r7, r8, r9}}",
        products!("r4", "r5", "24"),
        products!("r6", "r7", "32"),
        products!("r8", "r9", "40"),
        "ldm r12!, {{r4, r5, r6, r7, r8, r9}}",
        products!("r4", "r5", "48"),
        products!("r6", "r7", "56"),
        products!("r8", "r9", "64"),
        "ldr r4, [lr, #208]",
        "ldrd r6, r7, [lr, #120]",
        "cmp r4, #0",
        "bne 7f",
        ".irp channel, 0, 1, 2, 3",
        "ldrd r4, r5, [lr, #72 + 8 * \\channel]",
        requantize_by_power!("r\\channel", "r4", "r5", "r6"),
        ".endr",
        "4:",
        "bfi r0, r1, #8, #8",
        "bfi r0, r2, #16, #8",
        "bfi r0, r3, #24, #8",
        "ldr r5, [lr, #128]",
        "str r0, [r7]",
        "add r7, r7, r5",
        "str r7, [lr, #124]",
        "ldrd r4, r5, [lr, #136]",
        "add r12, r12, r4",
        "cmp r12, r5",
        "bne 3b",
        "ldr r4, [lr, #204]",
        "subs r4, r4, #1",
        "str r4, [lr, #204]",
        "bne 1b",
        "add sp, sp, #4",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        // Factors of at least a quarter and large sums, which few channels have: any left shift comes before the product.
        "7:",
        "ldr r10, [lr, #196]",
        ".irp channel, 0, 1, 2, 3",
        "ldrd r8, r5, [r10, #12 * \\channel - 44]",
        requantize_any!("r\\channel", "r4", "r8", "r5", "r6"),
        ".endr",
        "b 4b",
    )
}

/// Computes an output line, of which the rows `y` of the windows are inside the input. Returns whether it did, which it
/// does if the window has 3 × 3 taps and all of the line is asked for.
#[inline(never)]
pub(crate) fn depthwise_line(
    p: &DepthwiseConv2d,
    [image, y]: [usize; 2],
    xs: &Range<usize>,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let ([_, _, _, depth], [_, _, width, _]) = (p.input, p.output);
    let stride = p.window.stride;
    let channels = run(channels, 0, depth);
    let fits = has_dsp_line(p)
        && *xs == (0..width)
        && channels.len() == depth
        && weights.len() / 9 >= depth
        && output.len().checked_div(width).is_some_and(|len| len >= depth);
    if !fits {
        return false;
    }
    let Some(line) = Line::new(p, [image, y], input) else { return false };
    let pixels = (COLUMNS - 3).checked_div(stride[1]).unwrap_or(0) + 1;
    let done = (0..width).step_by(pixels).all(|first| {
        let pixels = first..width.min(first + pixels);
        let whole = line.compute(&pixels, 0, depth / 4, weights, channels, output);
        whole && (depth.is_multiple_of(4) || line.compute(&pixels, depth - 4, 1, weights, channels, output))
    });
    clamp_lines(p.activation, depth, depth, output);
    done
}

/// A line of an output.
struct Line<'a> {
    p: &'a DepthwiseConv2d,
    /// Three rows of the input, or none for a row in the padding.
    rows: [Option<&'a [i8]>; 3],
    /// The zero point in each byte.
    padding: [i8; 4],
}

impl<'a> Line<'a> {
    /// `None` if a row does not lie within the input.
    fn new(p: &'a DepthwiseConv2d, [image, y]: [usize; 2], input: &'a [i8]) -> Option<Self> {
        let [_, height, width, depth] = p.input;
        let mut rows = [None; 3];
        for (ky, row) in rows.iter_mut().enumerate() {
            let at = (y.wrapping_mul(p.window.stride[0]).wrapping_add(ky)).wrapping_sub(p.window.pad[0]);
            if at < height {
                *row = Some(input.get(pixel_start(p.input, [image, at, 0])..)?.get(..width.checked_mul(depth)?)?);
            }
        }
        // A valid zero point is in the range of a byte.
        Some(Self { p, rows, padding: [p.input_zero_point as i8; 4] })
    }

    /// Computes `blocks` blocks of four channels of some pixels. Returns whether it did: not if all columns are in the padding.
    ///
    /// The caller has checked the lengths of the slices.
    #[inline(never)]
    fn compute(
        &self,
        pixels: &Range<usize>,
        channel: usize,
        blocks: usize,
        weights: &[i8],
        channels: &[Channel],
        output: &mut [i8],
    ) -> bool {
        let ([_, _, width, depth], stride) = (self.p.input, self.p.window.stride[1]);
        let total = (pixels.len() - 1) * stride + 3;
        // Columns of the input, counted from the first in the padding.
        let (pad, from) = (self.p.window.pad[1], pixels.start * stride);
        let before = pad.saturating_sub(from).min(total);
        let end = pad.saturating_add(width).saturating_sub(from).min(total);
        if end <= before {
            return false;
        }
        let mut buffer = [MaybeUninit::<u32>::uninit(); 6 * COLUMNS];
        let zero_point = u32::from(self.p.input_zero_point as u16) * 0x1_0001;
        for range in [0..6 * before, 6 * end..6 * total] {
            for word in buffer.get_mut(range).unwrap_or(&mut []) {
                word.write(zero_point);
            }
        }
        let first = ((from + before).saturating_sub(pad)) * depth + channel;
        let at = |row: Option<&[i8]>| match row {
            Some(row) => row.as_ptr().wrapping_add(first),
            None => self.padding.as_ptr(),
        };
        let per_row = |distance| self.rows.map(|row| if row.is_some() { distance } else { 0 });
        let columns = buffer.as_mut_ptr().cast::<u32>();
        let mut operands = Operands {
            weights: MaybeUninit::uninit(),
            factors: MaybeUninit::uninit(),
            sums: MaybeUninit::uninit(),
            zero_point: self.p.output_zero_point,
            output: core::ptr::null_mut(),
            output_step: depth,
            columns,
            next_columns: 24 * (stride as isize - 3),
            end: columns.wrapping_add(6 * stride * pixels.len()),
            rows: self.rows.map(at),
            row_steps: per_row(depth),
            row_blocks: per_row(4),
            column_count: end - before,
            first_column: columns.wrapping_add(6 * before),
            filter: weights.as_ptr().wrapping_add(channel),
            filter_step: depth,
            channels: channels.as_ptr().wrapping_add(channel),
            first_output: output.as_mut_ptr().wrapping_add(pixels.start * depth + channel),
            blocks,
            unusual: 0,
        };
        // SAFETY: the rows have `width` columns of `depth` channels, of which those from `before` to `end` are read, or
        // four bytes that are read again and again; all weights, channels and outputs are within their slices; the
        // buffer has room for `total` columns.
        unsafe { convolve_line(&mut operands) };
        true
    }
}
