//! Quantize and Dequantize: conversions between `f32` and int16, element by element: the arithmetic of [`Quantization`].

use tealight_types::Quantization;

/// Quantizes to int16. The caller slices input and output to the rows it wants.
pub fn quantize(to: Quantization, input: &[f32], output: &mut [i16]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = to.quantize_i16(x);
    }
}

/// Dequantizes int16. The caller slices input and output to the rows it wants.
pub fn dequantize(from: Quantization, input: &[i16], output: &mut [f32]) {
    for (output, &q) in output.iter_mut().zip(input) {
        *output = from.dequantize(q.into());
    }
}
