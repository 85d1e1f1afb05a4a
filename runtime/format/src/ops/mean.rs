//! Mean over some dimensions, int8.

use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, check_multiplier, words};

/// Attributes of Mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mean {
    /// Bit i is set if dimension i of the input is reduced.
    pub reduced: i32,
    /// Multiplier and shift from the input scale to the output scale; the kernel divides by the element count.
    pub output: [i32; 2],
}

impl Mean {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { reduced: attrs[0], output: words(attrs, 1) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.reduced, self.output[0], self.output[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        let rank = input.shape.rank();
        ensure!(0 <= self.reduced && self.reduced < 1 << rank, OpFault::Attribute { index: 0 });
        let mut kept = 1u64;
        let mut reduced = 1u64;
        let mut i = 0;
        // Both products divide the element count, which fits in 32 bits.
        while i < rank {
            if self.reduced >> i & 1 == 1 {
                reduced *= input.shape.dim(i) as u64;
            } else {
                kept *= input.shape.dim(i) as u64;
            }
            i += 1;
        }
        ensure!(kept == output.len as u64, OpFault::Shape { operand: OUTPUT });
        tri!(check_multiplier(self.output[0], self.output[1], 1));
        Work::new(kept, 1, reduced)
    }
}
