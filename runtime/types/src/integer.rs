//! Functions of two 32-bit integers.

macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// A function of two 32-bit integers. Sums, differences and products are those modulo 2^32; a quotient or a
        /// remainder by 0 is 0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum IntegerFunction { $( $(#[doc = $doc])+ $name, )+ }

        impl IntegerFunction {
            /// The number of functions. Their codes count from 0.
            pub const COUNT: i32 = [ $( $code, )+ ].len() as i32;

            /// Its code in a plan.
            pub const fn code(self) -> i32 {
                match self { $( Self::$name => $code, )+ }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }

            /// The function with this code; `None` if there is none.
            pub const fn parse(code: i32) -> Option<Self> {
                Some(match code {
                    $( $code => Self::$name, )+
                    _ => return None,
                })
            }
        }
    };
}

functions! {
    /// `a + b`.
    Add = 0,
    /// `a - b`.
    Sub = 1,
    /// `a * b`.
    Mul = 2,
    /// `a / b`, toward 0.
    Div = 3,
    /// `a / b`, toward -∞.
    FloorDiv = 4,
    /// What `Div` leaves: `a - b * (a / b)`, of the sign of `a`.
    Rem = 5,
    /// What `FloorDiv` leaves, of the sign of `b`.
    FloorMod = 6,
    /// The smaller one.
    Minimum = 7,
    /// The larger one.
    Maximum = 8,
    /// 1 where `a == b`, else 0.
    Equal = 9,
    /// 1 where `a != b`, else 0.
    NotEqual = 10,
    /// 1 where `a < b`, else 0.
    Less = 11,
    /// 1 where `a <= b`, else 0.
    LessEqual = 12,
}
