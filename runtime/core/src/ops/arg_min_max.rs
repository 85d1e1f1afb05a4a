//! ArgMinMax, int8 and f32.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::float;

pub(super) fn arg_min_max(op: &ops::ArgMinMax, mut call: Call<'_>) {
    let (p, x) = (params(op, &call), call.i8s(0));
    kernels::arg_min_max(&p, call.rows.clone(), x, call.out());
}

pub(super) fn arg_min_max_f32(op: &ops::ArgMinMaxF32, mut call: Call<'_>) {
    let (p, x) = (params(&op.0, &call), call.f32s(0));
    float::arg_min_max(&p, call.rows.clone(), x, call.out());
}

fn params(op: &ops::ArgMinMax, call: &Call<'_>) -> kernels::ArgMinMax {
    let (shape, axis) = (call.input(0).shape(), op.axis.max(0) as usize);
    let inner = shape.product(axis.saturating_add(1), shape.rank()).unwrap_or(1);
    kernels::ArgMinMax { len: shape.dim(axis) as usize, inner: inner as usize, smallest: op.smallest, last: op.last }
}
