//! Mul of int16 tensors: `out = clamp(a * b * factor)`.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::MulElementwise` for int16.

use core::ops::Range;

use crate::broadcast::Broadcast;
use crate::quant::multiply_by_quantized_multiplier;
use tealight_types::{ActivationRangeI16, Multiplier};

/// Parameters of [`mul`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mul {
    /// Shapes.
    pub broadcast: Broadcast,
    /// `a_scale * b_scale / output_scale`.
    pub output: Multiplier,
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

/// `a * b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn mul(p: &Mul, rows: Range<usize>, a: &[i16], b: &[i16], output: &mut [i16]) {
    let Multiplier { multiplier, shift } = p.output;
    p.broadcast.for_each(rows, a, b, output, |a, b| {
        let product = i32::from(a).wrapping_mul(i32::from(b));
        p.activation.clamp(multiply_by_quantized_multiplier(product, multiplier, shift))
    });
}
