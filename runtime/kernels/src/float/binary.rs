//! Add, Sub, Mul, Div, Minimum, Maximum and Pow, elementwise with broadcasting.

use core::ops::Range;

use super::clamp;
use crate::broadcast::Broadcast;

/// Parameters of the operators on two tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Binary {
    /// Shapes.
    pub broadcast: Broadcast,
    /// Minimum and maximum of the output.
    pub activation: [f32; 2],
}

macro_rules! binary {
    ($(#[$doc:meta] $name:ident: $f:expr;)*) => {$(
        #[$doc]
        ///
        /// Computes output rows `rows`, of `broadcast.row_len` elements; `output` holds those rows only.
        pub fn $name(p: &Binary, rows: Range<usize>, a: &[f32], b: &[f32], output: &mut [f32]) {
            let f: fn(f32, f32) -> f32 = $f;
            p.broadcast.for_each(rows, a, b, output, |a, b| clamp(f(a, b), p.activation));
        }
    )*};
}

binary! {
    /// `a + b`.
    add: |a, b| a + b;
    /// `a - b`.
    sub: |a, b| a - b;
    /// `a * b`.
    mul: |a, b| a * b;
    /// `a / b`.
    div: |a, b| a / b;
    /// The minimum of both; `a` if one of them is NaN.
    minimum: |a, b| if b < a { b } else { a };
    /// The maximum of both; `a` if one of them is NaN.
    maximum: |a, b| if b > a { b } else { a };
    /// `a` to the power of `b`, that of `libm`; NaN if `a` is below 0 and `b` is not a whole number.
    pow: libm::powf;
}
