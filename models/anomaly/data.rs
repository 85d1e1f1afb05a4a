//! The recordings of the model `gesture`, and their windows as this network takes them.

use super::READINGS;
use crate::gesture::data::{self, Reading, Recording};

/// The indices of the normal exercises: internal and external rotation. Any other is an anomaly.
pub const NORMAL: [usize; 2] = [3, 4];

/// Returns whether a recording is of a normal exercise.
pub fn is_normal(recording: &Recording) -> bool {
    NORMAL.contains(&recording.exercise)
}

/// Returns the steps of a window: each is the mean of some readings.
fn steps(window: &[Reading]) -> impl Iterator<Item = Reading> {
    window.chunks_exact(READINGS).map(|readings| {
        std::array::from_fn(|channel| readings.iter().map(|reading| reading[channel]).sum::<f32>() / READINGS as f32)
    })
}

/// Returns a window as the network's input, step by step.
pub fn numbers(window: &[Reading]) -> Vec<f32> {
    steps(window).flat_map(data::normalized).collect()
}

/// Returns a window as the bytes of the compiled model's input.
pub fn bytes(window: &[Reading]) -> Vec<u8> {
    steps(window).flat_map(data::quantized).map(i8::cast_unsigned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::data::{DEVIATION, MEAN};

    #[test]
    fn four_readings_become_one_step_in_float_and_in_bytes() {
        let reading = |deviations: f32| std::array::from_fn(|at| MEAN[at] + deviations * DEVIATION[at]);
        let window = [0.0, 2.0, 0.0, 2.0, 3.0, 3.0, 3.0, 3.0].map(reading);
        let numbers = numbers(&window);
        assert_eq!(numbers.len(), 12);
        assert!(numbers[..6].iter().all(|value| (value - 1.0).abs() < 1e-5), "{numbers:?}");
        assert_eq!(bytes(&window), [[32; 6], [96; 6]].concat());
    }
}
