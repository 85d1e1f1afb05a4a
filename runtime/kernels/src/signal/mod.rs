//! Kernels of the front end that makes features of sound: a window, a Fourier transform in fixed point, and a filter
//! bank with estimates of its noise.
//!
//! Samples and spectra are int16 numbers, complex ones as pairs of real and imaginary part; energies and channels are
//! unsigned numbers of 32 bits. All arithmetic is of integers, and wraps where a file asks for more than they hold.
//! Every kernel returns the same bytes as TensorFlow Lite Micro's signal library.
//!
//! | operator | rows | a row |
//! |---|---|---|
//! | [`window`], [`rfft()`] | all dimensions but the last | a line |
//! | [`auto_scale`], [`auto_scale_bits`], [`energy`], [`filter_bank()`], [`noise_estimate`] | one | all elements |
//! | [`spectral_subtraction`], [`pcan`], [`log`] | | the caller slices |

mod channels;
mod filter_bank;
mod rfft;
mod samples;

pub use channels::{
    LOG_TABLE, NoiseEstimate, PCAN_TABLE, SpectralSubtraction, log, noise_estimate, pcan, spectral_subtraction,
};
pub use filter_bank::filter_bank;
pub use rfft::rfft;
pub use samples::{auto_scale, auto_scale_bits, energy, window};

/// The number of bits of `x`: 0 for 0.
fn bit_length(x: u32) -> u32 {
    32u32.wrapping_sub(x.leading_zeros())
}
