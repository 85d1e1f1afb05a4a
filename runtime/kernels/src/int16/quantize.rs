//! Quantize and Dequantize: conversions between `f32` and int16, element by element: the arithmetic of [`Quantization`].

use crate::quantize::quantize_each;
use tealight_types::{ActivationRangeI16, Quantization};

/// Quantizes to int16. The caller slices input and output to the rows it wants.
pub fn quantize(to: Quantization, input: &[f32], output: &mut [i16]) {
    quantize_each(to, input, output, |x| to.quantize_i16(x), |code| ActivationRangeI16::FULL.clamp(code));
}

/// Dequantizes int16. The caller slices input and output to the rows it wants.
pub fn dequantize(from: Quantization, input: &[i16], output: &mut [f32]) {
    for (output, &q) in output.iter_mut().zip(input) {
        *output = from.dequantize(q.into());
    }
}
