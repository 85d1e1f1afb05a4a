//! Arm's DSP extension (ARMv7E-M: Cortex-M4, M7): two 16-bit products in one instruction.
//!
//! `SXTB16` widens bytes 0 and 2 of a word, and with a rotation bytes 1 and 3, so a word of four inputs and one of four
//! weights need two `SMLAD`s. The order of the sum differs from the portable loop's, but not its value, because sums
//! wrap. Words are loaded at any address; these cores support unaligned single loads.

use crate::portable::{self, Window};
use crate::quant::Channel;
use core::arch::asm;
use tealight_types::ActivationRange;

#[macro_use]
mod requantization;

mod definition;
mod lines;
mod paired;
mod products;
mod rows;
mod sums;
mod taps;
mod widen;

pub(crate) use super::arm_words::copy_run;
pub(crate) use crate::portable::{ROWS, SHORTEST_RUN};
pub(crate) use lines::depthwise_line;
pub(crate) use paired::multiply_paired;
pub(crate) use products::{multiply, multiply_gathered};
pub(crate) use rows::{multiply_others, multiply_vector};
pub(crate) use sums::add_some;
pub(crate) use taps::depthwise;
pub(crate) use widen::gather;

/// [`portable::dot_rows`]: four rows at a time, four elements of each in one iteration.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    let Some([a0, a1, a2, a3]) = accumulators.first_chunk_mut().filter(|_| N == 4) else {
        return rest(accumulators, input, weights, stride);
    };
    // End of the last row. A saturated sum exceeds the length of any slice.
    let end = stride.saturating_mul(3).saturating_add(input.len());
    let words = if end <= weights.len() { input.len() / 4 } else { 0 };
    // SAFETY: the loop reads `words * 4` bytes from `input` and from each of the four rows of `weights`, the last of
    // which ends within it, as checked above. It writes no memory and has no other effect than the sticky overflow flag
    // of the status register, which nothing reads.
    unsafe {
        asm!(
            "cmp {words}, #0",
            "beq 3f",
            "2:",
            "ldr {x}, [{input}], #4",
            "sxtb16 {even}, {x}",
            "sxtb16 {x}, {x}, ror #8",
            "ldr {w}, [{row}, {stride}]",
            "sxtb16 {w_even}, {w}",
            "sxtb16 {w}, {w}, ror #8",
            "smlad {a1}, {even}, {w_even}, {a1}",
            "smlad {a1}, {x}, {w}, {a1}",
            "ldr {w}, [{row}, {stride}, lsl #1]",
            "sxtb16 {w_even}, {w}",
            "sxtb16 {w}, {w}, ror #8",
            "smlad {a2}, {even}, {w_even}, {a2}",
            "smlad {a2}, {x}, {w}, {a2}",
            "add {w}, {row}, {stride}",
            "ldr {w}, [{w}, {stride}, lsl #1]",
            "sxtb16 {w_even}, {w}",
            "sxtb16 {w}, {w}, ror #8",
            "smlad {a3}, {even}, {w_even}, {a3}",
            "smlad {a3}, {x}, {w}, {a3}",
            "ldr {w}, [{row}], #4",
            "sxtb16 {w_even}, {w}",
            "sxtb16 {w}, {w}, ror #8",
            "smlad {a0}, {even}, {w_even}, {a0}",
            "smlad {a0}, {x}, {w}, {a0}",
            "subs {words}, {words}, #1",
            "bne 2b",
            "3:",
            input = inout(reg) input.as_ptr() => _,
            row = inout(reg) weights.as_ptr() => _,
            stride = in(reg) stride,
            words = inout(reg) words => _,
            x = out(reg) _,
            even = out(reg) _,
            w = out(reg) _,
            w_even = out(reg) _,
            a0 = inout(reg) *a0,
            a1 = inout(reg) *a1,
            a2 = inout(reg) *a2,
            a3 = inout(reg) *a3,
            options(readonly, nostack),
        );
    }
    let done = words * 4;
    if input.len() > done
        && let (Some(input), Some(weights)) = (input.get(done..), weights.get(done..))
    {
        rest(accumulators, input, weights, stride);
    }
}

/// The elements of four rows that are left over after whole words; out of line, to keep the surrounding loops small.
#[inline(never)]
fn rest<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    portable::dot_rows(accumulators, input, weights, stride);
}

/// [`portable::multiply_taps`]: tap by tap, four channels in one iteration.
#[inline(never)]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    let Window { lines, runs, line, run } = *window;
    if !window.fits(accumulators.len(), [input.len(), weights.len()]) {
        return;
    }
    let words = accumulators.len() / 4;
    if words > 0 {
        let (mut input_line, mut weights_line) = (input.as_ptr(), weights.as_ptr());
        for _ in 0..lines {
            let (mut input, mut weights) = (input_line, weights_line);
            for _ in 0..runs {
                // SAFETY: `words * 4` elements of each tap lie within both slices, as `fits` has checked, and there are
                // as many accumulators.
                unsafe { multiply_add(accumulators.as_mut_ptr(), input, weights, words) };
                (input, weights) = (input.wrapping_add(run[0]), weights.wrapping_add(run[1]));
            }
            (input_line, weights_line) = (input_line.wrapping_add(line[0]), weights_line.wrapping_add(line[1]));
        }
    }
    let done = words * 4;
    if accumulators.len() > done
        && let (Some(accumulators), Some(input), Some(weights)) =
            (accumulators.get_mut(done..), input.get(done..), weights.get(done..))
    {
        portable::multiply_taps(accumulators, window, input, weights);
    }
}

/// Adds to `words * 4` accumulators the products of as many elements of input and weights; `words` is not 0.
///
/// # Safety
/// Each pointer must point to `words * 4` elements.
#[inline]
unsafe fn multiply_add(accumulators: *mut i32, input: *const i8, weights: *const i8, words: usize) {
    // SAFETY: the loop reads `words * 4` bytes of `input` and of `weights`, and reads and writes as many accumulators.
    // Nothing reads the overflow flag.
    unsafe {
        asm!(
            "2:",
            "ldr {x}, [{input}], #4",
            "ldr {w}, [{weights}], #4",
            "ldm {sums}, {{r0, r1, r2, r3}}",
            "sxtb16 {even}, {x}",
            "sxtb16 {w_even}, {w}",
            "sxtb16 {x}, {x}, ror #8",
            "sxtb16 {w}, {w}, ror #8",
            "smlabb r0, {even}, {w_even}, r0",
            "smlabb r1, {x}, {w}, r1",
            "smlatt r2, {even}, {w_even}, r2",
            "smlatt r3, {x}, {w}, r3",
            "stm {sums}!, {{r0, r1, r2, r3}}",
            "subs {words}, {words}, #1",
            "bne 2b",
            input = inout(reg) input => _,
            weights = inout(reg) weights => _,
            sums = inout(reg) accumulators => _,
            words = inout(reg) words => _,
            x = out(reg) _,
            w = out(reg) _,
            even = out(reg) _,
            w_even = out(reg) _,
            out("r0") _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            options(nostack),
        );
    }
}

/// [`portable::requantize`]: four outputs in one iteration, clamped as four bytes of a word.
///
/// A 64-bit product is doubled by `ADDS` and `ADC`, and rounded by the bit that is then the highest of its lower half.
/// A right shift leaves the last bit shifted out in the carry, which is used for rounding.
#[inline(never)]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    let len = accumulators.len().min(channels.len()).min(outputs.len());
    let words = len / 4;
    if words > 0 {
        let [low, high] = [activation.min(), activation.max()].map(|end| u32::from(end.cast_unsigned()) * 0x0101_0101);
        // SAFETY: the loop reads `words * 4` elements of `accumulators` and the last two fields, at bytes 4 and 8
        // of twelve, of as many `channels`, and writes as many bytes of `outputs`; each has at least `len`
        // elements. The flags that saturation and `SSUB8` set are read by nothing else.
        unsafe {
            asm!(
                "2:",
                ".irp at, 0, 8, 16, 24",
                "ldr {x}, [{accumulators}], #4",
                "ldrd r2, r3, [{channels}], #12",
                "cmp r3, #0",
                "bge 3\\at\\()f",
                scale_any!("{x}", "{low_half}", "r2"),
                // A negative number is decremented, so that its halves are rounded down.
                "rsb r3, r3, #0",
                "asr {low_half}, {x}, #31",
                "qadd {x}, {x}, {low_half}",
                "asrs {x}, {x}, r3",
                "adc {x}, {x}, #0",
                "4\\at\\():",
                "add {x}, {x}, {zero_point}",
                "ssat {x}, #8, {x}",
                "bfi {word}, {x}, #\\at, #8",
                ".endr",
                "ssub8 {x}, {word}, {low}",
                "sel {word}, {word}, {low}",
                "ssub8 {x}, {high}, {word}",
                "sel {word}, {word}, {high}",
                "str {word}, [{outputs}], #4",
                "subs {words}, {words}, #1",
                "bne 2b",
                "b 5f",
                // Factors of at least one half, which few layers have: any left shift comes before the product.
                ".irp at, 0, 8, 16, 24",
                "3\\at\\():",
                "lsl {x}, {x}, r3",
                scale_any!("{x}", "{low_half}", "r2"),
                "b 4\\at\\()b",
                ".endr",
                "5:",
                accumulators = inout(reg) accumulators.as_ptr() => _,
                channels = inout(reg) channels.as_ptr().wrapping_byte_add(4) => _,
                outputs = inout(reg) outputs.as_mut_ptr() => _,
                words = inout(reg) words => _,
                zero_point = in(reg) zero_point,
                low = in(reg) low,
                high = in(reg) high,
                word = out(reg) _,
                low_half = out(reg) _,
                x = out(reg) _,
                out("r2") _,
                out("r3") _,
                options(nostack),
            );
        }
    }
    let done = words * 4;
    if len > done
        && let (Some(accumulators), Some(channels), Some(outputs)) =
            (accumulators.get(done..), channels.get(done..), outputs.get_mut(done..))
    {
        portable::requantize(accumulators, channels, zero_point, activation, outputs);
    }
}
