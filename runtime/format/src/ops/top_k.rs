//! The largest or smallest elements of each line: int8, and f32.

use super::work::{ROW, product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, flag};
use crate::DType;

/// Attributes of TopK. The output has the input's dimensions but the last, the number of elements that are found in
/// each line. It is of the input's type for the elements, or I32 for their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    /// Whether the smallest elements are found, instead of the largest.
    pub smallest: bool,
}

impl OpInfo for TopK {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I8 `[.., n]`; output `[.., k]`, k ≤ n, I8 or I32",
        attributes: "smallest (0, 1)",
        rows: "outer(1)",
        cost: "20 + k·(20 + 4·n)",
    };
}

without_blocks!(TopK);
output_apart!(TopK);

impl TopK {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { smallest: tri!(flag::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.smallest as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        Self::check_of(operands, DType::I8, 4)
    }

    /// Checks operands whose input is of type `dtype`. To compare an element once costs `each`.
    const fn check_of(operands: &Operands, dtype: DType, each: u64) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, dtype)).shape;
        let output = operands.output;
        ensure!(output.dtype.is(dtype) || output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        let Some(last) = input.rank().checked_sub(1) else { return Err(OpFault::Shape { operand: 0 }) };
        ensure!(output.shape.rank() == input.rank(), OpFault::Shape { operand: OUTPUT });
        let mut i = 0;
        while i < last {
            ensure!(output.shape.dim(i) == input.dim(i), OpFault::Shape { operand: OUTPUT });
            i += 1;
        }
        let (count, found) = (input.dim(last), output.shape.dim(last));
        ensure!(found <= count, OpFault::Shape { operand: OUTPUT });
        let place = sum(&[ROW, product(&[each, count as u64])]);
        Work::split(&output, last, sum(&[ROW, product(&[found as u64, place])]), 0)
    }
}

/// Attributes of TopK in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopKF32(pub TopK);

impl OpInfo for TopKF32 {
    const INPUTS: &'static [Input] = TopK::INPUTS;
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f `[.., n]`; output `[.., k]`, k ≤ n, F32 or I32",
        attributes: "as TopK",
        rows: "outer(1)",
        cost: "20 + k·(20 + 8·n)",
    };
}

without_blocks!(TopKF32);
output_apart!(TopKF32);

impl TopKF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(TopK::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        TopK::check_of(operands, DType::F32, 8)
    }
}
