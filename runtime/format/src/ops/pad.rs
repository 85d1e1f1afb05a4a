//! A border of one value around a tensor.

use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, words};
use crate::MAX_RANK;

/// Attributes of Pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad {
    /// The number of border elements before the input along each dimension (words past the rank are 0).
    pub before: [i32; MAX_RANK],
    /// The border element, in the low bytes of the word.
    pub value: i32,
}

impl OpInfo for Pad {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "any, same rank and type",
        attributes: "6 × elements before; border element in the low bytes",
        rows: "outer(1)",
        cost: "20 + 3 an element of one byte, 14 of several",
    };
}

without_blocks!(Pad);
output_apart!(Pad);

impl Pad {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { before: words(attrs, 0), value: attrs[6] })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let b = self.before;
        attrs_of(&[b[0], b[1], b[2], b[3], b[4], b[5], self.value])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.moved());
        let output = operands.output;
        ensure!(input.shape.rank() == output.shape.rank(), OpFault::Shape { operand: OUTPUT });
        let mut i = 0;
        while i < MAX_RANK {
            ensure!(self.before[i] >= 0, OpFault::Attribute { index: i as u8 });
            ensure!(
                self.before[i] as u64 + input.shape.dim(i) as u64 <= output.shape.dim(i) as u64,
                OpFault::Attribute { index: i as u8 }
            );
            i += 1;
        }
        // Lines of border are filled element by element.
        Work::moved(&output, false)
    }
}
