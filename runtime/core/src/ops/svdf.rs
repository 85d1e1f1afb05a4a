//! Svdf.

use super::unsigned;
use crate::execute::Call;
use tealight_format::{DType, ops};
use tealight_kernels as kernels;

pub(super) fn svdf(op: &ops::Svdf, mut call: Call<'_>) {
    let (input, feature, time, state) = (call.input(0), call.input(1).shape(), call.input(2), call.input(4));
    let [rank] = unsigned([op.rank]);
    let p = kernels::Svdf {
        input_size: feature.dim(1) as usize,
        units: (feature.dim(0) as usize).checked_div(rank).unwrap_or(0),
        rank,
        memory: time.dim(1) as usize,
        input_zero_point: input.zero_point(),
        output_zero_point: call.target().zero_point(),
        feature: op.feature,
        output: op.output,
        activation: op.activation,
    };
    let (rows, x, feature, bias) = (call.rows.clone(), call.i8s(0), call.i8s(1), call.slice(3));
    if time.dtype() == DType::I16 {
        let time = call.slice(2);
        kernels::svdf(&p, rows, x, feature, time, bias, call.state(), call.out());
    } else {
        let time = call.slice(2);
        kernels::svdf_i8_state(&p, state.zero_point(), rows, x, feature, time, bias, call.state(), call.out());
    }
}
