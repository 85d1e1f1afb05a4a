//! Depthwise convolutions: channels in lanes, whose sums stay in registers over all taps, for up to three pixels that
//! share the weights.
//!
//! Inputs and weights are widened to 16 bits, and their products added to sums of 32 bits by one instruction. A tap in
//! the padding adds the weights times the input's zero point.

use super::finish::{CHANNELS, SUMS_STEP, Sums, Tile, finish};
use super::types::{Types, register_bytes};
use crate::DepthwiseConv2d;
use crate::lines::{run, tail};
use crate::matrix::Output;
use crate::quant::Channel;
use crate::window::{Axis, pixel_start};
use core::arch::asm;
use core::ops::Range;

/// The maximum number of pixels in a tile.
const PIXELS: usize = 3;

/// [`composed::depthwise_line`](crate::composed::depthwise_line): always computes the pixels, if the operands fit.
#[inline]
pub(crate) fn depthwise_line(
    p: &DepthwiseConv2d,
    at: [usize; 2],
    xs: &Range<usize>,
    operands: [&[i8]; 2],
    channels: &[Channel],
    outputs: &mut [i8],
) -> bool {
    compute_line(p, at, xs, operands, channels, outputs);
    true
}

/// Computes the pixels `xs` of a line, or nothing if the operands do not fit.
#[inline(never)]
fn compute_line(
    p: &DepthwiseConv2d,
    [image, y]: [usize; 2],
    xs: &Range<usize>,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    outputs: &mut [i8],
) {
    let [_, _, in_width, depth] = p.input;
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let y = vertical.clip(y);
    let input = tail(input, pixel_start(p.input, [image, y.input, 0]));
    // With a single kernel row the dilation has no effect; it may be huge, and these products may wrap.
    let line = p.window.dilation[0].wrapping_mul(in_width).wrapping_mul(depth);
    let channels = run(channels, 0, depth);
    let pixels = in_width.saturating_mul(depth);
    let last_line = line.saturating_mul(y.len().saturating_sub(1));
    let taps = vertical.kernel.saturating_mul(horizontal.kernel);
    let fits = (y.len() == 0 || last_line.saturating_add(pixels) <= input.len())
        && taps.saturating_mul(depth) <= weights.len()
        && xs.len().saturating_mul(depth) <= outputs.len();
    if channels.is_empty() || !fits {
        return;
    }
    // Without taps in a kernel row, there are no rows.
    let rows = |count: usize| if horizontal.kernel == 0 { 0 } else { count };
    let output = Output { zero_point: p.output_zero_point, activation: p.activation };
    let whole = horizontal.whole_windows(p.output[2]);
    let register_bytes = register_bytes();
    // Sums of this many channels fit eight registers.
    let block = CHANNELS.min(2 * register_bytes);
    let mut taps = Taps {
        row: input.as_ptr(),
        line,
        weights: weights.as_ptr(),
        depth,
        first: 0,
        len: horizontal.kernel.wrapping_mul(horizontal.dilation.max(1)).wrapping_mul(depth),
        dilation: horizontal.dilation.max(1).wrapping_mul(depth),
        step: horizontal.stride.wrapping_mul(depth),
        pixels,
        above: rows(y.taps.start).wrapping_mul(horizontal.kernel),
        inside: rows(y.len()),
        below: rows(vertical.kernel.wrapping_sub(y.taps.end)).wrapping_mul(horizontal.kernel),
        // A valid zero point is in the range of a byte.
        zero_point: isize::from(p.input_zero_point as i8),
        channel_count: 0,
        types: Types::new(0, 1, register_bytes),
    };
    let mut tile = Tile {
        pixels: 0,
        channels: channels.as_ptr(),
        channel_count: 0,
        outputs: outputs.as_mut_ptr(),
        output_step: depth,
    };
    let mut sums = Sums::<PIXELS>::new();
    let (mut left, mut line_outputs) = (depth, outputs.as_mut_ptr());
    while left > 0 {
        let channel_count = left.min(block);
        taps.channel_count = channel_count;
        taps.types = Types::new(channel_count, 1, register_bytes);
        tile.channel_count = channel_count;
        tile.outputs = line_outputs;
        taps.first = xs.start.wrapping_mul(taps.step).wrapping_sub(horizontal.pad.wrapping_mul(depth));
        let mut x = xs.start;
        while x < xs.end {
            let count = if whole.contains(&x) { (whole.end.min(xs.end) - x).min(PIXELS) } else { 1 };
            tile.pixels = count;
            let sums = sums.of_pixel(0);
            // SAFETY: the operands fit, and all taps in a row of several pixels are inside the input.
            unsafe {
                match count {
                    1 => sums_of_1(&taps, sums),
                    2 => sums_of_2(&taps, sums),
                    _ => sums_of_3(&taps, sums),
                }
                finish(sums, &tile, 0, &output);
            }
            x += count;
            taps.first = taps.first.wrapping_add(count.wrapping_mul(taps.step));
            tile.outputs = tile.outputs.wrapping_add(count * depth);
        }
        taps.row = taps.row.wrapping_add(channel_count);
        taps.weights = taps.weights.wrapping_add(channel_count);
        tile.channels = tile.channels.wrapping_add(channel_count);
        line_outputs = line_outputs.wrapping_add(channel_count);
        left -= channel_count;
    }
}

/// The taps of adjacent pixels, from their first channel on.
struct Taps {
    /// The first line of the input with a tap inside it, and the distance to the next.
    row: *const i8,
    line: usize,
    weights: *const i8,
    /// The distance from the weights of a tap to the next.
    depth: usize,
    /// The position in a line, in elements, of the first pixel's first tap; huge if it is to the left of the input.
    first: usize,
    /// The distance from it to the position after the last tap.
    len: usize,
    /// Distances from a tap to the next and from a pixel to the next.
    dilation: usize,
    step: usize,
    /// The number of elements in a line.
    pixels: usize,
    /// The number of taps above the input, of kernel rows inside it, and of taps below it.
    above: usize,
    inside: usize,
    below: usize,
    zero_point: isize,
    channel_count: usize,
    /// Types for a widened input and for the sums.
    types: Types,
}

/// A function that computes the sums of a tile, given the instructions for its first pixel and for the others.
macro_rules! tile {
    ($name:ident, $($step:literal, $sum:literal, $sums_at:literal),*) => {
        /// Computes the sums of the pixels.
        ///
        /// # Safety
        /// All taps inside the input and all sums must be there. The taps of the pixels after the first must be inside the
        /// input where those of the first are.
        #[inline(never)]
        unsafe fn $name(taps: &Taps, sums: *mut i32) {
            // SAFETY: guaranteed by the caller.
            unsafe {
                asm!(
                    "vsetvl zero, {count}, {wide}",
                    $(concat!("vmv.v.i ", $sum, ", 0"),)*
                    "vsetvl zero, zero, {narrow}",
                    "beqz {above}, 3f",
                    "2:",
                    "vle8.v v26, ({weights})",
                    "add {weights}, {weights}, {depth}",
                    "vsext.vf2 v24, v26",
                    $(concat!("vwmacc.vx ", $sum, ", {zero_point}, v24"),)*
                    "addi {above}, {above}, -1",
                    "bnez {above}, 2b",
                    "3:",
                    "beqz {inside}, 7f",
                    "4:",
                    "mv {place}, {first}",
                    "5:",
                    "vle8.v v26, ({weights})",
                    "add {weights}, {weights}, {depth}",
                    "vsext.vf2 v24, v26",
                    "bgeu {place}, {pixels}, 6f",
                    "add {x}, {row}, {place}",
                    $(
                        $step,
                        "vle8.v v30, ({x})",
                        "vsext.vf2 v28, v30",
                        concat!("vwmacc.vv ", $sum, ", v28, v24"),
                    )*
                    "add {place}, {place}, {dilation}",
                    "bne {place}, {end}, 5b",
                    "8:",
                    "add {row}, {row}, {line}",
                    "addi {inside}, {inside}, -1",
                    "bnez {inside}, 4b",
                    "7:",
                    // The taps below are computed as those above.
                    "mv {above}, {below}",
                    "li {below}, 0",
                    "bnez {above}, 2b",
                    "j 9f",
                    "6:",
                    $(concat!("vwmacc.vx ", $sum, ", {zero_point}, v24"),)*
                    "add {place}, {place}, {dilation}",
                    "bne {place}, {end}, 5b",
                    "j 8b",
                    "9:",
                    "vsetvl zero, zero, {wide}",
                    $(
                        concat!("addi {x}, {sums}, ", $sums_at),
                        concat!("vse32.v ", $sum, ", ({x})"),
                    )*
                    row = inout(reg) taps.row => _,
                    line = in(reg) taps.line,
                    weights = inout(reg) taps.weights => _,
                    depth = in(reg) taps.depth,
                    first = in(reg) taps.first,
                    end = in(reg) taps.first.wrapping_add(taps.len),
                    dilation = in(reg) taps.dilation,
                    step = in(reg) taps.step,
                    pixels = in(reg) taps.pixels,
                    above = inout(reg) taps.above => _,
                    inside = inout(reg) taps.inside => _,
                    below = inout(reg) taps.below => _,
                    zero_point = in(reg) taps.zero_point,
                    count = in(reg) taps.channel_count,
                    narrow = in(reg) taps.types.narrow,
                    wide = in(reg) taps.types.wide,
                    sums = in(reg) sums,
                    sums_step = const SUMS_STEP,
                    place = out(reg) _,
                    x = out(reg) _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                    out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                    out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                    options(nostack),
                );
            }
        }
    };
}

tile!(sums_of_1, "# {step}", "v0", "0 * {sums_step}");
tile!(sums_of_2, "", "v0", "0", "add {x}, {x}, {step}", "v8", "{sums_step}");
tile!(
    sums_of_3,
    "",
    "v0",
    "0",
    "add {x}, {x}, {step}",
    "v8",
    "{sums_step}",
    "add {x}, {x}, {step}",
    "v16",
    "2 * {sums_step}"
);
