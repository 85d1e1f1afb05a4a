//! RequantizeI16.

use crate::execute::Call;
use tealight_format::{DType, ops};
use tealight_kernels::int16;

pub(super) fn requantize_i16(op: &ops::RequantizeI16, mut call: Call<'_>) {
    let (input, output) = (call.input(0), call.target());
    let p = int16::Requantize {
        input_zero_point: input.zero_point(),
        output_zero_point: output.zero_point(),
        positive: op.positive,
        negative: op.negative,
        activation: op.activation,
    };
    if output.dtype() == DType::I8 {
        int16::narrow(&p, call.rows_of(0), call.out());
    } else if input.dtype() == DType::I8 {
        int16::widen(&p, call.rows_of(0), call.out());
    } else {
        int16::requantize_i16(&p, call.rows_of(0), call.out());
    }
}
