//! L2Norm: rows divided by the root of the sum of their squares.
//!
//! `out = clamp((x - zero_point) / sqrt(Σ (x - zero_point)²) * 128)`. The reciprocal root is one of 31 bits, found by Newton's
//! method; a row of zeros stays zeros. The sum wraps at 32 bits, but cannot reach that in rows of at most 2^15 elements.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::L2Normalization`.

use core::ops::Range;

use crate::lines::{for_each_line, run};
use crate::quant::multiply_by_quantized_multiplier;
use crate::unary::reciprocal_root;
use tealight_types::ActivationRange;

/// The shift to the output's scale, 1/128.
const OUTPUT_SHIFT: i32 = 7;

/// Parameters of [`l2_norm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L2Norm {
    /// The number of elements of a row.
    pub depth: usize,
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
}

/// Computes output rows `rows`; a row is `depth` elements, and `output` holds those rows only.
pub fn l2_norm(p: &L2Norm, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    for_each_line(rows, p.depth, output, |row, output| {
        let input = run(input, row.wrapping_mul(p.depth), p.depth);
        let real = |x: i8| i32::from(x).wrapping_sub(p.input_zero_point);
        let squares = input.iter().fold(0i32, |sum, &x| sum.wrapping_add(real(x).wrapping_mul(real(x))));
        let (multiplier, shift) = reciprocal_root(squares);
        for (output, &x) in output.iter_mut().zip(input) {
            let scaled = multiply_by_quantized_multiplier(real(x), multiplier, shift.saturating_add(OUTPUT_SHIFT));
            *output = ActivationRange::FULL.clamp(scaled);
        }
    });
}
