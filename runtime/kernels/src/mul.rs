//! Mul, elementwise with broadcasting.
//!
//! `out = clamp(zero_point + (a - a_zero_point) * (b - b_zero_point) * factor)`.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, MUL; TensorFlow Lite Micro
//! `reference_integer_ops::Mul`.

use core::ops::Range;

use crate::broadcast::Broadcast;
use crate::quant::multiply_by_quantized_multiplier;
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`mul`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mul {
    /// Shapes.
    pub broadcast: Broadcast,
    /// Quantized value of a real zero in the first operand.
    pub a_zero_point: i32,
    /// Quantized value of a real zero in the second operand.
    pub b_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// `a_scale * b_scale / output_scale`.
    pub output: Multiplier,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// `a * b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn mul(p: &Mul, rows: Range<usize>, a: &[i8], b: &[i8], output: &mut [i8]) {
    p.broadcast.for_each(rows, a, b, output, |a, b| {
        let a = i32::from(a).wrapping_sub(p.a_zero_point);
        let b = i32::from(b).wrapping_sub(p.b_zero_point);
        let scaled = multiply_by_quantized_multiplier(a.wrapping_mul(b), p.output.multiplier, p.output.shift);
        p.activation.clamp(scaled.wrapping_add(p.output_zero_point))
    });
}
