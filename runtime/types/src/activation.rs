//! The range of an integer output.

macro_rules! range {
    ($(#[doc = $doc:literal])+ $name:ident of $code:ty) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            min: $code,
            max: $code,
        }

        impl $name {
            /// All numbers of the type: no activation.
            pub const FULL: Self = Self { min: <$code>::MIN, max: <$code>::MAX };

            /// The range from `min` to `max`; `None` unless `min <= max`.
            #[inline]
            pub const fn new(min: $code, max: $code) -> Option<Self> {
                if min <= max { Some(Self { min, max }) } else { None }
            }

            /// The minimum of the output.
            #[inline]
            pub const fn min(self) -> $code {
                self.min
            }

            /// The maximum of the output.
            #[inline]
            pub const fn max(self) -> $code {
                self.max
            }

            /// Minimum and maximum as the 32-bit words of a plan, or to compare with accumulators.
            #[inline]
            pub const fn bounds(self) -> [i32; 2] {
                [self.min as i32, self.max as i32]
            }

            /// The number of the range that is nearest to `value`.
            #[inline]
            pub const fn clamp(self, value: i32) -> $code {
                let [min, max] = self.bounds();
                let value = if value < min { min } else { value };
                (if value > max { max } else { value }) as $code
            }
        }
    };
}

range! {
    /// The range to which an operator clamps its int8 output, both ends included: its fused activation, or the whole
    /// type.
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
    ActivationRange of i8
}

range! {
    /// The range to which an operator clamps its int16 output: [`ActivationRange`] for the other type.
    ///
    /// ```
    /// use tealight_types::ActivationRangeI16;
    ///
    /// let relu = ActivationRangeI16::new(0, i16::MAX).unwrap();
    /// assert_eq!([-300, 90, 40_000].map(|x| relu.clamp(x)), [0, 90, 32_767]);
    /// ```
    ActivationRangeI16 of i16
}
