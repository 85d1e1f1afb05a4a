//! Logistic function and hyperbolic tangent of int16 values, interpolated in one table.

use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of, elementwise_outer,
    overlap, words,
};
use crate::{DType, Value};

/// Attributes of LogisticI16 and TanhI16: a value is scaled to units of 1 / 12288, and its function interpolated in a
/// table of `1 / (1 + exp(-x))`. The output has scale 1/32768.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigmoidI16 {
    /// Factor of a value, 0 to 32767.
    pub multiplier: i32,
    /// Right shift of the product, 0 to 31.
    pub shift: i32,
}

impl SigmoidI16 {
    /// The number of elements of the table: `1 / (1 + exp(-x))` in units of 2^-16, as unsigned numbers, at multiples of
    /// 1/24.
    pub const TABLE: u32 = 256;
}

impl OpInfo for SigmoidI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Table, "table")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h, same shape; table I16 `[256]`",
        attributes: "multiplier (0 to 32767), right shift (0 to 31)",
        rows: "E",
        cost: "2 + 16 an element",
    };
}

without_blocks!(SigmoidI16);

impl SigmoidI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        match k {
            0 => overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape)),
            _ => None,
        }
    }
}

impl SigmoidI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [multiplier, shift] = words(attrs, 0);
        ensure!(!CHECK || (0 <= multiplier && multiplier <= 32_767), OpFault::Attribute { index: 0 });
        ensure!(!CHECK || (0 <= shift && shift <= 31), OpFault::Attribute { index: 1 });
        Ok(Self { multiplier, shift })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.multiplier, self.shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let output = tri!(operands.quantized_output_as(DType::I16));
        let table = tri!(operands.constant(1, DType::I16));
        ensure!(table.len == Self::TABLE * table.dtype.size(), OpFault::Shape { operand: 1 });
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        Work::elementwise(&output, 16)
    }
}
