//! Determines scale and zero point of a tensor from its observed values.

use std::fmt;
use tealight_format::Quantization;

/// How the range of an activation is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ranges {
    /// From the observed minimum to the maximum, including outliers of the inputs.
    MinMax,
    /// Without outliers, and without one value in ten thousand at each end.
    Percentile,
    /// Without outliers, the range with the minimum mean squared error: a little clipping for finer steps.
    Mse,
}

/// The share of values that [`Ranges::Percentile`] leaves out at each end.
const LEFT_OUT: f64 = 1e-4;

/// Bins of a histogram: eight to each step of an 8-bit range.
pub(super) const BINS: usize = 2048;

/// The quantization that is chosen for an int8 tensor, with a conversion in f64.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Params(pub(crate) Quantization);

/// The observed values of a tensor.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// The minimum and maximum, outliers included; widened to hold 0.
    all: [f32; 2],
    /// The minimum of ordinary values, at most 0.
    low: f32,
    /// The maximum of ordinary values, at least 0.
    high: f32,
    /// The count of values in each bin between them, without zeros, which are exact in any quantization.
    bins: Vec<u64>,
    /// The count of all values, including zeros.
    count: u64,
}

impl Ranges {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::MinMax, Self::Percentile, Self::Mse];
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MinMax => "min/max",
            Self::Percentile => "percentile 99.99",
            Self::Mse => "least squared error",
        })
    }
}

impl Params {
    /// Returns the quantization of `low..=high`, widened to hold 0, which it represents exactly.
    pub(super) fn of(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        // For a tensor that only holds 0, the step does not matter.
        let width = if high > low { f64::from(high) - f64::from(low) } else { 1.0 };
        let scale = ((width / 255.0) as f32).max(f32::MIN_POSITIVE);
        let zero_point = (-128.0 - f64::from(low) / f64::from(scale)).round();
        Self(Quantization::new(scale, zero_point.clamp(-128.0, 127.0) as i32))
    }

    pub(crate) fn quantize(self, real: f32) -> i8 {
        let steps = (f64::from(real) / f64::from(self.0.scale)).round() + f64::from(self.0.zero_point);
        steps.clamp(-128.0, 127.0) as i8
    }

    pub(crate) fn dequantize(self, integer: i8) -> f32 {
        self.0.dequantize(integer.into())
    }
}

impl Histogram {
    /// The approximate size of a histogram, in bytes.
    pub(super) const BYTES: u64 = (BINS * size_of::<u64>()) as u64;

    /// Creates an empty histogram of a tensor with known extremes: with outliers, and those of ordinary values.
    pub(super) fn new(all: [f32; 2], [low, high]: [f32; 2]) -> Self {
        let all = [all[0].min(0.0), all[1].max(0.0)];
        Self { all, low: low.min(0.0), high: high.max(0.0), bins: vec![0; BINS], count: 0 }
    }

    /// Counts ordinary values.
    pub(super) fn add(&mut self, numbers: &[f32]) {
        self.count += numbers.len() as u64;
        let per_unit = BINS as f64 / (f64::from(self.high) - f64::from(self.low));
        for &number in numbers.iter().filter(|number| **number != 0.0) {
            let bin = ((f64::from(number) - f64::from(self.low)) * per_unit) as usize;
            self.bins[bin.min(BINS - 1)] += 1;
        }
    }

    /// Returns the quantization that the method `ranges` chooses.
    pub(super) fn params(&self, ranges: Ranges) -> Params {
        match ranges {
            Ranges::MinMax => Params::of(self.all[0], self.all[1]),
            Ranges::Percentile => self.percentile(),
            Ranges::Mse => self.min_error(),
        }
    }

    /// Returns the middle of a bin.
    fn middle(&self, bin: usize) -> f32 {
        self.low + (self.high - self.low) * ((bin as f32 + 0.5) / BINS as f32)
    }

    /// Returns the first bin at which the values so far are more than may be left out.
    fn first_kept(&self, mut bins: impl Iterator<Item = usize>) -> Option<usize> {
        let allowed = (self.count as f64 * LEFT_OUT) as u64;
        let mut left_out = 0;
        bins.find(|&bin| {
            left_out += self.bins[bin];
            left_out > allowed
        })
    }

    fn percentile(&self) -> Params {
        let (first, last) = (self.first_kept(0..BINS), self.first_kept((0..BINS).rev()));
        let width = (self.high - self.low) / BINS as f32;
        let low = first.map_or(self.low, |bin| self.low + width * bin as f32);
        let high = last.map_or(self.high, |bin| self.low + width * (bin + 1) as f32);
        Params::of(low, high)
    }

    /// Searches for the range of minimum error: shrinks both ends together, then each alone.
    fn min_error(&self) -> Params {
        let factors = || (20..=100).map(|percent| percent as f32 / 100.0);
        let best = |candidates: &mut dyn Iterator<Item = [f32; 2]>| {
            let error = |range: &[f32; 2]| self.error(Params::of(range[0], range[1]));
            // `min_by` returns the first of equals, so the callers pass the widest range first.
            candidates.map(|range| (error(&range), range)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, range)| range)
        };
        let whole = [self.low, self.high];
        let [low, high] = best(&mut factors().rev().map(|f| [self.low * f, self.high * f])).unwrap_or(whole);
        let [low, high] = best(&mut factors().rev().map(|f| [low, self.high * f])).unwrap_or([low, high]);
        let [low, high] = best(&mut factors().rev().map(|f| [self.low * f, high])).unwrap_or([low, high]);
        Params::of(low, high)
    }

    /// Returns the summed squared error of a quantization on the observed values.
    fn error(&self, params: Params) -> f64 {
        let of_bin = |(bin, &count): (usize, &u64)| {
            let real = self.middle(bin);
            let error = f64::from(real - params.dequantize(params.quantize(real)));
            count as f64 * error * error
        };
        self.bins.iter().enumerate().filter(|(_, count)| **count > 0).map(of_bin).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn zero_is_exact_and_every_zero_point_is_an_int8(low in -1e6f32..1e6, width in 0f32..1e6) {
            let params = Params::of(low, low + width);
            prop_assert!((-128..=127).contains(&params.0.zero_point));
            prop_assert!(params.0.scale > 0.0 && params.0.scale.is_finite());
            prop_assert_eq!(params.dequantize(params.quantize(0.0)), 0.0);
        }

        #[test]
        fn values_in_the_range_are_off_by_at_most_half_a_step(low in -100f32..0.0, high in 0.1f32..100.0, t in 0f32..1.0) {
            let params = Params::of(low, high);
            let real = low + t * (high - low);
            let error = (params.dequantize(params.quantize(real)) - real).abs();
            // The zero point is rounded, so part of the last step may be clipped.
            prop_assert!(error <= params.0.scale * 1.001, "{} of {}", error, params.0.scale);
        }
    }

    #[test]
    fn known_ranges_give_the_known_parameters() {
        assert_eq!(Params::of(0.0, 1.0), Params(Quantization::new(1.0 / 255.0, -128)));
        assert_eq!(Params::of(2.0, 5.1), Params(Quantization::new(0.02, -128)));
        assert_eq!(Params::of(-5.1, -1.0), Params(Quantization::new(0.02, 127)));
        // Only zeros.
        assert_eq!(Params::of(0.0, 0.0).quantize(0.0), -128);
    }

    /// Ten thousand values spread evenly over 0..1, and one outlier.
    fn with_an_outlier() -> Histogram {
        let mut histogram = Histogram::new([0.0, 40.0], [0.0, 40.0]);
        histogram.add(&(1..=10_000).map(|i| i as f32 / 10_000.0).collect::<Vec<_>>());
        histogram.add(&[40.0]);
        histogram
    }

    #[test]
    fn each_range_method_treats_an_outlier_as_documented() {
        let histogram = with_an_outlier();
        let top = |ranges| {
            let params = histogram.params(ranges);
            params.dequantize(127)
        };
        assert!((top(Ranges::MinMax) - 40.0).abs() < 0.1);
        assert!(top(Ranges::Percentile) < 1.1, "{}", top(Ranges::Percentile));
        let mse = top(Ranges::Mse);
        assert!(mse > 1.0 && mse <= 40.1, "{mse}");
    }

    #[test]
    fn only_min_max_ranges_include_outliers() {
        let mut histogram = Histogram::new([-1e30, 1e4], [-1.0, 1.0]);
        histogram.add(&(-1000..=1000).map(|i| i as f32 / 1000.0).collect::<Vec<_>>());
        assert_eq!(histogram.params(Ranges::MinMax), Params::of(-1e30, 1e4));
        for ranges in [Ranges::Percentile, Ranges::Mse] {
            assert!((histogram.params(ranges).0.scale - 2.0 / 255.0).abs() < 2e-4, "{ranges}");
        }
    }

    #[test]
    fn the_minimum_error_is_at_most_that_of_the_whole_range() {
        let mut histogram = Histogram::new([-3.0, 9.0], [-3.0, 9.0]);
        histogram.add(&(0..5_000).map(|i| 9.0 * (i as f32 / 5_000.0).powi(8) - 0.5).collect::<Vec<_>>());
        let [mse, whole] = [Ranges::Mse, Ranges::MinMax].map(|ranges| histogram.error(histogram.params(ranges)));
        assert!(mse < whole, "{mse} against {whole}");
    }
}
