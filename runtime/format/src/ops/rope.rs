//! Rotary position embedding, in f32.

use super::work::ROW;
use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of};
use crate::DType;

/// Attributes of RopeF32 (Su et al., "RoFormer", 2021). The input is rows of D elements; `heads` neighbouring rows have one
/// position, and after the last position the first comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RopeF32 {
    /// Neighbouring rows of one position (at least 1).
    pub heads: i32,
    /// 1 if neighbours are turned together (elements 2i and 2i + 1), 0 if halves are (i and i + D / 2).
    pub interleaved: i32,
}

impl RopeF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { heads: attrs[0], interleaved: attrs[1] }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.heads, self.interleaved])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(4));
        let input = tri!(operands.typed(0, DType::F32));
        let cos = tri!(operands.constant(1, DType::F32));
        let sin = tri!(operands.constant(2, DType::F32));
        let positions = tri!(operands.typed(3, DType::I32));
        let output = tri!(operands.real_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        let depth = input.shape.from_end(0);
        ensure!(depth.is_multiple_of(2), OpFault::Shape { operand: 0 });
        ensure!(cos.shape.rank() == 2 && cos.shape.dim(1) == depth / 2, OpFault::Shape { operand: 1 });
        ensure!(sin.shape.is(&cos.shape), OpFault::Shape { operand: 2 });
        ensure!(self.heads >= 1, OpFault::Attribute { index: 0 });
        ensure!(self.interleaved == 0 || self.interleaved == 1, OpFault::Attribute { index: 1 });
        let work = tri!(Work::last_dimension(&output, ROW, 3));
        let period = (positions.len as u64 / 4) * self.heads as u64;
        ensure!((work.rows as u64).is_multiple_of(period), OpFault::Shape { operand: 3 });
        Ok(work)
    }
}
