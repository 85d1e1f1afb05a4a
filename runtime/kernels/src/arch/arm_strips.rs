//! Depthwise convolutions of 3 × 3 taps on cores without the DSP extension: up to six adjacent pixels of a row, channel by
//! channel.
//!
//! The pixels of a strip have their sums in registers. A row of the window loads three weights once, and each column of
//! the input once for the up to three pixels whose windows contain it. The code of a row is that of six pixels; fewer enter
//! it at their first column, and what is then added to sums before their own is never read. A row in the padding adds the
//! zero point times three weights, and the columns in the padding, at most one at each end of a row of the output, are the
//! zero point in the place of a load.

#[cfg(arm_v6m)]
use super::arm_v6m::{LOAD_SIZE, convolve_strip, lead};
#[cfg(arm_v7m)]
use super::arm_v7m::{LOAD_SIZE, convolve_strip, lead};
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::lines::run;
use crate::paths::has_strips;
use crate::quant::Channel;
use crate::window::pixel_start;
use core::mem::MaybeUninit;
use core::ops::Range;
use tealight_types::{ActivationRange, Window2d};

/// The maximum number of pixels in a strip.
const WIDEST: usize = 6;

/// The operands of [`convolve_strip`], and its variables. The first four fields are passed in registers, and the others on
/// the stack.
#[repr(C)]
pub(crate) struct Strip {
    pub(crate) weights: *const i8,
    pub(crate) channels: *const Channel,
    pub(crate) outputs: *mut i8,
    /// The number of channels, not 0.
    pub(crate) count: usize,
    /// The distance from one column to the next, from one tap to the next and from one pixel to the next.
    pub(crate) step: usize,
    pub(crate) zero_point: i32,
    pub(crate) input_zero_point: i32,
    /// Three rows of the input at the first column of the strip, less `lead` steps. Null for a row in the padding. The
    /// fourth is 1 and marks the end.
    pub(crate) rows: [*const i8; 4],
    /// The number of the column at which the pixels enter the code, and that of the pixels it is for that are not there.
    /// With a stride of 2, the former is 6 higher.
    pub(crate) entry: usize,
    pub(crate) skipped: usize,
    /// The number of bytes that are skipped of the loads of the first and of the last column if it is in the padding.
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) variables: MaybeUninit<[u32; 8]>,
}

/// Computes an output line, of which the rows `y` of the windows are inside the input. Returns whether it did, which it
/// does if [`has_strips`] and all of the line is asked for.
#[inline]
pub(crate) fn depthwise_line(
    p: &DepthwiseConv2d,
    at: [usize; 2],
    xs: &Range<usize>,
    operands: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    // Other windows cost no call.
    p.window.kernel == [3, 3] && compute_line(p, at, xs, operands, channels, output)
}

/// [`depthwise_line`].
#[inline(never)]
fn compute_line(
    p: &DepthwiseConv2d,
    [image, y]: [usize; 2],
    xs: &Range<usize>,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let ([_, height, width, depth], [_, _, out_width, _]) = (p.input, p.output);
    let Window2d { stride, pad, .. } = p.window;
    let channels = run(channels, 0, depth);
    // The limits of the layer keep these products from overflowing.
    let (line, out_line) = (width.wrapping_mul(depth), out_width.wrapping_mul(depth));
    let fits = has_strips(p)
        && *xs == (0..out_width)
        && channels.len() == depth
        && weights.len() >= 9 * depth
        && output.len() >= out_line;
    if !fits {
        return false;
    }
    // The rows of the input from their first column in the padding on.
    let mut rows = [core::ptr::null(); 3];
    for (ky, row) in rows.iter_mut().enumerate() {
        let at = y.wrapping_mul(stride[0]).wrapping_add(ky).wrapping_sub(pad[0]);
        if at < height {
            let values = run(input, pixel_start(p.input, [image, at, 0]), line);
            if values.len() < line {
                return false;
            }
            *row = values.as_ptr().wrapping_sub(pad[1].wrapping_mul(depth));
        }
    }
    let mut x = 0;
    while x < out_width {
        let count = WIDEST.min(out_width - x);
        let (skipped, column) = (WIDEST - count, x * stride[1]);
        let entry = if stride[1] == 1 { skipped } else { skipped + WIDEST };
        let ahead = column.wrapping_sub(lead(entry)).wrapping_mul(depth);
        let at = |row: *const i8| if row.is_null() { row } else { row.wrapping_add(ahead) };
        let [top, middle, bottom] = rows.map(at);
        // The last column, and the first one behind the input, both counted from the first in the padding.
        let (last, end) = (column + (count - 1) * stride[1] + 2, width + pad[1]);
        let strip = Strip {
            weights: weights.as_ptr(),
            channels: channels.as_ptr(),
            outputs: output.as_mut_ptr().wrapping_add(x * depth),
            count: depth,
            step: depth,
            zero_point: p.output_zero_point,
            input_zero_point: p.input_zero_point,
            rows: [top, middle, bottom, core::ptr::without_provenance(1)],
            entry,
            skipped,
            first: if column < pad[1] { LOAD_SIZE } else { 0 },
            last: if last < end { 0 } else { LOAD_SIZE },
            variables: MaybeUninit::uninit(),
        };
        // SAFETY: each row that is not null has `width` columns of `depth` elements, and the columns of the strip are among
        // them, but for the first and the last one where they are not loaded. There are nine taps of `depth` weights, as
        // many channels, and the outputs of all pixels.
        unsafe { convolve_strip(strip) };
        x += count;
    }
    if p.activation != ActivationRange::FULL {
        clamp(p.activation, out_line, 0, 1, output);
    }
    true
}

/// Clamps `count` times `rows` outputs, `step` elements apart, from the full range of a byte to the activation's.
pub(crate) fn clamp(activation: ActivationRange, rows: usize, step: usize, count: usize, outputs: &mut [i8]) {
    let mut outputs = outputs;
    for _ in 0..count {
        for output in outputs.iter_mut().take(rows) {
            *output = activation.clamp((*output).into());
        }
        outputs = outputs.get_mut(step..).unwrap_or(&mut []);
    }
}
