//! Products of matrices that are both activations.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Node, count_of};
use crate::pass::shapes::batch_matmul;
use tealight_format::Operator;
use tealight_format::ops::BatchMatMulF32;

impl Lowering<'_> {
    pub(super) fn batch_matmul_f32(&mut self, node: &Node, transposed: [bool; 2]) -> Result<()> {
        let (a, b, output) = (self.input_f32(node, 0)?, self.input_f32(node, 1)?, self.output_f32(node)?);
        let [of_a, of_b, of_output] = [a, b, output].map(|id| &self.tensor(id).shape[..]);
        if batch_matmul([of_a, of_b], transposed).as_deref() != Some(of_output) {
            let what = format!("its shapes do not fit together: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        // The kernel takes as many matrices as the output has, or one for all.
        let matrices = |shape: &[u32]| count_of(&shape[..shape.len() - 2]);
        if [of_a, of_b].map(matrices).into_iter().any(|count| count != 1 && count != matrices(of_output)) {
            return Err(self.graph.unsupported(node, "operands with as many matrices, or one"));
        }
        let [transpose_a, transpose_b] = transposed;
        let operator = Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a, transpose_b });
        self.emit(node, operator, &[Some(a), Some(b)], output);
        Ok(())
    }
}
