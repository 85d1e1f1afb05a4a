//! Copies a value unchanged to another place.

use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work};

/// A copy. It reads a streaming variable (state to arena), assigns one (arena to state), or gives memory of its own to
/// a model output that is a constant or an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy;

impl OpInfo for Copy {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "any, same type and length; one side may be state",
        attributes: "",
        rows: "E",
        cost: "2 + ⌈bytes / 2⌉ an element",
    };
}

without_blocks!(Copy);
output_apart!(Copy);

impl Copy {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.moved());
        ensure!(input.len == operands.output.len, OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&operands.output, operands.output.dtype.size().div_ceil(2) as u64)
    }
}
