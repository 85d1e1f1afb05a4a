//! FullyConnected, int8, int16 and f32.

use crate::execute::Call;
use crate::linked::{Linked, Ops};
use tealight_format::{DType, ops};
use tealight_kernels as kernels;
use tealight_kernels::float::{self, Finish};
use tealight_kernels::int16;

pub(super) fn fully_connected<O: Ops>(op: &ops::FullyConnected, mut call: Call<'_>) {
    let weights = call.input(1);
    let p = kernels::FullyConnected {
        in_features: weights.dim(1) as usize,
        out_features: weights.dim(0) as usize,
        weights_zero_point: op.weights_zero_point,
        output_zero_point: call.target().zero_point(),
        activation: op.activation,
    };
    let (x, c) = (call.i8s(0), call.channels(2));
    if const { O::SET.has_paired_weights() } && weights.dtype() == DType::U8 {
        return kernels::fully_connected_paired(&p, call.rows.clone(), x, call.elements(weights), c, call.out());
    }
    if const { !O::PATHS.rows } {
        return;
    }
    with_int8_weights!(O, call, packed => {
        kernels::fully_connected_int4(&p, call.rows.clone(), x, packed, c, call.out());
    }, {
        kernels::fully_connected_in::<Linked<O>>(&p, call.rows.clone(), x, call.elements(weights), c, call.out());
    });
}

pub(super) fn fully_connected_f32<O: Ops>(op: &ops::FullyConnectedF32, mut call: Call<'_>) {
    let weights = call.input(1).shape();
    let p = float::FullyConnected {
        in_features: weights.dim(1) as usize,
        out_features: weights.dim(0) as usize,
        activation: op.activation,
    };
    let (x, channels) = (call.f32s(0), call.f32s(2));
    with_channel_weights!(O, call, w => {
        float::fully_connected(&p, call.rows.clone(), x, w, Finish::of(channels), call.out());
    });
}

pub(super) fn fully_connected_i16(op: &ops::FullyConnectedI16, mut call: Call<'_>) {
    let weights = call.input(1);
    let p = int16::FullyConnected {
        in_features: weights.dim(1) as usize,
        out_features: weights.dim(0) as usize,
        activation: op.activation,
    };
    let (x, w, c) = (call.i16s(0), call.elements(weights), call.channels_i16(2));
    int16::fully_connected(&p, call.rows.clone(), x, w, c, call.out());
}
