//! What the integers of a quantized tensor represent.

use crate::{ActivationRange, ActivationRangeI16};

/// The quantization of a whole tensor: an integer `q` represents `scale * (q - zero_point)`.
///
/// The conversions are single f32 operations, so the bits are the same on every target. Sources: TensorFlow Lite Micro
/// `reference_ops::AffineQuantize` and `Dequantize`.
///
/// ```
/// use tealight_types::Quantization;
///
/// let q = Quantization::new(0.5, -3);
/// assert_eq!([0.0, 1.25, -1.25, 1e9, f32::NAN].map(|x| q.quantize(x)), [-3, 0, -6, 127, -3]);
/// assert_eq!(q.dequantize(0), 1.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The difference of the values that two adjacent integers represent. 0 in a tensor that is not quantized.
    pub scale: f32,
    /// The integer that represents 0; in the range of the tensor's element type.
    pub zero_point: i32,
}

impl Quantization {
    /// That of a tensor that is not quantized: scale and zero point 0.
    pub const NONE: Self = Self::new(0.0, 0);

    /// The quantization with this scale and zero point.
    pub const fn new(scale: f32, zero_point: i32) -> Self {
        Self { scale, zero_point }
    }

    /// The int8 code nearest to `x`: `round(x / scale) + zero_point`, halves away from zero. A value out of range is
    /// clamped, and NaN becomes the zero point.
    #[inline]
    pub const fn quantize(self, x: f32) -> i8 {
        ActivationRange::FULL.clamp(self.unbounded(x))
    }

    /// The uint8 code nearest to `x`: [`quantize`](Self::quantize) for the other 8-bit type.
    #[inline]
    pub const fn quantize_u8(self, x: f32) -> u8 {
        let code = self.unbounded(x);
        (if code < 0 {
            0
        } else if code > 255 {
            255
        } else {
            code
        }) as u8
    }

    /// The int16 code nearest to `x`: [`quantize`](Self::quantize) for the 16-bit type.
    #[inline]
    pub const fn quantize_i16(self, x: f32) -> i16 {
        ActivationRangeI16::FULL.clamp(self.unbounded(x))
    }

    /// The value that the integer `q` represents.
    #[inline]
    pub const fn dequantize(self, q: i32) -> f32 {
        self.scale * q.wrapping_sub(self.zero_point) as f32
    }

    /// The code nearest to `x` in a type of 32 bits.
    #[inline]
    const fn unbounded(self, x: f32) -> i32 {
        round_half_away(x / self.scale).saturating_add(self.zero_point)
    }
}

/// Rounds to the nearest integer, halves away from zero, saturating; NaN becomes 0.
#[inline]
pub const fn round_half_away(x: f32) -> i32 {
    // The conversion truncates and saturates. Values from 2^23 on have no fraction, and below
    // that the subtraction is exact.
    let whole = x as i32;
    let fraction = x - whole as f32;
    if fraction >= 0.5 {
        whole.saturating_add(1)
    } else if fraction <= -0.5 {
        whole.saturating_sub(1)
    } else {
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_away_from_zero() {
        for (x, expected) in [
            (0.5, 1),
            (-0.5, -1),
            (1.5, 2),
            (-2.5, -3),
            (0.499_999_97, 0),
            (-0.499_999_97, 0),
            (8_388_609.0, 8_388_609),
            (f32::NAN, 0),
        ] {
            assert_eq!(round_half_away(x), expected, "{x}");
        }
    }

    #[test]
    fn values_beyond_the_range_are_clamped() {
        let q = Quantization::new(0.1, 5);
        let input = [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        assert_eq!(input.map(|x| q.quantize(x)), [127, -128, 127, -128, 5]);
        assert_eq!(input.map(|x| q.quantize_u8(x)), [255, 0, 255, 0, 5]);
        assert_eq!(input.map(|x| q.quantize_i16(x)), [32_767, -32_768, 32_767, -32_768, 5]);
        // With a scale of 0 all numbers but 0 are out of range.
        for scale in [1e-30, 0.0] {
            assert_eq!([6.0, -1.0, 0.0].map(|x| Quantization::new(scale, 1).quantize(x)), [127, -128, 1]);
        }
    }

    #[test]
    fn every_byte_survives_a_round_trip() {
        for (scale, zero_point) in [(0.1, 0), (1.0 / 256.0, -128), (3.7e-3, 17)] {
            let (signed, unsigned) = (Quantization::new(scale, zero_point), Quantization::new(scale, zero_point + 128));
            for q in i8::MIN..=i8::MAX {
                assert_eq!(signed.quantize(signed.dequantize(q.into())), q);
            }
            for q in 0..=u8::MAX {
                assert_eq!(unsigned.quantize_u8(unsigned.dequantize(q.into())), q);
            }
        }
    }
}
