//! From a traced network to a model's files, and running the compiled file.

use crate::Paths;
use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use tealight::{DType, Model, OwnedSession};
use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::graph::Graph;
use tealight_compiler::quantize::{Activations, Quantize, Report, compile_float};
use tealight_compiler::{Options, WeightType};

/// `golden.json`: inputs of a compiled model, and its outputs.
#[derive(Debug, Deserialize, Serialize)]
pub struct Golden {
    /// SHA-256 of the model file.
    pub model: String,
    /// Some held-out inputs.
    pub cases: Vec<Case>,
}

/// An input, its output, and its true label.
#[derive(Debug, Deserialize, Serialize)]
pub struct Case {
    /// The true label.
    pub label: String,
    /// The input's bytes in hexadecimal.
    pub input: String,
    /// The first output, int8.
    pub output: Vec<i8>,
}

/// Returns the outputs of the compiled model for each of the inputs. State is kept from one input to the next.
///
/// # Errors
/// If the file is not a model, or an input has another size.
pub fn answers<'a>(file: &[u8], inputs: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>> {
    let mut session = OwnedSession::from_bytes(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
    let mut answer = |input| {
        session.input(0).context("the model has no input")?.copy_from_bytes(input)?;
        session.run();
        anyhow::Ok(session.output(0).context("the model has no output")?.as_bytes().to_vec())
    };
    inputs.map(&mut answer).collect()
}

/// A compiled model on the host, with one int8 input and one int8 output.
pub struct Compiled(OwnedSession);

impl Compiled {
    /// Checks the file and allocates its memory.
    ///
    /// # Errors
    /// If the file is not a model.
    pub fn new(file: &[u8]) -> Result<Self> {
        Ok(Self(OwnedSession::from_bytes(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?))
    }

    /// Returns the output for an input.
    ///
    /// # Errors
    /// If the input has another size.
    pub fn run(&mut self, input: &[u8]) -> Result<Vec<i8>> {
        let session = &mut self.0;
        session.reset();
        session.input(0).context("the model has no input")?.copy_from_bytes(input)?;
        session.run();
        let output = session.output(0).and_then(|output| output.as_slice()).context("the model has no int8 output")?;
        Ok(output.to_vec())
    }
}

/// Returns the SHA-256 of some bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the index of the maximum; of equal values, the first.
pub fn argmax(numbers: &[i8]) -> usize {
    let best = numbers.iter().enumerate().max_by_key(|&(index, number)| (number, std::cmp::Reverse(index)));
    best.map_or(0, |(index, _)| index)
}

/// Reads a file; an error names it.
///
/// # Errors
/// If it cannot be read.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes a file completely or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    tealight_compiler::write_file(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

/// Compiles a model's float weights without quantization.
///
/// # Errors
/// If they cannot be read, or belong to another network.
pub fn float(model: &dyn crate::Entry, paths: &Paths) -> Result<Vec<u8>> {
    let name = model.name();
    let checkpoint = read(&paths.file(name, &format!("{name}.float.safetensors")))?;
    let options = Options { name: Some(format!("{name}.f32")), ..Options::default() };
    Ok(compile_kernel_graph(model.network(&checkpoint)?, &checkpoint, &options)?.bytes)
}

/// Returns golden vectors: the outputs of `file` for each of (input, label).
///
/// # Errors
/// If an input does not fit.
pub fn golden(file: &[u8], cases: &[(Vec<u8>, String)]) -> Result<Golden> {
    let mut compiled = Compiled::new(file)?;
    let case = |(input, label): &(Vec<u8>, String)| {
        let hex = input.iter().map(|byte| format!("{byte:02x}")).collect();
        anyhow::Ok(Case { label: label.clone(), input: hex, output: compiled.run(input)? })
    };
    let cases = cases.iter().map(case).collect::<Result<_>>()?;
    Ok(Golden { model: sha256(file), cases })
}

/// What a model's compiled file is built from.
pub struct Recipe<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The network with its float weights.
    pub network: &'a Graph,
    /// The checkpoint that the weights come from.
    pub checkpoint: &'a [u8],
    /// Inputs to calibrate with.
    pub samples: &'a [Vec<f32>],
    /// The minimum and maximum of the input.
    pub input_range: [f32; 2],
    /// The label of each output element.
    pub labels: Vec<String>,
}

impl Recipe<'_> {
    /// Quantizes and compiles, and prints the quality of the result.
    ///
    /// # Errors
    /// If the network cannot be quantized with these inputs.
    pub fn compile(self) -> Result<Vec<u8>> {
        self.compile_behind(None)
    }

    /// Like [`Recipe::compile`], for a network whose input a front end computes; the file names the front end.
    ///
    /// # Errors
    /// As for [`Recipe::compile`].
    pub fn compile_behind(self, front_end: Option<&str>) -> Result<Vec<u8>> {
        let quantize = Quantize { input_range: Some(self.input_range), ..Quantize::default() };
        let (name, front_end) = (Some(self.name.into()), front_end.map(String::from));
        let options = Options { name, labels: self.labels, front_end, ..Options::default() };
        let (compiled, report) = compile_float(self.network, self.samples, &quantize, self.checkpoint, &options)?;
        eprint!("{}", describe(&report));
        eprintln!("  {}", sizes(&compiled.bytes)?);
        Ok(compiled.bytes)
    }
}

/// A type of integers that a network is quantized to: its name, activations, and weights where they are not int8.
pub const TYPES: [(&str, Activations, Option<WeightType>); 3] = [
    ("int8", Activations::Int8, None),
    ("16x8", Activations::Int16, None),
    ("int8-int4", Activations::Int8, Some(WeightType::Int4)),
];

impl Recipe<'_> {
    /// Quantizes to one of [`TYPES`] and compiles, without a front end.
    ///
    /// # Errors
    /// As for [`Recipe::compile`].
    pub fn compile_as(&self, activations: Activations, weights: Option<WeightType>) -> Result<Vec<u8>> {
        let quantize = Quantize { activations, input_range: Some(self.input_range), ..Quantize::default() };
        let layers = weights.map(|of| ("*".to_string(), of)).into_iter().collect();
        let options =
            Options { name: Some(self.name.into()), labels: self.labels.clone(), layers, ..Options::default() };
        Ok(compile_float(self.network, self.samples, &quantize, self.checkpoint, &options)?.0.bytes)
    }
}

/// Returns the bytes of the first input of a model for these f32 values: codes of its scale.
///
/// # Errors
/// If the file is not a model with an int8 or int16 input.
pub fn input_bytes(file: &[u8], numbers: &[f32]) -> Result<Vec<u8>> {
    let model = Model::parse(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
    let input = model.value(model.input(0).context("the model has no input")?);
    Ok(match input.dtype {
        DType::I8 => numbers.iter().map(|&x| input.quantization.quantize(x).cast_unsigned()).collect(),
        DType::I16 => numbers.iter().flat_map(|&x| input.quantization.quantize_i16(x).to_le_bytes()).collect(),
        other => bail!("its input is {}", other.name()),
    })
}

/// Writes a compiled file, its golden vectors from `cases` (input, label), and `cases[shown]` as the model's example.
///
/// # Errors
/// As for [`write_model`].
pub fn write_all(paths: &Paths, name: &str, file: &[u8], cases: &[(Vec<u8>, String)], shown: usize) -> Result<()> {
    let (sample, label) = cases.get(shown).with_context(|| format!("{name} has no example {shown}"))?;
    write_model(paths, name, file, cases)?;
    write_demo(paths, name, "sample.bin", sample, label)
}

/// Writes a compiled file and its golden vectors from `cases` (input, label).
///
/// # Errors
/// If a file cannot be written, or an input does not fit.
pub fn write_model(paths: &Paths, name: &str, file: &[u8], cases: &[(Vec<u8>, String)]) -> Result<()> {
    write(&paths.file(name, &format!("{name}.safetensors")), file)?;
    let golden = serde_json::to_string_pretty(&golden(file, cases)?)?;
    write(&paths.file(name, "golden.json"), golden.as_bytes())
}

/// Writes a model's example: an input for the firmware, in the file `sample`, with the label `label`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_demo(paths: &Paths, name: &str, sample: &str, input: &[u8], label: &str) -> Result<()> {
    write(&paths.file(name, sample), input)?;
    let demo = format!("model = \"{name}.safetensors\"\n\n[[input]]\nfile = \"{sample}\"\nis = \"{label}\"\n");
    write(&paths.file(name, "demo.toml"), demo.as_bytes())
}

/// Returns the report of a quantization as text.
pub fn describe(report: &Report) -> String {
    let mut text = String::from("  layer                 operator            SNR [dB]   worst difference    bytes\n");
    for layer in &report.layers {
        let line = format!(
            "  {:<20}  {:<17} {:>10.1} {:>18.4} {:>8}\n",
            layer.name, layer.kind, layer.snr_db, layer.worst, layer.bytes
        );
        text.push_str(&line);
    }
    for trial in &report.trials {
        let mark = if Some(*trial) == report.chosen { "*" } else { " " };
        let bias = if trial.bias_correction { ", biases corrected" } else { "" };
        let equalized = if trial.equalized { ", weights equalized" } else { "" };
        text.push_str(&format!("  {mark} ranges by {}{bias}{equalized}: {:.2} dB\n", trial.ranges, trial.snr_db));
    }
    text
}

/// Returns the summary of a compiled file: size, arena, multiply-accumulates.
///
/// # Errors
/// If the file is not a model.
pub fn sizes(file: &[u8]) -> Result<String> {
    let model = Model::parse(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
    Ok(format!("{} bytes, arena {} bytes, {} multiply-accumulates", file.len(), model.arena_len(), model.macs()))
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn argmax_takes_the_first_of_equal_values() {
        assert_eq!([argmax(&[-3, 5, 5]), argmax(&[]), argmax(&[-128])], [1, 0, 0]);
    }
}
