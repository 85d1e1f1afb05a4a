//! Codes as multiples of a finer step in int32, and back.

use super::{
    ActivationRange, Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work,
    activation, attrs_of, elementwise_outer, is_quantized, multiplier, overlap,
};
use crate::{DType, Value};

/// Attributes of RescaleI32: an input less its zero point is shifted left and scaled; to codes, the zero point is added and
/// the sum is clamped. Input and output are I8 or I32, at least one of them I32. An I32 tensor's zero point is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RescaleI32 {
    /// Left shift of the input, 0 to 30.
    pub left_shift: i32,
    /// Multiplier and shift after it.
    pub factor: Multiplier,
    /// The range of an I8 output; of an I32 output it does not count, and is the full one.
    pub activation: ActivationRange,
}

impl OpInfo for RescaleI32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q or I32; output q or I32, one of them I32, same shape",
        attributes: "left shift (0 to 30); m, s; act, full for an I32 output",
        rows: "E",
        cost: "2 + 14 an element",
    };
}

without_blocks!(RescaleI32);

impl RescaleI32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl RescaleI32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let left_shift = attrs[0];
        ensure!(!CHECK || (0 <= left_shift && left_shift <= 30), OpFault::Attribute { index: 0 });
        let factor = tri!(multiplier::<CHECK>(attrs, 1));
        Ok(Self { left_shift, factor, activation: tri!(activation::<CHECK>(attrs, 3)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [min, max] = self.activation.bounds();
        attrs_of(&[self.left_shift, self.factor.multiplier, self.factor.shift, min, max])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let Some(input) = operands.input(0) else { return Err(OpFault::Inputs) };
        let output = operands.output;
        let [from_i32, to_i32] = [input.dtype.is(DType::I32), output.dtype.is(DType::I32)];
        ensure!(from_i32 || (to_i32 && input.dtype.is(DType::I8)), OpFault::Type { operand: 0 });
        ensure!(to_i32 || output.dtype.is(DType::I8), OpFault::Type { operand: OUTPUT });
        ensure!(from_i32 || is_quantized(&input), OpFault::Quantization { operand: 0 });
        ensure!(to_i32 || is_quantized(&output), OpFault::Quantization { operand: OUTPUT });
        let [min, max] = self.activation.bounds();
        ensure!(!to_i32 || (min == -128 && max == 127), OpFault::Attribute { index: 3 });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 14)
    }
}
