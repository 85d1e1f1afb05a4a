//! Permutation of a tensor's dimensions.

use super::work::of_last;
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, words};
use crate::MAX_RANK;

/// Attributes of Transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transpose {
    /// Output dimension i is input dimension `perm[i]`; words past the rank hold their own index.
    pub perm: [i32; MAX_RANK],
}

impl OpInfo for Transpose {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "any, same type",
        attributes: "6 × input dimension of output dimension i (i past the rank)",
        rows: "outer(1)",
        cost: "as Pad; 20 + ⌈bytes / 2⌉ an element if the last dimension stays the last",
    };
}

without_blocks!(Transpose);
output_apart!(Transpose);

impl Transpose {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { perm: words(attrs, 0) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&self.perm)
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.moved());
        let output = operands.output;
        let rank = input.shape.rank();
        ensure!(rank == output.shape.rank(), OpFault::Shape { operand: OUTPUT });
        let mut seen = 0u32;
        let mut i = 0;
        while i < MAX_RANK {
            let from = self.perm[i];
            ensure!(0 <= from && from < MAX_RANK as i32, OpFault::Attribute { index: i as u8 });
            ensure!(i < rank || from == i as i32, OpFault::Attribute { index: i as u8 });
            ensure!(seen >> from & 1 == 0, OpFault::Attribute { index: i as u8 });
            seen |= 1 << from;
            ensure!(output.shape.dim(i) == input.shape.dim(from as usize), OpFault::Shape { operand: OUTPUT });
            i += 1;
        }
        let last = rank as i32 - 1;
        Work::moved(&output, of_last(&self.perm, rank, last) == last)
    }
}
