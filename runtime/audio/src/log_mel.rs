//! Computes frames of log-mel energies from samples.
//!
//! A frame is computed by a Hann window over 480 samples, a real transform of 512 points, the power at each frequency,
//! its sum in each mel band, and the logarithm to base 2. All of it is f32 in a fixed order without fused operations,
//! and the logarithm is `libm`'s, so every target computes the same bits.

use crate::tables::{HANN, Mel};
use crate::{FLOOR, HOP, POINTS, WINDOW};

/// Computes log-mel energies of a stream of samples, in `BANDS` bands (1 to 80; more do not compile).
///
/// It holds the samples of the next frame and the values of the transform: 3,012 bytes.
#[derive(Debug, Clone)]
pub struct LogMel<const BANDS: usize> {
    recent: [i16; WINDOW],
    filled: usize,
    scratch: [f32; POINTS],
}

impl<const BANDS: usize> LogMel<BANDS> {
    const MEL: &'static Mel = &Mel::new(BANDS);

    /// Creates the state at the start of a stream.
    pub const fn new() -> Self {
        Self { recent: [0; WINDOW], filled: 0, scratch: [0.0; POINTS] }
    }

    /// Drops all samples: the next one starts a stream.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// Adds the stream's next samples, any number of them, and passes each frame that they complete to `take`. A frame
    /// holds, for each band, lowest first, the logarithm to base 2 of its energy plus [`FLOOR`], which is -18 in
    /// silence.
    pub fn push(&mut self, samples: &[i16], mut take: impl FnMut(&[f32; BANDS])) {
        for &sample in samples {
            if let Some(next) = self.recent.get_mut(self.filled) {
                *next = sample;
            }
            self.filled += 1;
            if self.filled >= WINDOW {
                take(&self.frame());
                self.recent.rotate_left(HOP);
                self.filled = WINDOW - HOP;
            }
        }
    }

    /// Computes the frame of the last [`WINDOW`] samples.
    fn frame(&mut self) -> [f32; BANDS] {
        let (windowed, padding) = self.scratch.split_at_mut(WINDOW);
        padding.fill(0.0);
        for ((x, &sample), weight) in windowed.iter_mut().zip(&self.recent).zip(HANN) {
            *x = f32::from(sample) * weight;
        }
        // The first value holds the two frequencies 0 and 8 kHz, which are in no band.
        let spectrum = microfft::real::rfft_512(&mut self.scratch);
        let mut energies = [0.0; BANDS];
        let Mel { first, count, band, weight } = Self::MEL;
        for ((bin, &band), &weight) in spectrum.iter().zip(band).zip(weight).skip(*first).take(*count) {
            let power = bin.re * bin.re + bin.im * bin.im;
            let band = usize::from(band);
            if let Some(above) = energies.get_mut(band) {
                *above += weight * power;
            }
            if let Some(below) = energies.get_mut(band.wrapping_sub(1)) {
                *below += (1.0 - weight) * power;
            }
        }
        energies.map(|energy| libm::log2f(energy + FLOOR))
    }
}

impl<const BANDS: usize> Default for LogMel<BANDS> {
    fn default() -> Self {
        Self::new()
    }
}
