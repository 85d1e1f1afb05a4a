//! Mul, int8 and int16, and Div, int8.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::int16;

pub(super) fn mul(op: &ops::Mul, mut call: Call<'_>) {
    let p = kernels::Mul {
        broadcast: call.broadcast(),
        a_zero_point: call.input(0).zero_point(),
        b_zero_point: call.input(1).zero_point(),
        output_zero_point: call.target().zero_point(),
        output: op.output,
        activation: op.activation,
    };
    let (a, b) = (call.i8s(0), call.i8s(1));
    kernels::mul(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn div(op: &ops::Div, mut call: Call<'_>) {
    let p = kernels::Div {
        broadcast: call.broadcast(),
        a_zero_point: call.input(0).zero_point(),
        b_zero_point: call.input(1).zero_point(),
        output_zero_point: call.target().zero_point(),
        output: op.output,
        activation: op.activation,
    };
    let (a, b) = (call.i8s(0), call.i8s(1));
    kernels::div(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn mul_i16(op: &ops::MulI16, mut call: Call<'_>) {
    let p = int16::Mul { broadcast: call.broadcast(), output: op.output, activation: op.activation };
    let (a, b) = (call.i16s(0), call.i16s(1));
    int16::mul(&p, call.rows.clone(), a, b, call.out());
}
