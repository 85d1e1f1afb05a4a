//! Post-training quantization: from a float network and representative inputs to an int8 graph.
//!
//! The float network is run on the inputs; what each tensor held decides its scale and zero point
//! ([`Ranges`] says how). Weights are symmetric with a scale for each output channel, biases int32: the 8-bit
//! specification of TensorFlow Lite. Rounding shifts a layer's mean; where it helps, the biases are corrected for that
//! (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019). Whether it helps,
//! and which ranges are best, is tried: [`compile_float`] compiles each combination that [`Quantize`] leaves open, runs
//! the compiled files and keeps the one whose output is nearest to the float network's.
//!
//! A float network is either a [`Network`] or a `.tflite` file ([`FloatTflite`]); the latter runs as
//! the compiled f32 network that it also is without quantization.

mod build;
mod calibrate;
mod convert;
mod float_graph;
mod imported;
mod observe;
mod range;
mod report;
mod sharing;
#[cfg(test)]
mod tests;

pub use imported::FloatTflite;
pub use range::Ranges;
pub use report::{Layer, Report, Trial};

use crate::error::CompileError;
use crate::float::Network;
use crate::{Compiled, Options, compile_graph};
use calibrate::Calibration;

/// How to quantize.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quantize {
    /// How ranges are chosen; every way is tried if none is named.
    pub ranges: Option<Ranges>,
    /// Whether biases are corrected; tried if not said.
    pub bias_correction: Option<bool>,
    /// The input's least and greatest value, if they are known better than from the samples.
    pub input_range: Option<[f32; 2]>,
    /// Keep the inputs and outputs of a `.tflite` float, converted at the network's ends; they are int8 otherwise.
    pub float_io: bool,
}

/// Why a float network could not be quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// No samples to calibrate with.
    #[error("the calibration data is empty; give inputs such as the network will see, some hundreds if possible")]
    Empty,
    /// A sample of another size than the network's input.
    #[error("calibration sample {sample} has {found} numbers; the network takes {expected} ({shape:?})")]
    Shape {
        /// Its index.
        sample: usize,
        /// How many numbers it has.
        found: usize,
        /// How many the network takes.
        expected: usize,
        /// The input's shape.
        shape: Vec<u32>,
    },
    /// A number in a sample that is infinite or not a number.
    #[error("calibration sample {sample} is {value} at index {index}; every number must be finite")]
    NotFinite {
        /// Its index.
        sample: usize,
        /// Where in it.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// All samples are one and the same number throughout.
    #[error("the calibration data is constant: every number is {value}; give inputs such as the network will see")]
    Constant {
        /// The number.
        value: f32,
    },
    /// The float network overflows on a sample.
    #[error(
        "layer `{layer}` gives {value} on calibration sample {sample}; the float network itself does not work there"
    )]
    Overflow {
        /// The layer.
        layer: String,
        /// The sample's index.
        sample: usize,
        /// What it gives.
        value: f32,
    },
    /// The input's range is not one.
    #[error("the input range {low} to {high} is not finite, or not from less to more")]
    InputRange {
        /// Its lower end.
        low: f32,
        /// Its upper end.
        high: f32,
    },
    /// The network computes with integers already.
    #[error("the network is quantized already: tensor `{tensor}` is {found}; compile it without calibration")]
    Quantized {
        /// A tensor that is not float32.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// The network has another number of inputs than one.
    #[error("the network has {count} inputs; only networks of one input can be calibrated")]
    Inputs {
        /// How many it has.
        count: usize,
    },
    /// A constant that is infinite or not a number.
    #[error("constant `{tensor}` is {value} at index {index}; every number must be finite")]
    Weight {
        /// Its name.
        tensor: String,
        /// Where in it.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// The quantized network cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

type Result<T> = std::result::Result<T, QuantizeError>;

impl Quantize {
    /// Each combination that is left open.
    fn trials(&self) -> Vec<(Ranges, bool)> {
        let ranges = self.ranges.map_or_else(|| Ranges::ALL.to_vec(), |ranges| vec![ranges]);
        let corrections = self.bias_correction.map_or_else(|| vec![false, true], |correct| vec![correct]);
        ranges.iter().flat_map(|&ranges| corrections.iter().map(move |&correct| (ranges, correct))).collect()
    }
}

/// Quantizes a float network and compiles it. `samples` are inputs, each of the input's size; `source` is what the
/// network was read from, whose hash the file keeps.
///
/// # Errors
/// [`QuantizeError`] names the sample or layer at fault.
pub fn compile_float(
    network: &Network,
    samples: &[Vec<f32>],
    quantize: &Quantize,
    source: &[u8],
    options: &Options,
) -> Result<(Compiled, Report)> {
    let calibration = Calibration::collect(network, samples, quantize.input_range)?;
    let mut best: Option<(Compiled, Report)> = None;
    let mut trials = Vec::new();
    for (ranges, correct) in quantize.trials() {
        let built = build::build(network, &calibration, ranges, correct);
        let options = Options { keep_tensor_map: true, ..options.clone() };
        let compiled = compile_graph(built.graph.clone(), "quantize", source, &options, &mut |_, _| {})?;
        let report = report::measure(network, &built, &compiled, samples)?;
        let trial = Trial { ranges, bias_correction: correct, snr_db: report.snr_db };
        if best.as_ref().is_none_or(|(_, best)| report.snr_db > best.snr_db) {
            best = Some((compiled, Report { chosen: trial, ..report }));
        }
        trials.push(trial);
    }
    let (_, mut report) = best.ok_or(QuantizeError::Empty)?;
    // The chosen one again, without the values that only measuring needed.
    let built = build::build(network, &calibration, report.chosen.ranges, report.chosen.bias_correction);
    let compiled = compile_graph(built.graph, "quantize", source, options, &mut |_, _| {})?;
    report.trials = trials;
    Ok((compiled, report))
}
