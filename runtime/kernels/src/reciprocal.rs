//! Quantization in integers, for cores that would divide in software.
//!
//! With 24-bit mantissas `m` and exponents `e`, `x / scale` is `m_x / m_scale * 2^(e_x - e_scale)`. One product with a
//! reciprocal of 32 bits yields the quotient of the mantissas times 2^31, at most 3 too small. The nearest `f32` is at most
//! 128 away from that. Unless a half lies in between, rounding gives the same integer as rounding the `f32`.

use crate::quant::clamp;
use tealight_types::Quantization;

/// The sum of both distances, rounded up.
const MARGIN: u32 = 132;

/// Quotients of at least this power of two are out of range of all types with any zero point.
const BEYOND: i32 = 17;

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
    reciprocal: u32,
    /// The exponent of the scale, as it is stored.
    exponent: i32,
    zero_point: i32,
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

/// `(2^55 - 1) / mantissa`, rounded down, bit by bit: a division of 64 bits would take several hundred bytes of flash.
#[inline]
fn reciprocal(mantissa: u32) -> u32 {
    let (mut quotient, mut remainder) = (0, (1 << 23) - 1);
    for _ in 0..32 {
        remainder = (remainder << 1) | 1;
        quotient <<= 1;
        if remainder >= mantissa {
            remainder -= mantissa;
            quotient |= 1;
        }
    }
    quotient
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
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) ^ (state << 13)
        };
        let cases = if cfg!(miri) { 50 } else { 20_000 };
        let mut divisions = 0;
        for _ in 0..cases {
            // From the least scales to the greatest, and usual ones.
            let exponent = if random() % 4 == 0 { random() % 256 } else { 110 + random() % 30 };
            let mantissa = [random() & 0x7f_ffff, 0, 1, 0x7f_ffff][random() as usize % 4];
            let scale = f32::from_bits((exponent << 23) | mantissa);
            let zero_point = i32::from(random() as i16);
            let to = Quantization::new(scale, zero_point);
            for _ in 0..20 {
                // Around integers and halves, where rounding matters, and anything.
                let whole = (random() % 140_000) as f32 * if random() % 2 == 0 { 0.5 } else { 1.0 } - 35_000.0;
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
}
