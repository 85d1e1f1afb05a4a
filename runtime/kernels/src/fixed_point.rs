//! Fixed-point `exp`, `ln`, reciprocal, logistic and tanh on 32-bit integers.
//!
//! A number with `I` integer bits is an `i32` counted in units of `2^(I - 31)` ("Q`I`"): Q0 covers
//! `[-1, 1)`, Q4 covers `[-16, 16)`. A product of Q`a` and Q`b` is Q`a+b` and is one rounded high
//! multiply. One is not representable in Q0; the nearest value, `i32::MAX`, is used for it.
//!
//! `ln` takes the power of two out, and a rational function of the rest around 2^(-1/4). `exp` splits its argument into a multiple of 1/4 (a product of constants, one per set bit) and a
//! remainder in `[-1/4, 0)` (four Taylor terms around -1/8). Reciprocals take three Newton-Raphson steps.
//! Source: gemmlowp's `fixedpoint.h`, the functions of the same names; of `log`, TensorFlow Lite's
//! `log_x_for_x_greater_than_or_equal_to_1_impl`.

use crate::quant::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// The nearest value to one in Q0.
const ONE_Q0: i32 = i32::MAX;
/// One in Q2.
const ONE_Q2: i32 = 1 << 29;

/// [`saturating_rounding_doubling_high_mul`], out of line: an exponential function has a dozen products.
#[inline(never)]
fn mul(a: i32, b: i32) -> i32 {
    saturating_rounding_doubling_high_mul(a, b)
}

/// `exp(x)` for `x <= 0`; `x` has `INTEGER_BITS` integer bits (at most 29), the result is Q0.
#[must_use]
#[inline(never)]
pub fn exp_on_negative_values<const INTEGER_BITS: u32>(x: i32) -> i32 {
    // (power of two, exp(-2^power) in Q0)
    const FACTORS: [(i32, i32); 7] = [
        (-2, 1_672_461_947),
        (-1, 1_302_514_674),
        (0, 790_015_084),
        (1, 290_630_308),
        (2, 39_332_535),
        (3, 720_401),
        (4, 242),
    ];
    let fractional_bits = 31 - INTEGER_BITS as i32;
    let quarter = 1i32.wrapping_shl((fractional_bits - 2) as u32);
    let rest = (x & (quarter - 1)) - quarter;
    let multiple = rest.wrapping_sub(x);

    let mut result = exp_between_negative_quarter_and_zero(saturating_shift_left(rest, INTEGER_BITS));
    for (power, factor) in FACTORS {
        let bit = fractional_bits + power;
        if bit < 31 && multiple & 1i32.wrapping_shl(bit as u32) != 0 {
            result = mul(result, factor);
        }
    }
    // Below -32 the result is 0; only numbers in Q6 or wider can be that small.
    if INTEGER_BITS > 5 && x < -(1i32.wrapping_shl((fractional_bits + 5) as u32)) {
        result = 0;
    }
    if x == 0 { ONE_Q0 } else { result }
}

/// `exp(x)` for `x` in `[-1/4, 0)`, both in Q0.
fn exp_between_negative_quarter_and_zero(x: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    const EIGHTH: i32 = 1 << 28;
    let x = x.wrapping_add(EIGHTH);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2);
    // x^4/24 + x^3/6 + x^2/2
    let higher = mul(x4_over_4.wrapping_add(x3), THIRD).wrapping_add(x2);
    let sum = x.wrapping_add(rounding_divide_by_pot(higher, 1));
    EXP_MINUS_EIGHTH.wrapping_add(mul(EXP_MINUS_EIGHTH, sum))
}

/// `1 / (1 + x)` for `x` in `[0, 1)`, both in Q0.
#[must_use]
pub fn one_over_one_plus_x_for_x_in_0_1(x: i32) -> i32 {
    // The reciprocal of the halved denominator, in Q2, is twice the result: the same bits in Q1.
    saturating_shift_left(reciprocal_of_half_one_plus(x), 1)
}

/// `(1 - x) / (1 + x)` for `x` in `[0, 1)`, both in Q0.
#[must_use]
pub fn one_minus_x_over_one_plus_x_for_x_in_0_1(x: i32) -> i32 {
    saturating_shift_left(reciprocal_of_half_one_plus(x).wrapping_sub(ONE_Q2), 2)
}

/// `2 / (1 + x)` in Q2 for `x` in `[0, 1)` in Q0: Newton-Raphson from the line `48/17 - 32/17 d`.
fn reciprocal_of_half_one_plus(x: i32) -> i32 {
    const FORTY_EIGHT_17THS_Q2: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_17THS_Q2: i32 = -1_010_580_540;
    let half_denominator = rounding_half_sum(x, ONE_Q0);
    let mut guess = FORTY_EIGHT_17THS_Q2.wrapping_add(mul(half_denominator, MINUS_THIRTY_TWO_17THS_Q2));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(mul(half_denominator, guess));
        guess = guess.wrapping_add(saturating_shift_left(mul(guess, error), 2));
    }
    guess
}

/// `1 / (1 + exp(-x))`; `x` has `INTEGER_BITS` integer bits, the result is Q0.
#[must_use]
pub fn logistic<const INTEGER_BITS: u32>(x: i32) -> i32 {
    if x == 0 {
        return 1 << 30;
    }
    let magnitude = if x > 0 { x.wrapping_neg() } else { x };
    let positive = one_over_one_plus_x_for_x_in_0_1(exp_on_negative_values::<INTEGER_BITS>(magnitude));
    if x > 0 { positive } else { ONE_Q0.wrapping_sub(positive) }
}

/// `tanh(x)` of `x` in Q4; the result is Q0.
#[must_use]
pub fn tanh(x: i32) -> i32 {
    if x == 0 {
        return 0;
    }
    let magnitude = if x > 0 { x.wrapping_neg() } else { x };
    // tanh|x| = (1 - e) / (1 + e) with e = exp(-2|x|): the bits of x in Q4 are those of 2x in Q5.
    let positive = one_minus_x_over_one_plus_x_for_x_in_0_1(exp_on_negative_values::<5>(magnitude));
    if x > 0 { positive } else { positive.wrapping_neg() }
}

/// The reciprocal of a positive `x` with `integer_bits` integer bits, as `(scale, bits)`:
/// `1/x = scale * 2^-bits` with `scale` in Q0.
#[must_use]
pub fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    // With its leading bit as one, x is 1 + f; the bits below it are f in Q0.
    let headroom_plus_one = x.leading_zeros();
    let fraction = (x as u32).wrapping_shl(headroom_plus_one).wrapping_sub(1 << 31) as i32;
    let scale = one_over_one_plus_x_for_x_in_0_1(fraction);
    (scale, integer_bits - headroom_plus_one as i32)
}

/// `ln(x)` of a positive `x` with `integer_bits` integer bits; the result is Q5.
#[must_use]
pub fn log(x: i32, integer_bits: i32) -> i32 {
    const LN_2: i32 = 1_488_522_236;
    const ROOT_OF_HALF: i32 = 1_518_500_250;
    const FOURTH_ROOT_OF_HALF: i32 = 1_805_811_301;
    // Of the numerator, and of the denominator: of its square, its constant, and its first power.
    const NUMERATOR: i32 = 117_049_297;
    const SQUARE: i32 = 127_690_142;
    const CONSTANT: i32 = 1_057_819_769;
    const FIRST: i32 = 638_450_708;
    // Powers of two are Q6: a quarter of one.
    const QUARTER: i32 = 1 << 23;
    let power = |headroom: i32| saturating_shift_left(integer_bits.saturating_sub(headroom), 25);
    // x is 2^a times one number from 1/2 to 1, and 2^b times another from √2/2 to √2: the smaller one counts.
    let a = x.leading_zeros() as i32;
    let of_a = mul(saturating_shift_left(x, a.saturating_sub(1).cast_unsigned()), ROOT_OF_HALF);
    let of_a = saturating_shift_left(of_a, 1);
    let b = (mul(x, ROOT_OF_HALF).leading_zeros() as i32).saturating_sub(1);
    let of_b = saturating_shift_left(x, b.cast_unsigned());
    let rest = of_a.min(of_b);
    let power = power(a).saturating_add(QUARTER).max(power(b).saturating_sub(QUARTER));
    let p = rounding_half_sum(rest, FOURTH_ROOT_OF_HALF);
    let q = rest.wrapping_sub(FOURTH_ROOT_OF_HALF).wrapping_mul(2);
    let square = mul(q, q);
    let numerator = mul(q, rest).wrapping_add(mul(mul(q, square), NUMERATOR));
    let denominator = CONSTANT.wrapping_add(q).wrapping_add(mul(SQUARE, square));
    let denominator = mul(p, denominator).wrapping_add(mul(FIRST, q));
    let quotient = mul(rounding_divide_by_pot(numerator, 6), one_over_one_plus_x_for_x_in_0_1(denominator));
    saturating_shift_left(mul(power, LN_2).wrapping_add(quotient), 1)
}

/// `(a + b) / 2`, halves away from zero.
fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a) + i64::from(b);
    let sign = if sum >= 0 { 1 } else { -1 };
    // A 64-bit number divided by two, toward zero, without a call to a division routine.
    let nudged = sum + sign;
    ((nudged + i64::from(nudged < 0)) >> 1) as i32
}

/// `x * 2^bits`, saturating: the same number with `bits` integer bits fewer.
fn saturating_shift_left(x: i32, bits: u32) -> i32 {
    let limit = (1i32.wrapping_shl(31u32.wrapping_sub(bits))).wrapping_sub(1);
    if x > limit {
        i32::MAX
    } else if x < -limit {
        i32::MIN
    } else {
        x.wrapping_shl(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_q(x: i32, integer_bits: i32) -> f64 {
        f64::from(x) * 2f64.powi(integer_bits - 31)
    }

    fn steps(from: i64, to: i64) -> impl Iterator<Item = i32> {
        let count = if cfg!(miri) { 10 } else { 5000 };
        (0..=count).map(move |i| (from + (to - from) * i / count) as i32)
    }

    #[test]
    fn exp_is_near_its_definition() {
        for x in steps(i64::from(i32::MIN), 0) {
            let (result, real) = (from_q(exp_on_negative_values::<5>(x), 0), from_q(x, 5).exp());
            assert!((result - real).abs() < 3e-7, "exp({}) = {result}, not {real}", from_q(x, 5));
        }
        assert_eq!(exp_on_negative_values::<5>(0), i32::MAX);
    }

    #[test]
    fn logistic_and_tanh_are_near_their_definitions_and_odd() {
        for x in steps(i64::from(i32::MIN) + 1, i64::from(i32::MAX)) {
            let real = from_q(x, 4);
            let logistic_error = from_q(logistic::<4>(x), 0) - 1.0 / (1.0 + (-real).exp());
            assert!(logistic_error.abs() < 3e-7, "{real}: {logistic_error}");
            let tanh_error = from_q(tanh(x), 0) - real.tanh();
            assert!(tanh_error.abs() < 3e-7, "{real}: {tanh_error}");
            assert_eq!(tanh(-x), -tanh(x));
        }
    }

    #[test]
    fn reciprocals_are_near_their_definitions() {
        for x in steps(1, i64::from(i32::MAX)) {
            let (scale, bits) = reciprocal(x, 12);
            let result = from_q(scale, 0) * 2f64.powi(-bits);
            let real = 1.0 / from_q(x, 12);
            assert!((result / real - 1.0).abs() < 1e-8, "{x}: {result} {real}");
        }
        for x in steps(0, i64::from(i32::MAX)) {
            let real = from_q(x, 0);
            let minus = from_q(one_minus_x_over_one_plus_x_for_x_in_0_1(x), 0);
            assert!((minus - (1.0 - real) / (1.0 + real)).abs() < 1e-8);
        }
    }

    #[test]
    fn logarithms_are_near_their_definition() {
        for x in steps(1 << 19, i64::from(i32::MAX)) {
            let (result, real) = (from_q(log(x, 12), 5), from_q(x, 12).ln());
            assert!((result - real).abs() < 1e-6, "ln({}) = {result}, not {real}", from_q(x, 12));
        }
        assert!(from_q(log(1 << 19, 12), 5).abs() < 1e-7);
    }

    #[test]
    fn a_half_sum_rounds_halves_away_from_zero() {
        assert_eq!(rounding_half_sum(1, 2), 2);
        assert_eq!(rounding_half_sum(-1, -2), -2);
        assert_eq!(rounding_half_sum(i32::MAX, i32::MAX), i32::MAX);
        assert_eq!(rounding_half_sum(i32::MIN, i32::MIN), i32::MIN);
        assert_eq!(rounding_half_sum(-3, 3), 0);
    }

    #[test]
    fn no_argument_is_out_of_bounds() {
        for x in [i32::MIN, -1, 0, 1, i32::MAX] {
            let _ = (exp_on_negative_values::<5>(x), logistic::<4>(x), tanh(x), reciprocal(x, 12), log(x, 12));
            let _ = one_minus_x_over_one_plus_x_for_x_in_0_1(x);
        }
    }
}
