//! TransformBilinearF32.

use super::nhwc;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float::{self, TransformBilinear};

pub(super) fn transform_bilinear_f32(_: &ops::TransformBilinearF32, mut call: Call<'_>) {
    let [_, height, width, channels] = nhwc(call.input(0));
    let [.., out_width, _] = nhwc(call.target());
    let p = TransformBilinear { input: [height, width, channels], out_width };
    let (image, matrix) = (call.f32s(0), call.f32s(1));
    float::transform_bilinear(&p, call.rows.clone(), image, matrix, call.out());
}
