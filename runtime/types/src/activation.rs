//! The range of an int8 output.

/// The range to which an operator clamps its int8 output, both ends included: its fused activation, or the whole type.
///
/// The minimum is never above the maximum, so a clamp needs no check.
///
/// ```
/// use tealight_types::ActivationRange;
///
/// let relu = ActivationRange::new(-5, 127).unwrap();
/// assert_eq!([-300, -5, 90, 128].map(|x| relu.clamp(x)), [-5, -5, 90, 127]);
/// assert_eq!(ActivationRange::new(5, 4), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationRange {
    min: i8,
    max: i8,
}

impl ActivationRange {
    /// All of int8: no activation.
    pub const FULL: Self = Self { min: i8::MIN, max: i8::MAX };

    /// The range from `min` to `max`; `None` unless `min <= max`.
    #[inline]
    pub const fn new(min: i8, max: i8) -> Option<Self> {
        if min <= max { Some(Self { min, max }) } else { None }
    }

    /// The minimum of the output.
    #[inline]
    pub const fn min(self) -> i8 {
        self.min
    }

    /// The maximum of the output.
    #[inline]
    pub const fn max(self) -> i8 {
        self.max
    }

    /// Minimum and maximum as the 32-bit words of a plan, or to compare with accumulators.
    #[inline]
    pub const fn bounds(self) -> [i32; 2] {
        [self.min as i32, self.max as i32]
    }

    /// The number of the range that is nearest to `value`.
    #[inline]
    pub const fn clamp(self, value: i32) -> i8 {
        let [min, max] = self.bounds();
        let value = if value < min { min } else { value };
        (if value > max { max } else { value }) as i8
    }
}
