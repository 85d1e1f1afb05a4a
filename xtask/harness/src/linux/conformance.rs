//! Models of every kind on a Linux board, on each of its processors: the same output bytes as on this machine.
//!
//! They are the golden networks (whose bytes are TensorFlow Lite Micro's, or the digests of `f32.json`), every golden
//! of a single operator, a layer with its weights in each type of block, recurrent layers, all f32 layers in f16 too,
//! and our own models.

use super::{EMULATED, OnLinux as _, PACKAGE, program, recurrent};
use crate::blocks::{self, Weights};
use crate::board::LinuxBoard;
use crate::context::Context;
use crate::files;
use crate::limit;
use crate::model::ModelFile;
use crate::progress::Progress;
use crate::subject::{Expected, INFERENCES, random_inputs, run_here, subjects};
use crate::table::table;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::ops;

/// A model, inputs for some inferences in a row, and what must come out.
struct Job {
    name: String,
    kind: &'static str,
    model: Vec<u8>,
    inputs: Vec<u8>,
    expected: Expected,
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

/// Runs the golden networks and own models named, or all models and the program.
pub fn conformance(context: &Context, board: &LinuxBoard, only: &[String], json: bool) -> Result<()> {
    if only.is_empty() {
        return all_models(context, board, true, json);
    }
    board.ensure(context)?;
    compare(context, board, &whole_models(context, only)?, false, json)
}

/// Runs every kind of model on every processor of the board, and the program `tealight` itself where asked for.
pub fn all_models(context: &Context, board: &LinuxBoard, program: bool, json: bool) -> Result<()> {
    board.ensure(context)?;
    let mut jobs = whole_models(context, &[])?;
    jobs.extend(operators()?);
    jobs.extend(weights()?);
    compare(context, board, &jobs, program, json)
}

/// Runs jobs, and the program where asked for, on every processor of the board, and tables what was equal.
fn compare(context: &Context, board: &LinuxBoard, jobs: &[Job], program: bool, json: bool) -> Result<()> {
    let progress = Progress::start(format!("building for {}", board.id));
    let runner = board.build(context, PACKAGE, PACKAGE, &[])?;
    progress.done("");
    let mut outcomes = Vec::new();
    for cpu in &board.emulator.cpus {
        outcomes.push(run(board, cpu, &runner, jobs)?);
    }
    let used = if program { program::check(context, board)? } else { Vec::new() };
    if json {
        println!("{}", serde_json::to_string_pretty(&json!({ "models": outcomes, "program": used }))?);
        return Ok(());
    }
    let mut models =
        table(&["board", "processor"], &["networks", "operators", "weights", "own models", "seconds"], &[]);
    for outcome in &outcomes {
        let counts = [outcome.networks, outcome.operators, outcome.weights, outcome.models].map(|n| n.to_string());
        let mut row = vec![outcome.board.clone(), outcome.cpu.clone()];
        row.extend(counts);
        row.push(format!("{:.1}", outcome.seconds));
        models.row(row);
    }
    println!("{models}");
    if !used.is_empty() {
        let mut programs =
            table(&["board", "processor", "tealight itself on", "Candle's engine finds"], &["seconds"], &[]);
        used.iter().for_each(|outcome| programs.row(outcome.row()));
        println!("{programs}");
    }
    eprintln!("  {} returns the same bytes as this machine", board.id);
    Ok(())
}

/// Runs all jobs in one process and compares.
fn run(board: &LinuxBoard, cpu: &str, runner: &Path, jobs: &[Job]) -> Result<Outcome> {
    let progress = Progress::start(format!("{} models on {}, {cpu}", jobs.len(), board.id));
    let folder = tempfile::Builder::new().prefix("tealight-linux-").tempdir().context("cannot create a folder")?;
    let file = |i: usize, part: &str| folder.path().join(format!("{i}.{part}"));
    for (i, job) in jobs.iter().enumerate() {
        std::fs::write(file(i, "model"), &job.model).context("cannot write a model")?;
        std::fs::write(file(i, "input"), &job.inputs).context("cannot write an input")?;
    }
    let start = Instant::now();
    limit::succeed(board.command(runner, cpu).arg(folder.path()).arg(jobs.len().to_string()), EMULATED)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut failures = Vec::new();
    for (i, job) in jobs.iter().enumerate() {
        if let Err(error) = job.expected.compare(&files::read(&file(i, "output"))?) {
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
}

/// The golden networks whose files are here, and our own models; or those named.
fn whole_models(context: &Context, only: &[String]) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for subject in subjects(context, only)? {
        for run in subject.runs {
            let (name, model) = (subject.id.clone(), subject.model.bytes.clone());
            jobs.push(Job { name, kind: subject.kind, model, inputs: run.inputs, expected: run.expected });
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
        let inputs = random_inputs(&model, INFERENCES);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_differs_or_is_missing_is_reported() {
        let expected = Expected::Bytes(vec![1, 2, 3]);
        expected.compare(&[1, 2, 3]).unwrap();
        let told = |found: &[u8]| expected.compare(found).unwrap_err().to_string();
        assert!(told(&[1, 9, 3]).contains("from byte Some(1)"), "{}", told(&[1, 9, 3]));
        assert!(told(&[1, 2]).contains("2 bytes instead of 3"));
    }
}
