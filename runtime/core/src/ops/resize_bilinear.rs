//! ResizeBilinear, int8 and f32.

use super::nhwc;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::float;

pub(super) fn resize_bilinear(op: &ops::ResizeBilinear, mut call: Call<'_>) {
    let p = parameters(&call, op.align_corners, op.half_pixel_centers);
    let x = call.i8s(0);
    kernels::resize_bilinear(&p, call.rows.clone(), x, call.out());
}

pub(super) fn resize_bilinear_f32(op: &ops::ResizeBilinearF32, mut call: Call<'_>) {
    let p = parameters(&call, op.align_corners, op.half_pixel_centers);
    let x = call.f32s(0);
    float::resize_bilinear(&p, call.rows.clone(), x, call.out());
}

fn parameters(call: &Call<'_>, align_corners: bool, half_pixel_centers: bool) -> kernels::ResizeBilinear {
    let (input, output) = (nhwc(call.input(0)), nhwc(call.target()));
    kernels::ResizeBilinear { input, output, align_corners, half_pixel_centers }
}
