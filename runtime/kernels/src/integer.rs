//! Functions of two 32-bit integers, numbers as those of another type, and codes as multiples of a finer step in 32 bits,
//! element by element.
//!
//! Integers wrap around; a quotient by 0 is 0. From `f32` to an integer the fraction is dropped, numbers beyond the type
//! become its ends, and NaN becomes 0; from an integer to a narrower one the lower bits stay; from I32 to `f32` the
//! nearest number is taken, of two that are equally near the even one. TensorFlow Lite's reference kernels compute the
//! same wherever C++ defines their results.

use crate::broadcast::Broadcast;
use crate::quant::multiply_by_quantized_multiplier;
use core::ops::Range;

pub use tealight_types::IntegerFunction;
use tealight_types::{ActivationRange, Multiplier};

/// Applies `function` to output rows `rows`, of `broadcast.row_len` elements; `output` holds those rows only.
pub fn binary_i32(
    function: IntegerFunction,
    broadcast: &Broadcast,
    rows: Range<usize>,
    a: &[i32],
    b: &[i32],
    output: &mut [i32],
) {
    broadcast.for_each(rows, a, b, output, |a, b| apply(function, a, b));
}

/// Computes one element.
fn apply(function: IntegerFunction, a: i32, b: i32) -> i32 {
    use IntegerFunction as F;
    match function {
        F::Add => a.wrapping_add(b),
        F::Sub => a.wrapping_sub(b),
        F::Mul => a.wrapping_mul(b),
        F::Div | F::FloorDiv | F::Rem | F::FloorMod => divided(function, a, b),
        F::Minimum => a.min(b),
        F::Maximum => a.max(b),
        F::Equal => (a == b).into(),
        F::NotEqual => (a != b).into(),
        F::Less => (a < b).into(),
        F::LessEqual => (a <= b).into(),
    }
}

fn divided(function: IntegerFunction, a: i32, b: i32) -> i32 {
    if b == 0 {
        return 0;
    }
    // The only quotient that does not fit is that of the smallest number by -1: it wraps around.
    let (quotient, rest) = (a.wrapping_div(b), a.wrapping_rem(b));
    let rounded_up = rest != 0 && (rest < 0) != (b < 0);
    match function {
        IntegerFunction::Div => quotient,
        IntegerFunction::Rem => rest,
        IntegerFunction::FloorDiv => quotient - i32::from(rounded_up),
        _ if rounded_up => rest.wrapping_add(b),
        _ => rest,
    }
}

/// A type of numbers, each of which can be taken as one of type `T`.
pub trait CastTo<T>: Copy {
    /// This number as one of the other type.
    fn cast(self) -> T;
}

macro_rules! casts {
    ($($from:ident to $($to:ident)+;)+) => {$($(
        impl CastTo<$to> for $from {
            #[inline]
            #[allow(clippy::cast_lossless, reason = "one rule for all pairs of types")]
            fn cast(self) -> $to {
                self as $to
            }
        }
    )+)+};
}

casts! {
    i8 to i8 u8 i16 i32 f32;
    u8 to i8 u8 i16 i32 f32;
    i16 to i8 u8 i16 i32 f32;
    i32 to i8 u8 i16 i32 f32;
    f32 to i8 u8 i16 i32 f32;
}

/// Takes each element as a number of another type. The caller slices both to the rows it wants.
pub fn cast<A: CastTo<B>, B>(input: &[A], output: &mut [B]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = x.cast();
    }
}

/// Parameters of [`widen_i32`] and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rescale {
    /// Quantized value of a real zero in the input; 0 of integers.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output; 0 of integers.
    pub output_zero_point: i32,
    /// Left shift of the input, 0 to 30.
    pub left_shift: i32,
    /// The factor after it.
    pub factor: Multiplier,
    /// The range of an output of codes.
    pub activation: ActivationRange,
}

impl Rescale {
    fn scaled(&self, x: i32) -> i32 {
        let x = x.wrapping_sub(self.input_zero_point).wrapping_shl(self.left_shift.cast_unsigned());
        multiply_by_quantized_multiplier(x, self.factor.multiplier, self.factor.shift)
    }
}

/// Scales codes to integers: `(x - zero_point) * 2^left_shift * factor`. The caller slices both to the rows it wants.
pub fn widen_i32(p: &Rescale, input: &[i8], output: &mut [i32]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = p.scaled(x.into());
    }
}

/// Scales integers to integers. The caller slices both to the rows it wants.
pub fn rescale_i32(p: &Rescale, input: &[i32], output: &mut [i32]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = p.scaled(x);
    }
}

/// Scales integers to codes: `clamp(x * 2^left_shift * factor + zero_point)`. The caller slices both to the rows it wants.
pub fn narrow_i32(p: &Rescale, input: &[i32], output: &mut [i8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = p.activation.clamp(p.scaled(x).wrapping_add(p.output_zero_point));
    }
}
