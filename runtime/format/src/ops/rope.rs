//! Rotary position embedding, in f32.

use super::work::ROW;
use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, flag, overlap,
};
use crate::{DType, Value};

/// Attributes of RopeF32 (Su et al., "RoFormer", 2021). The input consists of rows of D elements; `heads` consecutive
/// rows have the same position, and the list of positions is repeated for each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RopeF32 {
    /// The number of consecutive rows with the same position (at least 1).
    pub heads: i32,
    /// Whether adjacent elements (2i and 2i + 1) are rotated together; otherwise those of the two halves (i and i + D /
    /// 2).
    pub interleaved: bool,
}

impl OpInfo for RopeF32 {
    const INPUTS: &'static [Input] = &[
        Input::ACTIVATION,
        Input::new(Role::Weights, Input::CONSTANT),
        Input::new(Role::Weights, Input::CONSTANT),
        Input::ACTIVATION,
    ];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f `[.., D]`, D even, same shape; cos F32 `[T, D / 2]`; sin as cos; positions I32, P elements",
        attributes: "heads (≥ 1); 1 if interleaved, else 0",
        rows: "outer(1), a multiple of P·heads",
        cost: "20 + 3 an element",
    };
}

without_blocks!(RopeF32);

impl RopeF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        if k == 0 { overlap::line_for_line(input, &operands.output) } else { None }
    }
}

impl RopeF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        ensure!(!CHECK || attrs[0] >= 1, OpFault::Attribute { index: 0 });
        Ok(Self { heads: attrs[0], interleaved: tri!(flag::<CHECK>(attrs, 1)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.heads, self.interleaved as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let cos = tri!(operands.constant(1, DType::F32));
        let sin = tri!(operands.constant(2, DType::F32));
        let positions = tri!(operands.typed(3, DType::I32));
        let output = tri!(operands.f32_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        let depth = input.shape.from_end(0);
        ensure!(depth.is_multiple_of(2), OpFault::Shape { operand: 0 });
        ensure!(cos.shape.rank() == 2 && cos.shape.dim(1) == depth / 2, OpFault::Shape { operand: 1 });
        ensure!(sin.shape.is(&cos.shape), OpFault::Shape { operand: 2 });
        let work = tri!(Work::last_dimension(&output, ROW, 3));
        let period = (positions.len as u64 / 4) * self.heads as u64;
        ensure!((work.rows as u64).is_multiple_of(period), OpFault::Shape { operand: 3 });
        Ok(work)
    }
}
