#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod features;
mod log_mel;
mod tables;

pub use features::{Features, quantized};
pub use log_mel::LogMel;

/// The name of these features in a model file, under `front_end`. Other bits would have another name.
pub const LOG_MEL: &str = "tealight-audio log-mel 1";
/// Samples a second that the features are made for.
pub const SAMPLE_RATE: usize = 16_000;
/// Samples that a frame is computed from: 30 ms.
pub const WINDOW: usize = 480;
/// Samples from the start of a frame to the start of the next: 20 ms.
pub const HOP: usize = 320;
/// Frequencies in Hz between which the bands lie.
pub const RANGE: [f32; 2] = [60.0, 7600.0];
/// What every band's energy is raised by before the logarithm, so that silence has one: 2⁻¹⁸. A full-scale sine has
/// about 2¹⁴.
pub const FLOOR: f32 = 1.0 / 262_144.0;

/// Points of the Fourier transform: the window and zeros.
const POINTS: usize = 512;

/// Whole frames in a number of samples.
///
/// ```
/// assert_eq!(tealight_audio::frames_in(tealight_audio::SAMPLE_RATE), 49);
/// ```
pub const fn frames_in(samples: usize) -> usize {
    if samples < WINDOW { 0 } else { (samples - WINDOW) / HOP + 1 }
}
