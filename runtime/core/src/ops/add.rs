//! Add and Sub.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

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
