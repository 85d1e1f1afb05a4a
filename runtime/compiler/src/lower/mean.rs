//! Mean.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::Node;
use tealight_format::Operator;
use tealight_format::ops::{MOST_AVERAGED, Mean};

impl Lowering<'_> {
    pub(super) fn mean(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let scale = f64::from(self.int8(node, input)?.0);
        let reduced = self.reduced_dimensions(node, input)?;
        let dims = self.tensor(input).shape.iter().enumerate();
        let count = dims.filter(|(i, _)| reduced >> i & 1 == 1).map(|(_, &dim)| u64::from(dim)).product::<u64>();
        if count > u64::from(MOST_AVERAGED) {
            return Err(self
                .graph
                .unsupported(node, format!("a mean of up to {MOST_AVERAGED} int8 elements, not {count}")));
        }
        // The kernel divides by the number of elements itself.
        let factor = self.factor(node, self.over_scale_of(node, scale, output)?)?;
        self.emit(node, Operator::Mean(Mean { reduced, output: factor }), &[Some(input)], output);
        Ok(())
    }
}
