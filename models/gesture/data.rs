//! The recordings of the Python package `seglearn` 1.2.5, and how they are divided, cut and normalized.

use super::{CHANNELS, EXERCISES, STEP, WINDOW};
use crate::pickle::Pickle;
use crate::random::Random;
use crate::wheel;
use anyhow::{Context as _, Result, bail};
use std::num::NonZeroU16;
use std::path::Path;
use tealight_sensor::series::FrontEnd;
use tealight_sensor::{Normalization, PerChannel};

/// The people who are held out, never used for training or calibration: the last three by number, chosen before any
/// training.
pub const HELD_OUT: [u32; 3] = [8, 9, 10];

/// The package's archive, among the wheels of the cache.
pub const WHEEL: &str = "seglearn-1.2.5-py3-none-any.whl";

/// The mean of each channel over the recordings of the people who are not held out: g, then radians per second.
pub const MEAN: [f32; CHANNELS] = [-0.011, 0.385, -0.139, 0.021, -0.005, 0.016];

/// The standard deviation of each channel over the same recordings.
pub const DEVIATION: [f32; CHANNELS] = [0.934, 0.504, 0.566, 1.041, 2.594, 1.121];

/// The range of normalized values; an int8 of the input is the normalized value times 32.
pub const RANGE: [f32; 2] = [-4.0, 127.0 / 32.0];

/// Six values, fifty times a second.
pub type Reading = [f32; CHANNELS];

/// A person doing an exercise twenty times with the watch on one wrist.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The number of the person.
    pub person: u32,
    /// The index of the exercise in [`EXERCISES`].
    pub exercise: usize,
    /// As measured: g, then radians per second.
    pub readings: Vec<Reading>,
}

/// The recordings, divided by people.
#[derive(Debug)]
pub struct Data {
    /// For training and calibration.
    pub training: Vec<Recording>,
    /// For measurement.
    pub held_out: Vec<Recording>,
}

/// Returns a reading in standard deviations from the mean, clamped to [`RANGE`].
pub fn normalized(reading: Reading) -> Reading {
    std::array::from_fn(|at| ((reading[at] - MEAN[at]) / DEVIATION[at]).clamp(RANGE[0], RANGE[1]))
}

/// Returns what the compiled model's file says of its input: how [`quantized`] readings follow one another.
///
/// # Errors
/// None, as long as [`CHANNELS`] and [`STEP`] are in the ranges of `tealight_sensor`.
pub fn front_end() -> Result<FrontEnd> {
    let numbers = |numbers| PerChannel::each(numbers).context("too many channels");
    let normalization = Normalization { mean: numbers(&MEAN)?, std: numbers(&DEVIATION)? };
    let hop = NonZeroU16::new(u16::try_from(STEP)?);
    Ok(FrontEnd { normalization: Some(normalization), hop })
}

/// Returns a reading as the compiled model's input: normalized, times 32, rounded.
pub fn quantized(reading: Reading) -> [i8; CHANNELS] {
    normalized(reading).map(|value| (value * 32.0).round() as i8)
}

/// Returns normalized readings in Candle's order, one channel after another.
pub fn numbers(window: &[Reading]) -> Vec<f32> {
    let window: Vec<Reading> = window.iter().map(|&reading| normalized(reading)).collect();
    (0..CHANNELS).flat_map(|channel| window.iter().map(move |reading| reading[channel])).collect()
}

impl Recording {
    /// Returns its windows, half overlapping; a remainder at the end is left out.
    pub fn windows(&self) -> impl Iterator<Item = &[Reading]> {
        self.readings.windows(WINDOW).step_by(STEP)
    }
}

/// Reads the package's recordings and divides them.
///
/// # Errors
/// If the package is missing or unexpected.
pub fn load(cache: &Path) -> Result<Data> {
    let file = wheel::read(cache, "seglearn", WHEEL, "seglearn/data/watch_dataset.npy")?;
    let pickle = Pickle::from_npy(&file)?;
    let object = pickle.object()?;
    let numbers = |key| anyhow::Ok(pickle.numbers(pickle.get(object, key)?)?.data);
    let (exercises, people) = (numbers("y")?, numbers("subject")?);
    let readings = pickle.list(pickle.get(object, "X")?)?;
    if readings.len() != 140 || exercises.len() != 140 || people.len() != 140 {
        bail!("{WHEEL} holds {} recordings instead of 140", readings.len());
    }
    let mut data = Data { training: Vec::new(), held_out: Vec::new() };
    for ((&id, exercise), person) in readings.iter().zip(exercises).zip(people) {
        let array = pickle.numbers(id)?;
        let (rows, rest) = array.data.as_chunks::<CHANNELS>();
        let (exercise, person) = (exercise as usize, person as u32);
        if array.dims != [rows.len(), CHANNELS] || !rest.is_empty() || exercise >= EXERCISES.len() {
            bail!("{WHEEL} holds a recording of exercise {exercise} with the shape {:?}", array.dims);
        }
        let readings = rows.iter().map(|row| row.map(|value| value as f32)).collect();
        let recording = Recording { person, exercise, readings };
        if HELD_OUT.contains(&person) { data.held_out.push(recording) } else { data.training.push(recording) }
    }
    check_normalization(&data.training)?;
    Ok(data)
}

/// Checks that [`MEAN`] and [`DEVIATION`] are those of the recordings.
fn check_normalization(recordings: &[Recording]) -> Result<()> {
    for channel in 0..CHANNELS {
        let values = || recordings.iter().flat_map(|one| &one.readings).map(|reading| f64::from(reading[channel]));
        let count = values().count() as f64;
        let mean = values().sum::<f64>() / count;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let off = |constant: f32, value: f64| (f64::from(constant) - value).abs() > 0.000_6;
        if off(MEAN[channel], mean) || off(DEVIATION[channel], deviation) {
            bail!(
                "channel {channel} has mean {mean} and deviation {deviation}, unlike the constants MEAN and DEVIATION"
            );
        }
    }
    Ok(())
}

/// Returns a random window of a recording, augmented: slightly faster or slower, stronger or weaker, and with the watch
/// rotated on the wrist.
pub fn distorted(readings: &[Reading], random: &mut Random) -> Vec<Reading> {
    let speed = random.between(0.8, 1.25);
    let span = (WINDOW - 1) as f64 * speed;
    let start = random.between(0.0, readings.len() as f64 - 1.0 - span);
    let turn = rotation(random);
    let (push, swing) = (random.between(0.9, 1.1), speed * random.between(0.9, 1.1));
    let one = |index: usize| {
        let time = start + speed * index as f64;
        let (before, part) = (time as usize, time.fract() as f32);
        let after = (before + 1).min(readings.len() - 1);
        let [ax, ay, az, wx, wy, wz]: Reading =
            std::array::from_fn(|at| readings[before][at] * (1.0 - part) + readings[after][at] * part);
        let [ax, ay, az] = turned(&turn, [ax, ay, az]).map(|value| value * push as f32);
        let [wx, wy, wz] = turned(&turn, [wx, wy, wz]).map(|value| value * swing as f32);
        [ax, ay, az, wx, wy, wz]
    };
    (0..WINDOW).map(one).collect()
}

/// Returns a rotation around a random axis by about ten degrees, by Rodrigues's formula.
fn rotation(random: &mut Random) -> [[f32; 3]; 3] {
    let axis: [f64; 3] = std::array::from_fn(|_| random.normal());
    let length = axis.iter().map(|a| a * a).sum::<f64>().sqrt().max(1e-9);
    let [x, y, z] = axis.map(|a| a / length);
    let (sin, cos) = (random.normal() * 10f64.to_radians()).sin_cos();
    let rest = 1.0 - cos;
    [
        [cos + x * x * rest, x * y * rest - z * sin, x * z * rest + y * sin],
        [y * x * rest + z * sin, cos + y * y * rest, y * z * rest - x * sin],
        [z * x * rest - y * sin, z * y * rest + x * sin, cos + z * z * rest],
    ]
    .map(|row| row.map(|value| value as f32))
}

fn turned(rotation: &[[f32; 3]; 3], vector: [f32; 3]) -> [f32; 3] {
    rotation.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_normalized_the_same_in_float_and_in_bytes() {
        assert_eq!(quantized(MEAN), [0; CHANNELS]);
        assert_eq!(quantized([100.0; CHANNELS]), [127; CHANNELS]);
        assert_eq!(quantized([-100.0; CHANNELS]), [-128; CHANNELS]);
        let one_more = std::array::from_fn(|at| MEAN[at] + DEVIATION[at]);
        assert_eq!(quantized(one_more), [32; CHANNELS]);
        assert!(normalized(one_more).iter().all(|value| (value - 1.0).abs() < 1e-6));
    }

    #[test]
    fn the_declared_front_end_computes_the_same_bytes() {
        let mut random = Random::new(5);
        let readings: Vec<Reading> =
            (0..1000).map(|_| std::array::from_fn(|_| random.between(-6.0, 6.0) as f32)).collect();
        let mut found = vec![0_i8; readings.len() * CHANNELS];
        let quantization = tealight_format::Quantization::new(1.0 / 32.0, 0);
        front_end().unwrap().fill(readings.as_flattened(), CHANNELS, quantization, &mut found).unwrap();
        assert_eq!(found, readings.iter().flat_map(|&reading| quantized(reading)).collect::<Vec<_>>());
    }

    #[test]
    fn windows_overlap_by_half_and_channels_come_one_after_another() {
        let readings: Vec<Reading> = (0..300).map(|at| [at as f32; CHANNELS]).collect();
        let recording = Recording { person: 1, exercise: 0, readings };
        let starts: Vec<f32> = recording.windows().map(|window| window[0][0]).collect();
        assert_eq!(starts, [0.0, 64.0, 128.0]);
        let numbers = numbers(&[MEAN, [100.0; CHANNELS]]);
        assert_eq!(numbers.len(), 2 * CHANNELS);
        assert_eq!(numbers[..4], [0.0, RANGE[1], 0.0, RANGE[1]]);
    }

    #[test]
    fn a_turned_watch_measures_forces_of_the_same_size() {
        let mut random = Random::new(4);
        for _ in 0..100 {
            let [x, y, z] = turned(&rotation(&mut random), [3.0, -4.0, 12.0]);
            assert!(((x * x + y * y + z * z).sqrt() - 13.0).abs() < 1e-4);
        }
    }
}
