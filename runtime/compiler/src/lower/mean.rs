//! Mean.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Node, TensorId, count_of};
use crate::slice::dimension;
use tealight_format::Operator;
use tealight_format::ops::{MAX_AVERAGED, Mean, MeanF32};

impl Lowering<'_> {
    pub(super) fn mean(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let scale = f64::from(self.int8(node, input)?.scale);
        let (reduced, count) = self.reduced_and_count(node, input)?;
        if count > MAX_AVERAGED as usize {
            return Err(self
                .graph
                .unsupported(node, format!("a mean of up to {MAX_AVERAGED} int8 elements, not {count}")));
        }
        // The kernel itself divides by the number of elements.
        let factor = self.factor(node, self.over_scale_of(node, scale, output)?)?;
        self.emit(node, Operator::Mean(Mean { reduced, output: factor }), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn mean_f32(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.output_f32(node)?);
        let reduced = self.reduced_dimensions(node, input)?;
        self.emit(node, Operator::MeanF32(MeanF32 { reduced }), &[Some(input)], output);
        Ok(())
    }

    /// Returns the mask of the dimensions that input 1 of `node` lists, and the number of elements of one mean.
    pub(super) fn reduced_and_count(&self, node: &Node, input: TensorId) -> Result<(i32, usize)> {
        let reduced = self.reduced_dimensions(node, input)?;
        let dims = self.tensor(input).shape.iter().enumerate();
        Ok((reduced, count_of(dims.filter(|(i, _)| reduced >> i & 1 == 1).map(|(_, dim)| dim))))
    }

    /// Returns the mask of the dimensions that input 1 of `node` lists.
    pub(super) fn reduced_dimensions(&self, node: &Node, input: TensorId) -> Result<i32> {
        let rank = self.tensor(input).shape.len();
        let mut reduced = 0;
        for axis in self.graph.constant_integers(node, 1)? {
            reduced |= 1i32.checked_shl(dimension(&self.graph, node, axis, rank)? as u32).unwrap_or(0);
        }
        Ok(reduced)
    }
}
