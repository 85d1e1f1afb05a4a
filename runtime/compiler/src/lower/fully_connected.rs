//! Fully connected layers.

use super::Lowering;
use super::conv2d::Layout;
use crate::diag::Result;
use crate::ir::Activation;
use crate::ir::graph::{ElementType, Node};
use tealight_format::ops::{FullyConnected, FullyConnectedF32};
use tealight_format::{Operator, Quantization};

impl Lowering<'_> {
    pub(super) fn fully_connected(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let output = self.graph.output(node)?;
        self.int8(node, input)?;
        let activation = self.activation_range(node, activation, output)?;
        let &[outputs, _] = &self.tensor(weights).shape[..] else {
            return Err(self.wrong_rank(node, "weights of 2 dimensions"));
        };
        // If the weights have one scale, their zero point need not be 0.
        let weights_zero_point = match self.tensor(weights).per_tensor() {
            Some(Quantization { zero_point, .. }) if self.tensor(weights).dtype == ElementType::I4 => zero_point,
            Some(_) => self.int8(node, weights)?.zero_point,
            None => 0,
        };
        let channels = self.channels(node, outputs as usize, 0, weights_zero_point, Layout::Together)?;
        let operator = Operator::FullyConnected(FullyConnected { weights_zero_point, activation });
        self.emit_with_channels(node, operator, channels)
    }

    pub(super) fn fully_connected_f32(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let activation = self.range_f32(node, activation)?;
        self.emit_layer_f32(node, Operator::FullyConnectedF32(FullyConnectedF32 { activation }))
    }
}
