//! Elementwise operators on two f32 tensors: sum, difference, product, quotient, minimum, maximum and power.

use super::mul::{broadcast_work, check_shapes};
use super::{
    Attrs, Fused, Input, OpFault, OpInfo, Operands, RowAccess, Spec, Work, attrs_of, bits, elementwise_outer, overlap,
    range,
};
use crate::{DType, Value};

/// Attributes of AddF32, SubF32, MulF32, DivF32, MinimumF32 and MaximumF32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryF32 {
    /// Minimum and maximum of the output (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl OpInfo for BinaryF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::F32(0);
    const PREPARES: bool = false;
    const SPEC: Spec =
        Spec { inputs: "f, f, broadcast to the output", attributes: "range", rows: "E", cost: "2 + B + 6 an element" };
}

without_blocks!(BinaryF32);

impl BinaryF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl BinaryF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { activation: tri!(range::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits(self.activation))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        self.check_of(operands, 6)
    }

    /// Checks the operands. An element costs `each`.
    const fn check_of(&self, operands: &Operands, each: u64) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        tri!(operands.typed(0, DType::F32));
        tri!(operands.typed(1, DType::F32));
        tri!(operands.f32_output());
        tri!(check_shapes(operands));
        broadcast_work(operands, each)
    }
}

/// Attributes of PowF32: those of [`BinaryF32`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowF32(pub BinaryF32);

impl OpInfo for PowF32 {
    const INPUTS: &'static [Input] = BinaryF32::INPUTS;
    const FUSED: Fused = BinaryF32::FUSED;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec { cost: "2 + B + 64 an element", ..BinaryF32::SPEC };
}

without_blocks!(PowF32);

impl PowF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        self.0.row_access(input, operands, k)
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(BinaryF32::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        self.0.check_of(operands, 64)
    }
}
