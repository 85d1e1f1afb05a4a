//! BatchMatMulF32: products of activations, computed with Candle tensors.

use crate::product::extend;
use crate::segments::{Segment, segments};
use candle_core::{Device, Result, Tensor};
use tealight::Part;
use tealight_format::{Shape, ops};

/// Appends the rows of `part` to `output`. A row of the operator is a row of a product.
pub(crate) fn batch_matmul_f32(op: &ops::BatchMatMulF32, part: &Part<'_>, output: &mut Vec<f32>) -> Option<()> {
    let [a, b] = [part.input(0)?, part.input(1)?];
    let [a_elements, b_elements] = [a.as_slice::<f32>()?, b.as_slice::<f32>()?];
    let rows_of_one = part.output().shape.from_end(1) as usize;
    for Segment { batches, rows } in segments(part.rows(), rows_of_one) {
        for batch in batches {
            let mut product = || -> Result<()> {
                let a = matrix(a_elements, a.shape(), batch, op.transpose_a)?;
                let b = matrix(b_elements, b.shape(), batch, op.transpose_b)?;
                extend(output, &a.narrow(0, rows.start, rows.len())?.matmul(&b)?)
            };
            product().ok()?;
        }
    }
    Some(())
}

/// Returns matrix `index` of an operand, or its only one, in the orientation that the product needs.
fn matrix(elements: &[f32], shape: Shape, index: usize, transposed: bool) -> Result<Tensor> {
    let size = [1, 0].map(|i| shape.from_end(i) as usize);
    let len = size[0] * size[1];
    let from = if elements.len() > len { index * len } else { 0 };
    let matrix = Tensor::from_slice(&elements[from..from + len], (size[0], size[1]), &Device::Cpu)?;
    if transposed { matrix.t() } else { Ok(matrix) }
}
