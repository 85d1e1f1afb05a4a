//! TopK, int8 and f32: the elements, or their indices where the output is I32.

use crate::execute::Call;
use tealight_format::{DType, ops};
use tealight_kernels as kernels;
use tealight_kernels::float;

pub(super) fn top_k(op: &ops::TopK, mut call: Call<'_>) {
    let (p, x, rows) = (params(op, &call), call.i8s(0), call.rows.clone());
    if call.target().dtype() == DType::I32 {
        kernels::top_k_indices(&p, rows, x, call.out());
    } else {
        kernels::top_k_values(&p, rows, x, call.out());
    }
}

pub(super) fn top_k_f32(op: &ops::TopKF32, mut call: Call<'_>) {
    let (p, x, rows) = (params(&op.0, &call), call.f32s(0), call.rows.clone());
    if call.target().dtype() == DType::I32 {
        float::top_k_indices(&p, rows, x, call.out());
    } else {
        float::top_k_values(&p, rows, x, call.out());
    }
}

fn params(op: &ops::TopK, call: &Call<'_>) -> kernels::TopK {
    let [depth, count] = [call.input(0), call.target()].map(|value| value.shape().from_end(0) as usize);
    kernels::TopK { depth, count, smallest: op.smallest }
}
