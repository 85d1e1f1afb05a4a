//! Determines scale and zero point of a tensor from its observed values.

use crate::ir::graph::ElementType;
use std::fmt;
use tealight_format::Quantization;

/// The type of a quantized network's activations: the tensors between its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activations {
    /// 8 bits, with a zero point.
    #[default]
    Int8,
    /// 16 bits, symmetric, with weights of 8 bits and biases of 64: "16x8".
    Int16,
}

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

/// The quantization that is chosen for a tensor, with a conversion in f64.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Params {
    pub(crate) quantization: Quantization,
    pub(crate) activations: Activations,
}

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

impl Activations {
    /// Returns its name in options and reports: `int8` or `16x8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "16x8",
        }
    }

    /// Returns the type of the tensors.
    pub(super) fn dtype(self) -> ElementType {
        match self {
            Self::Int8 => ElementType::I8,
            Self::Int16 => ElementType::I16,
        }
    }

    /// Returns the type of a layer's biases.
    pub(super) fn bias_type(self) -> ElementType {
        match self {
            Self::Int8 => ElementType::I32,
            Self::Int16 => ElementType::I64,
        }
    }

    /// Returns the lowest and the highest code.
    pub(super) fn codes(self) -> [i32; 2] {
        match self {
            Self::Int8 => [i8::MIN.into(), i8::MAX.into()],
            Self::Int16 => [i16::MIN.into(), i16::MAX.into()],
        }
    }
}

impl Params {
    pub(crate) fn new(quantization: Quantization, activations: Activations) -> Self {
        Self { quantization, activations }
    }

    /// Returns the quantization of `low..=high`, widened to hold 0, which it represents exactly.
    pub(super) fn of(low: f32, high: f32, activations: Activations) -> Self {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let (width, steps) = match activations {
            Activations::Int8 => (high - low, 255.0),
            Activations::Int16 => (high.max(-low), 32_767.0),
        };
        // For a tensor that only holds 0, the step does not matter.
        let width = if width > 0.0 { width } else { 1.0 };
        let scale = ((width / steps) as f32).max(f32::MIN_POSITIVE);
        let zero_point = match activations {
            Activations::Int8 => (-128.0 - low / f64::from(scale)).round().clamp(-128.0, 127.0) as i32,
            Activations::Int16 => 0,
        };
        Self::new(Quantization::new(scale, zero_point), activations)
    }

    /// Returns the code nearest to `real`.
    pub(crate) fn quantize(self, real: f32) -> i32 {
        let Quantization { scale, zero_point } = self.quantization;
        let [lowest, highest] = self.activations.codes().map(f64::from);
        let steps = (f64::from(real) / f64::from(scale)).round() + f64::from(zero_point);
        steps.clamp(lowest, highest) as i32
    }

    pub(crate) fn dequantize(self, code: i32) -> f32 {
        self.quantization.dequantize(code)
    }

    /// Returns the code nearest to each of `numbers`, as little-endian bytes.
    pub(super) fn bytes(self, numbers: &[f32]) -> Vec<u8> {
        let size = self.activations.dtype().size().unwrap_or(1);
        numbers.iter().flat_map(|&number| self.quantize(number).to_le_bytes().into_iter().take(size)).collect()
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
    pub(super) fn params(&self, ranges: Ranges, activations: Activations) -> Params {
        let [low, high] = match ranges {
            Ranges::MinMax => self.all,
            Ranges::Percentile => self.percentile(),
            Ranges::Mse => self.min_error(activations),
        };
        Params::of(low, high, activations)
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

    fn percentile(&self) -> [f32; 2] {
        let (first, last) = (self.first_kept(0..BINS), self.first_kept((0..BINS).rev()));
        let width = (self.high - self.low) / BINS as f32;
        let low = first.map_or(self.low, |bin| self.low + width * bin as f32);
        let high = last.map_or(self.high, |bin| self.low + width * (bin + 1) as f32);
        [low, high]
    }

    /// Searches for the range of minimum error: shrinks both ends together, then each alone.
    fn min_error(&self, activations: Activations) -> [f32; 2] {
        let factors = || (20..=100).map(|percent| percent as f32 / 100.0);
        let best = |candidates: &mut dyn Iterator<Item = [f32; 2]>| {
            let error = |range: &[f32; 2]| self.error(Params::of(range[0], range[1], activations));
            // `min_by` returns the first of equals, so the callers pass the widest range first.
            candidates.map(|range| (error(&range), range)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, range)| range)
        };
        let whole = [self.low, self.high];
        let [low, high] = best(&mut factors().rev().map(|f| [self.low * f, self.high * f])).unwrap_or(whole);
        let [low, high] = best(&mut factors().rev().map(|f| [low, self.high * f])).unwrap_or([low, high]);
        best(&mut factors().rev().map(|f| [self.low * f, high])).unwrap_or([low, high])
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
        fn zero_is_exact_and_every_zero_point_is_a_code(low in -1e6f32..1e6, width in 0f32..1e6) {
            for activations in [Activations::Int8, Activations::Int16] {
                let params = Params::of(low, low + width, activations);
                let Quantization { scale, zero_point } = params.quantization;
                prop_assert!((-128..=127).contains(&zero_point));
                prop_assert!(scale > 0.0 && scale.is_finite());
                prop_assert!(activations == Activations::Int8 || zero_point == 0);
                prop_assert_eq!(params.dequantize(params.quantize(0.0)), 0.0);
            }
        }

        #[test]
        fn values_in_the_range_are_off_by_at_most_half_a_step(low in -100f32..0.0, high in 0.1f32..100.0, t in 0f32..1.0) {
            for activations in [Activations::Int8, Activations::Int16] {
                let params = Params::of(low, high, activations);
                let real = low + t * (high - low);
                let error = (params.dequantize(params.quantize(real)) - real).abs();
                // The zero point is rounded, so part of the last step may be clipped.
                let scale = params.quantization.scale;
                prop_assert!(error <= scale * 1.001, "{} of {}", error, scale);
            }
        }
    }

    #[test]
    fn known_ranges_give_the_known_parameters() {
        let int8 = |low, high| Params::of(low, high, Activations::Int8);
        let int16 = |low, high| Params::of(low, high, Activations::Int16);
        assert_eq!(int8(0.0, 1.0).quantization, Quantization::new(1.0 / 255.0, -128));
        assert_eq!(int8(2.0, 5.1).quantization, Quantization::new(0.02, -128));
        assert_eq!(int8(-5.1, -1.0).quantization, Quantization::new(0.02, 127));
        assert_eq!(int16(-0.5, 1.0).quantization, Quantization::new(1.0 / 32_767.0, 0));
        assert_eq!(int16(-2.0, 1.0).quantization, Quantization::new(2.0 / 32_767.0, 0));
        assert_eq!([-9.0, -2.0, 1.0, 2.0].map(|x| int16(-2.0, 1.0).quantize(x)), [-32_768, -32_767, 16_384, 32_767]);
        assert_eq!(int16(-2.0, 1.0).bytes(&[-2.0, 0.0]), [1, 128, 0, 0]);
        // Only zeros.
        assert_eq!(int8(0.0, 0.0).quantize(0.0), -128);
        assert_eq!(int16(0.0, 0.0).quantize(0.0), 0);
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
            let params = histogram.params(ranges, Activations::Int8);
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
        let int8 = |ranges| histogram.params(ranges, Activations::Int8);
        assert_eq!(int8(Ranges::MinMax), Params::of(-1e30, 1e4, Activations::Int8));
        for ranges in [Ranges::Percentile, Ranges::Mse] {
            assert!((int8(ranges).quantization.scale - 2.0 / 255.0).abs() < 2e-4, "{ranges}");
        }
    }

    #[test]
    fn the_minimum_error_is_at_most_that_of_the_whole_range() {
        let mut histogram = Histogram::new([-3.0, 9.0], [-3.0, 9.0]);
        histogram.add(&(0..5_000).map(|i| 9.0 * (i as f32 / 5_000.0).powi(8) - 0.5).collect::<Vec<_>>());
        let [mse, whole] =
            [Ranges::Mse, Ranges::MinMax].map(|ranges| histogram.error(histogram.params(ranges, Activations::Int8)));
        assert!(mse < whole, "{mse} against {whole}");
    }
}
