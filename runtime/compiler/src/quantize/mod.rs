//! Post-training quantization: from a float network and representative inputs to an int8 or a 16x8 graph.
//!
//! The network is a [`Graph`] of float tensors, from a `.tflite` file ([`import_float`]) or traced from a framework's
//! model. It is compiled to float32 and run on the inputs; the values of each tensor determine its scale and zero point
//! ([`Ranges`] lists the methods). Weights are symmetric with a scale for each output channel, biases are int32: the
//! 8-bit specification of TensorFlow Lite. 16x8 is its specification of int16 activations, which are symmetric, with int8
//! weights and int64 biases ([`Activations`]). An operator without a quantized form computes in float32 between
//! conversions; [`Report::in_float`] lists these. Rounding shifts a layer's mean; biases can be corrected for that (Nagel et
//! al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019), and weights can be equalized
//! across layers (the same paper). Whether these help, and which ranges are best, is found by trial: [`compile_float`]
//! compiles each combination that [`Quantize`] leaves open, runs the compiled files, and keeps the one whose output is
//! nearest to the float network's. Equalized weights must be nearer by half a decibel.
//!
//! Neither choice depends on values far from all others. Outliers in the inputs cause a warning, and are clamped where
//! they would decide. Constants that can never win a maximum, such as the border of a max pool, become the lowest code
//! and widen no range. [`Report::warnings`] lists where the result nevertheless deviates from the float network.
//!
//! A float network can also stay float, with its weights stored in smaller types: [`compile_weights`].

mod choices;
mod constants;
mod convert;
mod equalize;
mod float_run;
mod measure;
mod network;
mod observe;
mod outliers;
mod range;
mod report;
mod rule;
mod samples;
mod sharing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_types;

pub(crate) use range::Params;
pub use range::{Activations, Ranges};
pub use report::{Choice, Layer, Report, Trial};
#[cfg(test)]
pub(crate) use rule::Int8;

use crate::diag::CompileError;
use crate::driver::{Compiled, compile_graph, compile_to_measure, import_network};
use crate::ir::graph::{ElementType, Graph, Node, TensorId};
use crate::options::Options;
use crate::weight_type::WeightType;
use choices::{LayerChoices, quantized_name};
use float_run::FloatRun;
use measure::Measured;
use observe::Observed;
use outliers::Outliers;
use rule::Rules;
use samples::Samples;
use std::collections::HashMap;

/// Options of quantization.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quantize {
    /// The type of activations.
    pub activations: Activations,
    /// How ranges are chosen; `None` tries every method.
    pub ranges: Option<Ranges>,
    /// Whether biases are corrected; `None` tries both.
    pub bias_correction: Option<bool>,
    /// Whether weights are equalized across layers; `None` tries both, where layers allow it.
    pub equalize: Option<bool>,
    /// The first input's minimum and maximum, if they are known better than from the samples.
    pub input_range: Option<[f32; 2]>,
    /// Keep inputs and outputs float, with conversions at the network's ends; otherwise they have the type of activations,
    /// except for inputs that only operators in float32 read, and outputs that they write.
    pub float_io: bool,
}

/// Why a float network could not be quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// There are no samples to calibrate with.
    #[error("the calibration data is empty; give inputs such as the network will see, some hundreds if possible")]
    Empty,
    /// A sample has another size than the network's inputs.
    #[error("calibration sample {sample} has {found} numbers; the network takes {expected} ({shape})")]
    Shape {
        /// The sample's index.
        sample: usize,
        /// The number of values in the sample.
        found: usize,
        /// The number of values that the network takes.
        expected: usize,
        /// The inputs' shapes.
        shape: String,
    },
    /// A value in a sample is infinite or NaN.
    #[error("input `{input}` of calibration sample {sample} is {value} at index {index}; every number must be finite")]
    NotFinite {
        /// The sample's index.
        sample: usize,
        /// The input's name.
        input: String,
        /// The index of the value in the input.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A value for an integer input is not a valid integer.
    #[error("input `{input}` of calibration sample {sample} is {value} at index {index}; it takes whole numbers")]
    NotWhole {
        /// The sample's index.
        sample: usize,
        /// The input's name.
        input: String,
        /// The index of the value in the input.
        index: usize,
        /// The value.
        value: f32,
    },
    /// An input has the same value in all samples.
    #[error(
        "the calibration data is constant: every number of `{input}` is {value}; give inputs such as the network will see"
    )]
    Constant {
        /// The input's name.
        input: String,
        /// The value.
        value: f32,
    },
    /// The float network overflows on a sample.
    #[error(
        "layer `{layer}` gives {value} on calibration sample {sample}; the float network itself does not work there"
    )]
    Overflow {
        /// The layer's name.
        layer: String,
        /// The sample's index.
        sample: usize,
        /// The value that it computes.
        value: f32,
    },
    /// The input range is invalid.
    #[error("the input range {low} to {high} must be finite, with the lower end first")]
    InputRange {
        /// Its lower end.
        low: f32,
        /// Its upper end.
        high: f32,
    },
    /// The network already computes with integers.
    #[error("the network is quantized already: tensor `{tensor}` is {found}; compile it without calibration")]
    Quantized {
        /// The name of a tensor that is not float32.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// A constant is infinite or NaN.
    #[error("constant `{tensor}` is {value} at index {index}; every number must be finite")]
    Weight {
        /// Its name.
        tensor: String,
        /// The index of the value in the constant.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A constant leaves no codes for the data that it shares a range with.
    #[error(
        "constant `{constant}` of {site} is {value:?}, but the data beside it reach {data} at most, and the output depends on \
         both; no range of codes holds them: write a constant that is nearer to the data, or compile with --quantize none"
    )]
    DominantConstant {
        /// The node that reads the constant.
        site: String,
        /// The constant's name.
        constant: String,
        /// The constant's value of maximum magnitude.
        value: f32,
        /// The maximum magnitude of the data.
        data: f32,
    },
    /// The quantized network cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

type Result<T> = std::result::Result<T, QuantizeError>;

impl Quantize {
    /// Returns the network unchanged and equalized, as far as that option is open and changes the network.
    fn variants(&self, graph: &Graph) -> Result<Vec<(Graph, bool)>> {
        let mut variants = Vec::new();
        if self.equalize != Some(false) {
            variants.extend(equalize::equalize(graph)?.map(|graph| (graph, true)));
        }
        if self.equalize != Some(true) || variants.is_empty() {
            variants.insert(0, (graph.clone(), false));
        }
        Ok(variants)
    }

    /// Returns each combination of the open options.
    fn trials(&self) -> Vec<(Ranges, bool)> {
        let ranges = self.ranges.map_or_else(|| Ranges::ALL.to_vec(), |ranges| vec![ranges]);
        let corrections = self.bias_correction.map_or_else(|| vec![false, true], |correct| vec![correct]);
        ranges.iter().flat_map(|&ranges| corrections.iter().map(move |&correct| (ranges, correct))).collect()
    }
}

/// Reads a float32 `.tflite` or ONNX file, to be quantized. Of `options`, those about the memory, the
/// folder, inputs and outputs are used.
///
/// # Errors
/// It is not such a file, or already computes with integers.
pub fn import_float(bytes: &[u8], options: &Options) -> Result<Graph> {
    network::prepare(import_network(bytes, options)?, options)
}

/// Quantizes a float network and compiles it. `samples` are inputs: each holds the elements of all the
/// network's inputs, one input after another. A network with state reads them as one sequence. `source` is what the
/// network was read from, whose hash the file keeps.
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

/// Like [`compile_float`], with samples in several streams: the state is reset before the first sample of each stream.
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
    let graph = network::prepare(network.clone(), options)?;
    network::check_copies(&graph, options)?;
    let rules = Rules::of(&graph, quantize.activations);
    rules.check(&graph)?;
    let samples = Samples::new(&graph, streams)?;
    let outliers = Outliers::find(&graph, samples);
    let ordinary = outliers.as_ref().map(|outliers| Samples::of_checked(&outliers.clipped));
    let (graph, dominant) =
        constants::clamp_constants(graph, &rules, samples, ordinary, quantize.input_range, options)?;
    let refused = |error| match (error, dominant.first()) {
        // An overflow, or scales whose factor is too large, are consequences of the constant.
        (
            QuantizeError::Overflow { .. } | QuantizeError::Compile(CompileError::InvalidModel { .. }),
            Some(constant),
        ) => constant.error(),
        (error, _) => error,
    };
    let (best, trials) = best_of(quantize, &graph, &rules, samples, ordinary, options).map_err(refused)?;
    // Its layers have their types already.
    let selected = &Options { layers: Vec::new(), ..options.clone() };
    let types: HashMap<TensorId, ElementType> =
        best.quantized.nodes.iter().filter_map(|node| weight_type(&best.quantized, node)).collect();
    // Compiles the chosen combination again, with well-planned memory and without the values that only measuring
    // needed.
    let compiled = compile_graph(best.quantized, "quantize", source, selected, &mut |_, _| {})?;
    let in_float = rules.in_float(&graph);
    let choices = choices::choices(&crate::driver::lowered(graph, options)?, ordinary.unwrap_or(samples), options)?;
    let mut warnings = outliers.as_ref().map(|outliers| outliers.warnings.clone()).unwrap_or_default();
    warnings.extend(dominant.iter().map(|constant| constant.error().to_string()));
    warnings.extend(best.warnings);
    let stored = |layer: &LayerChoices| match types.get(&layer.output) {
        Some(weights) => quantized_name(*weights, quantize.activations),
        None => Some(WeightType::F32.name()),
    };
    let mut report = best.measured.report(warnings, |layers| with_choices(layers, choices, stored));
    (report.activations, report.in_float) = (Some(quantize.activations), in_float);
    (report.chosen, report.trials) = (Some(best.trial), trials);
    Ok((compiled, report))
}

/// Returns the output of `node` and the type of its weights if it is a layer with weights of integers.
fn weight_type(graph: &Graph, node: &Node) -> Option<(TensorId, ElementType)> {
    let weights = &graph.tensors[node.inputs.get(1).copied().flatten()?];
    let integers = weights.is_constant() && matches!(weights.dtype, ElementType::I8 | ElementType::I4);
    integers.then(|| Some((node.outputs.first().copied()?, weights.dtype))).flatten()
}

/// The minimum gain of equalized weights, in decibels; a smaller gain is within the variation between sets of samples.
const MIN_GAIN_DB: f64 = 0.5;

/// The best combination so far.
struct Best {
    quantized: Graph,
    trial: Trial,
    measured: Measured,
    warnings: Vec<String>,
}

/// Tries the combinations that `quantize` leaves open. Returns the one whose output is nearest to the float network's
/// on ordinary samples, and all trials. `ordinary` are the samples without outliers, if there are any.
fn best_of(
    quantize: &Quantize,
    graph: &Graph,
    rules: &Rules,
    samples: Samples<'_>,
    ordinary: Option<Samples<'_>>,
    options: &Options,
) -> Result<(Best, Vec<Trial>)> {
    let mut best: Option<Best> = None;
    let mut trials = Vec::new();
    for (graph, equalized) in quantize.variants(graph)? {
        let float = FloatRun::new(&graph, options)?;
        let observed = Observed::collect(&graph, rules, &float, samples, ordinary, quantize.input_range, options)?;
        let mut candidates = Vec::new();
        for (ranges, correct) in quantize.trials() {
            let quantized = convert::convert(&graph, rules, &observed, ranges, correct, quantize.float_io, options)?;
            let plain = Options { layers: Vec::new(), ..options.clone() };
            let compiled = compile_to_measure(quantized.clone(), &plain)?;
            candidates.push((quantized, compiled, ranges, correct));
        }
        let compiled: Vec<&Compiled> = candidates.iter().map(|(_, compiled, ..)| compiled).collect();
        let measured = measure::measure(&graph, &float, &compiled, samples, options)?;
        let on_ordinary = match ordinary {
            Some(ordinary) => measure::measure(&graph, &float, &compiled, ordinary, options)?,
            None => measured.clone(),
        };
        let measured = measured.into_iter().zip(on_ordinary);
        for ((quantized, _, ranges, bias_correction), (measured, on_ordinary)) in candidates.into_iter().zip(measured) {
            let (snr_db, ordinary_snr_db) = (measured.snr_db, on_ordinary.ordinary_snr_db);
            let trial = Trial { ranges, bias_correction, equalized, snr_db, ordinary_snr_db };
            trials.push(trial);
            // On a tie the first combination wins, which is the simplest.
            let enough = |best: &Best| {
                let gain = if trial.equalized && !best.trial.equalized { MIN_GAIN_DB } else { 0.0 };
                trial.ordinary_snr_db > best.trial.ordinary_snr_db + gain
            };
            if best.as_ref().is_none_or(enough) {
                let mut warnings = observed.warnings.clone();
                warnings.extend(measured.warnings(&graph, &on_ordinary));
                let measured = measured.with_layers_of(on_ordinary);
                best = Some(Best { quantized, trial, measured, warnings });
            }
        }
    }
    Ok((best.ok_or(QuantizeError::Empty)?, trials))
}

/// Adds the possible weight types of each layer to the measured layers; `stored` returns the type in which the node of
/// the lowered graph stores them.
fn with_choices(
    layers: Vec<(TensorId, Layer)>,
    choices: Vec<LayerChoices>,
    stored: impl Fn(&LayerChoices) -> Option<&'static str>,
) -> Vec<Layer> {
    let mut choices: HashMap<TensorId, LayerChoices> = choices.into_iter().map(|one| (one.output, one)).collect();
    let layer = |(output, layer): (TensorId, Layer)| {
        let Some(known) = choices.remove(&output) else { return layer };
        let weights = stored(&known);
        let bytes =
            known.choices.iter().find(|choice| Some(choice.weights) == weights).map_or(0, |choice| choice.bytes);
        Layer { weights, bytes, choices: known.choices, ..layer }
    };
    layers.into_iter().map(layer).collect()
}

/// Compiles a float network with its weights stored as `options` select, and measures how near it is to the unchanged
/// network.
///
/// With `min_snr_db`, the types are chosen here: for each layer the smallest one with which its output, by itself,
/// keeps that signal-to-noise ratio. [`Options::layers`] has priority; a layer with its own state (LSTM, GRU) is left
/// out. The smaller of two such types may be slower, and each block type that a model uses is linked into its firmware.
///
/// # Errors
/// As [`compile_float`].
pub fn compile_weights(
    network: &Graph,
    streams: &[Vec<Vec<f32>>],
    min_snr_db: Option<f64>,
    source: &[u8],
    options: &Options,
) -> Result<(Compiled, Report)> {
    let graph = network::prepare(network.clone(), options)?;
    network::check_copies(&graph, options)?;
    let samples = Samples::new(&graph, streams)?;
    let outliers = Outliers::find(&graph, samples);
    let ordinary = outliers.as_ref().map(|outliers| Samples::of_checked(&outliers.clipped));
    let lowered = crate::driver::lowered(graph.clone(), options)?;
    let choices = choices::choices(&lowered, ordinary.unwrap_or(samples), options)?;
    let chosen = min_snr_db.map(|min_db| choose(&choices, min_db)).unwrap_or_default();
    let mut lines = Vec::new();
    let stored = crate::store::store(lowered, options, &chosen, &mut lines)?;
    let plain = Options { quantize: None, f16: false, layers: Vec::new(), ..options.clone() };
    let (float, to_measure) = (FloatRun::new(&graph, options)?, compile_to_measure(stored.clone(), &plain)?);
    let measure = |samples| -> Result<Measured> {
        measure::measure(&graph, &float, &[&to_measure], samples, options)?
            .into_iter()
            .next()
            .ok_or(QuantizeError::Empty)
    };
    let measured = measure(samples)?;
    let on_ordinary = ordinary.map(measure).transpose()?;
    let mut warnings = outliers.as_ref().map(|outliers| outliers.warnings.clone()).unwrap_or_default();
    warnings.extend(measured.warnings(&graph, on_ordinary.as_ref().unwrap_or(&measured)));
    let measured = match on_ordinary {
        Some(on_ordinary) => measured.with_layers_of(on_ordinary),
        None => measured,
    };
    let mut compiled = compile_graph(stored.clone(), "weights", source, &plain, &mut |_, _| {})?;
    compiled.report.quantized = lines;
    let stored_as = |layer: &LayerChoices| crate::store::stored_as(&stored, &stored.nodes[layer.node]);
    Ok((compiled, measured.report(warnings, |layers| with_choices(layers, choices, stored_as))))
}

/// Returns the smallest type for each tensor of weights with which every layer that reads it keeps the ratio.
fn choose(layers: &[LayerChoices], min_snr_db: f64) -> Vec<(TensorId, WeightType)> {
    let mut all_readers: HashMap<TensorId, Vec<&LayerChoices>> = HashMap::new();
    for layer in layers {
        all_readers.entry(layer.weights).or_default().push(layer);
    }
    let mut chosen: Vec<(TensorId, WeightType)> = Vec::new();
    for layer in layers {
        // The first of the layers that share weights decides for all.
        let Some(readers) = all_readers.remove(&layer.weights) else { continue };
        let keeps = |reader: &&LayerChoices, name: &str| {
            reader.choices.iter().any(|choice| choice.weights == name && choice.snr_db >= min_snr_db)
        };
        let quantized = |name: &str| choices::QUANTIZED.iter().any(|(of, ..)| *of == name);
        let stored = layer.choices.iter().filter(|choice| !quantized(choice.weights));
        let fits = stored.filter(|choice| readers.iter().all(|reader| keeps(reader, choice.weights)));
        let best = fits.min_by(|a, b| a.bytes.cmp(&b.bytes).then(b.snr_db.total_cmp(&a.snr_db)));
        // f32 loses nothing, so at least one type qualifies.
        if let Some(of) = best.and_then(|choice| choice.weights.parse().ok()) {
            chosen.push((layer.weights, of));
        }
    }
    chosen
}
