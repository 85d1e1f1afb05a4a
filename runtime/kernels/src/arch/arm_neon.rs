//! Arm's Advanced SIMD (NEON), which every aarch64 core has: eight products of bytes in one instruction.
//!
//! `SMULL` multiplies eight pairs of bytes to 16 bits, which every such product fits, and `SADALP` adds adjacent
//! products to 32-bit sums. The order of a sum differs from the portable loop's, but not its value, because sums wrap.
//! Elements left over are summed by a load of the last eight elements of the slice, with zeros for those that are
//! already summed.
//!
//! `SQRDMULH` is the rounded doubling high product. `SRSHL` is a rounding shift with ties upward; as in the portable
//! function, a negative number is decremented before it is shifted.

mod add;
#[cfg(any(target_feature = "dotprod", target_os = "linux", target_os = "android"))]
mod arranged;
mod blocks;
#[cfg(any(target_feature = "dotprod", target_os = "linux", target_os = "android"))]
mod convolve;
mod depthwise;
mod depthwise_lines;
mod finish;
pub(super) mod float;
mod gather;
mod multiply;
mod products;
#[cfg(any(target_feature = "dotprod", target_os = "linux", target_os = "android"))]
mod sdot;
#[cfg(not(target_feature = "dotprod"))]
mod smull;

use crate::Conv2d;
use crate::block::multiply_rows;
use crate::composed;
use crate::matrix::{Filters, Inputs, Output};
use crate::portable::{self, Steps, Window};
use crate::quant::Channel;
use blocks::Elements;
use core::arch::aarch64::{
    int8x8_t, int8x16_t, int16x8_t, int32x4_t, int32x4x3_t, vaddq_s32, vaddvq_s32, vaddw_high_s16, vaddw_s16, vand_s8,
    vandq_s32, vcombine_s16, vdupq_n_s32, vget_lane_s32, vget_low_s8, vget_low_s16, vld1_s8, vld1q_s8, vld1q_s32,
    vld3q_s32, vmaxq_s32, vminq_s32, vmovn_s16, vmovn_s32, vmull_high_s8, vmull_s8, vpadalq_s16, vqaddq_s32,
    vqrdmulhq_s32, vreinterpret_s32_s8, vrshlq_s32, vshlq_s32, vshrq_n_s32, vst1q_s32,
};
use core::ops::Range;
use finish::Finish;
use tealight_types::ActivationRange;

pub(crate) use add::add_some;
pub(crate) use depthwise_lines::depthwise_lines;
pub(crate) use gather::{copy_elements, copy_run, fill_elements};

/// The minimum number of adjacent input elements with which a window's row is used in place. Products copy short ones.
pub(crate) const SHORTEST_RUN: usize = 1;

/// The number of elements of a buffer into which the lines of windows are copied with their padding.
pub(crate) const PADDED: usize = 3840;

/// The number of rows that are multiplied together. Their sums take eight of the 32 registers.
pub(crate) const ROWS: usize = 8;

/// The number of channels that are pooled together: those of a register of bytes.
pub(crate) const POOLED: usize = 16;

/// The name of the instructions that the core has.
pub(crate) fn instruction_set() -> &'static str {
    if has_dot_products() { "NEON with SDOT" } else { "NEON" }
}

/// Whether the core has `SDOT`.
#[inline(always)]
fn has_dot_products() -> bool {
    #[cfg(all(not(target_feature = "dotprod"), any(target_os = "linux", target_os = "android")))]
    return sdot::is_available();
    #[cfg(not(all(not(target_feature = "dotprod"), any(target_os = "linux", target_os = "android"))))]
    return cfg!(target_feature = "dotprod");
}

/// Calls a function with the products that the core has as its first type.
macro_rules! with_products {
    ($module:ident::$function:ident $(::<$block:ident>)? ($($operand:expr),*)) => {{
        #[cfg(target_feature = "dotprod")]
        {
            $module::$function::<sdot::Dot $(, $block)?>($($operand),*)
        }
        #[cfg(all(not(target_feature = "dotprod"), any(target_os = "linux", target_os = "android")))]
        if sdot::is_available() {
            $module::$function::<sdot::Dot $(, $block)?>($($operand),*)
        } else {
            $module::$function::<smull::Long $(, $block)?>($($operand),*)
        }
        #[cfg(not(any(target_feature = "dotprod", target_os = "linux", target_os = "android")))]
        {
            $module::$function::<smull::Long $(, $block)?>($($operand),*)
        }
    }};
}

/// [`composed::multiply`].
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let copied = gather::are_copied(inputs);
    let few = filters.channels.len() < 4 || inputs.run == 0 || inputs.lines == 0;
    if !copied && (few || (inputs.run < gather::SHORTEST_LINE && inputs.lines > 1)) {
        return composed::multiply(filters, inputs, output_step, outputs);
    }
    if !inputs.fit(filters, output_step, outputs.len()) || inputs.count == 0 {
        return;
    }
    if copied {
        return gather::multiply_copied(filters, inputs, output_step, outputs);
    }
    // SAFETY: the core has the instructions, and the operands fit.
    unsafe { with_products!(multiply::multiply(filters, inputs, output_step, outputs)) }
}

/// [`composed::convolve`], for cores with dot products.
#[inline(always)]
pub(crate) fn convolve(
    p: &Conv2d,
    rows: &Range<usize>,
    operands: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    #[cfg(any(target_feature = "dotprod", target_os = "linux", target_os = "android"))]
    if has_dot_products() {
        // SAFETY: the core has the instruction.
        return unsafe { convolve::convolve(p, rows, operands, channels, output) };
    }
    let _ = (p, rows, operands, channels, output);
    false
}

/// [`Block::multiply`].
#[inline(never)]
pub(crate) fn multiply_elements<B: Elements>(weights: &[B], activations: &[B::Activation], outputs: &mut [f32]) {
    if activations.is_empty() {
        return multiply_rows(weights, activations, outputs);
    }
    let rows = outputs.len().min(weights.len() / activations.len());
    let outputs = outputs.get_mut(..rows).unwrap_or(&mut []);
    // SAFETY: the core has the instructions; there are as many rows as outputs.
    unsafe { with_products!(blocks::multiply::<B>(weights.as_ptr(), activations, outputs)) }
}

/// [`composed::depthwise`].
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
    if count < 8 || initial.len() < count {
        return composed::depthwise(initial, window, steps, input, weights, channels, output, outputs);
    }
    if !steps.fit(window, count, [input.len(), weights.len()], outputs.len()) {
        return;
    }
    let count_of_taps = window.lines.saturating_mul(window.runs);
    if !depthwise::Taps::have_room(count_of_taps, input.len().max(weights.len())) {
        return composed::depthwise(initial, window, steps, input, weights, channels, output, outputs);
    }
    let mut taps = depthwise::Taps::new();
    taps.set_inside(window, 0);
    let job = depthwise::Job {
        layer: &depthwise::Layer::new(weights, channels, Finish::new(&output)),
        initial: depthwise::Initial::Sums(initial.as_ptr()),
        inside: taps.inside(),
        outside: &[],
        steps: *steps,
        input: input.as_ptr(),
        outputs: outputs.as_mut_ptr(),
    };
    // SAFETY: the operands fit, and there are at least eight channels.
    unsafe { job.compute() };
}

/// [`portable::dot_rows`]: sixteen elements of each row in one iteration.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    // End of the last row. A saturated sum exceeds the length of any slice.
    let end = stride.saturating_mul(N.saturating_sub(1)).saturating_add(input.len());
    if input.len() < 8 || end > weights.len() {
        return few_products(accumulators, input, weights, stride);
    }
    let rows = core::array::from_fn(|r| weights.as_ptr().wrapping_add(r * stride));
    // SAFETY: this file is compiled only for targets with NEON; the input has at least eight elements, and every row as
    // many as it.
    unsafe { sum_rows(accumulators, input, rows) };
}

/// Rows that are shorter than a register; out of line, to keep the surrounding loops small.
#[inline(never)]
fn few_products<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    portable::dot_rows(accumulators, input, weights, stride);
}

/// # Safety
/// The input has at least eight elements, and each row as many as it.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sum_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], rows: [*const i8; N]) {
    let (input, len) = (input.as_ptr(), input.len());
    let mut sums = [vdupq_n_s32(0); N];
    let mut at = 0;
    while len - at >= 16 {
        // SAFETY: the input and each row have sixteen elements from `at` on.
        let x = unsafe { vld1q_s8(input.add(at)) };
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: as above.
            let [low, high] = products(x, unsafe { vld1q_s8(row.add(at)) });
            *sum = vpadalq_s16(vpadalq_s16(*sum, low), high);
        }
        at += 16;
    }
    if len - at >= 8 {
        // SAFETY: the input and each row have eight elements from `at` on.
        unsafe { sum_eight(&mut sums, vld1_s8(input.add(at)), rows, at) };
        at += 8;
    }
    if at < len {
        // SAFETY: the input and each row have at least eight elements.
        unsafe { sum_eight(&mut sums, vand_s8(vld1_s8(input.add(len - 8)), keep_last(len - at)), rows, len - 8) };
    }
    for (accumulator, sum) in accumulators.iter_mut().zip(sums) {
        *accumulator = accumulator.wrapping_add(vaddvq_s32(sum));
    }
}

/// Adds the products of eight inputs with the elements of each row from `at` on.
///
/// # Safety
/// Each row must have eight elements from `at` on.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sum_eight<const N: usize>(sums: &mut [int32x4_t; N], x: int8x8_t, rows: [*const i8; N], at: usize) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        // SAFETY: guaranteed by the caller.
        let w = unsafe { vld1_s8(row.add(at)) };
        *sum = vpadalq_s16(*sum, vmull_s8(x, w));
    }
}

/// The products of sixteen pairs.
#[inline]
#[target_feature(enable = "neon")]
fn products(x: int8x16_t, w: int8x16_t) -> [int16x8_t; 2] {
    [vmull_s8(vget_low_s8(x), vget_low_s8(w)), vmull_high_s8(x, w)]
}

/// A mask that keeps the last `count` of eight elements.
#[inline]
#[target_feature(enable = "neon")]
fn keep_last(count: usize) -> int8x8_t {
    static MASKS: [i8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1];
    // SAFETY: reads eight of the sixteen bytes, from index 8 at most.
    unsafe { vld1_s8(MASKS.as_ptr().add(count.min(8))) }
}

/// [`portable::multiply_taps`]: sixteen channels at a time, whose sums stay in registers over all taps.
#[inline]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    let len = accumulators.len();
    if len < 8 {
        return few_channels(accumulators, window, input, weights);
    }
    if window.lines == 0 || window.runs == 0 || !window.fits(len, [input.len(), weights.len()]) {
        return;
    }
    let taps = |at: usize| Taps { window, at: [input.as_ptr().wrapping_add(at), weights.as_ptr().wrapping_add(at)] };
    let (mut at, sums) = (0, accumulators.as_mut_ptr());
    // SAFETY: this file is compiled only for targets with NEON; sixteen or eight accumulators lie from each place on,
    // and as many elements of every tap, as `fits` has checked.
    unsafe {
        while len - at >= 16 {
            sixteen_channels(sums.add(at), taps(at));
            at += 16;
        }
        if len - at >= 8 {
            eight_channels(sums.add(at), taps(at), keep_last(8));
            at += 8;
        }
        if at < len {
            eight_channels(sums.add(len - 8), taps(len - 8), keep_last(len - at));
        }
    }
}

/// Fewer channels than a register has; out of line, to keep the surrounding loops small.
#[inline(never)]
fn few_channels(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    portable::multiply_taps(accumulators, window, input, weights);
}

/// The position of a window's first tap in the input and in the weights.
#[derive(Clone, Copy)]
struct Taps<'a> {
    window: &'a Window,
    at: [*const i8; 2],
}

impl Taps<'_> {
    /// Calls `f` with the addresses of each tap.
    #[inline(always)]
    fn for_each(self, mut f: impl FnMut([*const i8; 2])) {
        let step = |at: [*const i8; 2], by: [usize; 2]| [at[0].wrapping_add(by[0]), at[1].wrapping_add(by[1])];
        let mut line = self.at;
        for _ in 0..self.window.lines {
            let mut tap = line;
            for _ in 0..self.window.runs {
                f(tap);
                tap = step(tap, self.window.run);
            }
            line = step(line, self.window.line);
        }
    }
}

/// # Safety
/// There must be sixteen sums, and as many elements of every tap.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sixteen_channels(sums: *mut i32, taps: Taps<'_>) {
    // SAFETY: guaranteed by the caller.
    let [mut a, mut b, mut c, mut d] = unsafe { [0, 4, 8, 12].map(|i| vld1q_s32(sums.add(i))) };
    taps.for_each(|[x, w]| {
        // SAFETY: guaranteed by the caller.
        let [low, high] = unsafe { products(vld1q_s8(x), vld1q_s8(w)) };
        (a, b) = (vaddw_s16(a, vget_low_s16(low)), vaddw_high_s16(b, low));
        (c, d) = (vaddw_s16(c, vget_low_s16(high)), vaddw_high_s16(d, high));
    });
    for (i, sum) in [a, b, c, d].into_iter().enumerate() {
        // SAFETY: guaranteed by the caller.
        unsafe { vst1q_s32(sums.add(4 * i), sum) };
    }
}

/// Computes those of eight channels that the mask `kept` selects; the others stay unchanged.
///
/// # Safety
/// There must be eight sums, and as many elements of every tap.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn eight_channels(sums: *mut i32, taps: Taps<'_>, kept: int8x8_t) {
    // SAFETY: guaranteed by the caller.
    let [mut a, mut b] = unsafe { [vld1q_s32(sums), vld1q_s32(sums.add(4))] };
    taps.for_each(|[x, w]| {
        // SAFETY: guaranteed by the caller.
        let products = unsafe { vmull_s8(vand_s8(vld1_s8(x), kept), vld1_s8(w)) };
        (a, b) = (vaddw_s16(a, vget_low_s16(products)), vaddw_high_s16(b, products));
    });
    // SAFETY: guaranteed by the caller.
    unsafe {
        vst1q_s32(sums, a);
        vst1q_s32(sums.add(4), b);
    }
}

/// [`portable::requantize`]: four at a time.
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    let fours = accumulators.as_chunks().0.iter().zip(channels.as_chunks().0);
    for ((accumulators, channels), outputs) in fours.zip(outputs.as_chunks_mut().0) {
        // SAFETY: this file is compiled only for targets with NEON.
        *outputs = unsafe { four_bytes(accumulators, channels, zero_point, activation) };
    }
    let done = accumulators.len().min(channels.len()).min(outputs.len()) & !3;
    if let (Some(accumulators @ [_, ..]), Some(channels), Some(outputs)) =
        (accumulators.get(done..), channels.get(done..), outputs.get_mut(done..))
    {
        few_bytes(accumulators, channels, zero_point, activation, outputs);
    }
}

/// Fewer than four; out of line, to keep the surrounding loops small.
#[inline(never)]
fn few_bytes(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    portable::requantize(accumulators, channels, zero_point, activation, outputs);
}

#[inline]
#[target_feature(enable = "neon")]
fn four_bytes(
    accumulators: &[i32; 4],
    channels: &[Channel; 4],
    zero_point: i32,
    activation: ActivationRange,
) -> [i8; 4] {
    // SAFETY: four channels are twelve numbers, and there are four accumulators.
    let (int32x4x3_t(_, multipliers, shifts), sums) =
        unsafe { (vld3q_s32(channels.as_ptr().cast()), vld1q_s32(accumulators.as_ptr())) };
    let [lowest, highest] = activation.bounds();
    let zero = vdupq_n_s32(0);
    let (left, right) = (vmaxq_s32(shifts, zero), vminq_s32(shifts, zero));
    let product = vqrdmulhq_s32(vshlq_s32(sums, left), multipliers);
    let lowered = vqaddq_s32(product, vshrq_n_s32::<31>(vandq_s32(product, right)));
    let moved = vaddq_s32(vrshlq_s32(lowered, right), vdupq_n_s32(zero_point));
    let clamped = vminq_s32(vmaxq_s32(moved, vdupq_n_s32(lowest)), vdupq_n_s32(highest));
    let halves = vmovn_s32(clamped);
    let bytes = vmovn_s16(vcombine_s16(halves, halves));
    vget_lane_s32::<0>(vreinterpret_s32_s8(bytes)).to_le_bytes().map(u8::cast_signed)
}
