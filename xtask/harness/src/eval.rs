//! `cargo xtask eval`: our own models on held-out data, on this machine and on a board.
//!
//! Candle takes minutes to build, so this crate does not link it: the crate `tealight-models` has a program of its own,
//! which is built when it is needed.

use crate::board::{self, Board};
use crate::context::{Context, run_quietly};
use crate::error::Usage;
use crate::model::{ModelFile, own_models};
use crate::on_board::{Options, run_on_board};
use crate::progress::Progress;
use crate::table::{Table, table};
use crate::{emulator, fetch, files, install};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use xshell::cmd;

/// What to measure, and where.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Models to measure [default: all]
    pub names: Vec<String>,
    /// Also runs held-out inputs on this board and compares its bytes with the host's
    #[arg(long)]
    pub board: Option<String>,
    /// Held-out inputs to run on the board
    #[arg(long, default_value_t = COUNT, requires = "board")]
    pub count: usize,
    /// Quantizes the model's float weights to int8, to 16x8 and to int8 with int4 weights, and compares these instead
    #[arg(long, requires = "names", conflicts_with = "count")]
    pub types: bool,
    /// Prints one JSON value instead of text
    #[arg(long)]
    pub json: bool,
}

/// A model quantized to one type of integers, as the models' program describes it.
#[derive(Debug, Deserialize)]
struct OfType {
    name: String,
    accuracy: f64,
    samples: usize,
    file: PathBuf,
    inputs: PathBuf,
    outputs: PathBuf,
}

/// What a type of integers costs, and what it is worth.
#[derive(Debug, Serialize)]
struct TypeFigures {
    model: String,
    r#type: String,
    accuracy: f64,
    samples: usize,
    bytes: usize,
    arena_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<OnBoard>,
}

/// The quality of a model, measured on held-out data.
#[derive(Debug, Deserialize, Serialize)]
struct Figures {
    name: String,
    metric: String,
    /// Of the float weights, run by Candle.
    float: f64,
    /// Of the compiled file, run by Tealight on the host.
    quantized: f64,
    samples: usize,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recordings: Option<Recordings>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<OnBoard>,
}

/// The same metric where a whole recording is one sample.
#[derive(Debug, Deserialize, Serialize)]
struct Recordings {
    float: f64,
    quantized: f64,
    samples: usize,
}

/// The same metric on some of the samples.
#[derive(Debug, Deserialize, Serialize)]
struct Part {
    name: String,
    float: f64,
    quantized: f64,
    samples: usize,
}

/// The outputs of the board.
#[derive(Debug, Deserialize, Serialize)]
struct OnBoard {
    id: String,
    /// Inputs that were run.
    samples: usize,
    /// How many of their outputs equal the host's, bit for bit, and their features, where the board computes these.
    equal: usize,
    /// Instructions of the first inference.
    instructions: u64,
    /// Instructions for computing its features.
    #[serde(skip_serializing_if = "Option::is_none")]
    front_end_instructions: Option<u64>,
}

impl OnBoard {
    fn ensure_equal(&self, model: &str) -> Result<()> {
        let differ = self.samples - self.equal;
        ensure!(
            self.samples > 0 && differ == 0,
            "{differ} of {} outputs of {model} on {} differ from the host's",
            self.samples,
            self.id
        );
        Ok(())
    }
}

/// Models whose data are synthesized speech.
const SPOKEN: &[&str] = &["keyword"];

/// Refuses a name that is none of our own models'.
///
/// # Errors
/// [`Usage`], with the names there are.
pub fn check_names(context: &Context, names: &[String]) -> Result<()> {
    let all = own_models(context)?;
    match names.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(Usage(format!("there is no model `{name}`; there are: {}", all.join(", "))).into()),
        None => Ok(()),
    }
}

/// Fetches the data of models (of all, if `names` is empty), and installs the speech synthesizers.
pub fn ensure_data(context: &Context, names: &[String]) -> Result<()> {
    if names.is_empty() || names.iter().any(|name| SPOKEN.contains(&name.as_str())) {
        install::ensure_speech(context)?;
    }
    fetch::data(context)
}

/// Builds the models' program and returns its path.
pub fn program(context: &Context) -> Result<PathBuf> {
    context.build_program("tealight-models", "Candle takes minutes")
}

/// Measures models on the host and, if asked, on a board.
pub fn eval(context: &Context, args: &EvalArgs) -> Result<()> {
    check_names(context, &args.names)?;
    let board = args.board.as_ref().map(|id| board::find_emulated(&context.root, id)).transpose()?;
    ensure_data(context, &args.names)?;
    if args.types {
        return compare_types(context, &program(context)?, board.as_ref(), args);
    }
    measure(context, &program(context)?, board.as_ref(), args)
}

/// Measures all models on the host and on a board, with the program that the tests of `tealight-models` have just built: to
/// build it alone takes as long again, because cargo chooses other features of what Candle depends on.
pub fn check_after_tests(context: &Context, board: &str) -> Result<()> {
    let board = board::find_emulated(&context.root, board)?;
    ensure_data(context, &[])?;
    let args = EvalArgs { names: Vec::new(), board: Some(board.id.clone()), count: COUNT, types: false, json: false };
    measure(context, &context.program("tealight-models"), Some(&board), &args)
}

/// As [`check_after_tests`], but of one model, and only whether the board's outputs are the host's.
pub fn compare_after_tests(context: &Context, board: &str, name: &str) -> Result<()> {
    let board = board::find_emulated(&context.root, board)?;
    ensure_data(context, &[name.into()])?;
    let program = context.program("tealight-models");
    compile_in_float(context, &program)?;
    on_board(context, &program, &board, name, COUNT)?.ensure_equal(name)
}

/// Held-out inputs that a board runs.
const COUNT: usize = 200;

/// Whatever runs whole models runs ours in float too from now on.
fn compile_in_float(context: &Context, program: &Path) -> Result<()> {
    let (shell, folder) = (&context.shell, context.float_models());
    run_quietly(cmd!(shell, "{program} float {folder}"))
}

fn measure(context: &Context, program: &Path, board: Option<&Board>, args: &EvalArgs) -> Result<()> {
    let shell = &context.shell;
    let names = &args.names;
    compile_in_float(context, program)?;
    let progress = Progress::start("measuring on the host");
    let output = cmd!(shell, "{program} eval --json {names...}").quiet().read()?;
    progress.done("");
    let mut figures: Vec<Figures> = serde_json::from_str(&output).context("tealight-models printed no figures")?;
    for figures in &mut figures {
        if let Some(board) = board {
            figures.board = Some(on_board(context, program, board, &figures.name, args.count)?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        println!("{}", as_table(&figures));
    }
    figures.iter().try_for_each(|figures| match &figures.board {
        Some(board) => board.ensure_equal(&figures.name),
        None => Ok(()),
    })
}

/// Compares the types of integers that models can be quantized to.
fn compare_types(context: &Context, program: &Path, board: Option<&Board>, args: &EvalArgs) -> Result<()> {
    let (shell, folder) = (&context.shell, tempfile::tempdir()?);
    let mut all = Vec::new();
    for model in &args.names {
        let progress = Progress::start(format!("quantizing {model} to each type"));
        let folder = folder.path();
        let output = cmd!(shell, "{program} types {model} {folder}").quiet().read()?;
        progress.done("");
        let types: Vec<OfType> = serde_json::from_str(&output).context("tealight-models printed no figures")?;
        for OfType { name, accuracy, samples, file, inputs, outputs } in types {
            let compiled = ModelFile::open(&file, &[])?;
            let (inputs, outputs) = (files::read(&inputs)?, files::read(&outputs)?);
            let board = board.map(|board| run_inputs(context, board, &compiled, &inputs, &outputs)).transpose()?;
            if let Some(board) = &board {
                board.ensure_equal(&format!("{model} as {name}"))?;
            }
            let (bytes, arena_bytes) = (compiled.bytes.len(), compiled.arena_bytes);
            let model = model.clone();
            all.push(TypeFigures { model, r#type: name, accuracy, samples, bytes, arena_bytes, board });
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let instructions: &[_] = if board.is_some() { &["instructions"] } else { &[] };
    let numbers = [&["accuracy", "held-out samples", "bytes", "arena B"][..], instructions].concat();
    let mut table = table(&["model", "type"], &numbers, &[]);
    for figures in &all {
        let mut row = vec![
            figures.model.clone(),
            figures.r#type.clone(),
            format!("{:.4}", figures.accuracy),
            figures.samples.to_string(),
            tealight_cli::grouped(figures.bytes as u64),
            tealight_cli::grouped(figures.arena_bytes),
        ];
        row.extend(figures.board.as_ref().map(|board| tealight_cli::grouped(board.instructions)));
        table.row(row);
    }
    println!("{table}");
    Ok(())
}

/// Runs `count` held-out inputs on the board and compares its outputs with the host's.
fn on_board(context: &Context, program: &Path, board: &Board, name: &str, count: usize) -> Result<OnBoard> {
    emulator::ensure_board(context, board)?;
    let folder = tempfile::tempdir()?;
    let [inputs, outputs] = ["inputs.bin", "outputs.bin"].map(|file| folder.path().join(file));
    let (shell, number) = (&context.shell, count.to_string());
    run_quietly(cmd!(shell, "{program} answers {name} --count {number} --inputs {inputs} --outputs {outputs}"))?;
    let file = context.root.join("models").join(name).join(format!("{name}.safetensors"));
    run_inputs(context, board, &ModelFile::open(&file, &[])?, &files::read(&inputs)?, &files::read(&outputs)?)
}

/// Runs a model's inputs on the board and compares its outputs with `host`, the host's.
fn run_inputs(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8], host: &[u8]) -> Result<OnBoard> {
    emulator::ensure_board(context, board)?;
    let count = inputs.len() / model.input_bytes().max(1);
    let progress = Progress::start(format!("running {count} inputs of {} on {}", model.name, board.id));
    let run = run_on_board(context, board, model, inputs, Options::default())?;
    let each = (model.feature_bytes() + model.output_bytes()).max(1);
    let answers = run.written(model);
    if host.len() != each * answers.len() {
        bail!("the host wrote {} bytes for {} inputs, {} wrote {each} each", host.len(), answers.len(), board.id);
    }
    let equal = host.chunks(each).zip(&answers).filter(|(host, board)| host == *board).count();
    progress.done("");
    let instructions = run.report.instructions.first().copied().unwrap_or(0);
    let front_end_instructions = run.report.front_end.first().copied();
    Ok(OnBoard { id: board.id.clone(), samples: answers.len(), equal, instructions, front_end_instructions })
}

fn as_table(figures: &[Figures]) -> Table {
    let with_board = figures.iter().any(|figures| figures.board.is_some());
    let board: &[_] = if with_board { &["equal on the board"] } else { &[] };
    let mut table = table(&["model", "metric"], &["float", "quantized", "held-out samples", "bytes"], board);
    for figures in figures {
        let mut row = vec![
            figures.name.clone(),
            figures.metric.clone(),
            format!("{:.4}", figures.float),
            format!("{:.4}", figures.quantized),
            figures.samples.to_string(),
            tealight_cli::grouped(figures.bytes),
        ];
        if let Some(board) = &figures.board {
            row.push(format!("{} of {} on {}", board.equal, board.samples, board.id));
        }
        table.row(row);
        let mut add = |metric: String, float: f64, quantized: f64, samples: usize| {
            let [float, quantized] = [float, quantized].map(|share| format!("{share:.4}"));
            table.row([String::new(), metric, float, quantized, samples.to_string(), String::new()]);
        };
        if let Some(whole) = &figures.recordings {
            add(format!("{} of recordings", figures.metric), whole.float, whole.quantized, whole.samples);
        }
        for part in &figures.parts {
            add(format!("  {}", part.name), part.float, part.quantized, part.samples);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_is_answered_with_those_there_are() {
        let context = Context::new().unwrap();
        let error = check_names(&context, &["toaster".into()]).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("digits"), "{error:#}");
    }

    #[test]
    fn every_model_with_a_card_has_its_files() {
        let context = Context::new().unwrap();
        for name in own_models(&context).unwrap() {
            let folder = context.root.join("models").join(&name);
            assert!(folder.join(format!("{name}.safetensors")).is_file(), "{name} has no compiled file");
            // What it answers: to single inputs, or to a text.
            let answers = ["golden.json", "continuation.json"].map(|file| folder.join(file).is_file());
            assert!(answers.contains(&true), "{name} has no golden answers");
        }
    }
}
