//! ConvTranspose2dF32.

use super::{groups, nhwc};
use crate::execute::Call;
use crate::linked::Ops;
use tealight_format::ops;
use tealight_kernels::float::{self, Finish};

pub(super) fn conv_transpose2d_f32<O: Ops>(op: &ops::ConvTranspose2dF32, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = float::ConvTranspose2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.window2d(&weights.shape()),
        groups: groups(input, weights),
        activation: op.activation,
    };
    let (x, channels) = (call.f32s(0), call.f32s(2));
    with_channel_weights!(O, call, w => {
        float::conv_transpose2d(&p, call.rows.clone(), x, w, Finish::of(channels), call.out());
    });
}
