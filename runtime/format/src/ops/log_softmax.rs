//! Logarithm of Softmax over the last dimension, int8.

use super::{
    Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Softmax, Spec, Work, attrs_of,
    multiplier, overlap,
};
use crate::Value;

/// Attributes of LogSoftmax: those of Softmax, and the factor back. The output has scale 1/16 and zero point 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSoftmax {
    /// How a difference to the row's maximum becomes a fixed-point number with 5 integer bits.
    pub input: Softmax,
    /// Multiplier and shift from such a number to a difference; the shift is not positive.
    pub reverse: Multiplier,
}

impl LogSoftmax {
    /// The maximum length of a row: the sum of its exponentials, of 12 integer bits, is within 32 bits.
    pub const MAX_DEPTH: u32 = 4095;
}

impl OpInfo for LogSoftmax {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, same shape, rows of at most 4095 elements",
        attributes: "as Softmax; m, s (≤ 0)",
        rows: "outer(1)",
        cost: "400 + 64 an element",
    };
}

without_blocks!(LogSoftmax);

impl LogSoftmax {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::line_for_line(input, &operands.output)
    }
}

impl LogSoftmax {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let input = tri!(Softmax::parse::<CHECK>(attrs));
        let reverse = tri!(multiplier::<CHECK>(attrs, 3));
        ensure!(!CHECK || reverse.shift <= 0, OpFault::Attribute { index: 4 });
        Ok(Self { input, reverse })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let Softmax { input_multiplier, input_left_shift, diff_min } = self.input;
        let Multiplier { multiplier, shift } = self.reverse;
        attrs_of(&[input_multiplier, input_left_shift, diff_min, multiplier, shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        ensure!(input.shape.from_end(0) <= Self::MAX_DEPTH, OpFault::Shape { operand: 0 });
        Work::last_dimension(&output, 400, 64)
    }
}
