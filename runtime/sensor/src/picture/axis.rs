//! Resampling along one axis.
//!
//! The weight of sample `x` of `N` for output `i` of `M` falls linearly with the distance of their centres, from its
//! maximum at the same place to 0 at the distance of one sample, or of one output if outputs are further apart:
//! `max(0, 1 - |(x + 1/2) - (i + 1/2) N / M| / max(1, N / M))`. That is linear interpolation where a picture grows, and
//! the mean over all that an output covers where it shrinks (Turkowski, "Filters for Common Resampling Tasks", 1990; the
//! same as Pillow's `BILINEAR`). Multiplied by `2 M max(1, N / M)`, all of it is integers.

use core::ops::Range;

/// The maximum of both numbers: places then have 30 bits.
const MAX: u16 = 16_384;

/// `from` samples that become `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    from: u32,
    to: u32,
}

impl Axis {
    /// The axis, if neither number is 0 or above [`MAX`], and sums of weighted bytes have at most 32 bits.
    pub(crate) fn new(from: u16, to: u16) -> Option<Self> {
        let (n, m) = (u64::from(from), u64::from(to));
        let greater = n.max(m);
        // The area of the triangle over the distance of samples, and its height.
        let total = (2 * greater * greater).checked_div(m)? + 4 * greater;
        (from != 0 && greater <= u64::from(MAX) && total <= u64::from(u32::MAX) / 256)
            .then_some(Self { from: from.into(), to: to.into() })
    }

    /// The samples that output `i` may depend on; a part of `0..from`.
    pub(crate) fn window(self, i: u32) -> Range<u32> {
        let (centre, reach) = (self.centre(i), self.reach());
        // Sample x is at (2 x + 1) * to.
        let first = centre.saturating_sub(reach) / (2 * self.to);
        let end = (centre + reach) / (2 * self.to) + 1;
        first.min(self.from)..end.min(self.from)
    }

    /// The weight of sample `x` for output `i`.
    pub(crate) fn weight(self, i: u32, x: u32) -> u32 {
        self.reach().saturating_sub(self.centre(i).abs_diff((2 * x + 1) * self.to))
    }

    /// The sum of the weights for output `i`; never 0.
    pub(crate) fn total(self, i: u32) -> u32 {
        self.window(i).map(|x| self.weight(i, x)).sum::<u32>().max(1)
    }

    /// Where output `i` is, in units of `1 / (2 * to)` samples.
    const fn centre(self, i: u32) -> u32 {
        (2 * i + 1) * self.from
    }

    /// The distance from which on a weight is 0.
    const fn reach(self) -> u32 {
        2 * if self.from > self.to { self.from } else { self.to }
    }
}

/// `sum / total`, rounded to nearest, halves up: a byte if `sum` is of bytes whose weights add up to `total`.
pub(crate) fn mean(sum: u32, total: u32) -> u32 {
    (sum + total / 2).checked_div(total).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_are_those_of_the_formula_and_no_sum_overflows(
            from in prop_oneof![1_u16..40, any::<u16>()],
            to in prop_oneof![1_u16..40, any::<u16>()],
            at in any::<u16>(),
        ) {
            let Some(axis) = Axis::new(from, to) else { return Ok(()) };
            let i = u32::from(at % to);
            let (n, m) = (f64::from(from), f64::from(to));
            let weight = |x: u32| {
                let distance = (f64::from(x) + 0.5 - (f64::from(i) + 0.5) * n / m).abs();
                (1.0 - distance / (n / m).max(1.0)).max(0.0) * 2.0 * n.max(m)
            };
            let window = axis.window(i);
            for x in window.clone().take(100).chain(window.clone().rev().take(100)) {
                prop_assert!((f64::from(axis.weight(i, x)) - weight(x)).abs() < 1e-3, "{axis:?} {i} {x}");
            }
            prop_assert!(window.start == 0 || weight(window.start - 1) < 1e-3, "{axis:?} {i}");
            prop_assert!(window.end == u32::from(from) || weight(window.end) < 1e-3, "{axis:?} {i}");
            prop_assert!(window.end <= u32::from(from));
            let total: u64 = window.map(|x| u64::from(axis.weight(i, x))).sum();
            prop_assert!(total > 0 && total * 255 + total / 2 <= u64::from(u32::MAX), "{axis:?} {i} {total}");
        }
    }

    #[test]
    fn an_axis_that_stays_copies_its_samples() {
        let axis = Axis::new(5, 5).unwrap();
        for i in 0..5 {
            assert_eq!(axis.total(i), axis.weight(i, i));
        }
    }

    #[test]
    fn no_samples_and_far_too_many_are_refused() {
        assert_eq!([(0, 3), (3, 0), (u16::MAX, 1)].map(|(from, to)| Axis::new(from, to)), [None; 3]);
        assert!(Axis::new(4096, 8).is_some() && Axis::new(1, MAX).is_some());
    }
}
