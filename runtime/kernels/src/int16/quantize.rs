//! Quantize and Dequantize: conversions between `f32` and int16, element by element: the arithmetic of [`Quantization`].

use tealight_types::Quantization;

/// Quantizes to int16. The caller slices input and output to the rows it wants.
pub fn quantize(to: Quantization, input: &[f32], output: &mut [i16]) {
    #[cfg(soft_f32)]
    crate::soft_f32::quantize_each(to, [i16::MIN, i16::MAX].map(i32::from), input, output, |code| code as i16);
    #[cfg(not(soft_f32))]
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
