//! PReLU: ReLU with a learned slope below 0, int8 and f32.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::Node;
use tealight_format::Operator;
use tealight_format::ops::{Prelu, PreluF32};

impl Lowering<'_> {
    pub(super) fn prelu(&mut self, node: &Node) -> Result<()> {
        let (input, alpha, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let (scale, alpha_scale) = (f64::from(self.int8(node, input)?.scale), f64::from(self.int8(node, alpha)?.scale));
        let prelu = Prelu {
            positive: self.factor(node, self.over_scale_of(node, scale, output)?)?,
            negative: self.factor(node, self.over_scale_of(node, scale * alpha_scale, output)?)?,
        };
        self.emit(node, Operator::Prelu(prelu), &[Some(input), Some(alpha)], output);
        Ok(())
    }

    pub(super) fn prelu_f32(&mut self, node: &Node) -> Result<()> {
        let (input, alpha, output) = (self.input_f32(node, 0)?, self.input_f32(node, 1)?, self.output_f32(node)?);
        self.emit(node, Operator::PreluF32(PreluF32), &[Some(input), Some(alpha)], output);
        Ok(())
    }
}
