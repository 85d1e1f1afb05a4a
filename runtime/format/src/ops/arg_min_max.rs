//! The index of the smallest or largest element along a dimension: int8, and f32.

use super::work::{ROW, product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, flag};
use crate::DType;

/// Attributes of ArgMinMax. The output is I32: for each place in the other dimensions an index in dimension `axis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgMinMax {
    /// The dimension of the input in which elements are compared.
    pub axis: i32,
    /// Whether it is the smallest element that counts, instead of the largest.
    pub smallest: bool,
    /// Whether the last of equal elements counts, instead of the first.
    pub last: bool,
}

impl OpInfo for ArgMinMax {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I8; output I32, elements / n elements",
        attributes: "axis, of n elements; smallest (0, 1); last (0, 1)",
        rows: "output elements",
        cost: "20 + 4·n",
    };
}

without_blocks!(ArgMinMax);
output_apart!(ArgMinMax);

impl ArgMinMax {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { axis: attrs[0], smallest: tri!(flag::<CHECK>(attrs, 1)), last: tri!(flag::<CHECK>(attrs, 2)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.axis, self.smallest as i32, self.last as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        self.check_of(operands, DType::I8, 4)
    }

    /// Checks operands whose input is of type `dtype`. An element of it costs `each`.
    const fn check_of(&self, operands: &Operands, dtype: DType, each: u64) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, dtype)).shape;
        let output = operands.output;
        ensure!(output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        ensure!(0 <= self.axis && (self.axis as usize) < input.rank(), OpFault::Attribute { index: 0 });
        let count = input.dim(self.axis as usize);
        let Some(elements) = input.elements() else { return Err(OpFault::TooLarge) };
        let Some(kept) = elements.checked_div(count) else { return Err(OpFault::Shape { operand: 0 }) };
        ensure!(kept as u64 * 4 == output.len as u64, OpFault::Shape { operand: OUTPUT });
        Work::new(kept as u64, 4, sum(&[ROW, product(&[each, count as u64])]), 0)
    }
}

/// Attributes of ArgMinMax in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgMinMaxF32(pub ArgMinMax);

impl OpInfo for ArgMinMaxF32 {
    const INPUTS: &'static [Input] = ArgMinMax::INPUTS;
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f; output I32, elements / n elements",
        attributes: "as ArgMinMax",
        rows: "output elements",
        cost: "20 + 6·n",
    };
}

without_blocks!(ArgMinMaxF32);
output_apart!(ArgMinMaxF32);

impl ArgMinMaxF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(ArgMinMax::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        self.0.check_of(operands, DType::F32, 6)
    }
}
