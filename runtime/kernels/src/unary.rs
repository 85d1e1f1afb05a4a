//! Functions of one 8-bit value, which fill the table of a [`lookup`](crate::lookup()).
//!
//! There are only 256 arguments, so a compiled model contains the function's table, and these functions run in the
//! compiler. Each takes the raw quantized value as an `i32` and returns the raw quantized result,
//! clamped to the range of its type.
//!
//! Sources: TensorFlow Lite Micro's int8 kernels of the same names, and the `Prepare` functions that
//! compute their parameters.

use crate::fixed_point;
use crate::quant::{
    clamp, multiply_by_quantized_multiplier, quantize_multiplier, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};
use tealight_types::{ActivationRange, Quantization};

/// Integer bits of the argument of [`logistic`] and [`tanh`].
const INTEGER_BITS: i32 = 4;

/// Parameters of [`logistic`] and [`tanh`], which convert an input to a Q4 number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sigmoid {
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Distance from the zero point beyond which the result is saturated.
    pub input_range_radius: i32,
    /// Multiplier of `input_scale * 2^27`.
    pub input_multiplier: i32,
    /// Its shift.
    pub input_left_shift: i32,
}

impl Sigmoid {
    /// The parameters for an input's quantization.
    #[must_use]
    pub fn from_scale(input: Quantization) -> Self {
        let factor = f64::from(input.scale) * f64::from(1 << (31 - INTEGER_BITS));
        let (input_multiplier, input_left_shift) = quantize_multiplier(factor);
        // The maximum input that stays below 2^31 after the shift: 15 in Q4, shifted back.
        let max = 15i64 << (31 - INTEGER_BITS);
        let input_range_radius = (max >> input_left_shift.clamp(0, 63)) as i32;
        Self { input_zero_point: input.zero_point, input_range_radius, input_multiplier, input_left_shift }
    }

    /// The input in Q4, or `Err` with the sign of an input that saturates.
    fn argument(&self, x: i32) -> Result<i32, bool> {
        let x = x.wrapping_sub(self.input_zero_point);
        if x <= self.input_range_radius.wrapping_neg() {
            Err(false)
        } else if x >= self.input_range_radius {
            Err(true)
        } else {
            Ok(multiply_by_quantized_multiplier(x, self.input_multiplier, self.input_left_shift))
        }
    }
}

/// `1 / (1 + exp(-x))`, int8 with scale 1/256 and zero point -128.
#[must_use]
pub fn logistic(p: &Sigmoid, x: i32) -> i32 {
    match p.argument(x) {
        Err(false) => -128,
        Err(true) => 127,
        Ok(x) => {
            let result = rounding_divide_by_pot(fixed_point::logistic::<4>(x), 31 - 8);
            clamp(result - 128, [-128, 127])
        }
    }
}

/// `tanh(x)`, int8 with scale 1/128 and zero point 0.
#[must_use]
pub fn tanh(p: &Sigmoid, x: i32) -> i32 {
    match p.argument(x) {
        Err(false) => -128,
        Err(true) => 127,
        Ok(x) => clamp(rounding_divide_by_pot(fixed_point::tanh(x), 31 - 7), [-128, 127]),
    }
}

/// Parameters of [`hard_swish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardSwish {
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// Q15 multiplier of `input_scale / 128 / output_scale`.
    pub output_multiplier: i16,
    /// Its shift, not positive.
    pub output_exponent: i32,
    /// Q15 multiplier of `input_scale / 128 * 32768 / 3`.
    pub reluish_multiplier: i16,
    /// Its shift.
    pub reluish_exponent: i32,
}

impl HardSwish {
    /// The parameters for the quantizations of input and output.
    ///
    /// The factors are `f64` quotients of the `f32` scales, as in TensorFlow Lite Micro.
    #[must_use]
    pub fn from_scales(input: Quantization, output: Quantization) -> Self {
        let fine_input_scale = f64::from(input.scale) / 128.0;
        let q15 = |factor: f64| {
            let (multiplier, exponent) = quantize_multiplier(factor);
            (to_q15(multiplier), exponent)
        };
        let (output_multiplier, output_exponent) = q15(fine_input_scale / f64::from(output.scale));
        let (reluish_multiplier, reluish_exponent) = q15(fine_input_scale * 32768.0 / 3.0);
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            output_multiplier,
            output_exponent,
            reluish_multiplier,
            reluish_exponent,
        }
    }
}

/// A Q31 multiplier to 16 bits, rounded, saturating.
fn to_q15(multiplier: i32) -> i16 {
    (multiplier.saturating_add(1 << 15) >> 16) as i16
}

/// `x * clamp(x + 3, 0, 6) / 6`, int8, in 16-bit arithmetic.
#[must_use]
pub fn hard_swish(p: &HardSwish, x: i32) -> i32 {
    // With 7 fractional bits; the difference of two int8 values fits in 9 bits.
    let fine = (x.wrapping_sub(p.input_zero_point) as i16).wrapping_shl(7);
    let preshift = rounding_high_mul_i16(fine, p.output_multiplier);

    // x / 3 in Q15, saturating at ±1. One left shift is kept until after the product. The shifts before the product
    // then saturate only values that end at ±1 anyway, because the multiplier is at least one half.
    let mut reluish = fine;
    if p.reluish_exponent > 0 {
        reluish = saturating_shift_left_i16(reluish, p.reluish_exponent - 1);
    }
    reluish = rounding_high_mul_i16(reluish, p.reluish_multiplier);
    if p.reluish_exponent > 0 {
        reluish = saturating_shift_left_i16(reluish, 1);
    }
    if p.reluish_exponent < 0 {
        let exponent = p.reluish_exponent.saturating_neg();
        reluish = rounding_divide_by_pot(i32::from(reluish), exponent) as i16;
    }
    // From [-1, 1] to [0, 1].
    let gate = (i32::from(reluish) + (1 << 15)) >> 1;

    // This product truncates, to compensate for the upward bias of the one before.
    let product = gate * i32::from(preshift) / (1 << 15);
    let output = rounding_divide_by_pot(product, p.output_exponent.saturating_neg()) as i16;
    clamp(i32::from(output.wrapping_add(p.output_zero_point as i16)), [-128, 127])
}

/// 16-bit `round(a * b / 2^15)`, ties toward +infinity, saturating.
fn rounding_high_mul_i16(a: i16, b: i16) -> i16 {
    let product = (i32::from(a) * i32::from(b) + (1 << 14)) >> 15;
    product.min(i32::from(i16::MAX)) as i16
}

fn saturating_shift_left_i16(x: i16, bits: i32) -> i16 {
    let shifted = i64::from(x) << bits.clamp(0, 31);
    shifted.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// Parameters of [`leaky_relu`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeakyRelu {
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// Multiplier of `input_scale / output_scale`, for `x >= 0`.
    pub identity_multiplier: i32,
    /// Its shift.
    pub identity_shift: i32,
    /// Multiplier of `input_scale * alpha / output_scale`, for `x < 0`.
    pub alpha_multiplier: i32,
    /// Its shift.
    pub alpha_shift: i32,
}

impl LeakyRelu {
    /// The parameters for a slope below zero and the quantizations of input and output.
    ///
    /// The factors are `f64` quotients of the `f32` scales, as in TensorFlow Lite Micro.
    #[must_use]
    pub fn from_scales(alpha: f32, input: Quantization, output: Quantization) -> Self {
        let (identity_multiplier, identity_shift) =
            quantize_multiplier(f64::from(input.scale) / f64::from(output.scale));
        let (alpha_multiplier, alpha_shift) =
            quantize_multiplier(f64::from(input.scale) * f64::from(alpha) / f64::from(output.scale));
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            identity_multiplier,
            identity_shift,
            alpha_multiplier,
            alpha_shift,
        }
    }
}

/// `x` if it is positive, else `alpha * x`; int8.
#[must_use]
pub fn leaky_relu(p: &LeakyRelu, x: i32) -> i32 {
    let x = x.wrapping_sub(p.input_zero_point);
    let (multiplier, shift) =
        if x >= 0 { (p.identity_multiplier, p.identity_shift) } else { (p.alpha_multiplier, p.alpha_shift) };
    let scaled = multiply_by_quantized_multiplier(x, multiplier, shift);
    clamp(scaled.wrapping_add(p.output_zero_point), [-128, 127])
}

/// Parameters of [`relu`] and [`requantize`]: a change of scale and zero point, then a clamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rescale {
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// Multiplier of `input_scale / output_scale`.
    pub multiplier: i32,
    /// Its shift.
    pub shift: i32,
    /// Minimum and maximum of the output: for [`relu`] from the output's zero point on; for [`requantize`]
    /// the range of the output's type (`[-128, 127]` or `[0, 255]`).
    pub range: [i32; 2],
}

impl Rescale {
    /// The parameters for the quantizations of input and output.
    #[must_use]
    pub fn from_scales(input: Quantization, output: Quantization, range: [i32; 2]) -> Self {
        let (multiplier, shift) = quantize_multiplier(f64::from(input.scale) / f64::from(output.scale));
        Self { input_zero_point: input.zero_point, output_zero_point: output.zero_point, multiplier, shift, range }
    }

    fn apply(&self, x: i32) -> i32 {
        let x = x.wrapping_sub(self.input_zero_point);
        let scaled = multiply_by_quantized_multiplier(x, self.multiplier, self.shift);
        clamp(scaled.wrapping_add(self.output_zero_point), self.range)
    }
}

/// `max(x, 0)` with a change of scale; `range` is from `max(-128, output_zero_point)` to 127.
#[must_use]
pub fn relu(p: &Rescale, x: i32) -> i32 {
    p.apply(x)
}

/// Converts a value to another quantization, int8 or uint8 on either side.
#[must_use]
pub fn requantize(p: &Rescale, x: i32) -> i32 {
    p.apply(x)
}

/// `clamp(x, 0, 6)` for input and output with the same quantization: `range` is the quantized 0 and 6.
#[must_use]
pub fn relu6(range: ActivationRange, x: i32) -> i32 {
    i32::from(range.clamp(x))
}

/// `clamp(x, -1, 1)` for input and output with the same quantization: `range` is the quantized -1 and 1.
#[must_use]
pub fn relu_n1_to_1(range: ActivationRange, x: i32) -> i32 {
    i32::from(range.clamp(x))
}

/// Parameters of [`rsqrt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rsqrt {
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// Multiplier of `1 / (sqrt(input_scale) * output_scale)`.
    pub multiplier: i32,
    /// Its shift.
    pub shift: i32,
}

impl Rsqrt {
    /// The parameters for the quantizations of input and output.
    #[must_use]
    pub fn from_scales(input: Quantization, output: Quantization) -> Self {
        let factor = 1.0 / (libm::sqrt(f64::from(input.scale)) * f64::from(output.scale));
        let (multiplier, shift) = quantize_multiplier(factor);
        Self { input_zero_point: input.zero_point, output_zero_point: output.zero_point, multiplier, shift }
    }
}

/// `1 / sqrt(x)`; 127 where `x` is not positive.
///
/// The reciprocal root of the code, with 20 bits after the point, is multiplied by the factor of the scales: as TensorFlow
/// Lite Micro's RSQRT, which refuses negative inputs.
#[must_use]
pub fn rsqrt(p: &Rsqrt, x: i32) -> i32 {
    const POINT: i32 = 20;
    let x = x.wrapping_sub(p.input_zero_point);
    if x <= 0 {
        return 127;
    }
    let (multiplier, shift) = reciprocal_root(x);
    let root = multiply_by_quantized_multiplier(1, multiplier, shift.saturating_add(POINT));
    let scaled = multiply_by_quantized_multiplier(root, p.multiplier, p.shift.saturating_sub(POINT));
    clamp(scaled.wrapping_add(p.output_zero_point), [-128, 127])
}

/// `1 / sqrt(x)` as a Q31 multiplier and a shift that is not positive, by five steps of Newton's method from 1; that of 1
/// where `x` is not positive.
///
/// Source: TensorFlow Lite `GetInvSqrtQuantizedMultiplierExp`.
pub(crate) fn reciprocal_root(x: i32) -> (i32, i32) {
    const ONE: i32 = 1 << 28;
    const HALF_ROOT_OF_TWO: i32 = 1_518_500_250;
    if x <= 1 {
        return (i32::MAX, 0);
    }
    // Of two bits more than fit below, the last two do not count.
    let above = i32::from(x >= 1 << 29);
    let x = x >> (2 * above);
    // The even left shift that brings the leading bit to place 27 or 28.
    let pairs = (x.leading_zeros().saturating_sub(1) / 2).saturating_sub(1);
    let half = rounding_divide_by_pot(x.wrapping_shl(2 * pairs) >> 1, 1);
    let mut root = ONE;
    for _ in 0..5 {
        let square = saturating_rounding_doubling_high_mul(root, root);
        let cube = saturating_shift_left(saturating_rounding_doubling_high_mul(square, root), 6);
        let next = saturating_rounding_doubling_high_mul(ONE + ONE / 2, root)
            .wrapping_sub(saturating_rounding_doubling_high_mul(half, cube));
        root = saturating_shift_left(next, 3);
    }
    let root = saturating_rounding_doubling_high_mul(root, HALF_ROOT_OF_TWO);
    let right = above.saturating_add(11).saturating_sub(pairs as i32);
    if right < 0 { (root.wrapping_shl(right.unsigned_abs()), 0) } else { (root, right.saturating_neg()) }
}

/// `x * 2^bits`, saturating.
fn saturating_shift_left(x: i32, bits: u32) -> i32 {
    (i64::from(x) << bits).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
