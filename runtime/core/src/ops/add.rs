//! Add and Sub, int8 and int16.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::int16;

pub(super) fn add(op: &ops::AddSub, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.i8s(0), call.i8s(1));
    kernels::add(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn sub(op: &ops::AddSub, mut call: Call<'_>) {
    let (p, a, b) = (params(op, &call), call.i8s(0), call.i8s(1));
    kernels::sub(&p, call.rows.clone(), a, b, call.out());
}

fn params(op: &ops::AddSub, call: &Call<'_>) -> kernels::AddSub {
    kernels::AddSub {
        broadcast: call.broadcast(),
        a_zero_point: call.input(0).zero_point(),
        b_zero_point: call.input(1).zero_point(),
        output_zero_point: call.target().zero_point(),
        left_shift: op.left_shift,
        a: op.a,
        b: op.b,
        output: op.output,
        activation: op.activation,
    }
}

pub(super) fn add_i16(op: &ops::AddSubI16, mut call: Call<'_>) {
    let (p, a, b) = (params_i16(op, &call), call.i16s(0), call.i16s(1));
    int16::add(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn sub_i16(op: &ops::AddSubI16, mut call: Call<'_>) {
    let (p, a, b) = (params_i16(op, &call), call.i16s(0), call.i16s(1));
    int16::sub(&p, call.rows.clone(), a, b, call.out());
}

fn params_i16(op: &ops::AddSubI16, call: &Call<'_>) -> int16::AddSub {
    let ops::AddSubI16 { a, b, output, activation } = *op;
    int16::AddSub { broadcast: call.broadcast(), a, b, output, activation }
}
