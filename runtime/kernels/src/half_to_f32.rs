//! Conversion between half and single precision. To single, it takes a few operations without a branch; it is used in the
//! inner loops of block products and of layers with f16 weights, where no instruction set can be assumed.

use half::f16;

/// The value of `x`.
///
/// A half's exponent and fraction, moved to the position in a single, are the value times 2^-112, also for subnormals;
/// a multiplication by 2^112 then computes it exactly. Infinities and NaNs get the maximum exponent instead.
#[inline]
pub(crate) fn half_to_f32(x: f16) -> f32 {
    /// 2^112.
    const REBIAS: f32 = f32::from_bits((112 + 127) << 23);
    const INFINITE: u32 = 0x7C00 << 13;
    let bits = u32::from(x.to_bits());
    let magnitude = (bits & 0x7FFF) << 13;
    let finite = (f32::from_bits(magnitude) * REBIAS).to_bits();
    let magnitude = if magnitude >= INFINITE { magnitude | 0x7F80_0000 } else { finite };
    f32::from_bits(magnitude | ((bits & 0x8000) << 16))
}

/// Rounds to the nearest half, ties to even.
#[inline]
pub(crate) fn f32_to_half(x: f32) -> f16 {
    f16::from_f32(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_has_its_value() {
        for bits in (0..=u16::MAX).step_by(if cfg!(miri) { 509 } else { 1 }) {
            let x = f16::from_bits(bits);
            let (ours, theirs) = (half_to_f32(x), x.to_f32());
            assert_eq!(ours.is_nan(), theirs.is_nan());
            assert!(ours.is_nan() || ours.to_bits() == theirs.to_bits(), "{bits:#x}");
        }
    }
}
