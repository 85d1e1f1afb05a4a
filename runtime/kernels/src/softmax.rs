//! Softmax along the last dimension.
//!
//! With `d(x) = (x - max) * input_scale * beta` in Q5: `out = exp(d(x)) / Σ exp(d)`, in units of 1/256
//! from a zero point of -128. Terms with `x - max < diff_min` are too small for Q5 and count as 0.
//! The sum is Q12.19. If the sum is 512 or more, each term (at most 1) is below half a step of the output, and the
//! whole row is the zero point. A saturated sum therefore has the same result as an exact one, and any depth works.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, SOFTMAX; TensorFlow Lite Micro
//! `reference_ops::Softmax` for int8.

use core::ops::Range;

use crate::arch::rolled;
use crate::fixed_point::{exp_on_negative_values, reciprocal};
use crate::lines::{for_each_line, run};
use crate::quant::{
    multiply_by_multiplier_greater_than_one, rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};
use tealight_types::ActivationRange;

/// Integer bits of a scaled difference.
const DIFF_INTEGER_BITS: u32 = 5;
/// Integer bits of the sum of exponentials.
const SUM_INTEGER_BITS: i32 = 12;
/// The minimum sum, in units of `2^-19`, for which every output rounds to zero: 512, where a term of 1 is half a step
/// of 1/256.
const SUM_OF_ZEROS: u32 = 512 << (31 - SUM_INTEGER_BITS);

/// Parameters of [`softmax`]: int8 in, int8 out with scale 1/256 and zero point -128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The number of elements of a row.
    pub depth: usize,
    /// Multiplier of `min(beta * input_scale * 2^26, 2^31 - 1)`.
    pub input_multiplier: i32,
    /// Its shift, not negative.
    pub input_left_shift: i32,
    /// Minimum difference from the row's maximum; smaller ones count as 0.
    pub diff_min: i32,
}

/// Computes output rows `rows`; a row is `depth` elements, and `output` holds those rows only.
pub fn softmax(p: &Softmax, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    for_each_line(rows, p.depth, output, |row, output| {
        softmax_row(p, run(input, row.wrapping_mul(p.depth), p.depth), output);
    });
}

fn softmax_row(p: &Softmax, input: &[i8], output: &mut [i8]) {
    let maximum = input.iter().fold(i8::MIN, |maximum, &x| {
        rolled();
        maximum.max(x)
    });
    let exp = |x: i8| {
        rolled();
        let diff = i32::from(x) - i32::from(maximum);
        (diff >= p.diff_min).then(|| {
            exp_on_negative_values::<DIFF_INTEGER_BITS>(multiply_by_multiplier_greater_than_one(
                diff,
                p.input_multiplier,
                p.input_left_shift,
            ))
        })
    };
    let sum = input
        .iter()
        .filter_map(|&x| exp(x))
        .fold(0u32, |sum, term| sum.saturating_add(rounding_divide_by_pot(term, SUM_INTEGER_BITS).cast_unsigned()));
    if sum >= SUM_OF_ZEROS {
        return output.fill(i8::MIN);
    }
    let (scale, bits) = reciprocal(sum.cast_signed(), SUM_INTEGER_BITS);
    // The shift from Q0 to 1/256, plus the reciprocal's power of two.
    let exponent = bits.wrapping_add(31 - 8);
    for (output, &x) in output.iter_mut().zip(input) {
        *output = match exp(x) {
            Some(term) => {
                let quotient = saturating_rounding_doubling_high_mul(scale, term);
                let quotient = rounding_divide_by_pot(quotient, exponent);
                ActivationRange::FULL.clamp(quotient.wrapping_add(i32::from(i8::MIN)))
            }
            None => i8::MIN,
        };
    }
}
