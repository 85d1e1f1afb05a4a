//! The window and the mel bands, computed by the compiler in f64 and kept in flash as f32.
//!
//! Constant evaluation is exact IEEE arithmetic on every host, so the tables are the same wherever they are built.

use crate::{POINTS, RANGE, SAMPLE_RATE, WINDOW};

/// The periodic Hann window `sin²(πn / WINDOW)`, times 2⁻¹⁵, which scales samples to -1 to 1.
pub(crate) const HANN: [f32; WINDOW] = hann();

/// The number of frequencies of the transform below half the sample rate.
pub(crate) const BINS: usize = POINTS / 2;

/// Triangular bands of equal width in mel, each from the centre of the band below it to that of the band above.
///
/// A frequency between two centres contributes to both bands, more to the nearer one. The two weights add up to 1, so
/// one is stored.
#[derive(Debug)]
pub(crate) struct Mel {
    /// The first bin that is inside the bands.
    pub(crate) first: usize,
    /// The number of bins that are inside the bands.
    pub(crate) count: usize,
    /// For each bin, the band with the next higher centre. A bin above the last centre has the number of bands.
    pub(crate) band: [u8; BINS],
    /// For each bin, its weight in that band; its weight in the band below is 1 minus this.
    pub(crate) weight: [f32; BINS],
}

impl Mel {
    /// Computes the table for a number of bands, at most 80: with more, some bands would be between two bins.
    pub(crate) const fn new(bands: usize) -> Self {
        assert!(bands >= 1 && bands <= 80, "there may be 1 to 80 bands");
        let [low, high] = [mel(RANGE[0] as f64), mel(RANGE[1] as f64)];
        let step = (high - low) / (bands + 1) as f64;
        let mut table = Self { first: BINS, count: 0, band: [0; BINS], weight: [0.0; BINS] };
        let mut bin = 0;
        while bin < BINS {
            let place = (mel((bin * SAMPLE_RATE) as f64 / POINTS as f64) - low) / step;
            if place >= 0.0 && place < (bands + 1) as f64 {
                if table.count == 0 {
                    table.first = bin;
                }
                table.count += 1;
                table.band[bin] = place as u8;
                table.weight[bin] = (place - (place as u8) as f64) as f32;
            }
            bin += 1;
        }
        table
    }
}

/// Converts hertz to mel, `1127 ln(1 + f / 700)` (O'Shaughnessy, Speech Communication, 1987).
const fn mel(hertz: f64) -> f64 {
    1127.0 * ln(1.0 + hertz / 700.0)
}

/// Natural logarithm for x >= 1: x is halved until it is within 1 to 1.5, then `2 artanh((x - 1) / (x + 1))` is
/// computed as a series.
const fn ln(mut x: f64) -> f64 {
    let mut halvings = 0.0;
    while x > 1.5 {
        x /= 2.0;
        halvings += 1.0;
    }
    let ratio = (x - 1.0) / (x + 1.0);
    let (mut power, mut sum, mut n) = (ratio, 0.0, 1);
    while n < 40 {
        sum += power / n as f64;
        power *= ratio * ratio;
        n += 2;
    }
    2.0 * sum + halvings * core::f64::consts::LN_2
}

const fn hann() -> [f32; WINDOW] {
    let mut window = [0.0; WINDOW];
    let mut n = 0;
    while n < WINDOW {
        // From 0 to π/2 and back: the window is symmetric.
        let nearest = if 2 * n <= WINDOW { n } else { WINDOW - n };
        let sine = sin(core::f64::consts::PI * nearest as f64 / WINDOW as f64);
        window[n] = (sine * sine / 32_768.0) as f32;
        n += 1;
    }
    window
}

/// Sine for 0 to π/2, by its series.
const fn sin(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, 0.0, 1);
    while n < 30 {
        sum += term;
        term = -term * x * x / ((n + 1) * (n + 2)) as f64;
        n += 2;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_approximate_sine_and_logarithm() {
        for i in 0..=1000 {
            let x = f64::from(i) / 1000.0;
            let angle = x * std::f64::consts::FRAC_PI_2;
            assert!((sin(angle) - angle.sin()).abs() < 1e-15, "sin {angle}");
            let y = 1.0 + 12.0 * x;
            assert!((ln(y) - y.ln()).abs() < 1e-14, "ln {y}");
        }
    }

    #[test]
    fn every_band_has_a_bin_and_peaks_at_its_centre() {
        for bands in 1..=80 {
            let table = Mel::new(bands);
            let mut heaviest = vec![0.0_f32; bands];
            for bin in table.first..table.first + table.count {
                let (band, weight) = (usize::from(table.band[bin]), table.weight[bin]);
                assert!((0.0..1.0).contains(&weight) && band <= bands);
                if let Some(above) = heaviest.get_mut(band) {
                    *above = above.max(weight);
                }
                if let Some(below) = band.checked_sub(1) {
                    heaviest[below] = heaviest[below].max(1.0 - weight);
                }
            }
            assert!(heaviest.iter().all(|&weight| weight > 0.0), "{bands} bands: {heaviest:?}");
        }
    }
}
