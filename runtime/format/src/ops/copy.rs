//! Bytes as they are, to another place.

use super::{Attrs, OUTPUT, OpFault, Operands, Work};

/// A copy: a streaming variable is read (state to arena) or assigned (arena to state), or a model output that is a
/// constant or an input is given memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy;

impl Copy {
    pub(super) const fn parse(_: &Attrs) -> Self {
        Self
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.moved());
        ensure!(input.len == operands.output.len, OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&operands.output, operands.output.dtype.size().div_ceil(2) as u64)
    }
}
