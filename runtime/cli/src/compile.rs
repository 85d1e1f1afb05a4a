//! `tealight compile`: compiles a trained network to one file.

use crate::boards;
use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Scores};
use crate::fidelity::Fidelity;
use crate::given::Given;
use crate::layers;
use crate::model_file;
use crate::output_file::OutputFile;
use crate::progress::Stages;
use crate::screen::Screen;
use crate::sensor::{Columns, FrontEnd, Sensors};
use crate::size::parse_size;
use crate::table::{Table, bytes, counted, grouped};
use crate::weights::{QuantizeTo, layer};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight_compiler::gguf::{GgufOptions, compile_gguf_with, is_gguf};
use tealight_compiler::quantize::Activations;
use tealight_compiler::{CompileError, InPasses, Options, Patch, Reason, Site, Target, WeightType, compile_network};
use tealight_format::Model;

/// Compile a trained network into one file
///
/// The file is an ordinary safetensors file with weights, quantization and plan. It appears whole or not at all.
#[derive(Debug, clap::Args)]
#[command(after_long_help = long_help())]
pub(crate) struct Args {
    /// The network: a TensorFlow Lite file, int8 or float32, an ONNX file, or a language model in a GGUF file
    #[arg(value_name = "IN.tflite|IN.onnx|IN.gguf")]
    input: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "OUT.safetensors", required_unless_present = "check")]
    output: Option<PathBuf>,
    /// Only say whether the network compiles, and all reasons why not; writes nothing
    #[arg(long, conflicts_with_all = ["output", "calibrate", "evaluate", "labels"])]
    check: bool,
    #[command(flatten)]
    given: Given,
    /// Text file with the label of each element of the first output, one per line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The model's name; the name of the input file, if not given
    #[arg(long)]
    name: Option<String>,
    /// How a float32 network is quantized: `none`, `int8` or `16x8` (with --calibrate), `f16`, `int4`, or a block type:
    /// `q8_0`, `q4_0`, ...
    ///
    /// `16x8` are int16 activations with int8 weights: nearer to the float network than int8, for more time and RAM. An
    /// operator that has no form of the type stays float32 between conversions; the report lists these.
    ///
    /// A block type stores the weights of fully connected layers in blocks. A layer whose number of inputs is not a
    /// multiple of the block length (32; 256 for the types with k) is not changed; the report lists it. `f16` stores
    /// the weights of convolutions, fully connected and recurrent layers in half precision, `int4` those of convolutions
    /// and fully connected layers in half a byte, with a scale for each output channel; arithmetic stays float32.
    #[arg(long, value_name = "TYPE", value_parser = QuantizeTo::parse)]
    quantize: Option<QuantizeTo>,
    /// The type of one layer's weights: f32, f16, int4 or a block type, regardless of --quantize and --min-snr
    ///
    /// May be given several times; the last one that matches a layer applies. NAME may contain * (any characters) and ?
    /// (any one character); it then selects those of the matching layers that can have the type. The layers of
    /// an int8 network can have int4, those of a 16x8 network none.
    #[arg(long = "layer", value_name = "NAME=TYPE", value_parser = layer)]
    layers: Vec<(String, WeightType)>,
    /// The context of a language model in positions (tokens of prompt and answer); the default is 1024, or the length
    /// that the model was trained for if that is less
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// How many tokens of a prompt a language model can read at a time, which is faster; the default is 16
    ///
    /// The file then has a second plan, for so many tokens, with the same weights and the same memory of earlier tokens.
    /// It takes memory for the activations of the tokens, and about as much of the file as the first plan. With 1,
    /// there is none. The scores are the same for any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// The maximum memory for the network's constants, including those computed at compile time: 256M, 1G
    ///
    /// The default is eight times the constants of the input, and at least 64M. Valid networks rarely need more. With
    /// --calibrate or --evaluate, running the network may use the same amount again; the default is then at least 512M.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_memory: Option<u64>,
    /// Whether the layers at which a network of images needs the most memory run together, a few rows of each in turn:
    /// off, auto, or an arena length such as 30K
    ///
    /// Between such layers, only the rows that the next one still needs are in memory, and a row of the input is free
    /// when the first layer has read it. auto takes the schedule with the smallest arena; a length takes the cheapest
    /// of those whose arena is not longer. The output bits are the same. The report states what it costs. A
    /// network without such layers is compiled as with off.
    #[arg(long, value_name = "HOW", default_value = "off", value_parser = parse_patch)]
    patch: Patch,
    /// Takes the input, an image, row by row while the network runs, so that only a few of its rows are in memory
    ///
    /// The program writes the rows that the inference asks for (`Session::input_rows` in Rust, `tealight_input_rows` in C),
    /// such as a camera delivers them. The first layers run together as with --patch; where that is off, auto is taken. The
    /// output bits are the same. Refused for a network whose input is no image, or that begins with a layer that does
    /// not work by rows.
    #[arg(long)]
    input_rows: bool,
    /// The core, or the board, for which weights are laid out: Cortex-M4F, nucleo-f446re
    ///
    /// The file runs on every core with the same bits; on others than the target it may take more instructions. Cores
    /// with a layout of their own are Cortex-M4, M7, M33 and M35P, for the weights of fully connected int8 layers. BOARD is a
    /// name as `inspect --board` takes it.
    #[arg(long, value_name = "CORE|BOARD")]
    target: Option<String>,
    /// How the first input is computed from a sensor's data, kept in the file
    ///
    /// `picture` with any of color=rgb|bgr|grey, fit=stretch|crop, mean=… and std=…: a pixel from 0 to 255 becomes (pixel -
    /// mean) / std, with one number or one for each channel; without std, black is the minimum of the input's type and
    /// white its maximum. `series` with any of mean=…, std=… and hop=…: a reading becomes (reading - mean) / std, and an
    /// input starts every hop readings. `log-mel`: the features that the crate tealight-audio computes from 16 kHz sound.
    /// `tealight run`, --calibrate and --evaluate then take pictures, tables of numbers or sound.
    #[arg(long, value_name = "HOW")]
    front_end: Option<FrontEnd>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    evaluation: Evaluation,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn long_help() -> String {
    let (tflite, onnx) = (tealight_compiler::OPERATORS, tealight_compiler::onnx_operators());
    format!("Operators of TensorFlow Lite that are compiled:\n{tflite}\n\nOf ONNX:\n{onnx}\n\n{JSON}")
}

const JSON: &str = "\
Keys of --json (lengths in bytes):
  input, output, name   the two files, and the model's name
  compiles, reasons     with --check, these two and input alone: whether it compiles, and [{reason, nodes, first_node}]: why
                        not, how many nodes that is about, and the number of the first in the file, null if about none
  operators, macs       of one inference
  constant_bytes        weights, tables and other constants
  plan_bytes            operators, shapes and offsets
  file_bytes            the whole file
  arena_bytes           RAM that it runs in, streaming state included
  state_bytes           streaming state alone
  batch_arena_bytes     the same as arena_bytes for the plan that reads several tokens at a time; absent if there is none
lower_bound_bytes     the maximum that is live at one time, if no byte is shared
  greedy_by_size_bytes  what plain greedy-by-size planning needs
  input_rows            with --input-rows: [rows of the input in memory at a time, all its rows]
  groups                with --patch: [{first, last, passes, cost}]: the operators that run together, in how many passes,
                        and the cost that this adds at most, in units of about a multiply-accumulate
  passes                [{name, summary}]: what the compiler did
  notes                 what to know about how the network was read, a sentence each
  quantized             how the weights of layers are stored that are neither float32 nor those of int8 layers
  quantization          with --calibrate: {activations, in_float, ranges, bias_correction, equalized, samples, snr_db,
                        median_snr_db, worst_snr_db, worst_sample, agreement, trials: [{ranges, bias_correction, equalized, snr_db, ordinary_snr_db}],
                        layers: [{name, kind, weights, snr_db, worst, bytes, choices: [{weights, bytes, snr_db, worst}]}],
                        warnings: [text]}. activations is int8 or 16x8, null if the network stays float32; in_float
                        lists the operators of a quantized network that compute in float32, [{name, kind}]. snr_db is the signal-to-noise ratio of the output, before softmax if it ends in
                        one, summed over the inputs; median_snr_db and worst_snr_db are of the ratios that each input has
                        by itself, worst_sample is the input with the lowest, from 0 (inputs whose output is 0 do not
                        count). A ratio is null where nothing was lost (worst is 0) or where there is no signal. agreement
                        is the share of inputs with the same largest output in float and compiled, null if the output is
                        one number; worst is the largest difference of one element; ranges is null and trials is empty
                        unless the network becomes int8 or 16x8: the trial with the highest ordinary_snr_db is taken, which is
                        without outliers. A layer's snr_db includes the errors of the layers before it; choices list what
                        each type of weights would cost that layer alone. warnings are also on standard error: outliers in the
                        inputs, tensors that never change, constants that leave no codes for the data; agreement below
                        90 % where the output holds scores, near ties aside; an output that on ordinary inputs varies
                        less than a quarter of what it does in float, or is off by more than half of that
  evaluation            with --evaluate: {metric, samples, float, compiled}: accuracy (the share of inputs whose class is
                        the largest output), or rms_error with float_worst and compiled_worst, the largest difference
                        of one element. float is null if the source is not a float network";

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct CompileReport<'a> {
    input: &'a Path,
    output: &'a Path,
    name: &'a str,
    operators: usize,
    macs: u64,
    constant_bytes: u64,
    plan_bytes: u64,
    file_bytes: u64,
    arena_bytes: u64,
    state_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_arena_bytes: Option<u32>,
    lower_bound_bytes: u64,
    greedy_by_size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_rows: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
    passes: Vec<Pass<'a>>,
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    quantized: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    quantization: Option<Fidelity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Scores>,
}

/// Operators that run together in passes.
#[derive(Debug, Serialize)]
struct Group {
    first: usize,
    last: usize,
    passes: u64,
    cost: u64,
}

impl Group {
    fn of(&InPasses { first, last, passes, cost }: &InPasses) -> Self {
        Self { first, last, passes, cost }
    }
}

#[derive(Debug, Serialize)]
struct Pass<'a> {
    name: &'a str,
    summary: &'a str,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read or written, or the network cannot be compiled. Then no file is left behind.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Result<()> {
    let activations = args.calibration.activations(args.quantize);
    refuse_together(args, activations)?;
    let labels = args.labels.as_deref().map(read_labels).transpose()?;
    let name = args.name.clone().unwrap_or_else(|| model_file::default_name(&args.input));
    if name.chars().any(char::is_control) {
        return Err(Error::new("the model's name has a control character").help("give another with --name"));
    }
    // The output file is created before the long work, and the input is checked before that.
    let input = model_file::map(&args.input)?;
    let gguf = is_gguf(&input);
    refuse_options(args, gguf)?;
    let failed = || Error::new(format!("cannot compile `{}`", args.input.display()));
    let mut options = Options {
        name: Some(name.clone()),
        labels: labels.clone().unwrap_or_default(),
        front_end: args.front_end.as_ref().map(ToString::to_string),
        quantize: args.quantize.and_then(QuantizeTo::blocks),
        f16: args.quantize == Some(QuantizeTo::Weights(WeightType::F16)),
        layers: args.layers(),
        max_memory: args.max_memory,
        folder: model_file::folder(&args.input),
        patch: args.patch,
        input_rows: args.input_rows,
        target: args.target.as_deref().map(target).transpose()?.unwrap_or_default(),
        ..Options::default()
    };
    args.given.set(&mut options)?;
    let Some(output) = &args.output else { return check(args, &input, &options, screen) };
    let read: Vec<&Path> = std::iter::once(&args.input)
        .chain(args.given.files())
        .chain(&args.labels)
        .chain(&args.calibration.calibrate)
        .chain(&args.evaluation.evaluate)
        .chain(&args.evaluation.targets)
        .map(PathBuf::as_path)
        .collect();
    let mut file = OutputFile::create(output, &read)?;
    let sensors = Sensors { front_end: args.front_end.clone(), columns: args.columns.clone() };
    let (compiled, quantization) = if gguf {
        let mut stages = Stages::start();
        let gguf = GgufOptions { context: args.context, batch: args.batch };
        let compiled = compile_gguf_with(&input, &gguf, &options, &mut |pass, _| stages.next(pass));
        (compiled.map_err(|error| failed().cause(error))?, None)
    } else if args.calibration.calibrate.is_empty() {
        (compile_network(&input, &options).map_err(|error| failed().cause(error))?, None)
    } else {
        let mut stages = Stages::start();
        stages.next("reading the network: running it on the inputs");
        let (compiled, fidelity) = args.calibration.compile(&input, activations, &options, &sensors, &failed)?;
        (compiled, Some(fidelity))
    };
    let model = Model::parse(&compiled.bytes)
        .map_err(|error| failed().cause(error).help("this is a bug in the compiler; please report it"))?;
    if let (Some(path), Some(labels)) = (&args.labels, &labels) {
        check_labels(path, labels, &model)?;
    }
    sensors.check(&model)?;
    let evaluation = args.evaluation.measure(&input, &compiled.bytes, &options, &sensors, &failed)?;
    file.write(&compiled.bytes)?;
    file.finish()?;
    let found = &compiled.report;
    let report = CompileReport {
        input: &args.input,
        output,
        name: &name,
        operators: model.op_count(),
        macs: model.macs(),
        constant_bytes: found.weights_bytes,
        plan_bytes: found.plan_bytes,
        file_bytes: compiled.bytes.len() as u64,
        arena_bytes: model.arena_len() as u64,
        state_bytes: model.state_len() as u64,
        batch_arena_bytes: found.batch_arena_len,
        lower_bound_bytes: found.lower_bound.into(),
        greedy_by_size_bytes: found.greedy_by_size.into(),
        input_rows: layers::rows_in_memory(&model, 0),
        groups: found.groups.iter().map(Group::of).collect(),
        passes: found.passes.iter().map(|(name, summary)| Pass { name, summary }).collect(),
        notes: &found.notes,
        quantized: &found.quantized,
        quantization,
        evaluation,
    };
    if args.json { screen.json(&report) } else { print(&report, screen) }?;
    let warnings = report.quantization.iter().flat_map(Fidelity::warnings);
    warnings.into_iter().try_for_each(|warning| screen.warn(warning))
}

/// The target of a core or a board by its name.
///
/// # Errors
/// There is no such core and no such board.
fn target(name: &str) -> Result<Target> {
    if let Some(target) = Target::of_core(name) {
        return Ok(target);
    }
    let here = std::env::current_dir().unwrap_or_default();
    let boards = boards::named(&[name.to_string()], &here).map_err(|_| {
        let cores: Vec<_> = Target::cores().collect();
        let known = boards::all(&here).map(|boards| boards.into_iter().map(|board| board.id).collect::<Vec<_>>());
        Error::new(format!("there is no core and no board `{name}`"))
            .help(format!("give a core ({}) or a board ({})", cores.join(", "), known.unwrap_or_default().join(", ")))
            .of_usage()
    })?;
    // A core that is not known has no layout of its own.
    Ok(boards.first().and_then(|board| Target::of_core(&board.core)).unwrap_or_default())
}

/// The result of `--check`; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct CheckReport<'a> {
    input: &'a Path,
    compiles: bool,
    reasons: Vec<CheckReason>,
}

/// A reason why the network does not compile.
#[derive(Debug, Serialize)]
struct CheckReason {
    reason: String,
    nodes: usize,
    first_node: Option<usize>,
}

impl CheckReason {
    fn of(Reason { what, nodes, first }: Reason) -> Self {
        let first_node = match first {
            Some(Site::Node { node, .. }) => Some(node),
            _ => None,
        };
        Self { reason: what, nodes, first_node }
    }
}

/// Says whether the network compiles.
///
/// # Errors
/// It does not; the reasons are on the screen.
fn check(args: &Args, input: &[u8], options: &Options, screen: &mut Screen) -> Result<()> {
    let compiled = if is_gguf(input) {
        compile_gguf_with(input, &GgufOptions { context: args.context, batch: args.batch }, options, &mut |_, _| {})
    } else {
        compile_network(input, options)
    };
    let reasons = compiled.as_ref().err().map(CompileError::reasons).unwrap_or_default();
    let reasons: Vec<CheckReason> = reasons.into_iter().map(CheckReason::of).collect();
    let path = args.input.display();
    let report = CheckReport { input: &args.input, compiles: compiled.is_ok(), reasons };
    if args.json {
        screen.json(&report)?;
    } else if report.compiles {
        screen.print(format!("`{path}` compiles\n"))?;
    } else {
        screen.print(format!("`{path}` does not compile:\n"))?;
        for CheckReason { reason, nodes, first_node } in &report.reasons {
            let place = match (first_node, nodes) {
                (Some(node), 2..) => format!(" ({nodes} nodes, the first is {node})"),
                _ => String::new(),
            };
            screen.print(format!("  {reason}{place}\n"))?;
        }
    }
    match report.reasons.len() {
        _ if report.compiles => Ok(()),
        1 => Err(Error::new(format!("`{path}` does not compile")).cause("for one reason, which is listed")),
        count => Err(Error::new(format!("`{path}` does not compile")).cause(format!("for {count} reasons, listed"))),
    }
}

impl Args {
    /// Returns the types of single layers' weights: `--quantize int4` selects it for all, before `--layer`.
    fn layers(&self) -> Vec<(String, WeightType)> {
        let all = self.quantize == Some(QuantizeTo::Weights(WeightType::Int4));
        all.then(|| ("*".to_string(), WeightType::Int4)).into_iter().chain(self.layers.iter().cloned()).collect()
    }
}

/// Reads the value of `--patch`.
fn parse_patch(text: &str) -> std::result::Result<Patch, String> {
    match text {
        "off" => Ok(Patch::Off),
        "auto" => Ok(Patch::Auto),
        size => match parse_size(size).map(u32::try_from) {
            Ok(Ok(len)) => Ok(Patch::Arena(len)),
            _ => Err("expected off, auto, or an arena length in bytes such as 30720 or 30K".into()),
        },
    }
}

/// Refuses options that exclude each other.
fn refuse_together(args: &Args, activations: Option<Activations>) -> Result<()> {
    let layers = match activations {
        Some(Activations::Int8) if args.layers.iter().any(|(_, of)| *of != WeightType::Int4) => {
            Some(("--layer with a type other than int4", "the weights of an int8 network are int8 or int4"))
        }
        Some(Activations::Int16) if !args.layers.is_empty() => {
            Some(("--layer", "the weights of a 16x8 network are int8"))
        }
        _ => None,
    };
    let Some((option, cause)) = layers.or_else(|| args.calibration.refused(activations)) else { return Ok(()) };
    let help = "leave it out, or choose another --quantize";
    Err(Error::new(format!("{option} cannot be combined with these options")).cause(cause).help(help).of_usage())
}

/// Refuses options that do not apply to the kind of file.
fn refuse_options(args: &Args, gguf: bool) -> Result<()> {
    let (option, help) = match args {
        Args { context: Some(_), .. } if !gguf => ("--context", "only a language model in a GGUF file has a context"),
        Args { batch: Some(_), .. } if !gguf => ("--batch", "only a language model in a GGUF file reads tokens"),
        Args { front_end: Some(_), .. } if gguf => ("--front-end", "a language model reads text"),
        Args { quantize: Some(quantize), .. } if gguf && *quantize != QuantizeTo::None => {
            ("this --quantize", "the weights of a GGUF file stay as they are stored")
        }
        Args { calibration: Calibration { calibrate, .. }, .. } if gguf && !calibrate.is_empty() => {
            ("--calibrate", "the weights of a GGUF file stay as they are stored")
        }
        Args { layers, .. } if gguf && !layers.is_empty() => {
            ("--layer", "the weights of a GGUF file stay as they are stored")
        }
        Args { given, .. } if gguf && given.option().is_some() => {
            (given.option().unwrap_or_default(), "a language model has the inputs and outputs of its architecture")
        }
        Args { evaluation: Evaluation { targets: Some(_), .. }, .. } if gguf => {
            ("--evaluate", "only networks from TensorFlow Lite files can be evaluated")
        }
        _ => return Ok(()),
    };
    Err(Error::new(format!("{option} cannot be used with `{}`", args.input.display())).help(help).of_usage())
}

fn print(report: &CompileReport<'_>, screen: &mut Screen) -> Result<()> {
    let title = format!("{}: {}, {} MACs", report.name, counted(report.operators, "operator"), grouped(report.macs));
    screen.heading(&title, "")?;
    screen.print("\n")?;
    let mut table = Table::new().text("", 0).number("", 0).text("", 0);
    let mut line = |what: &str, count: u64, note: String| table.row([what.into(), bytes(count), note]);
    line("file", report.file_bytes, String::new());
    line("  constants", report.constant_bytes, "weights, tables, biases".into());
    line("  plan", report.plan_bytes, "operators, shapes, offsets".into());
    let state = match report.state_bytes {
        0 => String::new(),
        state => format!("of which streaming state: {}", bytes(state)),
    };
    line("arena", report.arena_bytes, state);
    if let Some(arena) = report.batch_arena_bytes {
        line("  for batches", arena.into(), "where several tokens are read at a time".into());
    }
    line(
        "  lower bound",
        report.lower_bound_bytes,
        format!("no byte shared {}", difference(report, report.lower_bound_bytes)),
    );
    line(
        "  greedy by size",
        report.greedy_by_size_bytes,
        format!("plain planning {}", difference(report, report.greedy_by_size_bytes)),
    );
    let (text, _) = table.draw(screen.table_width());
    screen.print(text.trim_start_matches('\n'))?;
    if let Some([held, height]) = report.input_rows {
        screen.print(format!("the input comes in rows, of which {held} of {height} are in memory at a time\n"))?;
    }
    for group in &report.groups {
        screen.print(format!(
            "operators {} to {} run together in {} passes, which costs at most {} units of about a \
             multiply-accumulate\n",
            group.first,
            group.last,
            group.passes,
            grouped(group.cost)
        ))?;
    }
    let mut passes = Table::new().text("", 0).text("", 0);
    for pass in &report.passes {
        passes.row([pass.name.into(), pass.summary.into()]);
    }
    screen.print(passes.draw(None).0)?;
    if !report.quantized.is_empty() {
        screen.print(format!("\n{}\n", report.quantized.join("\n")))?;
    }
    if let Some(quantization) = &report.quantization {
        quantization.print(screen)?;
    }
    if let Some(evaluation) = &report.evaluation {
        evaluation.print(screen)?;
    }
    if !report.notes.is_empty() {
        screen.print(format!("\nnote: {}\n", report.notes.join("\nnote: ")))?;
    }
    screen.print(format!("\nwrote {}\n", report.output.display()))
}

/// Compares the arena with `other`: "(arena is 12.5 % below)".
fn difference(report: &CompileReport<'_>, other: u64) -> String {
    let percent = (report.arena_bytes as f64 / other.max(1) as f64 - 1.0) * 100.0;
    if report.arena_bytes == other {
        "(the same)".into()
    } else {
        let side = if percent < 0.0 { "below" } else { "above" };
        format!("(the arena is {:.1} % {side})", percent.abs())
    }
}

/// Returns the lines of a label file, without empty ones at its end.
fn read_labels(path: &Path) -> Result<Vec<String>> {
    let failed = || Error::new(format!("cannot read the labels `{}`", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed().cause(error).help("give a UTF-8 text file"))?;
    let labels: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_string()).collect();
    if text.trim().is_empty() {
        return Err(failed().cause("it is empty").help("write one label a line"));
    }
    match labels.iter().position(|label| label.chars().any(char::is_control)) {
        Some(line) => Err(failed().cause(format!("line {} has a control character", line + 1)).help("remove it")),
        None => Ok(labels),
    }
}

/// Checks that every score has a label.
fn check_labels(path: &Path, labels: &[String], model: &Model<'_>) -> Result<()> {
    let scores = model.output(0).map_or(0, |output| model.value(output).shape.from_end(0) as usize);
    if labels.len() == scores {
        return Ok(());
    }
    Err(Error::new(format!("the labels `{}` do not fit the model", path.display()))
        .cause(format!("there are {} labels, but output 0 has {scores} scores", labels.len()))
        .help("write one label a line, in the order of the scores"))
}
