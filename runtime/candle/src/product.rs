//! Products of f32 matrices, by Candle.
//!
//! For few rows, the weights are read once and in place, by the dot products of Candle's `k_quants::matmul::<f32>`. For
//! more rows, a blocked product (Candle's tensors, the crate `gemm`) is several times faster. It needs the weights as a
//! tensor, so they are copied while the operator runs.

use crate::clamp;
use candle_core::quantized::k_quants::matmul;
use candle_core::{Device, Result, Tensor};

/// The number of rows from which the blocked product is used.
pub(crate) const BLOCKED: usize = 8;

/// `x` times the transpose of `weights`, plus `bias`, clamped to bounds.
pub(crate) struct MatrixProduct<'s> {
    /// Rows of `x` in the whole operator. It determines the code, so a part of an operator uses the same code as the
    /// whole.
    pub(crate) all_rows: usize,
    /// The number of elements in a row of `x` and of `weights`.
    pub(crate) inner: usize,
    /// `[out, inner]`.
    pub(crate) weights: &'s [f32],
    /// `[out]`, or empty.
    pub(crate) bias: &'s [f32],
    pub(crate) activation: [f32; 2],
}

impl MatrixProduct<'_> {
    /// Appends the product with the rows `x` to `output`.
    pub(crate) fn append(&self, x: &[f32], output: &mut Vec<f32>) -> Result<()> {
        let columns = self.weights.len() / self.inner;
        let start = output.len();
        multiply(self.all_rows >= BLOCKED, x, self.weights, self.inner, output)?;
        let [min, max] = self.activation;
        for row in output[start..].chunks_exact_mut(columns) {
            for (i, x) in row.iter_mut().enumerate() {
                *x = clamp(*x + self.bias.get(i).copied().unwrap_or(0.0), min, max);
            }
        }
        Ok(())
    }
}

/// Appends `x` times the transpose of `weights`, both in rows of `inner`.
fn multiply(blocked: bool, x: &[f32], weights: &[f32], inner: usize, output: &mut Vec<f32>) -> Result<()> {
    let (rows, columns) = (x.len() / inner, weights.len() / inner);
    if blocked {
        let x = Tensor::from_slice(x, (rows, inner), &Device::Cpu)?;
        let weights = Tensor::from_slice(weights, (columns, inner), &Device::Cpu)?;
        return extend(output, &x.matmul(&weights.t()?)?);
    }
    let start = output.len();
    output.resize(start + rows * columns, 0.0);
    matmul((rows, inner, columns), x, weights, &mut output[start..])
}

/// Appends the elements of a tensor.
pub(crate) fn extend(output: &mut Vec<f32>, tensor: &Tensor) -> Result<()> {
    output.extend(tensor.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}
