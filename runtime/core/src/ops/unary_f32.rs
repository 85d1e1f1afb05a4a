//! UnaryF32.

use crate::execute::Call;
use tealight_format::ops::{self, UnaryFunction};
use tealight_kernels::float::{Unary, unary};

pub(super) fn unary_f32(op: &ops::UnaryF32, mut call: Call<'_>) {
    let [first, _] = op.parameters;
    let Some(function) = UnaryFunction::from_code(op.function) else { return };
    let function = match function {
        UnaryFunction::Clamp => Unary::Clamp(op.parameters),
        UnaryFunction::LeakyRelu => Unary::LeakyRelu(first),
        UnaryFunction::Elu => Unary::Elu(first),
        UnaryFunction::HardSigmoid => Unary::HardSigmoid,
        UnaryFunction::HardSwish => Unary::HardSwish,
        UnaryFunction::Logistic => Unary::Logistic,
        UnaryFunction::Tanh => Unary::Tanh,
        UnaryFunction::Gelu => Unary::Gelu,
        UnaryFunction::GeluTanh => Unary::GeluTanh,
        UnaryFunction::Silu => Unary::Silu,
        UnaryFunction::Softplus => Unary::Softplus,
        UnaryFunction::Erf => Unary::Erf,
        UnaryFunction::Exp => Unary::Exp,
        UnaryFunction::Log => Unary::Log,
        UnaryFunction::Sqrt => Unary::Sqrt,
        UnaryFunction::Rsqrt => Unary::Rsqrt,
        UnaryFunction::Sin => Unary::Sin,
        UnaryFunction::Cos => Unary::Cos,
        UnaryFunction::Abs => Unary::Abs,
        UnaryFunction::Neg => Unary::Neg,
        UnaryFunction::Square => Unary::Square,
        UnaryFunction::Reciprocal => Unary::Reciprocal,
    };
    unary(function, call.rows_of(0), call.out());
}
