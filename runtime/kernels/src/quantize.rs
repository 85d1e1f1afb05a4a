//! Quantize and Dequantize: conversions between `f32` and 8 bits, element by element.
//!
//! `q = clamp(round(x / scale) + zero_point)`, halves away from zero; `x = scale * (q - zero_point)`: the arithmetic of
//! [`Quantization`].

use crate::quant::clamp;
#[cfg(soft_f32)]
use crate::reciprocal::Reciprocal;
use tealight_types::{ActivationRange, Quantization};

/// Quantizes to int8. The caller slices input and output to the rows it wants.
pub fn quantize_i8(to: Quantization, input: &[f32], output: &mut [i8]) {
    quantize_each(to, input, output, |x| to.quantize(x), |code| ActivationRange::FULL.clamp(code));
}

/// Quantizes to uint8. The caller slices input and output to the rows it wants.
pub fn quantize_u8(to: Quantization, input: &[f32], output: &mut [u8]) {
    quantize_each(to, input, output, |x| to.quantize_u8(x), |code| clamp(code, [0, 255]) as u8);
}

/// Quantizes each element with `quantize`, or, without a floating-point unit, to an integer for `clamp` wherever that takes
/// no division.
#[cfg(soft_f32)]
#[inline]
pub(crate) fn quantize_each<T>(
    to: Quantization,
    input: &[f32],
    output: &mut [T],
    quantize: impl Fn(f32) -> T,
    clamp: impl Fn(i32) -> T,
) {
    let reciprocal = Reciprocal::new(to);
    for (output, &x) in output.iter_mut().zip(input) {
        let code = reciprocal.and_then(|reciprocal| reciprocal.quantize(x));
        *output = code.map_or_else(|| apart(&quantize, x), &clamp);
    }
}

/// Calls `f`, which compilers would else compute for every element and then select from.
#[cfg(soft_f32)]
#[cold]
#[inline(never)]
fn apart<T>(f: impl Fn(f32) -> T, x: f32) -> T {
    f(x)
}

/// Quantizes each element with `quantize`.
#[cfg(not(soft_f32))]
#[inline]
pub(crate) fn quantize_each<T>(
    _: Quantization,
    input: &[f32],
    output: &mut [T],
    quantize: impl Fn(f32) -> T,
    _: impl Fn(i32) -> T,
) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = quantize(x);
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
