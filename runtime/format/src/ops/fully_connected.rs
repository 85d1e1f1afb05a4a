//! Matrix product of activations with constant weights, int8.

use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, check_activation, is_channel_table, words};
use crate::DType;

/// Attributes of a fully connected layer. The `channels` table is as in [`Conv2d`](super::Conv2d), with
/// `in * input_zero_point * weights_zero_point` folded into the bias as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullyConnected {
    /// Zero point of the weights: 0 for symmetric ones, as the TensorFlow Lite specification asks.
    pub weights_zero_point: i32,
    /// Least and greatest output value (the fused activation), within -128..=127.
    pub activation: [i32; 2],
}

impl FullyConnected {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { weights_zero_point: attrs[0], activation: words(attrs, 1) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.weights_zero_point, self.activation[0], self.activation[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(3));
        let input = tri!(operands.quantized(0));
        let weights = tri!(operands.constant(1, DType::I8));
        let channels = tri!(operands.constant(2, DType::I32));
        let output = tri!(operands.quantized_output());
        ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (units, depth) = (weights.shape.dim(0), weights.shape.dim(1));
        ensure!(units > 0 && depth > 0, OpFault::Shape { operand: 1 });
        ensure!(is_channel_table(&channels, units), OpFault::Shape { operand: 2 });
        // Only the element counts matter: [batches.., depth] becomes [batches.., units].
        ensure!(input.len.is_multiple_of(depth), OpFault::Shape { operand: 0 });
        ensure!(output.len as u64 == (input.len / depth) as u64 * units as u64, OpFault::Shape { operand: OUTPUT });
        ensure!(-128 <= self.weights_zero_point && self.weights_zero_point <= 127, OpFault::Attribute { index: 0 });
        tri!(check_activation(self.activation, 1));
        Work::new(output.len as u64, 1, depth as u64)
    }
}
