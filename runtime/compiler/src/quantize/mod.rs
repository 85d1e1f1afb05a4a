//! Post-training quantization: from a float network and representative inputs to an int8 graph.
//!
//! The network is a [`Graph`] of float tensors, from a `.tflite` file ([`import_float`]) or traced from
//! a framework's model. It is compiled to float32 and run on the inputs; what each tensor held decides its scale and zero
//! point ([`Ranges`] says how). Weights are symmetric with a scale for each output channel, biases int32: the 8-bit
//! specification of TensorFlow Lite. Rounding shifts a layer's mean; where it helps, the biases are corrected for that
//! (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019). Whether it helps,
//! and which ranges are best, is tried: [`compile_float`] compiles each combination that [`Quantize`] leaves open, runs
//! the compiled files and keeps the one whose output is nearest to the float network's.

mod convert;
mod float_run;
mod measure;
mod network;
mod observe;
mod range;
mod report;
mod samples;
mod sharing;
#[cfg(test)]
mod tests;
mod weights;

pub use range::Ranges;
pub use report::{Layer, Report, Trial};

use crate::error::CompileError;
use crate::graph::Graph;
use crate::{Compiled, Options, compile_graph, import_tflite};
use float_run::FloatRun;
use measure::Candidate;
use observe::Observed;
use samples::Samples;

/// How to quantize.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quantize {
    /// How ranges are chosen; every way is tried if none is named.
    pub ranges: Option<Ranges>,
    /// Whether biases are corrected; tried if not said.
    pub bias_correction: Option<bool>,
    /// The first input's least and greatest value, if they are known better than from the samples.
    pub input_range: Option<[f32; 2]>,
    /// Keep inputs and outputs float, converted at the network's ends; they are int8 otherwise.
    pub float_io: bool,
}

/// Why a float network could not be quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// No samples to calibrate with.
    #[error("the calibration data is empty; give inputs such as the network will see, some hundreds if possible")]
    Empty,
    /// A sample of another size than the network's inputs.
    #[error("calibration sample {sample} has {found} numbers; the network takes {expected} ({shape})")]
    Shape {
        /// Its index.
        sample: usize,
        /// How many numbers it has.
        found: usize,
        /// How many the network takes.
        expected: usize,
        /// The inputs' shapes.
        shape: String,
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
    /// A number for an input of integers that is none.
    #[error("input `{input}` of calibration sample {sample} is {value} at index {index}; it takes whole numbers")]
    NotWhole {
        /// The sample's index.
        sample: usize,
        /// The input.
        input: String,
        /// Where in it.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// An input is one and the same number in all samples.
    #[error(
        "the calibration data is constant: every number of `{input}` is {value}; give inputs such as the network will see"
    )]
    Constant {
        /// The input.
        input: String,
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

/// Reads a float32 `.tflite` file, to be quantized.
///
/// # Errors
/// It is none, or computes with integers already.
pub fn import_float(bytes: &[u8]) -> Result<Graph> {
    network::prepare(import_tflite(bytes)?)
}

/// Quantizes a float network to int8 and compiles it. `samples` are inputs: each holds the elements of all the network's
/// inputs, one input after another. A network with state is given them in a row. `source` is what the network was read
/// from, whose hash the file keeps.
///
/// # Errors
/// [`QuantizeError`] names the sample, tensor or node at fault.
pub fn compile_float(
    network: &Graph,
    samples: &[Vec<f32>],
    quantize: &Quantize,
    source: &[u8],
    options: &Options,
) -> Result<(Compiled, Report)> {
    compile_float_streams(network, &[samples.to_vec()], quantize, source, options)
}

/// As [`compile_float`], by samples in several streams: before the first sample of each, state is as at first.
///
/// # Errors
/// As [`compile_float`].
pub fn compile_float_streams(
    network: &Graph,
    streams: &[Vec<Vec<f32>>],
    quantize: &Quantize,
    source: &[u8],
    options: &Options,
) -> Result<(Compiled, Report)> {
    let graph = network::prepare(network.clone())?;
    let samples = Samples::new(&graph, streams)?;
    let float = FloatRun::new(&graph)?;
    let observed = Observed::collect(&graph, &float, samples, quantize.input_range)?;
    let mut candidates = Vec::new();
    for (ranges, correct) in quantize.trials() {
        let graph = convert::convert(&graph, &observed, ranges, correct, quantize.float_io)?;
        let options = Options { keep_tensor_map: true, ..options.clone() };
        let compiled = compile_graph(graph.clone(), "quantize", source, &options, &mut |_, _| {})?;
        candidates.push(Candidate { graph, compiled, ranges, correct });
    }
    let measured = measure::measure(&graph, &float, &observed, &candidates, samples)?;
    let trials: Vec<Trial> = measured.iter().map(|report| report.chosen).collect();
    let pairs = candidates.into_iter().zip(measured);
    // The first of equal ones, so the simplest.
    let best = pairs.reduce(|best, next| if next.1.snr_db > best.1.snr_db { next } else { best });
    let (best, report) = best.ok_or(QuantizeError::Empty)?;
    // The chosen one again, without the values that only measuring needed.
    let compiled = compile_graph(best.graph, "quantize", source, options, &mut |_, _| {})?;
    Ok((compiled, Report { trials, warnings: observed.warnings, ..report }))
}
