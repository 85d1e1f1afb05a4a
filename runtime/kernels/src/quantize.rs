//! Quantize and Dequantize: conversions between `f32` and 8 bits.
//!
//! `q = clamp(round(x / scale) + zero_point)`, halves away from zero; `x = scale * (q - zero_point)`.
//! Each is a single `f32` operation, so the bits are the same on every target.
//!
//! Source: TensorFlow Lite Micro `reference_ops::AffineQuantize` and `Dequantize`.

/// Parameters of [`quantize_i8`] and [`quantize_u8`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantize {
    /// Real value of one quantized step.
    pub scale: f32,
    /// Quantized value of a real zero.
    pub zero_point: i32,
    /// Minimum of the output.
    pub min: i32,
    /// Maximum of the output.
    pub max: i32,
}

/// Parameters of [`dequantize_i8`] and [`dequantize_u8`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dequantize {
    /// Real value of one quantized step.
    pub scale: f32,
    /// Quantized value of a real zero.
    pub zero_point: i32,
}

impl Quantize {
    /// Quantizes one value. Values out of range are clamped, NaN becomes the zero point.
    #[inline]
    fn apply(&self, x: f32) -> i32 {
        let rounded = round_half_away(x / self.scale);
        crate::quant::clamp(rounded.saturating_add(self.zero_point), [self.min, self.max])
    }
}

impl Dequantize {
    #[inline]
    fn apply(&self, q: i32) -> f32 {
        self.scale * q.wrapping_sub(self.zero_point) as f32
    }
}

/// Rounds to the nearest integer, halves away from zero, saturating; NaN becomes 0.
#[inline]
pub(crate) fn round_half_away(x: f32) -> i32 {
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

/// Quantizes to int8. The caller slices input and output to the rows it wants.
pub fn quantize_i8(p: &Quantize, input: &[f32], output: &mut [i8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = p.apply(x) as i8;
    }
}

/// Quantizes to uint8. The caller slices input and output to the rows it wants.
pub fn quantize_u8(p: &Quantize, input: &[f32], output: &mut [u8]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = p.apply(x) as u8;
    }
}

/// Dequantizes int8. The caller slices input and output to the rows it wants.
pub fn dequantize_i8(p: &Dequantize, input: &[i8], output: &mut [f32]) {
    for (output, &q) in output.iter_mut().zip(input) {
        *output = p.apply(i32::from(q));
    }
}

/// Dequantizes uint8. The caller slices input and output to the rows it wants.
pub fn dequantize_u8(p: &Dequantize, input: &[u8], output: &mut [f32]) {
    for (output, &q) in output.iter_mut().zip(input) {
        *output = p.apply(i32::from(q));
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
        let p = Quantize { scale: 0.1, zero_point: 5, min: -128, max: 127 };
        let mut output = [0i8; 5];
        let input = [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        quantize_i8(&p, &input, &mut output);
        assert_eq!(output, [127, -128, 127, -128, 5]);
    }

    #[test]
    fn every_byte_survives_a_round_trip() {
        for (scale, zero_point) in [(0.1, 0), (1.0 / 256.0, -128), (3.7e-3, 17)] {
            let q: std::vec::Vec<i8> = (-128..=127).collect();
            let (mut x, mut back) = ([0f32; 256], [0i8; 256]);
            dequantize_i8(&Dequantize { scale, zero_point }, &q, &mut x);
            quantize_i8(&Quantize { scale, zero_point, min: -128, max: 127 }, &x, &mut back);
            assert_eq!(q, back);

            let (q, zero_point) = ((0..=255).collect::<std::vec::Vec<u8>>(), zero_point + 128);
            let mut back = [0u8; 256];
            dequantize_u8(&Dequantize { scale, zero_point }, &q, &mut x);
            quantize_u8(&Quantize { scale, zero_point, min: 0, max: 255 }, &x, &mut back);
            assert_eq!(q, back);
        }
    }
}
