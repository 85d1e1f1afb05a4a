//! What layers of f32 tensors have in common.
//!
//! They need no derived quantities: weights and biases go to the model file unchanged, and a fused activation is a
//! range.

use super::Lowering;
use crate::diag::Result;
use crate::ir::Activation;
use crate::ir::graph::{ElementType, Node, TensorId};
use tealight_format::Operator;

/// What is accepted instead of quantized weights for float activations.
const HYBRID: &str = "float32 weights for float32 activations (this is a network of dynamic-range quantization; export it in \
    float32, and quantize it here: `tealight compile --calibrate` or `--quantize`)";

pub(super) const NO_BOUNDS: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl Lowering<'_> {
    /// Emits a layer of constant weights and an optional bias.
    pub(super) fn emit_layer_f32(&mut self, node: &Node, operator: Operator) -> Result<()> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        if matches!(
            self.tensor(weights).dtype,
            ElementType::I4 | ElementType::I8 | ElementType::U8 | ElementType::Other(_)
        ) {
            return Err(self.type_error(node, weights, HYBRID));
        }
        self.constant(node, 1, ElementType::F32)?;
        let bias = self.bias_f32(node)?;
        let output = self.output_f32(node)?;
        self.emit(node, operator, &[Some(input), Some(weights), bias], output);
        Ok(())
    }

    /// Returns input 2, a constant, if there is one.
    pub(super) fn bias_f32(&self, node: &Node) -> Result<Option<TensorId>> {
        let bias = node.inputs.get(2).copied().flatten();
        if bias.is_some() {
            self.constant(node, 2, ElementType::F32)?;
        }
        Ok(bias)
    }

    /// Returns whether the first input of `node` is float32. If so, operators that have an f32 form are lowered to
    /// that.
    pub(super) fn of_f32(&self, node: &Node) -> bool {
        matches!(node.inputs.first(), Some(&Some(input)) if self.tensor(input).dtype == ElementType::F32)
    }

    /// Returns input `k`, which must be float32.
    pub(super) fn input_f32(&self, node: &Node, k: usize) -> Result<TensorId> {
        let id = self.graph.input(node, k)?;
        if self.tensor(id).dtype == ElementType::F32 { Ok(id) } else { Err(self.type_error(node, id, "float32")) }
    }

    /// Returns the only output, which must be float32.
    pub(super) fn output_f32(&self, node: &Node) -> Result<TensorId> {
        let id = self.graph.output(node)?;
        if self.tensor(id).dtype == ElementType::F32 { Ok(id) } else { Err(self.type_error(node, id, "float32")) }
    }

    /// Returns the range of a fused activation's results.
    pub(super) fn range_f32(&self, node: &Node, activation: Activation) -> Result<[f32; 2]> {
        match activation {
            Activation::None => Ok(NO_BOUNDS),
            Activation::Relu => Ok([0.0, f32::INFINITY]),
            Activation::Relu6 => Ok([0.0, 6.0]),
            Activation::ReluN1To1 => Ok([-1.0, 1.0]),
            Activation::Other(code) => Err(self.unknown_activation(node, code)),
        }
    }
}
