//! Quantize and Dequantize.

use crate::execute::Call;
use tealight_format::{DType, ops};
use tealight_kernels as kernels;

pub(super) fn quantize(_: &ops::Quantize, mut call: Call<'_>) {
    let output = call.operands.output;
    let x = call.rows_of::<f32>(0);
    let (min, max) = if output.dtype == DType::U8 { (0, 255) } else { (-128, 127) };
    let p = kernels::Quantize { scale: output.scale, zero_point: output.zero_point, min, max };
    if output.dtype == DType::U8 {
        kernels::quantize_u8(&p, x, call.output);
    } else {
        kernels::quantize_i8(&p, x, call.out());
    }
}

pub(super) fn dequantize(_: &ops::Dequantize, mut call: Call<'_>) {
    let input = call.input(0);
    let p = kernels::Dequantize { scale: input.scale, zero_point: input.zero_point };
    if input.dtype == DType::U8 {
        kernels::dequantize_u8(&p, call.rows_of(0), call.out());
    } else {
        kernels::dequantize_i8(&p, call.rows_of(0), call.out());
    }
}
