//! Product of two int8 tensors, or of two int16 ones, and the broadcasting rule that it shares with Add and Sub.

use super::{
    ActivationRange, ActivationRangeI16, Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, RowAccess,
    Spec, Work, activation, activation_i16, attrs_of, elementwise_outer, multiplier, overlap,
};
use crate::{DType, MAX_RANK, Value};

/// Attributes of Mul.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mul {
    /// Multiplier and shift from the product of the input scales to the output scale.
    pub output: Multiplier,
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl OpInfo for Mul {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::Int8(2);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, q, broadcast to the output",
        attributes: "m, s; act",
        rows: "E",
        cost: "2 + B + 13 an element",
    };
}

without_blocks!(Mul);

impl Mul {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl Mul {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { output: tri!(multiplier::<CHECK>(attrs, 0)), activation: tri!(activation::<CHECK>(attrs, 2)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [min, max] = self.activation.bounds();
        attrs_of(&[self.output.multiplier, self.output.shift, min, max])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands, DType::I8));
        broadcast_work(operands, 13)
    }
}

/// Attributes of Mul of int16 tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulI16 {
    /// Multiplier and shift from the product of the input scales to the output scale.
    pub output: Multiplier,
    /// The range of the output (the fused activation).
    pub activation: ActivationRangeI16,
}

impl OpInfo for MulI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::Int16(2);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h, h, broadcast to the output",
        attributes: "m, s; act16",
        rows: "E",
        cost: "2 + B + 16 an element",
    };
}

without_blocks!(MulI16);

impl MulI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl MulI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { output: tri!(multiplier::<CHECK>(attrs, 0)), activation: tri!(activation_i16::<CHECK>(attrs, 2)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [min, max] = self.activation.bounds();
        attrs_of(&[self.output.multiplier, self.output.shift, min, max])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands, DType::I16));
        broadcast_work(operands, 16)
    }
}

/// Checks two quantized inputs of type `dtype` that broadcast to an output of that type.
pub(super) const fn check_broadcast(operands: &Operands, dtype: DType) -> Result<(), OpFault> {
    tri!(operands.count_is(2));
    tri!(operands.quantized_output_as(dtype));
    tri!(operands.quantized_as(0, dtype));
    tri!(operands.quantized_as(1, dtype));
    check_shapes(operands)
}

/// The work of an operator on two inputs that broadcast, at a cost of `each` for an element.
pub(super) const fn broadcast_work(operands: &Operands, each: u64) -> Result<Work, OpFault> {
    let (Some(a), Some(b)) = (operands.input(0), operands.input(1)) else { return Err(OpFault::Inputs) };
    Work::broadcast(&operands.output, &a.shape, &b.shape, each)
}

/// Checks that the dimensions of two inputs, aligned at the last, are those of the output or 1.
pub(super) const fn check_shapes(operands: &Operands) -> Result<(), OpFault> {
    let output = operands.output.shape.padded();
    let mut k = 0;
    while k < 2 {
        let Some(input) = operands.input(k) else { return Err(OpFault::Inputs) };
        ensure!(input.shape.rank() <= operands.output.shape.rank(), OpFault::Shape { operand: OUTPUT });
        let dims = input.shape.padded();
        let mut i = 0;
        while i < MAX_RANK {
            ensure!(dims[i] == 1 || dims[i] == output[i], OpFault::Shape { operand: k as u8 });
            i += 1;
        }
        k += 1;
    }
    Ok(())
}
