//! BatchMatMul and BatchMatMulF32.

use crate::execute::Call;
use tealight_format::{Shape, ops};
use tealight_kernels as kernels;
use tealight_kernels::float::{self, BatchMatMul};

pub(super) fn batch_matmul(op: &ops::BatchMatMul, mut call: Call<'_>) {
    let (a, b, output) = (call.input(0), call.input(1), call.target());
    let p = kernels::BatchMatMul {
        rows: output.shape().from_end(1) as usize,
        inner: a.shape().from_end(usize::from(op.transpose_a)) as usize,
        columns: output.shape().from_end(0) as usize,
        transpose_a: op.transpose_a,
        transpose_b: op.transpose_b,
        a_stride: stride(a.shape()),
        b_stride: stride(b.shape()),
        a_zero_point: a.zero_point(),
        b_zero_point: b.zero_point(),
        output_zero_point: output.zero_point(),
        output: op.output,
    };
    let (a, b) = (call.i8s(0), call.i8s(1));
    kernels::batch_matmul(&p, call.rows.clone(), a, b, call.out());
}

pub(super) fn batch_matmul_f32(op: &ops::BatchMatMulF32, mut call: Call<'_>) {
    let (a, output) = (call.input(0).shape(), call.target().shape());
    let p = BatchMatMul {
        rows: output.from_end(1) as usize,
        inner: a.from_end(usize::from(op.transpose_a)) as usize,
        columns: output.from_end(0) as usize,
        transpose_a: op.transpose_a,
        transpose_b: op.transpose_b,
        a_stride: stride(a),
        b_stride: stride(call.input(1).shape()),
    };
    let (a, b) = (call.f32s(0), call.f32s(1));
    float::batch_matmul(&p, call.rows.clone(), a, b, call.out());
}

/// The number of elements from one matrix to the next; 0 if one matrix is used for the whole batch.
fn stride(shape: Shape) -> usize {
    let matrices = shape.product(0, shape.rank().saturating_sub(2)).unwrap_or(1);
    if matrices > 1 { shape.from_end(0).wrapping_mul(shape.from_end(1)) as usize } else { 0 }
}
