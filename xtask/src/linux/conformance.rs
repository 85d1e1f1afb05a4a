//! Models of every kind on a Linux board, on each of its processors: the same output bytes as on this machine.
//!
//! They are the golden networks (whose bytes are TensorFlow Lite Micro's, or the digests of `f32.json`), every golden of a
//! single operator, a layer with its weights in each type of block, recurrent layers, all f32 layers in f16 too, and our own
//! models.

use super::{LinuxBoard, PACKAGE, recurrent};
use crate::blocks::{self, Weights};
use crate::conformance::{Group, golden_models};
use crate::context::Context;
use crate::model::ModelFile;
use crate::progress::Progress;
use crate::{on_board, table};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::host::Host;
use tealight_tests::models::splitmix64;
use tealight_tests::ops;

/// Inferences of each of our own models.
const INFERENCES: usize = 8;

/// A model, inputs for some inferences in a row, and what must come out.
struct Job {
    name: String,
    kind: &'static str,
    model: Vec<u8>,
    inputs: Vec<u8>,
    expected: Expected,
}

/// What must come out of a job.
enum Expected {
    /// These bytes, which this machine gave.
    Bytes(Vec<u8>),
    /// Outputs of `output_bytes` each, with the digests of a group of golden cases.
    Golden(Group, usize),
}

/// What was compared on one processor.
#[derive(Debug, Serialize)]
struct Outcome {
    board: String,
    cpu: String,
    /// Golden networks, int8 and float.
    networks: usize,
    /// Goldens of single operators.
    operators: usize,
    /// Layers with weights in blocks or f16, and recurrent ones.
    weights: usize,
    /// Our own models.
    models: usize,
    /// Time of the emulation on this machine.
    seconds: f64,
}

/// Runs all models, or the golden networks named, on every processor of the board.
pub fn conformance(context: &Context, board: &LinuxBoard, only: &[String], json: bool) -> Result<()> {
    board.ensure(context)?;
    let mut jobs = networks(context, only)?;
    if only.is_empty() {
        jobs.extend(operators()?);
        jobs.extend(weights()?);
        jobs.extend(own_models(context)?);
    }
    let progress = Progress::start(format!("building for {}", board.id));
    let program = board.build(context, PACKAGE, PACKAGE)?;
    progress.done("");
    let mut outcomes = Vec::new();
    for cpu in &board.emulator.cpus {
        outcomes.push(run(board, cpu, &program, &jobs)?);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
        return Ok(());
    }
    let mut table = table::table();
    table.set_header(["board", "processor", "networks", "operators", "weights", "own models", "seconds"]);
    for outcome in &outcomes {
        let counts = [outcome.networks, outcome.operators, outcome.weights, outcome.models].map(|n| n.to_string());
        let mut row = vec![outcome.board.clone(), outcome.cpu.clone()];
        row.extend(counts);
        row.push(format!("{:.1}", outcome.seconds));
        table.add_row(row);
    }
    println!("{table}");
    eprintln!("  {} gives the same bytes as this machine", board.id);
    Ok(())
}

/// Runs all jobs in one process and compares.
fn run(board: &LinuxBoard, cpu: &str, program: &Path, jobs: &[Job]) -> Result<Outcome> {
    let progress = Progress::start(format!("{} models on {}, {cpu}", jobs.len(), board.id));
    let folder = tempfile::Builder::new().prefix("tealight-linux-").tempdir().context("cannot make a folder")?;
    let file = |i: usize, part: &str| folder.path().join(format!("{i}.{part}"));
    for (i, job) in jobs.iter().enumerate() {
        std::fs::write(file(i, "model"), &job.model).context("cannot write a model")?;
        std::fs::write(file(i, "input"), &job.inputs).context("cannot write an input")?;
    }
    let start = Instant::now();
    let output = board
        .command(program, cpu)
        .arg(folder.path())
        .arg(jobs.len().to_string())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", board.emulator.binary))?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("the run on {cpu} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let mut failures = Vec::new();
    for (i, job) in jobs.iter().enumerate() {
        if let Err(error) = job.compare(&on_board::read(&file(i, "output"))?) {
            failures.push(format!("{}: {error}", job.name));
        }
    }
    if !failures.is_empty() {
        bail!("{} of {} models differ on {}, {cpu}:\n{}", failures.len(), jobs.len(), board.id, failures.join("\n"));
    }
    progress.done("equal");
    let count = |kind| jobs.iter().filter(|job| job.kind == kind).count();
    Ok(Outcome {
        board: board.id.clone(),
        cpu: cpu.into(),
        networks: count("network"),
        operators: count("operator"),
        weights: count("weights"),
        models: count("model"),
        seconds,
    })
}

impl Job {
    /// A job whose outputs are those of this machine.
    fn on_host(name: String, kind: &'static str, model: Vec<u8>, inputs: Vec<u8>) -> Result<Self> {
        let expected = Expected::Bytes(run_here(&model, &inputs).with_context(|| format!("{name} on this machine"))?);
        Ok(Self { name, kind, model, inputs, expected })
    }

    fn compare(&self, found: &[u8]) -> Result<()> {
        match &self.expected {
            Expected::Golden(group, output_bytes) => group.compare(found, *output_bytes),
            Expected::Bytes(expected) if found == expected => Ok(()),
            Expected::Bytes(expected) => {
                let at = found.iter().zip(expected).position(|(a, b)| a != b);
                bail!("{} bytes instead of {}, different from byte {at:?}", found.len(), expected.len())
            }
        }
    }
}

/// The outputs of a model for each of the inputs in a row.
fn run_here(model: &[u8], inputs: &[u8]) -> Result<Vec<u8>> {
    let mut host = Host::new(model).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut session = host.session();
    let (mut left, mut outputs) = (inputs, Vec::new());
    while !left.is_empty() {
        for i in 0..session.model().input_count() {
            let mut tensor = session.input(i);
            let len = tensor.as_bytes_mut().len();
            let (now, later) = left.split_at_checked(len).context("the input ends within an inference")?;
            tensor.copy_from(now)?;
            left = later;
        }
        session.run();
        for i in 0..session.model().output_count() {
            outputs.extend_from_slice(session.output(i).as_bytes());
        }
    }
    Ok(outputs)
}

/// The golden networks that are at hand, or those named.
fn networks(context: &Context, only: &[String]) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for golden in golden_models(context, only)? {
        let (model, groups) = golden.open()?;
        for group in groups {
            jobs.push(Job {
                name: golden.id.clone(),
                kind: "network",
                model: model.bytes.clone(),
                inputs: group.inputs.clone(),
                expected: Expected::Golden(group, model.output_bytes()),
            });
        }
    }
    Ok(jobs)
}

/// Every golden of a single operator.
fn operators() -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for file in ops::files() {
        for (name, case) in ops::cases(&file) {
            let compiled = compile_tflite(&case.model, &Options::default()).with_context(|| name.clone())?;
            let inputs = case.steps.iter().flat_map(|step| step.inputs.concat()).collect();
            jobs.push(Job::on_host(name, "operator", compiled.bytes, inputs)?);
        }
    }
    Ok(jobs)
}

/// A layer with its weights in f32, f16 and each type of block; recurrent layers; and every f32 layer in f16.
fn weights() -> Result<Vec<Job>> {
    let job = |weights: Weights| {
        let (model, input) = blocks::layer(weights)?;
        Job::on_host(format!("a layer in {}", weights.name()), "weights", model, input)
    };
    let mut jobs: Vec<Job> = Weights::all().map(job).collect::<Result<_>>()?;
    for (name, bytes) in recurrent::layers()? {
        let model = ModelFile::from_compiled(bytes, &name, Path::new(&name))?;
        let inputs = random_inputs(&model);
        jobs.push(Job::on_host(name, "weights", model.bytes, inputs)?);
    }
    // Every f32 layer that can have its weights in f16.
    let half = Options { f16: true, ..Options::default() };
    for file in ops::files().into_iter().filter(|file| file.ends_with("_f32")) {
        for (name, case) in ops::cases(&file) {
            let compiled = compile_tflite(&case.model, &half).with_context(|| name.clone())?;
            if !compiled.report.quantized.is_empty() {
                let inputs = case.steps.iter().flat_map(|step| step.inputs.concat()).collect();
                jobs.push(Job::on_host(format!("{name} in f16"), "weights", compiled.bytes, inputs)?);
            }
        }
    }
    Ok(jobs)
}

/// The compiled models of `models/`, on random inputs.
fn own_models(context: &Context) -> Result<Vec<Job>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(context.root.join("models")).context("cannot list models")? {
        let folder = folder?.path();
        if folder.is_dir() {
            files.extend(std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    let is_compiled = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".safetensors") && !name.ends_with(".float.safetensors")
    };
    files.retain(is_compiled);
    files.sort();
    let mut jobs = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let model = ModelFile::open(&file, &[])?;
        let inputs = random_inputs(&model);
        jobs.push(Job::on_host(name, "model", model.bytes, inputs)?);
    }
    Ok(jobs)
}

/// Inputs for some inferences.
fn random_inputs(model: &ModelFile) -> Vec<u8> {
    let mut state = 1;
    let tensors = (0..INFERENCES).flat_map(|_| &model.inputs);
    tensors.flat_map(|tensor| random(tensor.dtype, tensor.bytes, &mut state)).collect()
}

/// Random elements: reals from -2 to 2, indices below 64, any bytes.
fn random(dtype: &str, bytes: usize, state: &mut u64) -> Vec<u8> {
    match dtype {
        "F32" => (0..bytes / 4)
            .flat_map(|_| ((splitmix64(state) >> 40) as f32 / (1 << 22) as f32 - 2.0).to_le_bytes())
            .collect(),
        "I32" => (0..bytes / 4).flat_map(|_| ((splitmix64(state) >> 58) as i32).to_le_bytes()).collect(),
        _ => (0..bytes).map(|_| (splitmix64(state) >> 56) as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_differs_or_lacks_is_told() {
        let expected = Expected::Bytes(vec![1, 2, 3]);
        let job = Job { name: "x".into(), kind: "model", model: vec![], inputs: vec![], expected };
        job.compare(&[1, 2, 3]).unwrap();
        let told = |found: &[u8]| job.compare(found).unwrap_err().to_string();
        assert!(told(&[1, 9, 3]).contains("from byte Some(1)"), "{}", told(&[1, 9, 3]));
        assert!(told(&[1, 2]).contains("2 bytes instead of 3"));
    }

    #[test]
    fn random_inputs_are_numbers_that_models_take() {
        let mut state = 1;
        let reals = random("F32", 4000, &mut state);
        assert!(reals.as_chunks().0.iter().all(|b| f32::from_le_bytes(*b).abs() <= 2.0));
        let indices = random("I32", 4000, &mut state);
        assert!(indices.as_chunks().0.iter().all(|b| (0..64).contains(&i32::from_le_bytes(*b))));
        assert_eq!(random("I8", 7, &mut state).len(), 7);
    }
}
