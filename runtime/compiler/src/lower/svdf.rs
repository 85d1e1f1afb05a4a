//! Singular value decomposition filters.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, TensorId};
use tealight_format::ops::{ActivationRange, Svdf};
use tealight_format::{Operator, Quantization};

impl Lowering<'_> {
    /// Lowers SVDF. The output's range is the type's: TensorFlow Lite Micro's reference kernel does not apply the
    /// activation.
    pub(super) fn svdf(&mut self, node: &Node, rank: i32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let [feature, time, state] = [1, 2, 4].map(|k| self.graph.input(node, k));
        let (feature, time, state) = (feature?, time?, state?);
        let input_scale = f64::from(self.int8(node, input)?.scale);
        let Quantization { scale: feature_scale, zero_point: feature_zero } = self.int8(node, feature)?;
        let feature_scale = f64::from(feature_scale);
        if feature_zero != 0 {
            let what =
                format!("its weights `{}` have zero point {feature_zero}; accepted: 0", self.tensor(feature).name);
            return Err(self.graph.invalid(node, what));
        }
        let (time_scale, state_scale) = (self.svdf_scale(node, time)?, self.svdf_scale(node, state)?);
        if !self.tensor(state).is_state() {
            return Err(self.graph.unsupported(node, format!("a variable as `{}`", self.tensor(state).name)));
        }
        let svdf = Svdf {
            rank,
            feature: self.factor(node, input_scale * feature_scale / state_scale)?,
            output: self.factor(node, self.over_scale_of(node, state_scale * time_scale, output)?)?,
            activation: ActivationRange::FULL,
        };
        let bias = match node.inputs.get(3).copied().flatten() {
            Some(bias) => Some(self.svdf_bias(node, bias, state_scale * time_scale)?),
            None => None,
        };
        let inputs = [Some(input), Some(feature), Some(time), bias, Some(state)];
        self.emit(node, Operator::Svdf(svdf), &inputs, output);
        Ok(())
    }

    /// Returns the bias in the scale of the state times the time weights, `sums`. TensorFlow Lite Micro takes a bias
    /// unchanged if its scale differs from that by less than 1e-5, and refuses others.
    fn svdf_bias(&mut self, node: &Node, bias: TensorId, sums: f64) -> Result<TensorId> {
        const TOLERANCE: f64 = 1e-5;
        self.constant(node, 3, ElementType::I32)?;
        self.bias_has_no_zero_point(node, bias)?;
        let integers = self.tensor(bias).integers().unwrap_or_default();
        let codes: Vec<i32> = integers.into_iter().map(|code| code as i32).collect();
        let rescaled = self.in_scale_of_sums(node, bias, codes.clone(), sums, TOLERANCE)?;
        if rescaled == codes {
            return Ok(bias);
        }
        let shape = self.tensor(bias).shape.clone();
        let bytes = rescaled.into_iter().flat_map(i32::to_le_bytes).collect();
        self.add_constant(bias, "rescaled", ElementType::I32, shape, bytes)
    }

    /// Returns the scale of the time weights or the state, int16 or int8.
    fn svdf_scale(&self, node: &Node, id: TensorId) -> Result<f64> {
        let tensor = self.tensor(id);
        if !matches!(tensor.dtype, ElementType::I8 | ElementType::I16) {
            return Err(self.type_error(node, id, "int16 or int8"));
        }
        match (tensor.per_tensor(), &tensor.quantization) {
            (Some(Quantization { scale, zero_point: 0 }), _) if scale.is_finite() && scale > 0.0 => {
                Ok(f64::from(scale))
            }
            (_, found) => {
                let found = found.as_ref().map_or("no scale".to_string(), ToString::to_string);
                let what =
                    format!("tensor `{}` has {found}; accepted: one scale above 0 and zero point 0", tensor.name);
                Err(self.graph.invalid(node, what))
            }
        }
    }
}
