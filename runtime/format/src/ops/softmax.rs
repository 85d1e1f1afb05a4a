//! Softmax over the last dimension: int8, int16, and f32.

use super::work::ROW;
use super::{
    Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, bits,
    f32_words, multiplier, overlap, words,
};
use crate::{DType, Value};

/// Attributes of Softmax: the difference to the row's maximum is scaled, by a factor that includes `beta`, to a
/// fixed-point number with 5 integer bits (gemmlowp's `FixedPoint<int32, 5>`). The output has scale 1/256 and zero
/// point -128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Q31 multiplier applied to a difference.
    pub input_multiplier: i32,
    /// Left shift applied to a difference.
    pub input_left_shift: i32,
    /// Minimum difference; elements with a smaller one have probability 0.
    pub diff_min: i32,
}

impl OpInfo for Softmax {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, same shape",
        attributes: "multiplier, left shift (0 to 31), minimum difference (≤ 0)",
        rows: "outer(1)",
        cost: "150 + 64 an element",
    };
}

without_blocks!(Softmax);

impl Softmax {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::line_for_line(input, &operands.output)
    }
}

impl Softmax {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [input_multiplier, input_left_shift, diff_min] = words(attrs, 0);
        ensure!(!CHECK || input_multiplier >= 0, OpFault::Attribute { index: 0 });
        ensure!(!CHECK || (0 <= input_left_shift && input_left_shift <= 31), OpFault::Attribute { index: 1 });
        ensure!(!CHECK || diff_min <= 0, OpFault::Attribute { index: 2 });
        Ok(Self { input_multiplier, input_left_shift, diff_min })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.input_multiplier, self.input_left_shift, self.diff_min])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::last_dimension(&output, 150, 64)
    }
}

/// Attributes of Softmax of int16 elements: the difference to the row's maximum is scaled, by a factor that includes
/// `beta`, to units of 10 / 65535, and looked up in a table of exponentials. The output has scale 1/32768.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxI16 {
    /// Multiplier and shift applied to a difference.
    pub input: Multiplier,
}

impl SoftmaxI16 {
    /// The number of elements of the table: `exp(x)` at 513 points from -10 to 0, then `1 / (1 + x)` at 513 points from
    /// 0 to 1.
    pub const TABLE: u32 = 2 * 513;
}

impl OpInfo for SoftmaxI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Table, "table")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h, same shape; table I16 `[1026]`",
        attributes: "m, s",
        rows: "outer(1)",
        cost: "150 + 64 an element",
    };
}

without_blocks!(SoftmaxI16);

impl SoftmaxI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        if k == 0 { overlap::line_for_line(input, &operands.output) } else { None }
    }
}

impl SoftmaxI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { input: tri!(multiplier::<CHECK>(attrs, 0)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.input.multiplier, self.input.shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let output = tri!(operands.quantized_output_as(DType::I16));
        let table = tri!(operands.constant(1, DType::I16));
        ensure!(table.len == Self::TABLE * table.dtype.size(), OpFault::Shape { operand: 1 });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::last_dimension(&output, 150, 64)
    }
}

/// Attributes of Softmax in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxF32 {
    /// Factor of the input; finite, not negative.
    pub beta: f32,
}

impl OpInfo for SoftmaxF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, same shape",
        attributes: "beta (finite, ≥ 0)",
        rows: "outer(1)",
        cost: "20 + 24 an element",
    };
}

without_blocks!(SoftmaxF32);

impl SoftmaxF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::line_for_line(input, &operands.output)
    }
}

impl SoftmaxF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [beta] = f32_words(attrs, 0);
        ensure!(!CHECK || (beta >= 0.0 && beta.is_finite()), OpFault::Attribute { index: 0 });
        Ok(Self { beta })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits([self.beta]))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let output = tri!(operands.f32_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::last_dimension(&output, ROW, 24)
    }
}
