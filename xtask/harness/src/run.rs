//! `cargo xtask run`: a network on an emulated board, from the model file to its answer and what it cost.

use crate::answer::{self, Score};
use crate::board::{self, Board};
use crate::context::Context;
use crate::error::Usage;
use crate::firmware::Level;
use crate::model::{ModelFile, Tensor, target_of};
use crate::on_board::{self, Options, Run, run_on_board};
use crate::picture::Picture;
use crate::progress::Progress;
use crate::reconstruction::Reconstruction;
use crate::table::table;
use crate::text::{self, Request, TextArgs};
use crate::{files, input};
use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tealight_cli::grouped;
use tealight_cli::visible;
use tealight_compiler::Target;

/// Scores shown of an answer.
const TOP: usize = 5;

/// What to run, and where.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Board to run on (`cargo xtask boards` lists them)
    #[arg(long, default_value = crate::board::DEFAULT)]
    pub board: String,
    /// Model: .tflite, compiled .safetensors, or the name of one of our own [default: digits]
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Input: a picture, a .csv of numbers, sound, .npy, or raw values in the model's own type, each as for `tealight run`;
    /// or a folder of them [default for our own models: held-out ones]
    #[arg(long, requires = "model")]
    pub input: Vec<PathBuf>,
    /// What a language model is to write
    #[command(flatten)]
    pub text: TextArgs,
    /// Writes the raw outputs, one inference after another, to this file
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Seconds that the emulator may take
    #[arg(long, default_value_t = on_board::TIME_LIMIT.as_secs())]
    pub timeout: u64,
    /// Builds the inputs into the firmware instead of handing them over through the host
    #[arg(long)]
    pub embed: bool,
    /// What the firmware logs besides its report; shown on stderr as it comes
    #[arg(long, value_enum, default_value_t = Level::Off)]
    pub log: Level,
    /// Prints one JSON value instead of text
    #[arg(long)]
    pub json: bool,
}

/// The model that runs when none is named: a folder in `models`.
const DEMONSTRATION: &str = "digits";

/// What a model shows of itself, `demo.toml` in its folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Demo {
    model: PathBuf,
    #[serde(default)]
    input: Vec<DemoInput>,
    /// For a language model.
    text: Option<text::Demo>,
    /// For a network that reconstructs its input.
    reconstruction: Option<Reconstruction>,
}

/// An input of the demonstration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoInput {
    file: PathBuf,
    /// What it really is.
    is: String,
}

/// A model to run, on what, and how that is shown.
struct Subject {
    model: ModelFile,
    inputs: Vec<Source>,
    text: Option<text::Demo>,
    reconstruction: Option<Reconstruction>,
}

/// An input, and what it really is, if that is known.
struct Source {
    file: PathBuf,
    is: Option<String>,
}

impl RunArgs {
    /// How the firmware is built and run.
    fn options(&self) -> Options<'static> {
        let limit = Duration::from_secs(self.timeout);
        Options { embed_input: self.embed, limit, log: self.log, ..Options::default() }
    }
}

/// Whether a run needs no more than firmware, QEMU and one of our own models or a prompt: no inputs of any kind, no chip that
/// is emulated by a program of its own.
pub fn is_simple(context: &Context, args: &RunArgs) -> bool {
    let on_qemu = |board: Board| board.qemu.is_some() && board.chip_emulator.is_none();
    args.input.is_empty() && board::find(&context.root, &args.board).is_ok_and(on_qemu)
}

/// Runs the task.
pub fn run(context: &Context, args: &RunArgs) -> Result<()> {
    let board = board::find_running(&context.root, &args.board)?;
    if let Some(file) = &args.model
        && args.input.is_empty()
        && args.text.prompt.is_none()
        && !is_own(context, file)
    {
        return Err(Usage(format!("--model {} needs an --input, or a --prompt", file.display())).into());
    }
    let Subject { model, inputs, text, reconstruction } =
        subject(context, target_of(&board), args.model.as_deref(), &args.input)?;
    if model.speaks && inputs.is_empty() {
        return write(context, args, &board, &model, &Request::new(&args.text, text.as_ref())?);
    }
    if args.text.prompt.is_some() {
        return Err(Usage(format!("{} takes no --prompt with its inputs, or is no language model", model.name)).into());
    }
    let bytes = load_all(&model, &inputs)?;
    let count = bytes.len() / model.input_bytes().max(1);
    let on = if is_chip(&board) { " on an emulated chip" } else { "" };
    let what = format!("building {} for {} and running it{on}", model.name, board.id);
    let progress = Progress::start(what);
    let run = run_on_board(context, &board, &model, &bytes, args.options())?;
    progress.done("");
    if let Some(file) = &args.output {
        files::write_whole(file, &run.outputs)?;
    }
    if args.json {
        let mut json = as_json(&board, &model, &run);
        if let Some(shown) = &reconstruction {
            let verdicts = each(&model, &bytes, &run).map(|(one_input, one_output)| {
                let [input, output] = first_tensors(&model, one_input, one_output);
                shown.verdict(&input, &output)
            });
            json["reconstructions"] = serde_json::to_value(verdicts.collect::<Vec<_>>())?;
        }
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    for (index, (one_input, one_output)) in each(&model, &bytes, &run).enumerate() {
        let source = if inputs.len() == count { inputs.get(index) } else { inputs.first() };
        show(&model, index, source, one_input, one_output, reconstruction.as_ref());
    }
    println!("{}", costs(&board, &model, &run));
    Ok(())
}

/// Runs a language model on a prompt.
fn write(context: &Context, args: &RunArgs, board: &Board, model: &ModelFile, request: &Request) -> Result<()> {
    eprintln!("  ... building {} for {} and running it", model.name, board.id);
    let written = text::write(context, board, model, request, args.options(), !args.json)?;
    if let Some(file) = &args.output {
        files::write_whole(file, &written.run.outputs)?;
    }
    if args.json {
        let mut json = as_json(board, model, &written.run);
        // The text is the answer; the scores of each token would drown it.
        json.as_object_mut().map(|json| json.remove("answers"));
        for (key, value) in
            [("prompt", json!(request.prompt)), ("text", json!(written.text)), ("tokens", json!(written.tokens))]
        {
            json[key] = value;
        }
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    println!("\n{}", costs(board, model, &written.run));
    eprintln!(
        "  ok  {} tokens; this machine generates the same, with the same scores bit for bit",
        written.tokens.len()
    );
    Ok(())
}

/// Reads or compiles a model, and reports it.
fn open(target: Target, file: &Path, labels: &[String]) -> Result<ModelFile> {
    let progress = Progress::start(format!("reading {}", file.display()));
    let model = ModelFile::open_for(target, file, labels)?;
    progress.done(&format!(
        "{} multiply-accumulates, {} bytes",
        grouped(model.macs),
        grouped(model.bytes.len() as u64)
    ));
    Ok(model)
}

/// A model by its file or its name, or the demonstration's, with the inputs that are given; without any, one of our own
/// models has its own.
fn subject(context: &Context, target: Target, model: Option<&Path>, inputs: &[PathBuf]) -> Result<Subject> {
    let name = model.unwrap_or(Path::new(DEMONSTRATION));
    let given = inputs.iter().map(|file| Source { file: file.clone(), is: None }).collect();
    if is_own(context, name) {
        let own = demo(context, name)?;
        return Ok(if inputs.is_empty() { own } else { Subject { inputs: given, ..own } });
    }
    Ok(Subject { model: open(target, name, &[])?, inputs: given, text: None, reconstruction: None })
}

/// Whether it is the name of one of our own models.
fn is_own(context: &Context, name: &Path) -> bool {
    name.components().count() == 1 && folder(context, name).join("demo.toml").is_file()
}

/// The folder of one of our own models.
fn folder(context: &Context, name: &Path) -> PathBuf {
    context.root.join("models").join(name)
}

/// One of our own models, and what it shows of itself.
fn demo(context: &Context, name: &Path) -> Result<Subject> {
    let folder = folder(context, name);
    let text = String::from_utf8(files::read(&folder.join("demo.toml"))?)?;
    let demo: Demo = toml::from_str(&text).with_context(|| format!("in {}", folder.join("demo.toml").display()))?;
    let model = open(Target::Any, &folder.join(demo.model), &[])?;
    let inputs = demo.input.into_iter().map(|input| Source { file: folder.join(input.file), is: Some(input.is) });
    Ok(Subject { model, inputs: inputs.collect(), text: demo.text, reconstruction: demo.reconstruction })
}

/// The demonstration's model and the bytes of its inputs in a row.
pub fn demonstration(context: &Context) -> Result<(ModelFile, Vec<u8>)> {
    demonstration_of(context, DEMONSTRATION)
}

/// The same of any of our own models.
pub fn demonstration_of(context: &Context, name: &str) -> Result<(ModelFile, Vec<u8>)> {
    model_and_inputs(context, Some(Path::new(name)), &[])
}

/// A model by its file or its name, or the demonstration's, and the bytes of inputs in a row: those given, or its own.
pub fn model_and_inputs(context: &Context, model: Option<&Path>, inputs: &[PathBuf]) -> Result<(ModelFile, Vec<u8>)> {
    model_and_inputs_for(context, Target::Any, model, inputs)
}

/// The same; a network that is not compiled yet is compiled for `target`.
pub fn model_and_inputs_for(
    context: &Context,
    target: Target,
    model: Option<&Path>,
    inputs: &[PathBuf],
) -> Result<(ModelFile, Vec<u8>)> {
    let Subject { model, inputs, .. } = subject(context, target, model, inputs)?;
    let bytes = load_all(&model, &inputs)?;
    Ok((model, bytes))
}

/// The inputs of all files in a row.
fn load_all(model: &ModelFile, sources: &[Source]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for source in sources {
        bytes.extend(input::load(&source.file, model)?);
    }
    Ok(bytes)
}

/// Inputs and outputs of the network, inference by inference.
fn each<'a>(model: &ModelFile, inputs: &'a [u8], run: &'a Run) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let (taken, bytes) = match model.feature_bytes() {
        0 => (inputs, model.input_bytes()),
        bytes => (&run.features[..], bytes),
    };
    taken.chunks(bytes.max(1)).zip(run.outputs.chunks(model.output_bytes().max(1)))
}

/// The top scores of one inference's first output.
fn scores(model: &ModelFile, outputs: &[u8]) -> Vec<Score> {
    let Some(tensor) = model.outputs.first() else { return Vec::new() };
    let bytes = outputs.get(..tensor.bytes).unwrap_or(outputs);
    answer::top(&tensor.real(bytes), &model.labels, TOP)
}

/// The real values of one inference's first input and first output.
fn first_tensors(model: &ModelFile, inputs: &[u8], outputs: &[u8]) -> [Vec<f32>; 2] {
    let real = |tensors: &[Tensor], bytes: &[u8]| {
        tensors.first().map_or_else(Vec::new, |tensor| tensor.real(bytes.get(..tensor.bytes).unwrap_or(bytes)))
    };
    [real(&model.inputs, inputs), real(&model.outputs, outputs)]
}

fn show(
    model: &ModelFile,
    index: usize,
    source: Option<&Source>,
    inputs: &[u8],
    outputs: &[u8],
    reconstruction: Option<&Reconstruction>,
) {
    let name = source.and_then(|source| source.file.file_name()).unwrap_or_default().to_string_lossy();
    let is = source.and_then(|source| source.is.as_deref()).map_or(String::new(), |is| format!(", really: {is}"));
    println!("\nInference {} ({}{})", index + 1, visible(&name), visible(&is));
    if let Some(shown) = reconstruction {
        let [input, output] = first_tensors(model, inputs, outputs);
        print!("{}", shown.draw(&input, &output));
        return;
    }
    let picture = model.inputs.first().and_then(|tensor| {
        let bytes = inputs.get(..tensor.bytes)?;
        if model.listens {
            let [frames, bands] = *tensor.shape.last_chunk()?;
            return Picture::from_frames(frames as usize, bands as usize, bytes);
        }
        Picture::from_tensor(&tensor.shape, &tensor.brightness(bytes)?)
    });
    if let Some(picture) = picture {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", picture.draw(colour));
    }
    print!("{}", answer::lines(&scores(model, outputs)));
}

/// Whether only the board's chip is emulated.
fn is_chip(board: &Board) -> bool {
    board.chip_emulator.is_some()
}

/// What the run cost.
fn costs(board: &Board, model: &ModelFile, run: &Run) -> String {
    let report = &run.report;
    let per_mac = |count: u64| match model.macs {
        0 => String::new(),
        macs => format!(" ({:.2} per multiply-accumulate)", count as f64 / macs as f64),
    };
    let mut table = table(&[""], &[""], &[""]);
    let mut row = |what: &str, number: u64, remark: String| {
        table.row([what.to_string(), grouped(number), remark]);
    };
    let first = report.instructions.first().copied();
    if let Some(first) = first {
        row("instructions of one inference", first, per_mac(first).trim().to_string());
    }
    if report.instructions.iter().any(|count| Some(*count) != first) {
        let low = report.instructions.iter().min().copied().unwrap_or(0);
        let high = report.instructions.iter().max().copied().unwrap_or(0);
        row("  lowest", low, String::new());
        row("  highest", high, String::new());
    }
    if let Some(front_end) = report.front_end.first() {
        row("instructions of the front end", *front_end, "for that second of sound".into());
    }
    row("multiply-accumulates", model.macs, String::new());
    let state = format!("bytes of RAM; {} of them state", grouped(report.state_bytes));
    row("arena", report.arena_bytes, state);
    row("stack, deepest", report.stack_bytes, "bytes of RAM".into());
    row("flash", run.sizes.flash, "bytes".into());
    let model_bytes = model.bytes.len() as u64;
    row("  model", model_bytes, "bytes, read in place".into());
    row("  runtime and app", run.sizes.flash.saturating_sub(model_bytes), "bytes".into());
    row("emulated in", (run.seconds * 1000.0) as u64, "ms on this machine".into());
    // Its columns have no titles, so the table begins with an empty line.
    format!("{} on {}{}{table}", model.name, board.name, if is_chip(board) { ", an emulated chip" } else { "" })
}

/// The whole of a run as one JSON value.
fn as_json(board: &Board, model: &ModelFile, run: &Run) -> serde_json::Value {
    let model_bytes = model.bytes.len() as u64;
    let answers: Vec<_> =
        run.outputs.chunks(model.output_bytes().max(1)).map(|outputs| scores(model, outputs)).collect();
    json!({
        "board": board.id,
        "emulated_chip": is_chip(board),
        "model": model.name,
        "macs": model.macs,
        "answers": answers,
        "instructions": run.report.instructions,
        "front_end_instructions": run.report.front_end,
        "instruction_resolution": run.report.resolution,
        "arena_bytes": run.report.arena_bytes,
        "state_bytes": run.report.state_bytes,
        "stack_bytes": run.report.stack_bytes,
        "flash_bytes": run.sizes.flash,
        "model_bytes": model_bytes,
        "runtime_bytes": run.sizes.flash.saturating_sub(model_bytes),
        "ram_static_bytes": run.sizes.ram,
        "seconds": run.seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    #[test]
    fn the_demonstration_is_complete() {
        let Subject { model, inputs, .. } = demo(&Context::new().unwrap(), Path::new(DEMONSTRATION)).unwrap();
        let bytes = load_all(&model, &inputs).unwrap();
        assert_eq!((model.labels.len(), bytes.len()), (10, inputs.len() * model.input_bytes()));
        let tensor = &model.inputs[0];
        assert!(Picture::from_tensor(&tensor.shape, &bytes[..tensor.bytes]).is_some());
        for source in inputs {
            assert!(source.is.is_some_and(|is| model.labels.contains(&is)), "{}", source.file.display());
        }
    }

    #[test]
    fn a_run_without_inputs_on_a_board_of_qemu_is_simple() {
        let context = Context::new().unwrap();
        let simple = |words: &[&str]| {
            let args = RunArgs::augment_args(clap::Command::new("run")).get_matches_from([&["run"], words].concat());
            is_simple(&context, &RunArgs::from_arg_matches(&args).unwrap())
        };
        assert!(simple(&[]));
        assert!(simple(&["--board", "mps2-an385", "--model", "keyword"]));
        assert!(!simple(&["--board", "pico"]), "its chip is emulated by a program of its own");
        assert!(!simple(&["--model", "digits", "--input", "five.png"]), "pictures need a library");
        assert!(!simple(&["--board", "toaster"]));
    }

    #[test]
    fn a_model_that_listens_is_demonstrated_by_seconds_of_sound() {
        let context = Context::new().unwrap();
        let Subject { model, inputs, .. } = demo(&context, Path::new("keyword")).unwrap();
        assert!(model.listens);
        assert_eq!(load_all(&model, &inputs).unwrap().len(), inputs.len() * 2 * tealight_audio::SAMPLE_RATE);
        assert!(inputs.iter().all(|source| source.is.as_ref().is_some_and(|is| model.labels.contains(is))));
    }

    #[test]
    fn a_model_of_our_own_is_run_by_its_name() {
        let context = Context::new().unwrap();
        for name in ["anomaly", "digits", "gesture", "keyword"] {
            let Subject { model, inputs, reconstruction, .. } = demo(&context, Path::new(name)).unwrap();
            assert_eq!(model.name, name);
            assert!(!load_all(&model, &inputs).unwrap().is_empty());
            assert_eq!(reconstruction.is_some(), name == "anomaly");
        }
    }

    #[test]
    fn a_language_model_is_demonstrated_by_a_text() {
        let Subject { model, inputs, text, .. } = demo(&Context::new().unwrap(), Path::new("charlm")).unwrap();
        assert!(model.speaks && inputs.is_empty());
        assert!(!Request::new(&TextArgs::default(), text.as_ref()).unwrap().prompt.is_empty());
    }
}
