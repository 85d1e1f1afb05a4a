//! Softmax over the last dimension: int8, and f32.

use super::work::ROW;
use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, bits, reals};
use crate::DType;

/// Attributes of Softmax: the difference to the row's maximum is scaled into a fixed-point number with 5 integer
/// bits (gemmlowp's `FixedPoint<int32, 5>`), `beta` included. The output has scale 1/256 and zero point -128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Q31 multiplier of a difference.
    pub input_multiplier: i32,
    /// Left shift of a difference.
    pub input_left_shift: i32,
    /// Differences below this count as nothing.
    pub diff_min: i32,
}

impl Softmax {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { input_multiplier: attrs[0], input_left_shift: attrs[1], diff_min: attrs[2] }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.input_multiplier, self.input_left_shift, self.diff_min])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        ensure!(self.input_multiplier >= 0, OpFault::Attribute { index: 0 });
        ensure!(0 <= self.input_left_shift && self.input_left_shift <= 31, OpFault::Attribute { index: 1 });
        ensure!(self.diff_min <= 0, OpFault::Attribute { index: 2 });
        Work::last_dimension(&output, 150, 64)
    }
}

/// Attributes of Softmax in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxF32 {
    /// Factor of the input; finite, not negative.
    pub beta: f32,
}

impl SoftmaxF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        let [beta] = reals(attrs, 0);
        Self { beta }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits([self.beta]))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.typed(0, DType::F32));
        let output = tri!(operands.real_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        ensure!(self.beta >= 0.0 && self.beta.is_finite(), OpFault::Attribute { index: 0 });
        Work::last_dimension(&output, ROW, 24)
    }
}
