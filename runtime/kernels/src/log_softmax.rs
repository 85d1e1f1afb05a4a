//! LogSoftmax along the last dimension.
//!
//! With `d(x) = (x - max) * input_scale` in Q5: `out = d(x) - ln(Σ exp(d))`, in units of 1/16 from a zero point of 127. Terms
//! with `x - max < diff_min` are too small for Q5 and count as 0; outputs for which `d(x)` is, are the smallest code.
//! The sum is Q12.19: a row has at most 4095 elements.
//!
//! Source: TensorFlow Lite Micro `reference_ops::LogSoftmax` for int8.

use core::ops::Range;

use crate::fixed_point::{exp_on_negative_values, log};
use crate::lines::{for_each_line, run};
use crate::quant::{multiply_by_quantized_multiplier, rounding_divide_by_pot};
use crate::softmax::Softmax;
use tealight_types::{ActivationRange, Multiplier};

/// Integer bits of a scaled difference.
const DIFF_INTEGER_BITS: u32 = 5;
/// Integer bits of the sum of exponentials.
const SUM_INTEGER_BITS: i32 = 12;
/// The shift from Q5 to 1/16.
const OUTPUT_SHIFT: i32 = 31 - 5 - 4;

/// Computes output rows `rows`; a row is `p.depth` elements, and `output` holds those rows only. `reverse` is the factor
/// from Q5 to differences.
pub fn log_softmax(p: &Softmax, reverse: Multiplier, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    for_each_line(rows, p.depth, output, |row, output| {
        log_softmax_row(p, reverse, run(input, row.wrapping_mul(p.depth), p.depth), output);
    });
}

fn log_softmax_row(p: &Softmax, reverse: Multiplier, input: &[i8], output: &mut [i8]) {
    let maximum = input.iter().copied().max().unwrap_or(i8::MIN);
    let diff = |x: i8| i32::from(x) - i32::from(maximum);
    let scaled = |diff: i32| multiply_by_quantized_multiplier(diff, p.input_multiplier, p.input_left_shift);
    let terms = input.iter().map(|&x| diff(x)).filter(|&diff| diff >= p.diff_min);
    let sum = terms.fold(0i32, |sum, diff| {
        let term = exp_on_negative_values::<DIFF_INTEGER_BITS>(scaled(diff));
        sum.wrapping_add(rounding_divide_by_pot(term, SUM_INTEGER_BITS))
    });
    let log_sum = log(sum, SUM_INTEGER_BITS);
    let least = multiply_by_quantized_multiplier(log_sum.wrapping_add(i32::MIN), reverse.multiplier, reverse.shift);
    let least = least.max(p.diff_min.saturating_sub(1));
    for (output, &x) in output.iter_mut().zip(input) {
        let diff = diff(x);
        *output = if diff > least {
            let rest = rounding_divide_by_pot(scaled(diff).wrapping_sub(log_sum), OUTPUT_SHIFT);
            ActivationRange::FULL.clamp(rest.wrapping_add(i32::from(i8::MAX)))
        } else {
            i8::MIN
        };
    }
}
