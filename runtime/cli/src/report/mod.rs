//! `tealight report`: one page about a model, for those who decide whether it is used.

mod evaluation;
mod float;
mod html;
mod layers;
mod map;
mod page;
mod samples;

use crate::boards;
use crate::error::Result;
use crate::inspect::{InspectReport, read_boards};
use crate::layers::regions;
use crate::limits::{self, Limits};
use crate::model_file::{self, ModelFile};
use crate::output_file::OutputFile;
use crate::picture::Region;
use crate::prediction::Predictor;
use crate::screen::Screen;
use crate::sensor::{Columns, FrontEnd, Sensors};
use crate::table::bytes;
use evaluation::{Evaluation, evaluate};
use float::{Comparison, FloatNetwork};
use samples::Sample;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tealight::Model;
use tealight_board_spec::Summary;

/// Write one HTML page about a model: layers, memory, boards, and how well it answers
///
/// The page needs no network access and no script. It has the model's inputs, outputs and origin; each layer with its
/// share of the work; which values are in memory when; and which boards the model fits, as in `tealight inspect`. With
/// inputs, it also shows what the model answers.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Args {
    /// A compiled model (.safetensors), or a .tflite or .onnx, which is compiled in memory
    model: PathBuf,
    /// The page to write
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,
    /// Run the model on the files of this folder, as `tealight run` does
    ///
    /// If it has subfolders named by the model's labels or by class numbers from 0, each holds inputs of that class, and
    /// the page has the accuracy and the confusion matrix; otherwise, how often each class is the answer. Every inference
    /// of a file counts as one input. State is reset before each file. Only for models with one input.
    #[arg(long, value_name = "FOLDER")]
    inputs: Option<PathBuf>,
    /// How the input is computed from a picture, numbers or sound, in place of what the model declares; see `tealight
    /// compile --help`
    #[arg(long, value_name = "HOW", requires = "inputs")]
    front_end: Option<FrontEnd>,
    #[command(flatten)]
    columns: Columns,
    /// Compare with the float network that the model was quantized from
    ///
    /// Both run on the inputs. The ratios of layers are those of `tealight compile --calibrate`: the float network is
    /// quantized again with at most 200 of the inputs, and the page says whether that gave the same file.
    #[arg(long, value_name = "SOURCE.tflite", requires = "inputs")]
    float: Option<PathBuf>,
    /// A board to check the model against, by its name or its board.toml file; may be given several times
    ///
    /// Without it, all boards are shown. Instructions of layers are those of the first board that has a prediction in
    /// milliseconds.
    #[arg(long = "board", value_name = "BOARD")]
    boards: Vec<String>,
    #[command(flatten)]
    limits: Limits,
    /// Print the page's data as JSON, besides writing the page
    #[arg(long)]
    json: bool,
}

const JSON: &str = "\
Keys of --json: those of `tealight inspect --json`, and
  output           the page
  format_version   of the model file
  metadata         {name: text}: what the file says about its origin
  prediction       {board, core, layers: [{instructions, milliseconds}]}: of
                   each layer, on the first board with a prediction, one
                   with a clock if possible; absent if none has any
  evaluation       with --inputs: {inputs, files, inferences, classes, correct,
                   accuracy, confusion: [{class, answer, count}], answers,
                   worst: [{file, inference, class, answer, value, margin}],
                   minimum, mean, maximum}: answers is {class: count};
                   margin is the value of the input's class (of the answer, if
                   the class is not known) minus the highest other value;
                   minimum, mean and maximum are of the elements of output 0;
                   correct, accuracy and class are null without subfolders;
                   classes is 0 if output 0 is not a list of scores
  float            with --float: {source, compiled_from_source, snr_db, worst,
                   agreement, same_file, quantization}: of output 0;
                   quantization is that of `tealight compile --json` for the
                   network quantized again, null unless the model is int8 or 16x8; same_file
                   is whether that gave the model file";

/// Entries of the model's metadata that tell its origin.
const ORIGIN: [&str; 5] = ["generator", "toolchain", "source_sha256", "inputs", "outputs"];

/// The data of the page; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    output: &'a Path,
    format_version: u32,
    metadata: BTreeMap<&'static str, String>,
    #[serde(flatten)]
    model: InspectReport<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<Prediction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<Comparison>,
    /// The blocks of the memory map, which `--json` has as `memory`.
    #[serde(skip)]
    regions: Vec<Region>,
}

/// What each layer needs on a board.
#[derive(Debug, Serialize)]
struct Prediction {
    /// Identifier of the board.
    board: String,
    /// Its core.
    core: String,
    /// For each layer, in order.
    layers: Vec<LayerTime>,
}

impl Prediction {
    /// Returns whether the board has a clock.
    fn has_time(&self) -> bool {
        self.layers.iter().any(|layer| layer.milliseconds.is_some())
    }
}

/// What a layer needs.
#[derive(Debug, Serialize)]
struct LayerTime {
    /// Predicted.
    instructions: u64,
    /// Estimated from the instructions; `None` if the board has no clock.
    milliseconds: Option<f64>,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read or written, or does not fit the model. In that case no page is left behind.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Result<()> {
    let file = ModelFile::open(&args.model, args.limits.max_memory)?;
    let model = file.model()?;
    let boards = read_boards(&args.boards)?;
    let samples = match &args.inputs {
        Some(folder) => samples::of_model(folder, &model, &model_file::labels(&model))?,
        None => Vec::new(),
    };
    let read = samples.iter().map(|sample| &sample.path).chain([&args.model]).chain(&args.float);
    let mut page = OutputFile::create(&args.output, &read.map(PathBuf::as_path).collect::<Vec<_>>())?;
    let (evaluation, float) = measure(args, &model, &samples)?;
    let report = Report {
        output: &args.output,
        format_version: tealight_format::FORMAT_VERSION,
        metadata: ORIGIN.into_iter().filter_map(|key| Some((key, model_file::entry(&model, key)?))).collect(),
        model: InspectReport::new(&args.model, &model, &boards, None),
        prediction: predict(&model, &boards),
        evaluation,
        float,
        regions: regions(&model),
    };
    page.write(page::page(&report).as_bytes())?;
    page.finish()?;
    if args.json { screen.json(&report) } else { print(&report, screen) }
}

/// Runs the model on the inputs, and the float network beside it.
fn measure(args: &Args, model: &Model<'_>, samples: &[Sample]) -> Result<(Option<Evaluation>, Option<Comparison>)> {
    let Some(folder) = &args.inputs else { return Ok((None, None)) };
    args.limits.check(model, limits::INFERENCE)?;
    let sensors = Sensors::of(model, args.front_end.as_ref(), &args.columns)?;
    let float = args.float.as_ref().map(|path| FloatNetwork::open(path, model, &args.limits));
    let mut float = float.transpose()?;
    let evaluation = evaluate(folder, model, samples, &sensors, float.as_mut())?;
    Ok((Some(evaluation), float.map(|float| float.finish(model)).transpose()?))
}

/// Predicts the layers on the first board with a prediction in milliseconds; if there is none, in instructions.
fn predict(model: &Model<'_>, boards: &[Summary]) -> Option<Prediction> {
    let predictor = Predictor::carried();
    let mut predicted = boards.iter().filter_map(|board| {
        let time = |instructions| {
            let milliseconds = boards::milliseconds(instructions, board);
            LayerTime { instructions, milliseconds }
        };
        let layers = predictor.layers(model, &board.core)?.into_iter().map(time).collect();
        Some(Prediction { board: board.id.clone(), core: board.core.clone(), layers })
    });
    let first = predicted.next()?;
    if first.has_time() { Some(first) } else { predicted.find(Prediction::has_time).or(Some(first)) }
}

fn print(report: &Report<'_>, screen: &mut Screen) -> Result<()> {
    let fits = report.model.boards.iter().filter(|fit| fit.fits).count();
    let totals = &report.model.totals;
    screen.print(format!(
        "file {}, arena {}; fits {fits} of {} boards\n",
        bytes(totals.file_bytes),
        bytes(totals.arena_bytes),
        report.model.boards.len()
    ))?;
    if let Some(evaluation) = &report.evaluation {
        screen.print(format!("{}\n", page::answers_text(evaluation)))?;
    }
    if let Some(float) = &report.float {
        screen.print(format!("{}\n", page::comparison_text(float)))?;
    }
    screen.print(format!("wrote {}\n", report.output.display()))
}
