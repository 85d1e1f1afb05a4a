//! A function of one f32 value, element by element.

use super::{
    Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, attrs_of, bits, elementwise_outer,
    f32_words, overlap,
};
use crate::{DType, Value};

pub use tealight_types::UnaryFunction;

/// Attributes of UnaryF32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnaryF32 {
    /// The function, with its parameters.
    pub function: UnaryFunction,
}

impl OpInfo for UnaryF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, same shape",
        attributes: "function; its two parameters, both 0 where it has none",
        rows: "E",
        cost: "2 + for each element, see 3.2",
    };
}

without_blocks!(UnaryF32);

impl UnaryF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }
}

impl UnaryF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        if !CHECK {
            return Ok(Self { function: UnaryFunction::read(attrs[0], f32_words(attrs, 1)) });
        }
        match UnaryFunction::parse(attrs[0], f32_words(attrs, 1)) {
            Ok(function) => Ok(Self { function }),
            Err(index) => Err(OpFault::Attribute { index }),
        }
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [a, b] = bits(self.function.parameters());
        attrs_of(&[self.function.code(), a, b])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let output = tri!(operands.f32_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        let cost = match self.function {
            UnaryFunction::LeakyRelu(_)
            | UnaryFunction::Abs
            | UnaryFunction::Neg
            | UnaryFunction::Square
            | UnaryFunction::Reciprocal
            | UnaryFunction::Sign => 2,
            UnaryFunction::Clamp(_) => 3,
            UnaryFunction::HardSigmoid
            | UnaryFunction::HardSwish
            | UnaryFunction::Floor
            | UnaryFunction::Ceil
            | UnaryFunction::Round
            | UnaryFunction::Trunc => 4,
            UnaryFunction::Sqrt | UnaryFunction::Rsqrt => 16,
            UnaryFunction::Elu(_)
            | UnaryFunction::Logistic
            | UnaryFunction::Tanh
            | UnaryFunction::Gelu
            | UnaryFunction::GeluTanh
            | UnaryFunction::Silu
            | UnaryFunction::Softplus
            | UnaryFunction::Erf
            | UnaryFunction::Exp
            | UnaryFunction::Log => 32,
            // Large arguments are reduced in 64-bit arithmetic, without hardware for it.
            UnaryFunction::Sin | UnaryFunction::Cos => 1500,
        };
        Work::elementwise(&output, cost)
    }
}
