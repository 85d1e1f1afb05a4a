//! Quantize and Dequantize: conversions between `f32` and 8 bits, element by element.
//!
//! `q = clamp(round(x / scale) + zero_point)`, halves away from zero; `x = scale * (q - zero_point)`: the arithmetic of
//! [`Quantization`].

#[cfg(soft_f32)]
use crate::reciprocal::quantize_each;
#[cfg(soft_f32)]
use tealight_types::ActivationRange;
use tealight_types::Quantization;
#[cfg(soft_f32)]
use zerocopy::IntoBytes;

/// Quantizes to int8. The caller slices input and output to the rows it wants.
pub fn quantize_i8(to: Quantization, input: &[f32], output: &mut [i8]) {
    #[cfg(soft_f32)]
    quantize_bytes(to, ActivationRange::FULL.bounds(), input, output.as_mut_bytes());
    #[cfg(not(soft_f32))]
    for (output, &x) in output.iter_mut().zip(input) {
        *output = to.quantize(x);
    }
}

/// Quantizes to uint8. The caller slices input and output to the rows it wants.
pub fn quantize_u8(to: Quantization, input: &[f32], output: &mut [u8]) {
    #[cfg(soft_f32)]
    quantize_bytes(to, [0, 255], input, output);
    #[cfg(not(soft_f32))]
    for (output, &x) in output.iter_mut().zip(input) {
        *output = to.quantize_u8(x);
    }
}

/// Quantizes to either type of 8 bits, which differ in their bounds: one function in a program.
#[cfg(soft_f32)]
#[inline(never)]
fn quantize_bytes(to: Quantization, bounds: [i32; 2], input: &[f32], output: &mut [u8]) {
    quantize_each(to, bounds, input, output, |code| code as u8);
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
