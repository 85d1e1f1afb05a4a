//! MaxPoolIndices2dF32 and MaxUnpool2dF32.

use super::nhwc;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float::{self, Unpool2d};

pub(super) fn max_pool_indices2d_f32(op: &ops::MaxPoolIndices2dF32, mut call: Call<'_>) {
    let p = Unpool2d { image: nhwc(call.input(0)), maxima: nhwc(call.target()), window: op.0.window2d() };
    let x = call.f32s(0);
    float::max_pool_indices2d(&p, call.rows.clone(), x, call.out());
}

pub(super) fn max_unpool2d_f32(op: &ops::MaxUnpool2dF32, mut call: Call<'_>) {
    let p = Unpool2d { image: nhwc(call.target()), maxima: nhwc(call.input(0)), window: op.0.window2d() };
    let (maxima, places) = (call.f32s(0), call.f32s(1));
    float::max_unpool2d(&p, call.rows.clone(), maxima, places, call.out());
}
