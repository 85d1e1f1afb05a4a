//! Prelu, elementwise with broadcasting.
//!
//! With `x = input - input_zero_point` and `a = alpha - alpha_zero_point`:
//! `out = clamp(zero_point + (x >= 0 ? x * positive : x * a * negative))`.
//!
//! Source: TensorFlow Lite Micro `BroadcastPrelu4DSlow`.

use core::ops::Range;

use crate::broadcast::Broadcast;
use crate::quant::multiply_by_quantized_multiplier;
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`prelu`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prelu {
    /// Shapes: `a` is the input, `b` alpha.
    pub broadcast: Broadcast,
    /// Quantized value of 0 in the input.
    pub input_zero_point: i32,
    /// Quantized value of 0 in alpha.
    pub alpha_zero_point: i32,
    /// Quantized value of 0 in the output.
    pub output_zero_point: i32,
    /// `input_scale / output_scale`.
    pub positive: Multiplier,
    /// `input_scale * alpha_scale / output_scale`.
    pub negative: Multiplier,
}

/// `input` where it is 0 or more, else `input * alpha`, for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn prelu(p: &Prelu, rows: Range<usize>, input: &[i8], alpha: &[i8], output: &mut [i8]) {
    p.broadcast.for_each(rows, input, alpha, output, |x, a| {
        let x = i32::from(x).wrapping_sub(p.input_zero_point);
        let a = i32::from(a).wrapping_sub(p.alpha_zero_point);
        let (x, Multiplier { multiplier, shift }) =
            if x >= 0 { (x, p.positive) } else { (x.wrapping_mul(a), p.negative) };
        let scaled = multiply_by_quantized_multiplier(x, multiplier, shift);
        ActivationRange::FULL.clamp(scaled.wrapping_add(p.output_zero_point))
    });
}
