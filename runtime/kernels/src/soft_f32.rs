//! Conversions between `f32` and integers in integers, for cores and vectors without floating point.
//!
//! With 24-bit mantissas `m` and exponents `e`, `x / scale` is `m_x / m_scale * 2^(e_x - e_scale)`. One product with a
//! reciprocal of 32 bits yields the quotient of the mantissas times 2^31, at most 3 too small. The nearest `f32` is at most
//! 128 away from that. Unless a half lies in between, rounding gives the same integer as rounding the `f32`.
//!
//! `scale * n` with `n` below 256 is `m_scale * n`, which fits 32 bits, rounded to its first 24: to nearest, ties to even.

use crate::quant::clamp;
use tealight_types::Quantization;

/// The sum of both distances, rounded up.
pub(crate) const MARGIN: u32 = 132;

/// Quotients of at least this power of two are out of range of all types with any zero point.
const BEYOND: i32 = 17;

/// [`portable::quantize_bytes`](crate::portable::quantize_bytes).
// One function for both types in a program.
#[inline(never)]
pub(crate) fn quantize_bytes(to: Quantization, bounds: [i32; 2], input: &[f32], output: &mut [u8]) {
    quantize_each(to, bounds, input, output, |code| code as u8);
}

/// [`portable::dequantize_bytes`](crate::portable::dequantize_bytes).
#[inline(never)]
pub(crate) fn dequantize_bytes(from: Quantization, signed: bool, input: &[u8], output: &mut [f32]) {
    let Some(factor) = Factor::new(from, signed) else {
        return crate::portable::dequantize_bytes(from, signed, input, output);
    };
    for (output, &code) in output.iter_mut().zip(input) {
        *output = factor.value(code);
    }
}

/// Quantizes elements to integers within `bounds`, which are at most those of int16.
#[inline]
pub(crate) fn quantize_each<T>(
    to: Quantization,
    bounds: [i32; 2],
    input: &[f32],
    output: &mut [T],
    store: impl Fn(i32) -> T,
) {
    let reciprocal = Reciprocal::new(to);
    for (output, &x) in output.iter_mut().zip(input) {
        let code = reciprocal.and_then(|reciprocal| reciprocal.quantize(x));
        *output = store(clamp(code.unwrap_or_else(|| quantize(to, x)), bounds));
    }
}

/// The definition, which compilers would else compute for every element and then select from.
#[cold]
#[inline(never)]
fn quantize(to: Quantization, x: f32) -> i32 {
    to.quantize_i16(x).into()
}

/// A scale to divide by.
#[derive(Clone, Copy)]
pub(crate) struct Reciprocal {
    /// `2^55 / m_scale`, rounded down, less one where that is a whole number.
    pub(crate) reciprocal: u32,
    /// The exponent of the scale, as it is stored.
    pub(crate) exponent: i32,
    pub(crate) zero_point: i32,
}

impl Reciprocal {
    /// `None` for a scale of 0 and those near to the limits of `f32`.
    #[inline]
    pub(crate) fn new(by: Quantization) -> Option<Self> {
        let bits = by.scale.to_bits();
        let exponent = (bits >> 23).cast_signed();
        // Not negative, of which the exponent seems to be above 255.
        if !(2..=254 - BEYOND).contains(&exponent) {
            return None;
        }
        Some(Self { reciprocal: reciprocal(mantissa(bits)), exponent, zero_point: by.zero_point })
    }

    /// The integer nearest to `x / scale + zero_point`, halves away from zero, or one that is out of range on the same
    /// side; `None` if this takes a division.
    #[inline]
    pub(crate) fn quantize(&self, x: f32) -> Option<i32> {
        let bits = x.to_bits();
        let power = ((bits >> 23) & 0xff).cast_signed() - self.exponent;
        let magnitude = if power < -1 {
            0
        } else if power < BEYOND {
            let quotient = ((u64::from(mantissa(bits) << 8) * u64::from(self.reciprocal)) >> 32) as u32;
            let nearest = |quotient: u32| ((quotient >> ((30 - power) & 31)) + 1) >> 1;
            let magnitude = nearest(quotient);
            if nearest(quotient.wrapping_add(MARGIN)) != magnitude {
                return None;
            }
            magnitude.cast_signed()
        } else if x.is_nan() {
            0
        } else {
            1 << BEYOND
        };
        let whole = if bits >> 31 == 0 { magnitude } else { -magnitude };
        Some(whole.saturating_add(self.zero_point))
    }
}

/// A scale to multiply codes of 8 bits with.
#[derive(Clone, Copy)]
pub(crate) struct Factor {
    /// The bits to invert for codes that are unsigned: the sign, if there is one.
    pub(crate) flip: u8,
    /// The zero point of these.
    pub(crate) zero_point: i32,
    pub(crate) mantissa: u32,
    /// What is added to the mantissa of a product of 24 bits.
    pub(crate) exponent: u32,
}

impl Factor {
    /// `None` for a zero point out of range, a scale of 0 and those near to the limits of `f32`.
    #[inline]
    pub(crate) fn new(by: Quantization, signed: bool) -> Option<Self> {
        let bits = by.scale.to_bits();
        let flip = if signed { 0x80 } else { 0 };
        let zero_point = by.zero_point.wrapping_add(flip.into());
        // Not negative, of which the exponent seems to be above 255.
        if !(1..=254 - 9).contains(&(bits >> 23)) || !(0..=255).contains(&zero_point) {
            return None;
        }
        Some(Self { flip, zero_point, mantissa: mantissa(bits), exponent: ((bits >> 23) - 1) << 23 })
    }

    /// The value that a code represents.
    #[inline]
    pub(crate) fn value(&self, code: u8) -> f32 {
        let whole = i32::from(code ^ self.flip) - self.zero_point;
        let product = self.mantissa.wrapping_mul(whole.unsigned_abs());
        if product == 0 {
            return 0.0;
        }
        let zeros = leading_zeros(product);
        let aligned = product << zeros;
        // Does not overflow: at most 255 times the mantissa, and a power of two times the mantissa has zeros below.
        let rounded = aligned.wrapping_add(127 + ((aligned >> 8) & 1)) >> 8;
        let magnitude = rounded.wrapping_add(self.exponent).wrapping_add(8u32.wrapping_sub(zeros) << 23);
        f32::from_bits(magnitude | (whole.cast_unsigned() & 1 << 31))
    }
}

/// `(2^55 - 1) / mantissa`, rounded down, a digit at a time: a division of 64 bits would take several hundred bytes of
/// flash.
#[inline]
fn reciprocal(mantissa: u32) -> u32 {
    let (mut quotient, mut remainder) = (0, (1 << 23) - 1);
    if cfg!(arm_v6m) {
        // Bits, without divisions.
        for _ in 0..32 {
            remainder = (remainder << 1) | 1;
            quotient <<= 1;
            if remainder >= mantissa {
                remainder -= mantissa;
                quotient |= 1;
            }
        }
    } else {
        for _ in 0..4 {
            let dividend = (remainder << 8) | 0xff;
            quotient = (quotient << 8) | dividend.checked_div(mantissa).unwrap_or(0);
            remainder = dividend.checked_rem(mantissa).unwrap_or(0);
        }
    }
    quotient
}

/// The leading zeros of a number that has at most eight.
#[inline]
fn leading_zeros(number: u32) -> u32 {
    if cfg!(not(any(arm_v6m, target_arch = "riscv32", target_arch = "riscv64"))) {
        return number.leading_zeros();
    }
    let (mut bits, mut rest) = (0, number >> 24);
    for step in [4, 2, 1] {
        if rest >> step != 0 {
            rest >>= step;
            bits += step;
        }
    }
    8u32.wrapping_sub(bits + rest)
}

/// The 24 bits of a number that is not subnormal.
#[inline]
fn mantissa(bits: u32) -> u32 {
    (bits & 0x7f_ffff) | 0x80_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use tealight_types::ActivationRangeI16;

    /// The same numbers each time.
    fn generator() -> impl FnMut() -> u32 {
        let mut state = 1u32;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) ^ (state << 13)
        }
    }

    /// Mostly a usual scale, else one of any exponent; often the first or the last of an exponent.
    fn scale(random: &mut impl FnMut() -> u32) -> f32 {
        let exponent = if random().is_multiple_of(4) { random() % 256 } else { 110 + random() % 30 };
        let mantissa = [random() & 0x7f_ffff, 0, 1, 0x7f_ffff][random() as usize % 4];
        f32::from_bits((exponent << 23) | mantissa)
    }

    /// What quantization to the type with the most codes makes of `x`, in both ways; and whether it took a division.
    fn same(to: Quantization, x: f32) -> bool {
        let mut code = [0];
        quantize_each(to, ActivationRangeI16::FULL.bounds(), &[x], &mut code, |code| code as i16);
        assert_eq!(code, [to.quantize_i16(x)], "{x:?} by {to:?}");
        Reciprocal::new(to).is_none_or(|reciprocal| reciprocal.quantize(x).is_none())
    }

    #[test]
    fn reciprocals_are_those_of_a_division() {
        for mantissa in (1u32 << 23..1 << 24).step_by(if cfg!(miri) { 1_000_003 } else { 101 }) {
            assert_eq!(u64::from(reciprocal(mantissa)), ((1 << 55) - 1) / u64::from(mantissa));
        }
    }

    #[test]
    fn integers_are_those_of_a_division() {
        let mut random = generator();
        let cases = if cfg!(miri) { 50 } else { 20_000 };
        let mut divisions = 0;
        for _ in 0..cases {
            let scale = scale(&mut random);
            let zero_point = i32::from(random() as i16);
            let to = Quantization::new(scale, zero_point);
            for _ in 0..20 {
                // Around integers and halves, where rounding matters, and anything.
                let whole = (random() % 140_000) as f32 * if random().is_multiple_of(2) { 0.5 } else { 1.0 } - 35_000.0;
                let near = f32::from_bits((whole * scale).to_bits().wrapping_add(random() % 9).wrapping_sub(4));
                let small = f32::from_bits(((random() % 600) as f32 * 0.5 * scale).to_bits() ^ (random() % 4));
                let any = f32::from_bits(random() ^ (random() << 16));
                for x in
                    [near, small, any, any * scale, 0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN]
                {
                    same(to, x);
                }
            }
            divisions += u32::from(same(to, scale * (random() % 65_536) as f32 / 256.0));
        }
        // Few, where they are as likely as in use.
        assert!(divisions < cases / 4, "{divisions}");
    }

    #[test]
    fn values_are_those_of_a_product() {
        let mut random = generator();
        for _ in 0..if cfg!(miri) { 10 } else { 5_000 } {
            let scale = scale(&mut random);
            let signed = random().is_multiple_of(2);
            let from = Quantization::new(scale, (random() % 256).cast_signed() - if signed { 128 } else { 0 });
            let Some(factor) = Factor::new(from, signed) else {
                assert!(!(1..=245).contains(&(scale.to_bits() >> 23)));
                continue;
            };
            for code in 0..=255u8 {
                let mut expected = [0.0];
                crate::portable::dequantize_bytes(from, signed, &[code], &mut expected);
                assert_eq!([factor.value(code)].map(f32::to_bits), expected.map(f32::to_bits), "{code} of {from:?}");
            }
        }
    }
}
