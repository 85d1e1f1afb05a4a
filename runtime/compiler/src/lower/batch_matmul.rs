//! Products of matrices that are both activations.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Node, TensorId, count_of};
use crate::pass::shapes::batch_matmul;
use tealight_format::Operator;
use tealight_format::ops::{BatchMatMul, BatchMatMulF32};

impl Lowering<'_> {
    pub(super) fn batch_matmul_f32(&mut self, node: &Node, transposed: [bool; 2]) -> Result<()> {
        let (a, b, output) = (self.input_f32(node, 0)?, self.input_f32(node, 1)?, self.output_f32(node)?);
        self.check_matrices(node, [a, b, output], transposed)?;
        let [transpose_a, transpose_b] = transposed;
        let operator = Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a, transpose_b });
        self.emit(node, operator, &[Some(a), Some(b)], output);
        Ok(())
    }

    pub(super) fn batch_matmul(&mut self, node: &Node, transposed: [bool; 2]) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let scales = self.int8(node, a)?.scale * self.int8(node, b)?.scale;
        self.check_matrices(node, [a, b, output], transposed)?;
        let [transpose_a, transpose_b] = transposed;
        // TensorFlow Lite Micro multiplies these two scales in f32.
        let output_factor = self.factor(node, self.over_scale_of(node, f64::from(scales), output)?)?;
        let operator = Operator::BatchMatMul(BatchMatMul { transpose_a, transpose_b, output: output_factor });
        self.emit(node, operator, &[Some(a), Some(b)], output);
        Ok(())
    }

    /// Checks the shapes of matrices and their products. The kernel takes as many matrices as the output has, or one for
    /// all; the pass `expand` has repeated others.
    fn check_matrices(&self, node: &Node, [a, b, output]: [TensorId; 3], transposed: [bool; 2]) -> Result<()> {
        let [of_a, of_b, of_output] = [a, b, output].map(|id| &self.tensor(id).shape[..]);
        if batch_matmul([of_a, of_b], transposed).as_deref() != Some(of_output) {
            let what = format!("its shapes do not fit together: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        let matrices = |shape: &[u32]| count_of(&shape[..shape.len() - 2]);
        if [of_a, of_b].map(matrices).into_iter().any(|count| count != 1 && count != matrices(of_output)) {
            return Err(self.graph.unsupported(node, "operands with as many matrices, or one"));
        }
        Ok(())
    }
}
