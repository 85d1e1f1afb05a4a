//! Div, elementwise with broadcasting.
//!
//! `out = clamp(zero_point + (a - a_zero_point) / (b - b_zero_point) * factor)`. The reciprocal of `b - b_zero_point` is one
//! of 31 bits, found by Newton's method; where it is 0, the quotient is 0.
//!
//! Source: TensorFlow Lite Micro `reference_ops::DivElementwise`. That does not define a quotient by 0, and for most quotients
//! near 0 it shifts by more than 31 bits, which C++ does not define; they are 0 here.

use core::ops::Range;

use crate::broadcast::Broadcast;
use crate::fixed_point::reciprocal;
use crate::quant::{multiply_by_multiplier_greater_than_one, multiply_by_multiplier_smaller_than_one};
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`div`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Div {
    /// Shapes.
    pub broadcast: Broadcast,
    /// Quantized value of a real zero in the first operand.
    pub a_zero_point: i32,
    /// Quantized value of a real zero in the second operand.
    pub b_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// `a_scale / (b_scale * output_scale)`.
    pub output: Multiplier,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// `a / b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn div(p: &Div, rows: Range<usize>, a: &[i8], b: &[i8], output: &mut [i8]) {
    p.broadcast.for_each(rows, a, b, output, |a, b| {
        let a = i32::from(a).wrapping_sub(p.a_zero_point);
        let b = i32::from(b).wrapping_sub(p.b_zero_point);
        p.activation.clamp(quotient(p.output, a, b).wrapping_add(p.output_zero_point))
    });
}

fn quotient(factor: Multiplier, a: i32, b: i32) -> i32 {
    if b == 0 {
        return 0;
    }
    // The reciprocal is one of a positive number.
    let (a, b) = if b < 0 { (a.wrapping_neg(), b.wrapping_neg()) } else { (a, b) };
    let (scale, bits) = reciprocal(b, 31);
    // As far as its sign allows: of -2^k one place further than of 2^k.
    let magnitude = if a < 0 { a.unsigned_abs().wrapping_mul(2).wrapping_sub(1) } else { a.cast_unsigned() };
    let headroom = magnitude.leading_zeros() as i32 - i32::from(a >= 0);
    let unscaled = multiply_by_multiplier_greater_than_one(a, scale, headroom);
    let shift = factor.shift.saturating_sub(bits).saturating_sub(headroom);
    // Less than 1/2, which a shift of 31 bits would not show.
    if shift < -31 {
        return 0;
    }
    multiply_by_multiplier_smaller_than_one(unscaled, factor.multiplier, shift)
}
