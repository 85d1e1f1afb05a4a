//! Singular value decomposition filters.

use super::Lowering;
use crate::error::Result;
use crate::graph::{ElementType, Node, TensorId};
use tealight_format::Operator;
use tealight_format::ops::Svdf;

impl Lowering<'_> {
    /// The output's range is the type's: TensorFlow Lite Micro's reference kernel does not apply the activation.
    pub(super) fn svdf(&mut self, node: &Node, rank: i32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let [feature, time, state] = [1, 2, 4].map(|k| self.graph.input(node, k));
        let (feature, time, state) = (feature?, time?, state?);
        let (input_scale, output_scale) = (f64::from(self.int8(node, input)?.0), f64::from(self.int8(node, output)?.0));
        let feature_scale = f64::from(self.int8(node, feature)?.0);
        let (time_scale, state_scale) = (self.svdf_scale(node, time)?, self.svdf_scale(node, state)?);
        if !self.tensor(state).is_state() {
            return Err(self.graph.unsupported(node, format!("a variable as `{}`", self.tensor(state).name)));
        }
        let svdf = Svdf {
            rank,
            feature: self.factor(node, input_scale * feature_scale / state_scale)?,
            output: self.factor(node, state_scale * time_scale / output_scale)?,
            activation: [-128, 127],
        };
        let bias = node.inputs.get(3).copied().flatten();
        let inputs = [Some(input), Some(feature), Some(time), bias, Some(state)];
        self.emit(node, Operator::Svdf(svdf), &inputs, output);
        Ok(())
    }

    /// The scale of the time weights or the state, int16 or int8.
    fn svdf_scale(&self, node: &Node, id: TensorId) -> Result<f64> {
        let tensor = self.tensor(id);
        if !matches!(tensor.dtype, ElementType::I8 | ElementType::I16) {
            return Err(self.type_error(node, id, "int16 or int8"));
        }
        match tensor.per_tensor() {
            Some((scale, _)) if scale.is_finite() && scale > 0.0 => Ok(f64::from(scale)),
            _ => Err(self.graph.invalid(node, format!("tensor `{}` needs one scale", tensor.name))),
        }
    }
}
