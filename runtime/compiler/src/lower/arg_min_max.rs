//! The index of the smallest or largest element along a dimension.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, TensorId};
use crate::slice::axis_of;
use tealight_format::Operator;
use tealight_format::ops::{ArgMinMax, ArgMinMaxF32};

impl Lowering<'_> {
    pub(super) fn arg_min_max(&mut self, node: &Node, smallest: bool, last: bool) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let axis = axis_of(&self.graph, node, 1, self.tensor(input).shape.len())?;
        let attrs = ArgMinMax { axis: axis as i32, smallest, last };
        let operator = if self.of_f32(node) {
            Operator::ArgMinMaxF32(ArgMinMaxF32(attrs))
        } else {
            self.int8(node, input)?;
            Operator::ArgMinMax(attrs)
        };
        self.indices(node, output)?;
        self.emit(node, operator, &[Some(input)], output);
        Ok(())
    }

    /// Checks that a tensor that a node writes indices to is int32. The importer has made int64 that.
    pub(super) fn indices(&mut self, node: &Node, id: TensorId) -> Result<()> {
        if self.tensor(id).dtype != ElementType::I32 {
            return Err(self.type_error(node, id, "int32 or int64"));
        }
        self.graph.tensors[id].quantization = None;
        Ok(())
    }
}
