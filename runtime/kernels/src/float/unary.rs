//! Functions of one element.
//!
//! Each is a separate public function; [`UnaryFunction`] selects one at run time. `erf`, `exp` and the like are those
//! of `libm`. Whole numbers and signs are taken from the bits, so that a core that takes subnormal numbers as 0 returns
//! the same.

use super::clamp;
use crate::arch;
pub use tealight_types::UnaryFunction;

/// Applies `f` to each element of `input`. The caller slices both to the rows it wants.
pub fn unary(f: UnaryFunction, input: &[f32], output: &mut [f32]) {
    match f {
        UnaryFunction::Clamp(range) => map(input, output, |x| clamp(x, range)),
        UnaryFunction::LeakyRelu(slope) => map(input, output, |x| leaky_relu(x, slope)),
        UnaryFunction::Elu(factor) => map(input, output, |x| elu(x, factor)),
        UnaryFunction::HardSigmoid => map(input, output, hard_sigmoid),
        UnaryFunction::HardSwish => map(input, output, hard_swish),
        UnaryFunction::Logistic => map(input, output, logistic),
        UnaryFunction::Tanh => map(input, output, libm::tanhf),
        UnaryFunction::Gelu => map(input, output, gelu),
        UnaryFunction::GeluTanh => map(input, output, gelu_tanh),
        UnaryFunction::Silu => arch::silus(input, output),
        UnaryFunction::Softplus => map(input, output, softplus),
        UnaryFunction::Erf => map(input, output, libm::erff),
        UnaryFunction::Exp => map(input, output, libm::expf),
        UnaryFunction::Log => map(input, output, libm::logf),
        UnaryFunction::Sqrt => map(input, output, libm::sqrtf),
        UnaryFunction::Rsqrt => map(input, output, |x| 1.0 / libm::sqrtf(x)),
        UnaryFunction::Sin => map(input, output, libm::sinf),
        UnaryFunction::Cos => map(input, output, libm::cosf),
        UnaryFunction::Abs => map(input, output, f32::abs),
        UnaryFunction::Neg => map(input, output, |x| -x),
        UnaryFunction::Square => map(input, output, |x| x * x),
        UnaryFunction::Reciprocal => map(input, output, |x| 1.0 / x),
        UnaryFunction::Floor
        | UnaryFunction::Ceil
        | UnaryFunction::Round
        | UnaryFunction::Trunc
        | UnaryFunction::Sign => of_bits(f, input, output),
    }
}

/// The functions that take the bits of a number apart. They are apart, so that the registers that they need are not saved
/// for the others.
#[inline(never)]
fn of_bits(f: UnaryFunction, input: &[f32], output: &mut [f32]) {
    match f {
        UnaryFunction::Floor => map(input, output, floor),
        UnaryFunction::Ceil => map(input, output, ceil),
        UnaryFunction::Round => map(input, output, round),
        UnaryFunction::Trunc => map(input, output, trunc),
        _ => map(input, output, sign),
    }
}

/// Applies `f` to each element, for a program that needs the code of one function only.
#[inline]
pub fn map(input: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = f(x);
    }
}

/// [`silu`] of each element.
#[inline]
pub(crate) fn silus(input: &[f32], output: &mut [f32]) {
    map(input, output, silu);
}

/// `x`, or `slope * x` below 0.
#[inline]
#[must_use]
pub fn leaky_relu(x: f32, slope: f32) -> f32 {
    if x < 0.0 { slope * x } else { x }
}

/// `x`, or `factor * (e^x - 1)` below 0.
#[inline]
#[must_use]
pub fn elu(x: f32, factor: f32) -> f32 {
    if x < 0.0 { factor * libm::expm1f(x) } else { x }
}

/// `clamp(x + 3, 0, 6) / 6`.
#[inline]
#[must_use]
pub fn hard_sigmoid(x: f32) -> f32 {
    clamp(x + 3.0, [0.0, 6.0]) / 6.0
}

/// `x * clamp(x + 3, 0, 6) / 6` (Howard and others, "Searching for MobileNetV3", 2019).
#[inline]
#[must_use]
pub fn hard_swish(x: f32) -> f32 {
    x * clamp(x + 3.0, [0.0, 6.0]) / 6.0
}

/// `1 / (1 + e^-x)`.
#[inline]
#[must_use]
pub fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// `x / 2 * (1 + erf(x / √2))` (Hendrycks and Gimpel, "Gaussian error linear units", 2016).
#[inline]
#[must_use]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2))
}

/// `x / 2 * (1 + tanh(√(2/π) * (x + 0.044715 x³)))`: the approximation of [`gelu`] in the same paper.
#[inline]
#[must_use]
pub fn gelu_tanh(x: f32) -> f32 {
    /// `√(2/π)`.
    const FACTOR: f32 = 0.797_884_6;
    0.5 * x * (1.0 + libm::tanhf(FACTOR * x * (1.0 + 0.044_715 * x * x)))
}

/// `x / (1 + e^-x)`.
#[inline]
#[must_use]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + libm::expf(-x))
}

/// `ln(1 + e^x)`, computed as `max(x, 0) + ln(1 + e^-|x|)`.
#[inline]
#[must_use]
pub fn softplus(x: f32) -> f32 {
    let positive = if x > 0.0 { x } else { 0.0 };
    positive + libm::log1pf(libm::expf(-x.abs()))
}

/// The largest whole number that is at most `x`; NaN and infinities stay.
#[inline]
#[must_use]
pub fn floor(x: f32) -> f32 {
    let whole = trunc(x);
    if x.is_sign_negative() && whole.to_bits() != x.to_bits() { whole - 1.0 } else { whole }
}

/// The smallest whole number that is at least `x`; NaN and infinities stay.
#[inline]
#[must_use]
pub fn ceil(x: f32) -> f32 {
    -floor(-x)
}

/// The nearest whole number, and of two that are equally near the even one; NaN and infinities stay.
#[inline]
#[must_use]
pub fn round(x: f32) -> f32 {
    /// 2^23: no number from here on has a fraction, so a sum with it is rounded to a whole number.
    const WHOLE: f32 = 8_388_608.0;
    let size = x.abs();
    if size < WHOLE { ((size + WHOLE) - WHOLE).copysign(x) } else { x }
}

/// The whole part of `x`, toward 0; NaN and infinities stay.
#[inline]
#[must_use]
pub fn trunc(x: f32) -> f32 {
    let bits = x.to_bits();
    // The bits that stand for less than 1: all but the sign below an exponent of 0, which is stored as 127.
    let fraction = match bits >> 23 & 0xff {
        ..127 => 0x7fff_ffff,
        exponent @ 127..150 => 0x007f_ffff >> (exponent - 127),
        _ => 0,
    };
    f32::from_bits(bits & !fraction)
}

/// -1 below 0, 1 above 0, and `x` itself where it is 0 or NaN.
#[inline]
#[must_use]
pub fn sign(x: f32) -> f32 {
    let is_zero = x.to_bits() << 1 == 0;
    if is_zero || x.is_nan() { x } else { 1f32.copysign(x) }
}
