//! Functions of two 32-bit integers, element by element.

use super::mul::{broadcast_work, check_shapes};
use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, attrs_of, elementwise_outer, overlap,
};
use crate::{DType, Value};

pub use tealight_types::IntegerFunction;

/// Attributes of BinaryI32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryI32 {
    /// The function.
    pub function: IntegerFunction,
}

impl OpInfo for BinaryI32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32, I32, broadcast to the output, I32",
        attributes: "function",
        rows: "E",
        cost: "2 + B + 20 an element",
    };
}

without_blocks!(BinaryI32);

impl BinaryI32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl BinaryI32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        match IntegerFunction::parse(attrs[0]) {
            Some(function) => Ok(Self { function }),
            None if CHECK => Err(OpFault::Attribute { index: 0 }),
            None => Ok(Self { function: IntegerFunction::Add }),
        }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.function.code()])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        tri!(operands.typed(0, DType::I32));
        tri!(operands.typed(1, DType::I32));
        ensure!(operands.output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        tri!(check_shapes(operands));
        broadcast_work(operands, 20)
    }
}
