//! Mul.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

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
