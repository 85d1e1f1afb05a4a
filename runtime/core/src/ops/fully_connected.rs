//! FullyConnected.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn fully_connected(op: &ops::FullyConnected, mut call: Call<'_>) {
    let weights = call.input(1).shape;
    let p = kernels::FullyConnected {
        in_features: weights.dim(1) as usize,
        out_features: weights.dim(0) as usize,
        weights_zero_point: op.weights_zero_point,
        output_zero_point: call.operands.output.zero_point,
        activation: op.activation,
    };
    let (x, w, c) = (call.i8s(0), call.i8s(1), call.channels(2));
    kernels::fully_connected(&p, call.rows.clone(), x, w, c, call.out());
}
