//! Fully connected layers.

use super::Lowering;
use crate::error::Result;
use crate::graph::{ElementType, Node};
use crate::tflite::Activation;
use tealight_format::Operator;
use tealight_format::ops::FullyConnected;

impl Lowering {
    pub(super) fn fully_connected(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let output = self.graph.output(node)?;
        self.int8(node, input)?;
        let activation = self.activation_range(node, activation, output)?;
        let &[outputs, depth] = &self.tensor(weights).shape[..] else {
            return Err(self.graph.invalid(node, "its weights are not of rank 2"));
        };
        let (outputs, depth) = (outputs as usize, (depth as usize).max(1));
        let (channels, weights_zero_point) = if let Some((_, zero_point)) = self.tensor(weights).per_tensor() {
            (self.channels_of_one_scale(node, outputs, depth, zero_point)?, zero_point)
        } else {
            (self.channels(node, outputs, 0, |index| index / depth)?, 0)
        };
        self.emit_with_channels(
            node,
            Operator::FullyConnected(FullyConnected { weights_zero_point, activation }),
            channels,
        )
    }

    /// The channel table for weights with one scale and zero point. TensorFlow Lite's
    /// `GetQuantizedConvolutionMultipler` multiplies the two scales in single precision, other than for channels.
    fn channels_of_one_scale(&mut self, node: &Node, outputs: usize, depth: usize, zero_point: i32) -> Result<usize> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let output = self.graph.output(node)?;
        let ((input_scale, input_zero), (weights_scale, _)) = (self.int8(node, input)?, self.int8(node, weights)?);
        let (output_scale, _) = self.int8(node, output)?;
        if self.constant(node, 1, ElementType::I8)?.len() < outputs {
            return Err(self.graph.invalid(node, "it has no weights"));
        }
        let mut biases = self.biases(node, outputs)?;
        let constant = (depth as i32).wrapping_mul(input_zero).wrapping_mul(zero_point);
        let weights_of = self.constant(node, 1, ElementType::I8)?.chunks_exact(depth);
        for (bias, row) in biases.iter_mut().zip(weights_of) {
            let sum = row.iter().fold(0i32, |sum, &weight| sum.wrapping_add(i32::from(weight.cast_signed())));
            *bias = bias.wrapping_sub(input_zero.wrapping_mul(sum)).wrapping_add(constant);
        }
        let factor = self.factor(node, f64::from(input_scale * weights_scale) / f64::from(output_scale))?;
        Ok(self.add_channels(weights, &biases, &vec![factor; outputs]))
    }
}
