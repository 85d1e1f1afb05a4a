//! Concatenation of tensors along a dimension.

use super::work::sum;
use super::{Attrs, Fused, Input, MAX_INPUTS, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of};

/// Attributes of Concat. The inputs' bytes are copied unchanged, so all must have the same quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat {
    /// The dimension along which the inputs follow each other.
    pub axis: i32,
}

impl OpInfo for Concat {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "1 to 8 of one type and rank",
        attributes: "axis",
        rows: "product of the dimensions before the axis",
        cost: "25 an input + ⌈row bytes / 2⌉",
    };
}

without_blocks!(Concat);
output_apart!(Concat);

impl Concat {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { axis: attrs[0] })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.axis])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        ensure!(operands.count >= 1 && operands.count <= MAX_INPUTS, OpFault::Inputs);
        let output = operands.output;
        let rank = output.shape.rank();
        ensure!(0 <= self.axis && (self.axis as usize) < rank, OpFault::Attribute { index: 0 });
        let axis = self.axis as usize;
        let mut total = 0u64;
        let mut k = 0;
        while k < operands.count {
            let Some(input) = operands.input(k) else { return Err(OpFault::Inputs) };
            ensure!(input.dtype.is(output.dtype), OpFault::Type { operand: k as u8 });
            ensure!(input.shape.rank() == rank, OpFault::Shape { operand: k as u8 });
            let mut i = 0;
            while i < rank {
                ensure!(i == axis || input.shape.dim(i) == output.shape.dim(i), OpFault::Shape { operand: k as u8 });
                i += 1;
            }
            total += input.shape.dim(axis) as u64;
            k += 1;
        }
        ensure!(total == output.shape.dim(axis) as u64, OpFault::Shape { operand: OUTPUT });
        let Some(row) = output.shape.product(axis, rank) else { return Err(OpFault::TooLarge) };
        let bytes = row as u64 * output.dtype.size() as u64;
        Work::split(&output, axis, sum(&[25 * operands.count as u64, bytes.div_ceil(2)]), 0)
    }
}
