//! Conv2d and DepthwiseConv2d, int8, int16 and f32.

use super::{groups, nhwc};
use crate::execute::Call;
use crate::linked::{Linked, Ops};
use tealight_format::ops;
use tealight_kernels as kernels;
use tealight_kernels::float::{self, Finish};
use tealight_kernels::int16;

pub(super) fn conv2d<O: Ops>(op: &ops::Conv2d, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = kernels::Conv2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.window2d(&weights.shape()),
        groups: groups(input, weights),
        input_zero_point: input.zero_point(),
        output_zero_point: output.zero_point(),
        activation: op.activation,
    };
    let (x, c) = (call.elements(input), call.channels(2));
    with_int8_weights!(O, call, packed => {
        kernels::conv2d_int4_in::<Linked<O>>(&p, call.rows.clone(), x, packed, c, call.out());
    }, {
        kernels::conv2d_in::<Linked<O>>(&p, call.rows.clone(), x, call.elements(weights), c, call.out());
    });
}

pub(super) fn depthwise_conv2d<O: Ops>(op: &ops::DepthwiseConv2d, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = kernels::DepthwiseConv2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.0.window2d(&weights.shape()),
        input_zero_point: input.zero_point(),
        output_zero_point: output.zero_point(),
        activation: op.0.activation,
    };
    let (x, c) = (call.elements(input), call.channels(2));
    with_int8_weights!(O, call, packed => {
        kernels::depthwise_conv2d_int4(&p, call.rows.clone(), x, packed, c, call.out());
    }, {
        kernels::depthwise_conv2d_in::<Linked<O>>(&p, call.rows.clone(), x, call.elements(weights), c, call.out());
    });
}

pub(super) fn conv2d_f32<O: Ops>(op: &ops::Conv2dF32, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = float::Conv2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.window2d(&weights.shape()),
        groups: groups(input, weights),
        activation: op.activation,
    };
    let (x, channels) = (call.f32s(0), call.f32s(2));
    with_channel_weights!(O, call, w => {
        float::conv2d(&p, call.rows.clone(), x, w, Finish::of(channels), call.out());
    });
}

pub(super) fn depthwise_conv2d_f32<O: Ops>(op: &ops::DepthwiseConv2dF32, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = float::DepthwiseConv2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.0.window2d(&weights.shape()),
        activation: op.0.activation,
    };
    let (x, channels) = (call.f32s(0), call.f32s(2));
    with_channel_weights!(O, call, w => {
        float::depthwise_conv2d(&p, call.rows.clone(), x, w, Finish::of(channels), call.out());
    });
}

pub(super) fn conv2d_i16(op: &ops::Conv2dI16, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = int16::Conv2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.window2d(&weights.shape()),
        groups: groups(input, weights),
        activation: op.activation,
    };
    let (x, w, c) = (call.elements(input), call.elements(weights), call.channels_i16(2));
    int16::conv2d(&p, call.rows.clone(), x, w, c, call.out());
}

pub(super) fn depthwise_conv2d_i16(op: &ops::DepthwiseConv2dI16, mut call: Call<'_>) {
    let (input, weights, output) = (call.input(0), call.input(1), call.target());
    let p = int16::DepthwiseConv2d {
        input: nhwc(input),
        output: nhwc(output),
        window: op.0.window2d(&weights.shape()),
        activation: op.0.activation,
    };
    let (x, w, c) = (call.elements(input), call.elements(weights), call.channels_i16(2));
    int16::depthwise_conv2d(&p, call.rows.clone(), x, w, c, call.out());
}
