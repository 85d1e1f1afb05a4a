//! How near a model is to the float network that it was quantized from.
//!
//! Outputs are compared directly: both networks run on the same inputs. The values between the layers cannot be
//! compared so: a model file does not say which of its values is which of the source's, and the compiler may have scaled
//! weights from layer to layer. Their ratios are those of `tealight compile --calibrate`: the float network is quantized
//! again with these inputs, and the report says whether that gave the same file.

use crate::error::{Error, Result};
use crate::fidelity::Fidelity;
use crate::limits::{self, Limits};
use crate::model_file;
use crate::progress::Stages;
use crate::sensor;
use crate::tensor_file::{Stream, TensorKind};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight::{Model, OwnedSession};
use tealight_compiler::graph::Graph;
use tealight_compiler::quantize::{Activations, Quantize, compile_float_streams, import_float};
use tealight_compiler::{Options, compile_network};
use tealight_format::DType;

/// The maximum number of inputs that layers are measured with. They are held in memory.
const MEASURED: usize = 200;

/// The comparison with the float network; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// The file of the float network.
    pub(super) source: PathBuf,
    /// Whether the model file names this file as the one that it was compiled from.
    pub(super) compiled_from_source: bool,
    /// The signal-to-noise ratio of the first output in decibels, with sums over all inputs.
    pub(super) snr_db: f64,
    /// The maximum difference of one element.
    pub(super) worst: f32,
    /// The share of inputs with the same highest element; `None` if the output has one.
    pub(super) agreement: Option<f64>,
    /// Whether quantizing again with these inputs gave the same file; `None` if that was not done.
    pub(super) same_file: Option<bool>,
    /// The measurement of the network that was quantized again; `None` if the model does not compute with integers.
    pub(super) quantization: Option<Fidelity>,
}

/// The float network, and the sums so far.
pub(super) struct FloatNetwork {
    source: PathBuf,
    bytes: Vec<u8>,
    graph: Graph,
    compiled_from_source: bool,
    max_memory: Option<u64>,
    session: OwnedSession,
    signal: f64,
    noise: f64,
    worst: f32,
    same: usize,
    inferences: usize,
    /// Elements of the first output.
    elements: usize,
    /// The inputs to measure layers with.
    streams: Vec<Vec<Vec<f32>>>,
}

impl FloatNetwork {
    /// Reads and compiles the `.tflite` or `.onnx` file `path`, whose input and output must be like those of `model`.
    ///
    /// # Errors
    /// The file cannot be read or compiled, is not a float network, exceeds `limits`, or is another network.
    pub(super) fn open(path: &Path, model: &Model<'_>, limits: &Limits) -> Result<Self> {
        let failed = || Error::new(format!("cannot compare with the float network `{}`", path.display()));
        let bytes = model_file::map(path)?.to_vec();
        let folder = model_file::folder(path);
        let options = Options { max_memory: limits.max_memory, folder, ..Options::default() };
        let graph = import_float(&bytes, &options).map_err(|error| {
            failed().cause(error).help("give the float32 .tflite or .onnx that the model was made from")
        })?;
        let compiled = compile_network(&bytes, &options).map_err(|error| failed().cause(error))?;
        let float = Model::parse(&compiled.bytes).map_err(|error| failed().cause(error))?;
        limits.check(&float, limits::INFERENCE)?;
        let sizes = |model: &Model<'_>| [elements(model, model.input(0)), elements(model, model.output(0))];
        if sizes(&float) != sizes(model) || float.inputs().count() != 1 {
            let (found, wanted) = (sizes(&float), sizes(model));
            let cause = format!("it takes {} and returns {} numbers", found[0], found[1]);
            let help = format!("give the network of this model, which takes {} and returns {}", wanted[0], wanted[1]);
            return Err(failed().cause(cause).help(help));
        }
        let compiled_from_source = model.metadata("source_sha256") == float.metadata("source_sha256");
        let elements = sizes(model)[1];
        let session = OwnedSession::from_bytes(&compiled.bytes).map_err(|error| failed().cause(error))?;
        Ok(Self {
            source: path.to_path_buf(),
            bytes,
            graph,
            compiled_from_source,
            max_memory: limits.max_memory,
            session,
            signal: 0.0,
            noise: 0.0,
            worst: 0.0,
            same: 0,
            inferences: 0,
            elements,
            streams: Vec::new(),
        })
    }

    /// Begins file `number` of `files`. Some inputs of some files are kept to measure layers with, spread evenly; of a
    /// network with state, the first ones of a file.
    pub(super) fn begin(&mut self, number: usize, files: usize, input: &TensorKind, stream: &Stream) {
        self.session.reset();
        if !number.is_multiple_of(files.div_ceil(MEASURED)) {
            return;
        }
        let count = (MEASURED / files).max(1);
        let has_state = self.session.model().state_len() > 0;
        let step = if has_state { 1 } else { stream.count().div_ceil(count) };
        let kept = (0..stream.count()).step_by(step).take(count);
        self.streams.push(kept.map(|k| input.to_f32(stream.get(k))).collect());
    }

    /// Runs the float network on `input`, and compares its output with `found`.
    ///
    /// # Errors
    /// Its input has a type that these values cannot be converted to.
    pub(super) fn compare(&mut self, input: &[f32], found: &[f32]) -> Result<()> {
        let failed = || Error::new(format!("cannot run the float network `{}`", self.source.display()));
        let of_session = &mut self.session;
        let mut tensor = of_session.input(0).ok_or_else(failed)?;
        let dtype = tensor.dtype();
        let written = if dtype == DType::I32 {
            tensor.copy_from(&input.iter().map(|&number| number as i32).collect::<Vec<_>>())
        } else {
            tensor.quantize_from(input)
        };
        written.map_err(|error| failed().cause(error))?;
        of_session.run();
        let output = of_session.output(0).ok_or_else(failed)?;
        let wanted: Vec<f32> = (0..found.len()).filter_map(|i| output.get_f32(i)).collect();
        self.add(&wanted, found);
        Ok(())
    }

    fn add(&mut self, wanted: &[f32], found: &[f32]) {
        for (&wanted, &found) in wanted.iter().zip(found) {
            self.signal += f64::from(wanted).powi(2);
            self.noise += f64::from(found - wanted).powi(2);
            self.worst = self.worst.max((found - wanted).abs());
        }
        let highest = |numbers: &[f32]| tealight::argmax(numbers.iter().copied()).map(|(index, _)| index);
        self.same += usize::from(highest(wanted) == highest(found));
        self.inferences += 1;
    }

    /// Quantizes the float network again, if `model` computes with integers, and returns the results.
    ///
    /// # Errors
    /// The network cannot be quantized with these inputs.
    pub(super) fn finish(self, model: &Model<'_>) -> Result<Comparison> {
        let (quantization, same_file) = if let Some(activations) = activations(model) {
            let (quantization, same_file) = self.quantize(model, activations)?;
            (Some(quantization), Some(same_file))
        } else {
            (None, None)
        };
        Ok(Comparison {
            snr_db: if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() },
            worst: self.worst,
            agreement: (self.elements > 1).then(|| self.same as f64 / self.inferences.max(1) as f64),
            source: self.source,
            compiled_from_source: self.compiled_from_source,
            same_file,
            quantization,
        })
    }

    /// Returns the measurement of the float network quantized with the kept inputs, and whether that gives `model`.
    fn quantize(&self, model: &Model<'_>, activations: Activations) -> Result<(Fidelity, bool)> {
        let options = Options {
            name: model_file::name(model),
            labels: model_file::labels(model),
            front_end: sensor::declared(model),
            max_memory: self.max_memory,
            ..Options::default()
        };
        let mut stages = Stages::start();
        stages.next("the inputs: quantizing the float network again");
        // A quantized end is enough: others may be read or written in float32.
        let mut ends = model.inputs().chain(model.outputs()).map(|value| model.value(value).dtype);
        let float_io = !ends.any(|dtype| matches!(dtype, DType::I8 | DType::I16));
        let quantize = Quantize { activations, float_io, ..Quantize::default() };
        let (compiled, report) = compile_float_streams(&self.graph, &self.streams, &quantize, &self.bytes, &options)
            .map_err(|error| {
                Error::new(format!("cannot measure the layers of `{}`", self.source.display())).cause(error)
            })?;
        Ok((Fidelity::of(report), compiled.bytes == model.bytes()))
    }
}

/// Returns the type of a model's activations if it computes with integers.
fn activations(model: &Model<'_>) -> Option<Activations> {
    let has = |dtype| (0..model.op_count()).any(|op| model.value(model.op(op).output.into()).dtype == dtype);
    let int8 = || has(DType::I8).then_some(Activations::Int8);
    has(DType::I16).then_some(Activations::Int16).or_else(int8)
}

/// Returns the number of elements of a value.
fn elements(model: &Model<'_>, value: Option<usize>) -> usize {
    value.and_then(|value| model.value(value).shape.elements()).unwrap_or(0) as usize
}
