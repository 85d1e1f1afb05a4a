//! LayerNorm and RmsNorm along the last dimension, in f32.

use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, bits, f32_words,
    overlap,
};
use crate::{DType, Value};

/// Attributes of LayerNormF32: `(x - mean) / √(variance + epsilon) * weight + bias` (Ba, Kiros and Hinton, "Layer
/// normalization", 2016).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormF32 {
    /// Added under the root to keep the divisor above 0; finite, not negative.
    pub epsilon: f32,
}

impl OpInfo for LayerNormF32 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, Input::CONSTANT), Input::new(Role::Bias, Input::CONSTANT)];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, same shape; weight F32, D elements; bias F32, D elements, or none",
        attributes: "epsilon (finite, ≥ 0)",
        rows: "outer(1)",
        cost: "40 + 7 an element",
    };
}

without_blocks!(LayerNormF32);

impl LayerNormF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        if k == 0 { overlap::line_for_line(input, &operands.output) } else { None }
    }
}

impl LayerNormF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { epsilon: tri!(epsilon::<CHECK>(attrs)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits([self.epsilon]))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        tri!(operands.f32_bias(2, operands.output.shape.from_end(0)));
        check_norm(operands, [40, 7])
    }
}

/// Attributes of RmsNormF32: `x / √(mean(x²) + epsilon) * weight` (Zhang and Sennrich, "Root mean square layer
/// normalization", 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNormF32 {
    /// Added under the root to keep the divisor above 0; finite, not negative.
    pub epsilon: f32,
}

impl OpInfo for RmsNormF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Weights, Input::CONSTANT)];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, same shape; weight F32, D elements",
        attributes: "epsilon (finite, ≥ 0)",
        rows: "outer(1)",
        cost: "30 + 4 an element",
    };
}

without_blocks!(RmsNormF32);

impl RmsNormF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        if k == 0 { overlap::line_for_line(input, &operands.output) } else { None }
    }
}

impl RmsNormF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { epsilon: tri!(epsilon::<CHECK>(attrs)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits([self.epsilon]))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        check_norm(operands, [30, 4])
    }
}

/// The epsilon in the first word.
const fn epsilon<const CHECK: bool>(attrs: &Attrs) -> Result<f32, OpFault> {
    let [epsilon] = f32_words(attrs, 0);
    ensure!(!CHECK || (epsilon >= 0.0 && epsilon.is_finite()), OpFault::Attribute { index: 0 });
    Ok(epsilon)
}

/// Checks that input and output have the same shape, and that there is a weight for each element of the last dimension.
const fn check_norm(operands: &Operands, [fixed, each]: [u64; 2]) -> Result<Work, OpFault> {
    let input = tri!(operands.typed(0, DType::F32));
    let weight = tri!(operands.constant(1, DType::F32));
    let output = tri!(operands.f32_output());
    ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
    ensure!(weight.len as u64 == 4 * output.shape.from_end(0) as u64, OpFault::Shape { operand: 1 });
    Work::last_dimension(&output, fixed, each)
}
