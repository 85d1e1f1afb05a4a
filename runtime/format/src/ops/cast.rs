//! Numbers as those of another type.

use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, elementwise_outer, overlap,
};
use crate::{DType, Value};

/// Each element as a number of the output's type. Codes are the numbers that they are: scales and zero points do not
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast;

impl OpInfo for Cast {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I8, U8, I16, I32 or F32; output one of these, not the same, same shape",
        attributes: "",
        rows: "E",
        cost: "2 + 6 an element",
    };
}

without_blocks!(Cast);

impl Cast {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl Cast {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (Some(input), output) = (operands.input(0), operands.output) else { return Err(OpFault::Inputs) };
        ensure!(is_number(input.dtype), OpFault::Type { operand: 0 });
        ensure!(is_number(output.dtype) && !output.dtype.is(input.dtype), OpFault::Type { operand: OUTPUT });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 6)
    }
}

const fn is_number(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::I32 | DType::F32)
}
