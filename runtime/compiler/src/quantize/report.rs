//! The difference between a quantized network and its float original.

use super::{Activations, Ranges};

/// The difference between a quantized network and its float original.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Each tensor that exists in both, in the order of computation.
    pub layers: Vec<Layer>,
    /// Signal-to-noise ratio of the output, or of the input of a final softmax; the lowest if there are several
    /// outputs. Signal and noise are summed over all samples, so a loud sample outweighs quiet ones: see
    /// [`Report::median_snr_db`].
    pub snr_db: f64,
    /// The median of the ratios of single samples; `None` if the output is 0 for every sample.
    pub median_snr_db: Option<f64>,
    /// The minimum of these ratios.
    pub worst_snr_db: Option<f64>,
    /// The index of the sample with that ratio, counted through all streams.
    pub worst_sample: Option<usize>,
    /// The type of activations; `None` if the network stays float.
    pub activations: Option<Activations>,
    /// The operators of a quantized network that compute in float32, as they have no quantized form: name and kind.
    pub in_float: Vec<(String, String)>,
    /// The combination of options that was chosen, for a quantized network.
    pub chosen: Option<Trial>,
    /// The combinations that were tried, for a quantized network.
    pub trials: Vec<Trial>,
    /// How many samples were run.
    pub samples: usize,
    /// The share of samples for which the maximum element of the first output is the same in both networks; `None` if
    /// the output has one element.
    pub agreement: Option<f64>,
    /// What in the samples or the result looks wrong but does not prevent quantization:
    ///
    /// - outliers in the inputs, and tensors that never change;
    /// - constants beyond what one range can hold;
    /// - an [agreement](Report::agreement) below 90 %, where the first output holds scores (only its last dimension is
    ///   not 1) and more than 5 % of the samples are not near ties (in float, the two scores differ by more than a
    ///   twentieth of the range of all scores);
    /// - an output that on ordinary samples varies less than a quarter of what the float network's does, or whose
    ///   errors are more than half of that (root mean squares; of the input of a final softmax, where there is one). An
    ///   output between -1 and 1 that varies less than 1/128 counts as constant.
    pub warnings: Vec<String>,
}

/// A combination of options, and its result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// How ranges were chosen.
    pub ranges: Ranges,
    /// Whether biases were corrected.
    pub bias_correction: bool,
    /// Whether weights were equalized across layers.
    pub equalized: bool,
    /// Like [`Report::snr_db`].
    pub snr_db: f64,
    /// The same ratio on ordinary samples: outliers in the inputs are clamped to the range of the others, and samples
    /// that are loud at the output are left out. The combination with the maximum of this ratio is chosen.
    pub ordinary_snr_db: f64,
}

/// A layer of the quantized network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its operator.
    pub kind: String,
    /// Energy of the float tensor divided by that of its difference from the dequantized one, in decibels, on samples
    /// with clamped outliers.
    pub snr_db: f64,
    /// The maximum difference of one element.
    pub worst: f32,
    /// Bytes of weights and biases.
    pub bytes: usize,
    /// The type of its weights: `int8`, `int8-int4` (an int8 layer with int4 weights), `16x8` (an int16 layer with int8
    /// weights), or a [`WeightType`](crate::WeightType)'s name. `None` without weights.
    pub weights: Option<&'static str>,
    /// The cost of each type, for a layer with weights and without state.
    pub choices: Vec<Choice>,
}

/// The result for a layer with its weights in one type, and all layers before it in float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The type, like [`Layer::weights`].
    pub weights: &'static str,
    /// Bytes of weights and biases.
    pub bytes: usize,
    /// Signal-to-noise ratio of the layer's output; for a table, of its elements.
    pub snr_db: f64,
    /// The maximum difference of one element.
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
        // Equal infinities in both networks are neither signal nor noise.
        let both = wanted.iter().zip(found).filter(|(wanted, found)| wanted.is_finite() || wanted != found);
        for (&wanted, found) in both {
            let difference = found - wanted;
            self.signal += f64::from(wanted).powi(2);
            self.noise += f64::from(difference).powi(2);
            self.worst = self.worst.max(difference.abs());
            self.count += 1;
        }
    }

    /// Returns the signal-to-noise ratio in decibels; infinite where the two are equal.
    pub(super) fn snr_db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
    }

    /// Returns the root mean square of the expected values.
    pub(super) fn size(&self) -> f64 {
        (self.signal / self.count.max(1) as f64).sqrt()
    }

    /// Returns the root mean squared difference.
    pub(super) fn error(&self) -> f64 {
        (self.noise / self.count.max(1) as f64).sqrt()
    }
}

/// Returns the index of the maximum value; the first of equals.
pub(super) fn argmax(numbers: &[f32]) -> Option<usize> {
    let argmax = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    numbers.iter().position(|&number| number == argmax)
}
