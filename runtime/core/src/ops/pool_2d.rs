//! AvgPool2d and MaxPool2d.

use super::{nhwc, unsigned};
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn avg_pool_2d(op: &ops::Pool2d, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::avg_pool2d(&p, call.rows.clone(), x, call.out());
}

pub(super) fn max_pool_2d(op: &ops::Pool2d, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::max_pool2d(&p, call.rows.clone(), x, call.out());
}

fn params(op: &ops::Pool2d, call: &Call<'_>) -> kernels::Pool2d {
    kernels::Pool2d {
        input: nhwc(call.input(0).shape),
        output: nhwc(call.operands.output.shape),
        window: unsigned(op.window),
        stride: unsigned(op.stride),
        pad: unsigned(op.pad),
        activation: op.activation,
    }
}
