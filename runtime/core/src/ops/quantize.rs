//! Quantize and Dequantize.

use crate::execute::Call;
use tealight_format::{DType, ops};
use tealight_kernels as kernels;
use tealight_kernels::int16;

pub(super) fn quantize(_: &ops::Quantize, mut call: Call<'_>) {
    let output = call.target();
    let x = call.rows_of::<f32>(0);
    if output.dtype() == DType::U8 {
        kernels::quantize_u8(output.quantization(), x, call.output);
    } else {
        kernels::quantize_i8(output.quantization(), x, call.out());
    }
}

pub(super) fn dequantize(_: &ops::Dequantize, mut call: Call<'_>) {
    let input = call.input(0);
    if input.dtype() == DType::U8 {
        kernels::dequantize_u8(input.quantization(), call.rows_of(0), call.out());
    } else {
        kernels::dequantize_i8(input.quantization(), call.rows_of(0), call.out());
    }
}

pub(super) fn quantize_i16(_: &ops::QuantizeI16, mut call: Call<'_>) {
    let (to, x) = (call.target().quantization(), call.rows_of(0));
    int16::quantize(to, x, call.out());
}

pub(super) fn dequantize_i16(_: &ops::DequantizeI16, mut call: Call<'_>) {
    let (from, x) = (call.input(0).quantization(), call.rows_of(0));
    int16::dequantize(from, x, call.out());
}
