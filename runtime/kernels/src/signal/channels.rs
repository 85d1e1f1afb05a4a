//! What is done to the channels of a filter bank, each by itself: noise is estimated and subtracted, what remains is
//! normalized, and its logarithm taken.
//!
//! With `s = x << smoothing bits`, the estimate is `e = (s · a + e · b) >> bits`, and the result of the subtraction is
//! `max((s - min(e, s)) >> smoothing bits, (x · remaining) >> bits)`. Normalization is
//! `shrink((x · gain(e)) >> shift)`, where `gain` is a quadratic function for each power of 2 of the estimate, from a
//! table, and `shrink(x)` is `x² / 4` below 2 and `x - 1` from there on, from 12 to 6 fractional bits. A logarithm is
//! that of base 2, linear between powers of 2 and corrected by a table, times ln 2.
//!
//! Source: TensorFlow Lite Micro `FilterbankSpectralSubtraction`, `ApplyPcanAutoGainControlFixed`, `FilterbankLog` and
//! `Log32`.

use super::bit_length;
use crate::lines::run;

/// The number of elements in the table of [`pcan`].
pub const PCAN_TABLE: usize = 125;

/// The number of elements in the table of [`log`].
pub const LOG_TABLE: usize = 129;

/// ln 2 in units of 2^-16.
const LN_2: u64 = 45_426;

/// Parameters of [`noise_estimate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseEstimate {
    /// For channels with an even index and for those with an odd one: the weights of the signal and of the past.
    pub weights: [[u32; 2]; 2],
    /// The fractional bits of an estimate.
    pub smoothing_bits: u32,
    /// The fractional bits of the weights.
    pub bits: u32,
    /// Whether an estimate is at most its signal.
    pub clamped: bool,
}

/// Updates the estimates in `state`, and copies them to `output`.
pub fn noise_estimate(p: &NoiseEstimate, input: &[u32], state: &mut [u32], output: &mut [u32]) {
    let [even, odd] = p.weights;
    for (i, ((&x, estimate), y)) in input.iter().zip(state).zip(output).enumerate() {
        let [of_signal, of_past] = if i % 2 == 0 { even } else { odd };
        let signal = x.wrapping_shl(p.smoothing_bits);
        let sum = product(signal, of_signal).wrapping_add(product(*estimate, of_past));
        let next = sum.wrapping_shr(p.bits) as u32;
        *estimate = if p.clamped { next.min(signal) } else { next };
        *y = *estimate;
    }
}

/// Parameters of [`spectral_subtraction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpectralSubtraction {
    /// The minimum of the output, as a part of the signal.
    pub remaining: u32,
    /// The fractional bits of an estimate.
    pub smoothing_bits: u32,
    /// The fractional bits of the part that remains.
    pub bits: u32,
}

/// Subtracts estimates from the signal.
pub fn spectral_subtraction(p: &SpectralSubtraction, input: &[u32], estimates: &[u32], output: &mut [u32]) {
    for ((y, &x), &estimate) in output.iter_mut().zip(input).zip(estimates) {
        let signal = x.wrapping_shl(p.smoothing_bits);
        let left = signal.saturating_sub(estimate).wrapping_shr(p.smoothing_bits);
        *y = left.max(product(x, p.remaining).wrapping_shr(p.bits) as u32);
    }
}

/// Normalizes the signal by the gains for its estimates. `table` has [`PCAN_TABLE`] elements.
pub fn pcan(shift: u32, input: &[u32], estimates: &[u32], table: &[i16], output: &mut [u32]) {
    for ((y, &x), &estimate) in output.iter_mut().zip(input).zip(estimates) {
        let gain = i32::from(gain(estimate, table)) as u32;
        *y = shrink(product(x, gain).wrapping_shr(shift) as u32);
    }
}

/// `c0 + c1·f + c2·f²`, where *f* are the ten bits behind the first of `x`.
fn gain(x: u32, table: &[i16]) -> i16 {
    if x <= 2 {
        return table.get(x as usize).copied().unwrap_or(0);
    }
    let length = bit_length(x);
    let &[c0, c1, c2] = run(table, (length as usize).wrapping_mul(4).wrapping_sub(6), 3) else { return 0 };
    let fraction =
        if length < 11 { x.wrapping_shl(11u32.wrapping_sub(length)) } else { x.wrapping_shr(length.wrapping_sub(11)) };
    let fraction = (fraction & 0x3ff) as i32;
    let sum = (i32::from(c2).wrapping_mul(fraction) >> 5).wrapping_add(i32::from(c1).wrapping_shl(5));
    let rounded = sum.wrapping_mul(fraction).wrapping_add(1 << 14) >> 15;
    rounded.wrapping_add(c0.into()) as i16
}

fn shrink(x: u32) -> u32 {
    if x < 2 << 12 { x.wrapping_mul(x) >> 20 } else { (x >> 6).wrapping_sub(1 << 6) }
}

/// Computes logarithms of `input << shift`, times `scale`; 0 for those of 0 and 1. They are at most 32767.
///
/// `table` has `log2(1 + i / 128) - i / 128` in units of 2^-16, [`LOG_TABLE`] elements.
pub fn log(shift: u32, scale: u32, input: &[u32], table: &[i16], output: &mut [i16]) {
    for (y, &x) in output.iter_mut().zip(input) {
        let x = x.wrapping_shl(shift);
        let log = if x > 1 { log2(x, table) } else { 0 };
        let natural = LN_2.wrapping_mul(log.into()).wrapping_add(1 << 15).wrapping_shr(16) as u32;
        let scaled = scale.wrapping_mul(natural).wrapping_add(1 << 15) >> 16;
        *y = if x > 1 { scaled.min(i16::MAX as u32) as i16 } else { 0 };
    }
}

/// The logarithm of base 2, in units of 2^-16.
fn log2(x: u32, table: &[i16]) -> u32 {
    let whole = bit_length(x).wrapping_sub(1);
    let above = x & !1u32.wrapping_shl(whole);
    // 16 bits.
    let fraction = if whole < 16 {
        above.wrapping_shl(16u32.wrapping_sub(whole))
    } else {
        above.wrapping_shr(whole.wrapping_sub(16))
    };
    let &[c0, c1] = run(table, (fraction >> 9) as usize, 2) else { return 0 };
    let (c0, c1) = (i32::from(c0), i32::from(c1));
    // The slope is as TensorFlow Lite Micro has it: 128 times less than that of a line between the two.
    let between = c1.wrapping_sub(c0).wrapping_mul((fraction & 0x1ff) as i32) >> 16;
    let corrected = (fraction as i32).wrapping_add(c0).wrapping_add(between) as u32;
    whole.wrapping_shl(16).wrapping_add(corrected)
}

fn product(a: u32, b: u32) -> u64 {
    u64::from(a).wrapping_mul(b.into())
}
