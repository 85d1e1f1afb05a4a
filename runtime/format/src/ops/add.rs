//! Sum and difference of two int8 tensors, or of two int16 ones.

use super::{
    ActivationRange, ActivationRangeI16, Attrs, Fused, Input, Multiplier, OpFault, OpInfo, Operands, RowAccess, Spec,
    Work, activation, activation_i16, attrs_of, elementwise_outer,
    mul::{broadcast_work, check_broadcast},
    multiplier, overlap,
};
use crate::{DType, Value};

/// Attributes of Add and Sub: both inputs are scaled to twice the larger of their scales with `left_shift` extra
/// bits, added or subtracted, and scaled to the output (TensorFlow Lite's `AddParams`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddSub {
    /// Extra bits of precision (20).
    pub left_shift: i32,
    /// Multiplier and shift of input a; the shift is at most 0.
    pub a: Multiplier,
    /// Multiplier and shift of input b; the shift is at most 0.
    pub b: Multiplier,
    /// Multiplier and shift of the output; the shift is at most 0.
    pub output: Multiplier,
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl OpInfo for AddSub {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::Int8(7);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, q, broadcast to the output",
        attributes: "left shift (0 to 22); m, s of a; of b; of the output (a's and b's s ≤ 0); act",
        rows: "E",
        cost: "2 + B + 24 an element",
    };
}

without_blocks!(AddSub);

impl AddSub {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl AddSub {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let left_shift = attrs[0];
        ensure!(!CHECK || (0 <= left_shift && left_shift <= 22), OpFault::Attribute { index: 0 });
        let (a, b) = (tri!(multiplier::<CHECK>(attrs, 1)), tri!(multiplier::<CHECK>(attrs, 3)));
        let output = tri!(multiplier::<CHECK>(attrs, 5));
        ensure!(!CHECK || a.shift <= 0, OpFault::Attribute { index: 2 });
        ensure!(!CHECK || b.shift <= 0, OpFault::Attribute { index: 4 });
        Ok(Self { left_shift, a, b, output, activation: tri!(activation::<CHECK>(attrs, 7)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (a, b, o, r) = (self.a, self.b, self.output, self.activation.bounds());
        attrs_of(&[self.left_shift, a.multiplier, a.shift, b.multiplier, b.shift, o.multiplier, o.shift, r[0], r[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands, DType::I8));
        broadcast_work(operands, 24)
    }
}

/// Attributes of Add and Sub of int16 tensors: both inputs are scaled to twice the larger of their scales with 15 extra
/// bits, added or subtracted, and scaled to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddSubI16 {
    /// Multiplier and shift of input a; the shift is at most 0.
    pub a: Multiplier,
    /// Multiplier and shift of input b; the shift is at most 0.
    pub b: Multiplier,
    /// Multiplier and shift of the output; the shift is at most 0.
    pub output: Multiplier,
    /// The range of the output (the fused activation).
    pub activation: ActivationRangeI16,
}

impl OpInfo for AddSubI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::Int16(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h, h, broadcast to the output",
        attributes: "m, s of a; of b; of the output (all s ≤ 0); act16",
        rows: "E",
        cost: "2 + B + 30 an element",
    };
}

without_blocks!(AddSubI16);

impl AddSubI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl AddSubI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let (a, b) = (tri!(multiplier::<CHECK>(attrs, 0)), tri!(multiplier::<CHECK>(attrs, 2)));
        let output = tri!(multiplier::<CHECK>(attrs, 4));
        ensure!(!CHECK || a.shift <= 0, OpFault::Attribute { index: 1 });
        ensure!(!CHECK || b.shift <= 0, OpFault::Attribute { index: 3 });
        ensure!(!CHECK || output.shift <= 0, OpFault::Attribute { index: 5 });
        Ok(Self { a, b, output, activation: tri!(activation_i16::<CHECK>(attrs, 6)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (a, b, o, r) = (self.a, self.b, self.output, self.activation.bounds());
        attrs_of(&[a.multiplier, a.shift, b.multiplier, b.shift, o.multiplier, o.shift, r[0], r[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands, DType::I16));
        broadcast_work(operands, 30)
    }
}
