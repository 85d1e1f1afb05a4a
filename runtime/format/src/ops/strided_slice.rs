//! Every n-th element of a box.

use super::work::of_last;
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, words};
use crate::MAX_RANK;

/// Attributes of StridedSlice: output index `i` along a dimension is input index `begin + i * stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StridedSlice {
    /// The first input index along each dimension (words past the rank are 0).
    pub begin: [i32; MAX_RANK],
    /// The step along each dimension, which may be negative but not 0 (words past the rank are 1).
    pub stride: [i32; MAX_RANK],
}

impl OpInfo for StridedSlice {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "any, same rank and type",
        attributes: "6 × begin; 6 × step (not 0; 1 past the rank)",
        rows: "outer(1)",
        cost: "as Pad; 20 + ⌈bytes / 2⌉ an element if the last step is 1",
    };
}

without_blocks!(StridedSlice);
output_apart!(StridedSlice);

impl StridedSlice {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { begin: words(attrs, 0), stride: words(attrs, 6) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (b, s) = (self.begin, self.stride);
        attrs_of(&[b[0], b[1], b[2], b[3], b[4], b[5], s[0], s[1], s[2], s[3], s[4], s[5]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.moved());
        let output = operands.output;
        ensure!(input.shape.rank() == output.shape.rank(), OpFault::Shape { operand: OUTPUT });
        let mut i = 0;
        while i < MAX_RANK {
            let size = input.shape.dim(i) as i64;
            let first = self.begin[i] as i64;
            let last = first + self.stride[i] as i64 * (output.shape.dim(i) as i64 - 1);
            ensure!(0 <= first && first < size, OpFault::Attribute { index: i as u8 });
            ensure!(self.stride[i] != 0 && 0 <= last && last < size, OpFault::Attribute { index: 6 + i as u8 });
            i += 1;
        }
        Work::moved(&output, of_last(&self.stride, output.shape.rank(), 1) == 1)
    }
}
