//! Functions of one f32 value.

macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $name:ident $(($parameter:ident: $type:ty))? = $code:literal,)+) => {
        /// A function of one f32 value, with its parameters.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum UnaryFunction { $( $(#[doc = $doc])+ $name $(($type))?, )+ }

        impl UnaryFunction {
            /// The number of functions. Their codes count from 0.
            pub const COUNT: i32 = [ $( $code, )+ ].len() as i32;

            /// Its code in a plan.
            pub const fn code(self) -> i32 {
                match self { $( functions!(@pattern $name $($parameter)?) => $code, )+ }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $( functions!(@pattern $name $($parameter)?) => stringify!($name), )+ }
            }

            /// The function with this code and these parameters, which [`parse`](Self::parse) must have accepted
            /// before.
            pub const fn read(code: i32, parameters: [f32; 2]) -> Self {
                match Self::with_code(code, parameters) {
                    Some(function) => function,
                    None => Self::Abs,
                }
            }

            const fn with_code(code: i32, parameters: [f32; 2]) -> Option<Self> {
                let [first, _] = parameters;
                let _ = first;
                Some(match code {
                    $( $code => functions!(@value $name $(parameters first $parameter)?), )+
                    _ => return None,
                })
            }
        }
    };
    (@pattern $name:ident) => { Self::$name };
    (@pattern $name:ident $parameter:ident) => { Self::$name(_) };
    (@value $name:ident) => { Self::$name };
    (@value $name:ident $all:ident $first:ident range) => { Self::$name($all) };
    (@value $name:ident $all:ident $first:ident factor) => { Self::$name($first) };
}

functions! {
    /// Clamps to a range, minimum and maximum: ReLU is `[0, ∞]`, ReLU6 `[0, 6]`.
    Clamp(range: [f32; 2]) = 0,
    /// `x`, or this slope times `x` below 0.
    LeakyRelu(factor: f32) = 1,
    /// `x`, or this factor times `e^x - 1` below 0.
    Elu(factor: f32) = 2,
    /// `clamp(x + 3, 0, 6) / 6`.
    HardSigmoid = 3,
    /// `x * clamp(x + 3, 0, 6) / 6` (Howard and others, "Searching for MobileNetV3", 2019).
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
    /// The largest whole number that is at most `x`.
    Floor = 22,
    /// The smallest whole number that is at least `x`.
    Ceil = 23,
    /// The nearest whole number; of two that are equally near, the even one.
    Round = 24,
    /// The whole part of `x`, toward 0.
    Trunc = 25,
    /// -1 below 0, 1 above 0, and `x` itself where it is 0 or NaN.
    Sign = 26,
}

impl UnaryFunction {
    /// The function with this code and these parameters; a parameter that the function does not have must be 0.
    ///
    /// # Errors
    /// The argument that is wrong: 0 if the code is unknown; 1 or 2 for the first or second parameter (a range that is
    /// not ordered or contains NaN, a factor that is not finite, a parameter that the function does not have and is not
    /// 0).
    pub const fn parse(code: i32, parameters: [f32; 2]) -> Result<Self, u8> {
        let Some(function) = Self::with_code(code, parameters) else { return Err(0) };
        match function {
            Self::Clamp([min, max]) if min <= max => Ok(function),
            Self::Clamp(_) => Err(1),
            Self::LeakyRelu(factor) | Self::Elu(factor) if !factor.is_finite() => Err(1),
            _ => {
                // `parameters` returns those that the function has; the others must be the bits of 0.
                let own = function.parameters();
                if own[0].to_bits() != parameters[0].to_bits() {
                    Err(1)
                } else if own[1].to_bits() != parameters[1].to_bits() {
                    Err(2)
                } else {
                    Ok(function)
                }
            }
        }
    }

    /// The parameters, as [`parse`](Self::parse) takes them; 0 for those that the function does not have.
    pub const fn parameters(self) -> [f32; 2] {
        match self {
            Self::Clamp(range) => range,
            Self::LeakyRelu(factor) | Self::Elu(factor) => [factor, 0.0],
            _ => [0.0, 0.0],
        }
    }
}
