//! The largest or smallest elements of each line, and their indices.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::Node;
use tealight_format::Operator;
use tealight_format::ops::{TopK, TopKF32};

impl Lowering<'_> {
    pub(super) fn top_k(&mut self, node: &Node, smallest: bool) -> Result<()> {
        let input = self.graph.input(node, 0)?;
        let operator = if self.of_f32(node) {
            Operator::TopKF32(TopKF32(TopK { smallest }))
        } else {
            self.int8(node, input)?;
            Operator::TopK(TopK { smallest })
        };
        let &[values, indices] = &node.outputs[..] else {
            return Err(self.graph.invalid(node, format!("it has {} outputs instead of 2", node.outputs.len())));
        };
        // The number of elements shows in the shapes, too.
        let count = self.graph.constant_integers(node, 1)?;
        let last = |id| self.tensor(id).shape.last().copied().map(i64::from);
        if count.len() != 1 || last(values) != count.first().copied() {
            let what = format!("it has {count:?} elements to find: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        if self.tensor(values).dtype != self.tensor(input).dtype {
            return Err(self.type_error(node, values, "the type of its input"));
        }
        self.indices(node, indices)?;
        for output in [values, indices] {
            self.emit(node, operator, &[Some(input)], output);
        }
        Ok(())
    }
}
