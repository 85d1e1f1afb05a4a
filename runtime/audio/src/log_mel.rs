//! Samples in, frames out.
//!
//! A frame is Hann's window over 480 samples, a real transform of 512 points, the power at each frequency, its sum in
//! each mel band, and the logarithm to base 2. All of it is f32 in one order without fused products, and the logarithm
//! is `libm`'s, so every target computes the same bits.

use crate::tables::{HANN, Mel};
use crate::{FLOOR, HOP, POINTS, WINDOW};

/// Log-mel energies of a stream of samples, in `BANDS` bands (1 to 80; more do not compile).
///
/// It keeps the samples of the next frame and the transform's numbers: 3,012 bytes.
#[derive(Debug, Clone)]
pub struct LogMel<const BANDS: usize> {
    recent: [i16; WINDOW],
    filled: usize,
    scratch: [f32; POINTS],
}

impl<const BANDS: usize> LogMel<BANDS> {
    const MEL: &'static Mel = &Mel::new(BANDS);

    /// At the start of a stream.
    pub const fn new() -> Self {
        Self { recent: [0; WINDOW], filled: 0, scratch: [0.0; POINTS] }
    }

    /// Forgets all samples: the next one starts a stream.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// Takes the stream's next samples, any number of them, and hands each frame that they complete to `take`: for each
    /// band, lowest first, the logarithm to base 2 of its energy plus [`FLOOR`], -18 in silence.
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

    /// The frame of the last [`WINDOW`] samples.
    fn frame(&mut self) -> [f32; BANDS] {
        let (windowed, padding) = self.scratch.split_at_mut(WINDOW);
        padding.fill(0.0);
        for ((x, &sample), weight) in windowed.iter_mut().zip(&self.recent).zip(HANN) {
            *x = f32::from(sample) * weight;
        }
        // The first number holds the two frequencies 0 and 8 kHz, which no band has.
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
