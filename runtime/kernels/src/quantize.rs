//! Quantize and Dequantize: conversions between `f32` and 8 bits, element by element.
//!
//! `q = clamp(round(x / scale) + zero_point)`, halves away from zero; `x = scale * (q - zero_point)`: the arithmetic of
//! [`Quantization`].

use crate::arch::{dequantize_bytes, quantize_bytes};
use tealight_types::{ActivationRange, Quantization};
use zerocopy::IntoBytes;

/// Quantizes to int8. The caller slices input and output to the rows it wants.
pub fn quantize_i8(to: Quantization, input: &[f32], output: &mut [i8]) {
    quantize_bytes(to, ActivationRange::FULL.bounds(), input, output.as_mut_bytes());
}

/// Quantizes to uint8. The caller slices input and output to the rows it wants.
pub fn quantize_u8(to: Quantization, input: &[f32], output: &mut [u8]) {
    quantize_bytes(to, [0, 255], input, output);
}

/// Dequantizes int8. The caller slices input and output to the rows it wants.
pub fn dequantize_i8(from: Quantization, input: &[i8], output: &mut [f32]) {
    dequantize_bytes(from, true, input.as_bytes(), output);
}

/// Dequantizes uint8. The caller slices input and output to the rows it wants.
pub fn dequantize_u8(from: Quantization, input: &[u8], output: &mut [f32]) {
    dequantize_bytes(from, false, input, output);
}
