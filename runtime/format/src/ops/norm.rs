//! LayerNorm and RmsNorm along the last dimension, in f32.

use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, bits, reals};
use crate::DType;

/// Attributes of LayerNormF32: `(x - mean) / √(variance + epsilon) * weight + bias` (Ba, Kiros and Hinton, "Layer
/// normalization", 2016).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormF32 {
    /// What keeps the divisor from 0; finite, not negative.
    pub epsilon: f32,
}

impl LayerNormF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        let [epsilon] = reals(attrs, 0);
        Self { epsilon }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits([self.epsilon]))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(3));
        tri!(operands.real_bias(2, operands.output.shape.from_end(0)));
        check_norm(operands, self.epsilon, [40, 7])
    }
}

/// Attributes of RmsNormF32: `x / √(mean(x²) + epsilon) * weight` (Zhang and Sennrich, "Root mean square layer
/// normalization", 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNormF32 {
    /// What keeps the divisor from 0; finite, not negative.
    pub epsilon: f32,
}

impl RmsNormF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        let [epsilon] = reals(attrs, 0);
        Self { epsilon }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits([self.epsilon]))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(2));
        check_norm(operands, self.epsilon, [30, 4])
    }
}

/// An input and an output of one shape, a weight for each element of the last dimension.
const fn check_norm(operands: &Operands, epsilon: f32, [fixed, each]: [u64; 2]) -> Result<Work, OpFault> {
    let input = tri!(operands.typed(0, DType::F32));
    let weight = tri!(operands.constant(1, DType::F32));
    let output = tri!(operands.real_output());
    ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
    ensure!(weight.len as u64 == 4 * output.shape.from_end(0) as u64, OpFault::Shape { operand: 1 });
    ensure!(epsilon >= 0.0 && epsilon.is_finite(), OpFault::Attribute { index: 0 });
    Work::last_dimension(&output, fixed, each)
}
