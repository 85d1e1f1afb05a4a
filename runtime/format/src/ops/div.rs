//! Quotient of two int8 tensors.

use super::mul::{broadcast_work, check_broadcast};
use super::{
    ActivationRange, Attrs, Fused, Input, Multiplier, OpFault, OpInfo, Operands, RowAccess, Spec, Work, activation,
    attrs_of, elementwise_outer, multiplier, overlap,
};
use crate::{DType, Value};

/// Attributes of Div.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Div {
    /// Multiplier and shift from the quotient of the input scales to the output scale; the shift is at most
    /// [`MAX_SHIFT`](Self::MAX_SHIFT).
    pub output: Multiplier,
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl Div {
    /// The maximum shift of the factor: what is left of it after the division is a right shift.
    pub const MAX_SHIFT: i32 = 22;
}

impl OpInfo for Div {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::Int8(2);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, q, broadcast to the output",
        attributes: "m, s (≤ 22); act",
        rows: "E",
        cost: "2 + B + 130 an element",
    };
}

without_blocks!(Div);

impl Div {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl Div {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let output = tri!(multiplier::<CHECK>(attrs, 0));
        ensure!(!CHECK || output.shift <= Self::MAX_SHIFT, OpFault::Attribute { index: 1 });
        Ok(Self { output, activation: tri!(activation::<CHECK>(attrs, 2)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [min, max] = self.activation.bounds();
        attrs_of(&[self.output.multiplier, self.output.shift, min, max])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands, DType::I8));
        broadcast_work(operands, 130)
    }
}
