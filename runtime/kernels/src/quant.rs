//! Requantization: from an i32 accumulator to 8 bits by a Q31 multiplier and a power of two.
//!
//! A real factor `f` is stored as `multiplier * 2^(shift - 31)` with the multiplier in `[2^30, 2^31)`.
//! A product with it rounds twice, as gemmlowp does: once in the high half of the 64-bit product,
//! once in the right shift that follows. The two roundings differ (ties upward, then ties away from
//! zero), so neither may be merged into the other without changing bits.
//!
//! Sources: the TensorFlow Lite 8-bit quantization specification; gemmlowp's fixed-point arithmetic
//! (`SaturatingRoundingDoublingHighMul`, `RoundingDivideByPOT`); TensorFlow Lite Micro's
//! `MultiplyByQuantizedMultiplier` with double rounding.

use tealight_types::ActivationRange;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The bias and the requantization factor of one output channel of Conv2d, DepthwiseConv2d or FullyConnected.
///
/// `bias` is the layer's bias with the constant part of the input's zero point folded in:
/// `bias + (-input_zero_point) * sum(weights of the channel)`, wrapping. A kernel then sums plain
/// products of weights and raw inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Channel {
    /// The initial value of the accumulator.
    pub bias: i32,
    /// Q31 multiplier of the factor `input_scale * weight_scale / output_scale`.
    pub multiplier: i32,
    /// Power of two of that factor; positive shifts left.
    pub shift: i32,
}

/// High half of the doubled product, rounded: `round(a * b / 2^31)`, ties toward +infinity.
///
/// The one product that does not fit, `i32::MIN * i32::MIN`, saturates to `i32::MAX`.
#[inline]
#[must_use]
pub const fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    // gemmlowp truncates toward zero after a nudge that depends on the sign; that is this floor.
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent`, ties away from zero. The exponent is taken as 0 below 0 and as 31 above 31.
#[inline]
#[must_use]
pub const fn rounding_divide_by_pot(x: i32, exponent: i32) -> i32 {
    let exponent = clamp_shift(exponent);
    if exponent == 0 {
        return x;
    }
    // Half of the divisor is added in the next to last place. A negative number is lowered by one
    // first, so that its halves go down. MIN stays: its only half is exact.
    let lowered = x.saturating_add(x >> 31);
    let doubled = lowered >> (exponent - 1);
    (doubled >> 1) + (doubled & 1)
}

/// `x * multiplier * 2^(shift - 31)`, rounded twice.
///
/// A left shift is applied before the product and wraps, a right shift after it.
#[inline]
#[must_use]
pub const fn multiply_by_quantized_multiplier(x: i32, multiplier: i32, shift: i32) -> i32 {
    if shift > 0 {
        multiply_by_multiplier_greater_than_one(x, multiplier, shift)
    } else {
        multiply_by_multiplier_smaller_than_one(x, multiplier, shift)
    }
}

/// [`multiply_by_quantized_multiplier`] for a factor below one: `shift` is not positive.
#[inline]
#[must_use]
pub const fn multiply_by_multiplier_smaller_than_one(x: i32, multiplier: i32, shift: i32) -> i32 {
    let product = saturating_rounding_doubling_high_mul(x, multiplier);
    rounding_divide_by_pot(product, shift.saturating_neg())
}

/// [`multiply_by_quantized_multiplier`] for a factor of at least one: `shift` is not negative.
#[inline]
#[must_use]
pub const fn multiply_by_multiplier_greater_than_one(x: i32, multiplier: i32, shift: i32) -> i32 {
    saturating_rounding_doubling_high_mul(x.wrapping_shl(clamp_shift(shift)), multiplier)
}

/// `max(low, min(value, high))` without the panic of `Ord::clamp` when the bounds are crossed.
#[inline]
#[must_use]
pub const fn clamp(value: i32, [low, high]: [i32; 2]) -> i32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// An accumulator to its output byte: scaled by the channel's factor, moved to the output's zero
/// point, clamped to the activation's range.
///
/// The channel's multiplier must not be negative and its shift must be from -31 to 30, as in every checked model. Then
/// the one product that saturates does not occur and no shift count is out of range, which saves a
/// third of the work. For other values the result is unspecified.
#[inline]
#[must_use]
pub const fn requantize_accumulator(
    accumulator: i32,
    channel: &Channel,
    zero_point: i32,
    activation: ActivationRange,
) -> i8 {
    let Channel { multiplier, shift, .. } = *channel;
    let scaled = if shift > 0 {
        high_product(accumulator.wrapping_shl(shift.cast_unsigned()), multiplier)
    } else {
        let product = high_product(accumulator, multiplier);
        if shift == 0 { product } else { halve(product.saturating_add(product >> 31), !shift) }
    };
    activation.clamp(scaled.wrapping_add(zero_point))
}

/// [`saturating_rounding_doubling_high_mul`] for products other than `i32::MIN * i32::MIN`.
const fn high_product(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^(places + 1)`, ties upward.
#[inline]
pub(crate) const fn halve(x: i32, places: i32) -> i32 {
    let doubled = x.wrapping_shr(places.cast_unsigned());
    (doubled >> 1) + (doubled & 1)
}

/// Converts a real factor to `(multiplier, shift)` with `factor ≈ multiplier * 2^(shift - 31)`.
///
/// As TensorFlow Lite's `QuantizeMultiplier`: the mantissa in `[0.5, 1)` is rounded to 31 bits, ties
/// away from zero, and a factor too small to matter (below `2^-32`) becomes 0. A factor that is not
/// finite becomes 0 too.
///
/// ```
/// use tealight_kernels::quant::quantize_multiplier;
/// assert_eq!(quantize_multiplier(1.0), (1 << 30, 1));
/// assert_eq!(quantize_multiplier(0.375), (3 << 29, -1));
/// ```
#[must_use]
pub const fn quantize_multiplier(factor: f64) -> (i32, i32) {
    const MANTISSA_BITS: u32 = 52;
    let bits = factor.to_bits();
    let biased = ((bits >> MANTISSA_BITS) & 0x7ff) as i32;
    // Zero and subnormals are below 2^-32; an exponent of 0x7ff is infinity or NaN.
    if biased == 0 || biased == 0x7ff {
        return (0, 0);
    }
    let mut shift = biased - 1022;
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | (1 << MANTISSA_BITS);
    // 53 bits to 31, halves away from zero.
    let mut magnitude = ((mantissa + (1 << 21)) >> 22) as i64;
    let negative = factor < 0.0;
    if magnitude == 1 << 31 && !negative {
        magnitude >>= 1;
        shift += 1;
    }
    if shift < -31 {
        return (0, 0);
    }
    let multiplier = if negative { -magnitude } else { magnitude };
    (multiplier as i32, shift)
}

/// A shift count from a parameter that may not have been checked.
const fn clamp_shift(shift: i32) -> u32 {
    if shift < 0 {
        0
    } else if shift > 31 {
        31
    } else {
        shift as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the definition: nudge by the sign, divide toward zero.
    fn high_mul_by_definition(a: i32, b: i32) -> i32 {
        let product = i128::from(a) * i128::from(b);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        let high = (product + nudge) / (1 << 31);
        high.min(i128::from(i32::MAX)) as i32
    }

    /// From the definition: half away from zero.
    fn divide_by_definition(x: i32, exponent: u32) -> i32 {
        let (magnitude, divisor) = (i128::from(x).abs(), 1i128 << exponent);
        let rounded = (magnitude + divisor / 2) / divisor;
        (if x < 0 { -rounded } else { rounded }) as i32
    }

    const EDGES: [i32; 14] = [
        0,
        1,
        -1,
        2,
        -3,
        127,
        -128,
        1 << 30,
        -(1 << 30),
        (1 << 30) + 1,
        i32::MAX - 1,
        i32::MAX,
        i32::MIN,
        i32::MIN + 1,
    ];

    #[test]
    fn a_right_shift_of_few_places_is_a_multiplication() {
        // MVE's VQRDMLASH: a rounding multiplication, and the addition of the zero point, that saturate.
        let multiplied = |x: i32, multiplier: i32, zero_point: i32| {
            let sum = 2 * i128::from(x) * i128::from(multiplier) + (i128::from(zero_point) << 32) + (1 << 31);
            (sum >> 32).clamp(i32::MIN.into(), i32::MAX.into()) as i32
        };
        let mut differences = 0;
        for places in 1..=12 {
            let multiplier = (1 << (31 - places)) + 1;
            // Around every tie and every integer in and around the range of a byte, and far from it.
            let near = (-600..600)
                .step_by(if cfg!(miri) { 50 } else { 1 })
                .flat_map(|half: i32| [-1, 0, 1].map(|off| (half << (places - 1)).wrapping_add(off)));
            let far = EDGES.into_iter().flat_map(|x| [-2, -1, 0, 1, 2].map(|off| x.wrapping_add(off)));
            for x in near.chain(far) {
                for zero_point in [-128, -1, 0, 3, 127] {
                    let shifted = ActivationRange::FULL.clamp(rounding_divide_by_pot(x, places) + zero_point);
                    let multiplied = ActivationRange::FULL.clamp(multiplied(x, multiplier, zero_point));
                    assert!(places == 12 || shifted == multiplied, "{x} {places} {zero_point}");
                    differences += u32::from(shifted != multiplied);
                }
            }
        }
        assert!(differences > 0 || cfg!(miri), "of twelve places");
    }

    #[test]
    fn high_mul_equals_its_definition_at_the_edges() {
        for a in EDGES {
            for b in EDGES {
                let expected = high_mul_by_definition(a, b);
                assert_eq!(saturating_rounding_doubling_high_mul(a, b), expected, "{a} {b}");
            }
        }
    }

    #[test]
    fn divide_by_pot_rounds_halves_away_from_zero() {
        for x in EDGES {
            for exponent in 0..=31 {
                let expected = divide_by_definition(x, exponent);
                assert_eq!(rounding_divide_by_pot(x, exponent as i32), expected, "{x} {exponent}");
            }
        }
        assert_eq!(rounding_divide_by_pot(5, 1), 3);
        assert_eq!(rounding_divide_by_pot(-5, 1), -3);
    }

    #[test]
    fn random_products_equal_their_definitions() {
        let cases = if cfg!(miri) { 8 } else { 20_000 };
        let config = proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() };
        proptest::proptest!(config, |(a: i32, b: i32, shift in -31i32..=30)| {
            proptest::prop_assert_eq!(
                saturating_rounding_doubling_high_mul(a, b), high_mul_by_definition(a, b));
            let left = a.wrapping_mul(1i32.wrapping_shl(shift.max(0) as u32));
            let expected =
                divide_by_definition(high_mul_by_definition(left, b), (-shift).max(0) as u32);
            proptest::prop_assert_eq!(multiply_by_quantized_multiplier(a, b, shift), expected);
        });
    }

    #[test]
    fn a_shift_out_of_range_is_clamped() {
        assert_eq!(rounding_divide_by_pot(i32::MAX, 1000), rounding_divide_by_pot(i32::MAX, 31));
        assert_eq!(multiply_by_quantized_multiplier(7, 1 << 30, i32::MIN), 0);
        assert_eq!(
            multiply_by_quantized_multiplier(7, 1 << 30, i32::MAX),
            multiply_by_quantized_multiplier(7, 1 << 30, 31)
        );
    }

    #[test]
    fn a_factor_survives_its_quantization() {
        for factor in [1.0, 0.5, 0.1, 3.7e-4, 123.456, 1.0 - 1e-12, -0.25, -0.1] {
            let (multiplier, shift) = quantize_multiplier(factor);
            let back = f64::from(multiplier) * 2f64.powi(shift - 31);
            assert!((back - factor).abs() <= factor.abs() * 2f64.powi(-31), "{factor}: {back}");
        }
        assert_eq!(quantize_multiplier(1.0 - 1e-12), (1 << 30, 1));
        assert_eq!(quantize_multiplier(0.0), (0, 0));
        assert_eq!(quantize_multiplier(1e-12), (0, 0));
        assert_eq!(quantize_multiplier(f64::NAN), (0, 0));
        assert_eq!(quantize_multiplier(-1.0), (-(1 << 30), 1));
    }

    #[test]
    fn requantization_clamps_to_the_activation() {
        let channel = Channel { bias: 0, multiplier: 1 << 30, shift: 1 };
        assert_eq!(requantize_accumulator(5, &channel, 3, ActivationRange::FULL), 8);
        assert_eq!(requantize_accumulator(500, &channel, 3, ActivationRange::FULL), 127);
        let activation = ActivationRange::new(3, 100).unwrap();
        assert_eq!(requantize_accumulator(-500, &channel, 3, activation), 3);
        // With this zero point the sum wraps, and the result is one end of the clamp's range.
        assert_eq!(requantize_accumulator(9, &channel, i32::MAX, ActivationRange::FULL), -128);
    }
}
