//! Rows divided by their length, in int8.

use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, overlap};
use crate::Value;

/// Rows of the last dimension divided by the root of the sum of their squares. The output has scale 1/128 and zero point 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Norm;

impl L2Norm {
    /// The maximum length of a row: the sum of its squares is within 32 bits.
    pub const MAX_DEPTH: u32 = 1 << 15;
}

impl OpInfo for L2Norm {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, same shape, rows of at most 2^15 elements",
        attributes: "",
        rows: "outer(1)",
        cost: "300 + 24 an element",
    };
}

without_blocks!(L2Norm);

impl L2Norm {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::line_for_line(input, &operands.output)
    }
}

impl L2Norm {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        ensure!(input.shape.from_end(0) <= Self::MAX_DEPTH, OpFault::Shape { operand: 0 });
        Work::last_dimension(&output, 300, 24)
    }
}
