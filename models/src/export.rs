//! From a traced network to a model's files, and the compiled file at work.

use crate::Paths;
use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use tealight::{Model, OwnedSession};
use tealight_compiler::Options;
use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::graph::Graph;
use tealight_compiler::quantize::{Quantize, Report, compile_float};

/// `golden.json`: inputs of a compiled model, and what it answers.
#[derive(Debug, Deserialize, Serialize)]
pub struct Golden {
    /// SHA-256 of the model file.
    pub model: String,
    /// Some held-out inputs.
    pub cases: Vec<Case>,
}

/// An input, the answer, and the truth.
#[derive(Debug, Deserialize, Serialize)]
pub struct Case {
    /// What it really is.
    pub label: String,
    /// The input's bytes in hexadecimal.
    pub input: String,
    /// The first output, int8.
    pub output: Vec<i8>,
}

/// What the compiled model gives for each of the inputs. What it keeps from one inference to the next, it keeps from
/// one input to the next.
///
/// # Errors
/// If it is no model, or an input is of another size.
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
    /// Checks the file and gives it memory.
    ///
    /// # Errors
    /// If it is no model.
    pub fn new(file: &[u8]) -> Result<Self> {
        Ok(Self(OwnedSession::from_bytes(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?))
    }

    /// The answer to an input.
    ///
    /// # Errors
    /// If the input is of another size.
    pub fn run(&mut self, input: &[u8]) -> Result<Vec<i8>> {
        let session = &mut self.0;
        session.reset();
        session.input(0).context("the model has no input")?.copy_from_bytes(input)?;
        session.run();
        let output = session.output(0).and_then(|output| output.as_slice()).context("the model has no int8 output")?;
        Ok(output.to_vec())
    }
}

/// The SHA-256 of some bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first of the greatest numbers.
pub fn argmax(numbers: &[i8]) -> usize {
    let best = numbers.iter().enumerate().max_by_key(|&(index, number)| (number, std::cmp::Reverse(index)));
    best.map_or(0, |(index, _)| index)
}

/// Reads a file; the error names it.
///
/// # Errors
/// That it cannot be read.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes a file whole or not at all.
///
/// # Errors
/// That it cannot be written.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    tealight_compiler::write_file(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

/// A model's float weights, compiled without quantization.
///
/// # Errors
/// If they cannot be read, or are of another network.
pub fn float(model: &dyn crate::Entry, paths: &Paths) -> Result<Vec<u8>> {
    let name = model.name();
    let checkpoint = read(&paths.file(name, &format!("{name}.float.safetensors")))?;
    let options = Options { name: Some(format!("{name}.f32")), ..Options::default() };
    Ok(compile_kernel_graph(model.network(&checkpoint)?, &checkpoint, &options)?.bytes)
}

/// Golden vectors: what `file` answers to each of (input, truth).
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

/// What a model's compiled file is made of.
pub struct Recipe<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The network with its float weights.
    pub network: &'a Graph,
    /// The file that the weights are from.
    pub checkpoint: &'a [u8],
    /// Inputs to calibrate with.
    pub samples: &'a [Vec<f32>],
    /// Least and greatest value of the input.
    pub input_range: [f32; 2],
    /// What each output stands for.
    pub labels: Vec<String>,
}

impl Recipe<'_> {
    /// Quantizes and compiles; says what that cost.
    ///
    /// # Errors
    /// If the network cannot be quantized with these inputs.
    pub fn compile(self) -> Result<Vec<u8>> {
        self.compile_behind(None)
    }

    /// The same for a network whose input a front end makes; the file names it.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
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

/// Writes a compiled file, its golden vectors from `cases` (input, truth), and `cases[shown]` as what the model shows
/// of itself.
///
/// # Errors
/// As [`write_model`].
pub fn write_all(paths: &Paths, name: &str, file: &[u8], cases: &[(Vec<u8>, String)], shown: usize) -> Result<()> {
    let (sample, label) = cases.get(shown).with_context(|| format!("{name} has no example {shown}"))?;
    write_model(paths, name, file, cases)?;
    write_demo(paths, name, "sample.bin", sample, label)
}

/// Writes a compiled file and its golden vectors from `cases` (input, truth).
///
/// # Errors
/// If a file cannot be written, or an input does not fit.
pub fn write_model(paths: &Paths, name: &str, file: &[u8], cases: &[(Vec<u8>, String)]) -> Result<()> {
    write(&paths.file(name, &format!("{name}.safetensors")), file)?;
    let golden = serde_json::to_string_pretty(&golden(file, cases)?)?;
    write(&paths.file(name, "golden.json"), golden.as_bytes())
}

/// Writes what a model shows of itself: an input as the firmware takes it, in the file `sample`, which is a `label`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_demo(paths: &Paths, name: &str, sample: &str, input: &[u8], label: &str) -> Result<()> {
    write(&paths.file(name, sample), input)?;
    let demo = format!("model = \"{name}.safetensors\"\n\n[[input]]\nfile = \"{sample}\"\nis = \"{label}\"\n");
    write(&paths.file(name, "demo.toml"), demo.as_bytes())
}

/// What quantization did, as text.
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

/// The summary of a compiled file: size, arena, multiply-accumulates.
///
/// # Errors
/// If it is no model.
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
