//! The factor between two quantizations.

/// A factor as a Q31 multiplier and a power of two: `multiplier * 2^(shift - 31)`.
///
/// In a checked plan the multiplier is not negative and the shift is in -31..=30.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// Q31 mantissa, 0 to 2^31 - 1; in `[2^30, 2^31)` unless the factor is 0 or too small for that.
    pub multiplier: i32,
    /// Power of two; positive shifts left.
    pub shift: i32,
}

impl Multiplier {
    /// The factor `multiplier * 2^(shift - 31)`.
    pub const fn new(multiplier: i32, shift: i32) -> Self {
        Self { multiplier, shift }
    }
}
