//! ResizeNearest.

use super::{item, nhwc};
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn resize_nearest(op: &ops::ResizeNearest, call: Call<'_>) {
    let output = call.target();
    let p = kernels::ResizeNearest {
        input: nhwc(call.input(0)),
        output: nhwc(output),
        align_corners: op.align_corners,
        half_pixel_centers: op.half_pixel_centers,
        item: item(output.dtype()),
    };
    kernels::resize_nearest(&p, call.rows.clone(), call.bytes(0), call.output);
}
