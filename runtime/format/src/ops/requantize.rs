//! Change of scale between int16 and int16 or int8 tensors: conversions, ReLU and its relatives.

use super::{
    ActivationRangeI16, Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work,
    activation_i16, attrs_of, elementwise_outer, is_quantized, multiplier, overlap,
};
use crate::{DType, Value};

/// Attributes of RequantizeI16: an input code less its zero point is scaled by one factor from 0 on and by another below
/// it, moved to the output's zero point and clamped. Input and output are I16 or I8, at least one of them I16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequantizeI16 {
    /// Multiplier and shift from 0 on.
    pub positive: Multiplier,
    /// Multiplier and shift below 0.
    pub negative: Multiplier,
    /// The range of the output, within that of its type.
    pub activation: ActivationRangeI16,
}

impl OpInfo for RequantizeI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::Int16(4);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h or q; output h or q, one of them h, same shape",
        attributes: "m, s from 0 on; m, s below 0; act16, for an output q act",
        rows: "E",
        cost: "2 + 16 an element",
    };
}

without_blocks!(RequantizeI16);

impl RequantizeI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl RequantizeI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let (positive, negative) = (tri!(multiplier::<CHECK>(attrs, 0)), tri!(multiplier::<CHECK>(attrs, 2)));
        Ok(Self { positive, negative, activation: tri!(activation_i16::<CHECK>(attrs, 4)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (p, n, [min, max]) = (self.positive, self.negative, self.activation.bounds());
        attrs_of(&[p.multiplier, p.shift, n.multiplier, n.shift, min, max])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let Some(input) = operands.input(0) else { return Err(OpFault::Inputs) };
        let output = operands.output;
        let [from_i16, to_i16] = [input.dtype.is(DType::I16), output.dtype.is(DType::I16)];
        ensure!(from_i16 || (to_i16 && input.dtype.is(DType::I8)), OpFault::Type { operand: 0 });
        ensure!(to_i16 || output.dtype.is(DType::I8), OpFault::Type { operand: OUTPUT });
        ensure!(is_quantized(&input), OpFault::Quantization { operand: 0 });
        ensure!(is_quantized(&output), OpFault::Quantization { operand: OUTPUT });
        let [min, max] = self.activation.bounds();
        ensure!(to_i16 || (-128 <= min && max <= 127), OpFault::Attribute { index: 4 });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 16)
    }
}
