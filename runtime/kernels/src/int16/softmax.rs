//! Softmax along the last dimension, of int16 elements.
//!
//! `(x - max) * input_scale * beta` in units of 10/65535, but at least -10, has its exponential from a table, in units of
//! 1/32768. Their sum is brought to `1 + f` with `f` from 0 to 1, of which a second table has the reciprocal.
//!
//! Source: TensorFlow Lite Micro `reference_ops::SoftmaxInt16`.

use core::ops::Range;

use super::interpolate::{INTERPOLATED, interpolate};
use crate::lines::{for_each_line, run};
use crate::quant::multiply_by_quantized_multiplier;
use tealight_types::Multiplier;

/// Parameters of [`softmax`]: the output has scale 1/32768.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The number of elements of a row.
    pub depth: usize,
    /// `beta * input_scale / (10 / 65535)`.
    pub input: Multiplier,
}

/// Computes output rows `rows`; a row is `depth` elements, and `output` holds those rows only.
///
/// `tables` has [`INTERPOLATED`] values of `exp(x)` for x from -10 to 0, then as many of `1 / (1 + x)` for x from 0 to 1.
pub fn softmax(p: &Softmax, rows: Range<usize>, input: &[i16], tables: &[i16], output: &mut [i16]) {
    let Some((exponentials, tables)) = tables.split_first_chunk::<INTERPOLATED>() else { return };
    let Some(reciprocals) = tables.first_chunk::<INTERPOLATED>() else { return };
    for_each_line(rows, p.depth, output, |row, output| {
        softmax_row(p, run(input, row.wrapping_mul(p.depth), p.depth), [exponentials, reciprocals], output);
    });
}

fn softmax_row(p: &Softmax, input: &[i16], tables: [&[i16; INTERPOLATED]; 2], output: &mut [i16]) {
    let [exponentials, reciprocals] = tables;
    let maximum = input.iter().copied().max().unwrap_or(i16::MIN);
    let mut sum = 0i32;
    for (output, &x) in output.iter_mut().zip(input) {
        let difference = i32::from(x) - i32::from(maximum);
        let scaled = multiply_by_quantized_multiplier(difference, p.input.multiplier, p.input.shift);
        *output = interpolate(exponentials, saturated(scaled.wrapping_add(32_767)));
        sum = sum.wrapping_add(i32::from(*output));
    }
    // The sum's leading bit is the 1 of 1 + f. It has one in a valid model, where the maximum's exponential is not 0.
    let headroom = sum.cast_unsigned().leading_zeros().clamp(1, 30);
    let shifted = (((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14) as i32;
    let reciprocal = interpolate(reciprocals, saturated(shifted.wrapping_sub((1 << 15) + (1 << 16))));
    let places = 31 - headroom;
    let half = 1i64.wrapping_shl(places - 1);
    for output in output {
        let product = i64::from(*output) * i64::from(reciprocal);
        *output = ((product.wrapping_add(half).wrapping_shr(places)) as i32).clamp(0, 32_767) as i16;
    }
}

/// The int16 number that is nearest to `x`.
fn saturated(x: i32) -> i16 {
    x.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
