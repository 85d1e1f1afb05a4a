//! Quantize and Dequantize: conversions between `f32` and 8 bits, element by element.
//!
//! `q = clamp(round(x / scale) + zero_point)`, halves away from zero; `x = scale * (q - zero_point)`: the arithmetic of
//! [`Quantization`].

use tealight_types::Quantization;

/// Quantizes to int8. The caller slices input and output to the rows it wants.
pub fn quantize_i8(to: Quantization, input: &[f32], output: &mut [i8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = to.quantize(x);
    }
}

/// Quantizes to uint8. The caller slices input and output to the rows it wants.
pub fn quantize_u8(to: Quantization, input: &[f32], output: &mut [u8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = to.quantize_u8(x);
    }
}

/// Dequantizes int8. The caller slices input and output to the rows it wants.
pub fn dequantize_i8(from: Quantization, input: &[i8], output: &mut [f32]) {
    for (output, &q) in output.iter_mut().zip(input) {
        *output = from.dequantize(q.into());
    }
}

/// Dequantizes uint8. The caller slices input and output to the rows it wants.
pub fn dequantize_u8(from: Quantization, input: &[u8], output: &mut [f32]) {
    for (output, &q) in output.iter_mut().zip(input) {
        *output = from.dequantize(q.into());
    }
}
