//! A function of one f32 value, element by element.

use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, bits, check_range, reals};
use crate::DType;

macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// A function of [`UnaryF32`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum UnaryFunction { $( $(#[doc = $doc])+ $name = $code, )+ }

        impl UnaryFunction {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The function with this code.
            pub const fn from_code(code: i32) -> Option<Self> {
                Some(match code { $( $code => Self::$name, )+ _ => return None })
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }
        }
    };
}

functions! {
    /// Into a range: Relu is `[0, ∞]`, Relu6 `[0, 6]`.
    Clamp = 0,
    /// `x`, or `slope * x` below 0.
    LeakyRelu = 1,
    /// `x`, or `factor * (e^x - 1)` below 0.
    Elu = 2,
    /// `clamp(x + 3, 0, 6) / 6`.
    HardSigmoid = 3,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish = 4,
    /// `1 / (1 + e^-x)`.
    Logistic = 5,
    /// Hyperbolic tangent.
    Tanh = 6,
    /// `x / 2 * (1 + erf(x / √2))`.
    Gelu = 7,
    /// `x / 2 * (1 + tanh(√(2/π) * (x + 0.044715 x³)))`.
    GeluTanh = 8,
    /// `x / (1 + e^-x)`.
    Silu = 9,
    /// `ln(1 + e^x)`.
    Softplus = 10,
    /// Error function.
    Erf = 11,
    /// `e^x`.
    Exp = 12,
    /// Natural logarithm.
    Log = 13,
    /// `√x`.
    Sqrt = 14,
    /// `1 / √x`.
    Rsqrt = 15,
    /// Sine.
    Sin = 16,
    /// Cosine.
    Cos = 17,
    /// `|x|`.
    Abs = 18,
    /// `-x`.
    Neg = 19,
    /// `x²`.
    Square = 20,
    /// `1 / x`.
    Reciprocal = 21,
}

/// Attributes of UnaryF32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnaryF32 {
    /// The code of the [`UnaryFunction`].
    pub function: i32,
    /// What the function takes besides: Clamp its least and greatest output, LeakyRelu its slope and Elu its factor in
    /// the first; 0 elsewhere.
    pub parameters: [f32; 2],
}

impl UnaryF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { function: attrs[0], parameters: reals(attrs, 1) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [a, b] = bits(self.parameters);
        attrs_of(&[self.function, a, b])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(1));
        let input = tri!(operands.typed(0, DType::F32));
        let output = tri!(operands.real_output());
        ensure!(input.shape.is(&output.shape), OpFault::Shape { operand: OUTPUT });
        let [a, b] = self.parameters;
        let Some(function) = UnaryFunction::from_code(self.function) else {
            return Err(OpFault::Attribute { index: 0 });
        };
        let cost = match function {
            UnaryFunction::Clamp => {
                tri!(check_range(self.parameters, 1));
                3
            }
            UnaryFunction::LeakyRelu | UnaryFunction::Elu => {
                ensure!(a.is_finite(), OpFault::Attribute { index: 1 });
                ensure!(b.to_bits() == 0, OpFault::Attribute { index: 2 });
                if matches!(function, UnaryFunction::Elu) { 32 } else { 2 }
            }
            _ => {
                ensure!(a.to_bits() == 0, OpFault::Attribute { index: 1 });
                ensure!(b.to_bits() == 0, OpFault::Attribute { index: 2 });
                match function {
                    UnaryFunction::Abs | UnaryFunction::Neg | UnaryFunction::Square | UnaryFunction::Reciprocal => 2,
                    UnaryFunction::HardSigmoid | UnaryFunction::HardSwish => 4,
                    UnaryFunction::Sqrt | UnaryFunction::Rsqrt => 16,
                    // Large arguments are reduced in 64-bit arithmetic, without hardware for it.
                    UnaryFunction::Sin | UnaryFunction::Cos => 1500,
                    _ => 32,
                }
            }
        };
        Work::elementwise(&output, cost)
    }
}
