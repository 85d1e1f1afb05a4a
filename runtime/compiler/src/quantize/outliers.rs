//! Finds values in the calibration data that are far from all others.
//!
//! One wrong value sets the range of every tensor that it passes through, and with it the step of all ordinary values.
//! It also distorts a signal-to-noise ratio that is summed over samples, because it is nearly all of the signal. So
//! outliers are looked for at their origin, the inputs, and methods that should withstand them use samples in which
//! they are clamped to the range of the others. An outlier differs from a long tail by the gap before it.

use super::samples::Samples;
use crate::ir::graph::{ElementType, Graph};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The ratio of an outlier to the next largest value: an outlier costs the other values two bits.
const GAP: f32 = 4.0;

/// The ratio of a loud sample to the next, by the maximum magnitude of a tensor within the network. Such tensors may be
/// almost zero except in a few samples, so the ratio is larger than [`GAP`].
const LOUD: f32 = 8.0;

/// At most one sample in this many is an outlier as a whole; if there are more, they are a rare kind of input.
const SAMPLES: usize = 100;

/// The minimum number of samples to judge whether one is unlike the others.
const MIN_SAMPLES: usize = 10;

/// At most one value in this many is an outlier.
const NUMBERS: usize = 1000;

/// At most one sample in this many has an outlier at the same index. An index with more of them holds another quantity
/// than the others.
const PLACES: usize = 20;

/// The minimum number of samples to judge that.
const MIN_SAMPLES_AT_INDEX: usize = 4;

/// Samples without outliers.
#[derive(Debug)]
pub(super) struct Outliers {
    /// The samples, with outliers clamped to the maximum magnitude of other values.
    pub(super) clipped: Vec<Vec<Vec<f32>>>,
    /// The positions of the outliers, for each input that has any.
    pub(super) warnings: Vec<String>,
}

/// The outliers of one input.
struct InputOutliers {
    /// The maximum magnitude of other values.
    limit: f32,
    /// Sample, index in the input, and value.
    places: Vec<(usize, usize, f32)>,
}

impl Outliers {
    /// Looks for outliers in the inputs of `graph`; returns `None` if there are none.
    pub(super) fn find(graph: &Graph, samples: Samples<'_>) -> Option<Self> {
        let mut clipped: Option<Vec<Vec<Vec<f32>>>> = None;
        let mut warnings = Vec::new();
        let mut start = 0;
        for &id in &graph.inputs {
            let tensor = &graph.tensors[id];
            let range = start..start + tensor.elements();
            start = range.end;
            if tensor.dtype != ElementType::F32 {
                continue;
            }
            let parts: Vec<&[f32]> = samples.iter().map(|sample| &sample.numbers[range.clone()]).collect();
            let Some(found) = find(&parts) else { continue };
            warnings.push(warning(&tensor.name, &found));
            let clipped = clipped.get_or_insert_with(|| samples.to_vec());
            let mut all: Vec<&mut Vec<f32>> = clipped.iter_mut().flatten().collect();
            for &(sample, index, value) in &found.places {
                all[sample][range.start + index] = found.limit.copysign(value);
            }
        }
        clipped.map(|clipped| Self { clipped, warnings })
    }
}

fn warning(input: &str, found: &InputOutliers) -> String {
    let (sample, index, value) = found
        .places
        .iter()
        .copied()
        .fold((0, 0, 0.0f32), |largest, place| if place.2.abs() > largest.2.abs() { place } else { largest });
    let more = match found.places.len() - 1 {
        0 => String::new(),
        1 => " (and one more is like it)".into(),
        more => format!(" (and {more} more are like it)"),
    };
    format!(
        "calibration sample {sample} is {value:?} at index {index} of input `{input}`{more}, where other numbers reach {} at \
         most: an outlier; check whether it is an error in the data",
        found.limit
    )
}

/// Returns the outliers among the samples of one input.
fn find(samples: &[&[f32]]) -> Option<InputOutliers> {
    let peaks: Vec<f32> = samples.iter().map(|sample| peak(sample)).collect();
    let of_numbers = ordinary_limit(samples);
    let limit = match (gap(&peaks, GAP), of_numbers) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    let mut places = Vec::new();
    let mut at_index: HashMap<usize, usize> = HashMap::new();
    for (k, sample) in samples.iter().enumerate().filter(|(k, _)| peaks[*k] > limit) {
        for (index, &value) in sample.iter().enumerate().filter(|(_, value)| value.abs() > limit) {
            places.push((k, index, value));
            *at_index.entry(index).or_default() += 1;
        }
    }
    let few = (samples.len() / PLACES).max(1);
    places.retain(|(_, index, _)| at_index.get(index).is_some_and(|&count| count <= few));
    (!places.is_empty()).then_some(InputOutliers { limit, places })
}

/// Returns the maximum magnitude of the single values that are not outliers, if there are outliers. Zeros do not count:
/// they are exact in any range.
fn ordinary_limit(samples: &[&[f32]]) -> Option<f32> {
    let count = samples.iter().flat_map(|sample| *sample).filter(|number| **number != 0.0).count();
    let few = count / NUMBERS;
    if few == 0 || samples.len() < MIN_SAMPLES_AT_INDEX {
        return None;
    }
    // The bit patterns of non-negative floats are ordered like the floats.
    let mut largest = BinaryHeap::with_capacity(few + 2);
    for number in samples.iter().flat_map(|sample| *sample) {
        let bits = Reverse(number.abs().to_bits());
        if largest.len() <= few {
            largest.push(bits);
        } else if largest.peek().is_some_and(|smallest| bits < *smallest) {
            largest.pop();
            largest.push(bits);
        }
    }
    let sorted: Vec<f32> = largest.into_sorted_vec().into_iter().map(|Reverse(bits)| f32::from_bits(bits)).collect();
    before_gap(&sorted, few, GAP)
}

/// Returns the first of the magnitudes, in descending order, that follows a gap; at most `few` may be before the gap.
fn before_gap(sorted: &[f32], few: usize, factor: f32) -> Option<f32> {
    let gap = |&k: &usize| sorted[k] > 0.0 && sorted[k - 1] > factor * sorted[k];
    (1..=few.min(sorted.len().saturating_sub(1))).rev().find(gap).map(|k| sorted[k])
}

/// Returns the maximum peak of ordinary samples, if a few samples have far larger peaks.
fn gap(peaks: &[f32], factor: f32) -> Option<f32> {
    if peaks.len() < MIN_SAMPLES {
        return None;
    }
    let mut sorted = peaks.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let limit = before_gap(&sorted, (peaks.len() / SAMPLES).max(1), factor)?;
    // If most samples are nearly zero, the ones with large values are the signal, not outliers.
    (sorted[sorted.len() / 2] * 16.0 >= limit).then_some(limit)
}

/// Returns which samples are loud, given the maximum magnitude of a tensor within the network in each.
pub(super) fn loud(peaks: &[f32]) -> Vec<bool> {
    let limit = gap(peaks, LOUD).unwrap_or(f32::INFINITY);
    peaks.iter().map(|&peak| peak > limit).collect()
}

/// Returns the maximum magnitude.
pub(super) fn peak(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |peak, number| peak.max(number.abs()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Build, numbers};
    use super::*;

    fn places(samples: &[Vec<f32>]) -> Vec<(usize, usize)> {
        let samples: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
        find(&samples).map_or_else(Vec::new, |found| found.places.iter().map(|place| (place.0, place.1)).collect())
    }

    fn ordinary(count: u32, len: usize) -> Vec<Vec<f32>> {
        (0..count).map(|seed| numbers(seed * 31 + 1, len)).collect()
    }

    #[test]
    fn one_value_far_from_all_others_is_an_outlier_at_either_end() {
        let mut samples = ordinary(64, 4);
        assert_eq!(places(&samples), []);
        for value in [1e4, -1e4, 5.0, f32::MAX] {
            samples[17][3] = value;
            assert_eq!(places(&samples), [(17, 3)], "{value}");
        }
        samples[17][3] = 3.0;
        assert_eq!(places(&samples), []);
    }

    #[test]
    fn one_value_in_a_thousand_is_an_outlier_in_any_sample() {
        let mut samples = ordinary(10, 3000);
        for (k, sample) in samples.iter_mut().enumerate() {
            sample[k * 11] = 50.0 * (k + 1) as f32;
            sample[k * 13 + 1000] = -700.0;
        }
        assert_eq!(places(&samples).len(), 20);
    }

    #[test]
    fn clamps_a_sample_that_is_louder_as_a_whole() {
        let mut samples = ordinary(40, 16);
        samples[3].iter_mut().for_each(|number| *number *= 1000.0);
        let found = places(&samples);
        assert!(found.len() > 10 && found.iter().all(|place| place.0 == 3), "{found:?}");
    }

    #[test]
    fn another_unit_and_a_long_tail_are_not_outliers() {
        let mut samples = ordinary(40, 2000);
        samples.iter_mut().for_each(|sample| sample[7] = sample[7] * 100.0 + 500.0);
        assert_eq!(places(&samples), []);
        // Each is 1.5 times the one before it.
        let tail: Vec<Vec<f32>> = (0..40).map(|k| vec![1.5f32.powi(k), 0.1]).collect();
        assert_eq!(places(&tail), []);
    }

    #[test]
    fn several_rare_loud_samples_are_not_outliers() {
        let mut samples = ordinary(100, 4);
        for k in [10, 40, 70] {
            samples[k].iter_mut().for_each(|number| *number *= 20.0);
        }
        assert_eq!(places(&samples), []);
    }

    #[test]
    fn finds_no_outliers_in_silence_or_few_samples() {
        let mut samples = vec![vec![0.0; 8]; 40];
        samples[5] = numbers(1, 8);
        assert_eq!(places(&samples), []);
        let mut few = ordinary(3, 2000);
        few[1][0] = 1e4;
        assert_eq!(places(&few), []);
        let mut few = ordinary(9, 8);
        few[1][0] = 1e4;
        assert_eq!(places(&few), []);
        assert_eq!(loud(&[0.0, 0.0, 5.0]), [false; 3]);
    }

    #[test]
    fn clamps_outliers_and_names_their_position() {
        let mut b = Build::default();
        let (x, y) = (b.input(&[1, 2]), b.input(&[1, 3]));
        b.0.outputs = vec![x, y];
        let mut streams: Vec<Vec<Vec<f32>>> = ordinary(40, 5).chunks(8).map(<[_]>::to_vec).collect();
        assert!(Outliers::find(&b.0, Samples::new(&b.0, &streams).unwrap()).is_none());
        streams[2][4][3] = -1e4;
        let others = streams.iter().flatten().flat_map(|sample| &sample[2..]).filter(|number| number.abs() < 2.0);
        let reach = others.fold(0f32, |reach, number| reach.max(number.abs()));
        let outliers = Outliers::find(&b.0, Samples::new(&b.0, &streams).unwrap()).unwrap();
        assert_eq!(outliers.clipped[2][4][3], -reach);
        let [warning] = &outliers.warnings[..] else { panic!("{:?}", outliers.warnings) };
        assert!(warning.starts_with("calibration sample 20 is -10000.0 at index 1 of input `x1`, where"), "{warning}");
        streams[2][4][3] = -reach;
        assert_eq!(outliers.clipped, streams);
    }
}
