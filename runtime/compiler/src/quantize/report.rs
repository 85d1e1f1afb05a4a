//! How far a quantized network is from its float one.

use super::Ranges;

/// How far a quantized network is from its float one.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Each tensor that exists in both, in the order in which they are computed.
    pub layers: Vec<Layer>,
    /// Signal-to-noise ratio of the output, or of the last layer's before softmax; of several outputs, of the worst. Signal
    /// and noise are summed over all samples, so a loud sample outweighs quiet ones: see [`Report::median_snr_db`].
    pub snr_db: f64,
    /// The median of the ratios that each sample has by itself; nothing if the output is 0 for every sample.
    pub median_snr_db: Option<f64>,
    /// The lowest of them.
    pub worst_snr_db: Option<f64>,
    /// Which sample has it, as samples are counted in all streams.
    pub worst_sample: Option<usize>,
    /// What was chosen, in int8.
    pub chosen: Option<Trial>,
    /// What was tried, in int8.
    pub trials: Vec<Trial>,
    /// How many samples were run.
    pub samples: usize,
    /// The share of them for which the greatest element of the first output is the same one in both networks; nothing if it
    /// has one element.
    pub agreement: Option<f64>,
    /// What in the samples or the result looks wrong but does not forbid quantizing: outliers in the inputs; tensors that
    /// never change; constants beyond what one range holds; an [agreement](Report::agreement) below 90 % where the first
    /// output holds scores (of its dimensions only the last is not 1) and more than 5 % of the samples are no near ties (the
    /// two scores differ in float by more than a twentieth of what all scores span); an output that on ordinary samples varies
    /// less than a quarter of what the float network's does, or whose errors are more than half of that (root mean squares; of
    /// what softmax makes the output of, where it does). An output between -1 and 1 that varies less than 1/128 does not vary.
    pub warnings: Vec<String>,
}

/// A way of quantizing, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// How ranges were chosen.
    pub ranges: Ranges,
    /// Whether biases were corrected.
    pub bias_correction: bool,
    /// Whether weights were equalized across layers.
    pub equalized: bool,
    /// As [`Report::snr_db`].
    pub snr_db: f64,
    /// The same ratio on ordinary samples: outliers in the inputs are cut to what the others reach, and samples that are loud
    /// at the output are left out. The way for which this is greatest is chosen.
    pub ordinary_snr_db: f64,
}

/// A layer of the quantized network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name in the checkpoint.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// Energy of the float tensor over that of its difference from the dequantized one, in decibels, on samples whose
    /// outliers are cut.
    pub snr_db: f64,
    /// The greatest difference of one element.
    pub worst: f32,
    /// Bytes of weights and biases.
    pub bytes: usize,
    /// The type of its weights: `int8`, or a [`WeightType`](crate::WeightType)'s name. Nothing without weights.
    pub weights: Option<&'static str>,
    /// What each type would cost, of a layer with weights and without state.
    pub choices: Vec<Choice>,
}

/// What a layer would be with its weights in one type, and all before it in float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The type: as [`Layer::weights`].
    pub weights: &'static str,
    /// Bytes of weights and biases.
    pub bytes: usize,
    /// Signal-to-noise ratio of the layer's output; of a table, of its elements.
    pub snr_db: f64,
    /// The greatest difference of one element.
    pub worst: f32,
}

/// Sums over all elements of a tensor.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) signal: f64,
    noise: f64,
    pub(super) worst: f32,
    pub(super) count: usize,
}

impl Sums {
    pub(super) fn add(&mut self, wanted: &[f32], found: &[f32]) {
        // Infinities that a float network has on both sides are neither signal nor noise.
        let both = wanted.iter().zip(found).filter(|(wanted, found)| wanted.is_finite() || wanted != found);
        for (&wanted, found) in both {
            let difference = found - wanted;
            self.signal += f64::from(wanted).powi(2);
            self.noise += f64::from(difference).powi(2);
            self.worst = self.worst.max(difference.abs());
            self.count += 1;
        }
    }

    /// Infinite where the two are equal.
    pub(super) fn snr_db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
    }

    /// The root of the mean square of what was wanted.
    pub(super) fn size(&self) -> f64 {
        (self.signal / self.count.max(1) as f64).sqrt()
    }

    /// The root of the mean squared difference.
    pub(super) fn error(&self) -> f64 {
        (self.noise / self.count.max(1) as f64).sqrt()
    }
}

/// The index of the first greatest number.
pub(super) fn greatest(numbers: &[f32]) -> Option<usize> {
    let greatest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    numbers.iter().position(|&number| number == greatest)
}
