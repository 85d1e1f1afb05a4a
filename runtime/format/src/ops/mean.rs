//! Mean over some dimensions: int8, int16, and f32.

use super::work::{ROW, last_long_dimension, product, quotient, sum};
use super::{
    Attrs, Fused, Input, MAX_AVERAGED, MAX_AVERAGED_I16, Multiplier, OUTPUT, OpFault, OpInfo, Operands, Spec, Work,
    attrs_of, multiplier,
};
use crate::{DType, Value};

/// Attributes of Mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mean {
    /// Bit i is set if dimension i of the input is reduced.
    pub reduced: i32,
    /// Multiplier and shift from the input scale to the output scale; the kernel divides by the element count.
    pub output: Multiplier,
}

impl OpInfo for Mean {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q",
        attributes: "mask of reduced dimensions; m, s",
        rows: "output elements",
        cost: "20 + 3 for each of the elements of one mean + 20 for each line of them",
    };
}

without_blocks!(Mean);
output_apart!(Mean);

impl Mean {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { reduced: attrs[0], output: tri!(multiplier::<CHECK>(attrs, 1)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.reduced, self.output.multiplier, self.output.shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        mean_work(&input, &output, self.reduced, MAX_AVERAGED, [3, 20])
    }
}

/// Attributes of Mean of int16 elements: those of [`Mean`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanI16(pub Mean);

impl OpInfo for MeanI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec { inputs: "h", attributes: "as Mean", rows: "output elements", cost: "as Mean" };
}

without_blocks!(MeanI16);
output_apart!(MeanI16);

impl MeanI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(Mean::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let output = tri!(operands.quantized_output_as(DType::I16));
        mean_work(&input, &output, self.0.reduced, MAX_AVERAGED_I16, [3, 20])
    }
}

/// Attributes of Mean in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanF32 {
    /// Bit i is set if dimension i of the input is reduced.
    pub reduced: i32,
}

impl OpInfo for MeanF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f",
        attributes: "mask of reduced dimensions",
        rows: "output elements",
        cost: "20 + 15 for each of the elements of one mean",
    };
}

without_blocks!(MeanF32);
output_apart!(MeanF32);

impl MeanF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { reduced: attrs[0] })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.reduced])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        mean_work(&input, &tri!(operands.f32_output()), self.reduced, u32::MAX, [15, 0])
    }
}

/// The work of a mean over the dimensions in `mask`, each of at max `max` elements. A row is one output element; its
/// cost has a part for every element that is summed, and a part for every line of elements.
const fn mean_work(
    input: &Value,
    output: &Value,
    mask: i32,
    max: u32,
    [each, line]: [u64; 2],
) -> Result<Work, OpFault> {
    let rank = input.shape.rank();
    ensure!(0 <= mask && mask < 1 << rank, OpFault::Attribute { index: 0 });
    let mut kept = 1u64;
    let mut reduced = 1u64;
    let mut i = 0;
    // Both products divide the element count, which fits in 32 bits.
    while i < rank {
        if mask >> i & 1 == 1 {
            reduced *= input.shape.dim(i) as u64;
        } else {
            kept *= input.shape.dim(i) as u64;
        }
        i += 1;
    }
    ensure!(reduced <= max as u64, OpFault::Attribute { index: 0 });
    ensure!(kept == (output.len / output.dtype.size()) as u64, OpFault::Shape { operand: OUTPUT });
    let lines = quotient(reduced, last_long_dimension(&input.shape, mask as u32) as u64);
    let row_cost = sum(&[ROW, product(&[each, reduced]), product(&[line, lines])]);
    Work::new(kept, output.dtype.size() as u64, row_cost, 0)
}
