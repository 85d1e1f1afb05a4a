#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod features;
mod log_mel;
mod tables;

pub use features::{Features, quantized};
pub use log_mel::LogMel;

/// The name of these features in a model file, under `front_end`. Features with other bits need another name.
pub const LOG_MEL: &str = "tealight-audio log-mel 1";
/// The sample rate of the input, in Hz.
pub const SAMPLE_RATE: usize = 16_000;
/// The number of samples in a frame: 30 ms.
pub const WINDOW: usize = 480;
/// The number of samples from the start of a frame to the start of the next: 20 ms.
pub const HOP: usize = 320;
/// The frequency range of the bands, in Hz.
pub const RANGE: [f32; 2] = [60.0, 7600.0];
/// Added to every band's energy before the logarithm, which is then finite for silence: 2⁻¹⁸. The energy of a
/// full-scale sine is about 2¹⁴.
pub const FLOOR: f32 = 1.0 / 262_144.0;

/// The number of points of the Fourier transform: the window, padded with zeros.
const POINTS: usize = 512;

/// Returns the number of whole frames in a number of samples.
///
/// ```
/// assert_eq!(tealight_audio::frames_in(tealight_audio::SAMPLE_RATE), 49);
/// ```
pub const fn frames_in(samples: usize) -> usize {
    if samples < WINDOW { 0 } else { (samples - WINDOW) / HOP + 1 }
}
