//! `tealight inspect`: the layers of a model, its memory map over time, and the boards that it fits.

use crate::after;
use crate::boards::{self, Fit, Predictions};
use crate::error::{Error, Result};
use crate::layers::{self, Group, Layer, Resident, Tensor, Totals};
use crate::model_file::{self, ModelFile};
use crate::picture::Picture;
use crate::screen::Screen;
use crate::sensor;
use crate::size::{parse_count, parse_size};
use crate::slices::{self, Slices};
use crate::table::{Table, bytes, counted, grouped};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight::Model;
use tealight_board_spec::Summary;
use tealight_compiler::{FileKind, kind_of};

/// Show a model's layers, its memory map, and which boards it fits
///
/// For each board: whether the model fits, and a prediction of its instructions and milliseconds. Boards are those named
/// with --board; without any, those of the nearest folder `boards` from here upward, and all that Tealight has firmware
/// for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Args {
    /// A compiled model (.safetensors), or a .tflite or .onnx, which is compiled in memory
    model: PathBuf,
    /// A board to check the model against, by its name or its board.toml file; may be given several times
    #[arg(long = "board", value_name = "BOARD")]
    boards: Vec<String>,
    /// Check the model against all boards, which is the default
    #[arg(long, conflicts_with = "boards")]
    all_boards: bool,
    /// Show the network after this compiler pass instead; only for a .tflite or .onnx
    ///
    /// An unknown name lists the passes. If a pass runs more than once, its last result is shown.
    #[arg(long, value_name = "PASS", conflicts_with_all = ["boards", "all_boards"])]
    after: Option<String>,
    /// The maximum memory for the constants of a .tflite, .onnx or .gguf, as in `tealight compile`: 256M, 1G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_memory: Option<u64>,
    /// Tell how calls of `poll` with a budget of N units of about a multiply-accumulate slice an inference
    ///
    /// The longest call counts: a control loop must be able to wait for it. It exceeds N where one row alone does.
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "after")]
    slice: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The maximum number of values in the picture of the memory.
pub(crate) const MAX_REGIONS: usize = 4096;

const JSON: &str = "\
Keys of --json (lengths in bytes, indices from 0):
  model            the file
  name, labels     the model's own metadata
  front_end        how the first input is computed from a sensor's data, as the
                   file declares it; absent if it does not
  inputs, outputs  [tensor]
  layers           [{index, operator, function, inputs: [tensor or null],
                   output: tensor, macs, constant_bytes, rows, row_cost,
                   prepare_cost, overlap_bytes, scratch_bytes}]
  totals           {operators, macs, cost, longest_row, constant_bytes,
                   file_bytes, arena_bytes, state_bytes, live_bytes}: costs
                   in about multiply-accumulates, including all other work
  batch            {inputs: [tensor], operators, cost, arena_bytes}: the second
                   plan, which reads several tokens at a time; absent if there
                   is none
  input_rows       of a model whose input comes in rows: [rows in memory at a
                   time, all rows]
  groups           [{first, last, passes}]: the operators that run together, a
                   few rows of each in a pass; absent if there are none
  memory           [{value, role, operator, offset, bytes, first, last}]: role
                   is input, output, activation, scratch or state; it lives
                   from operator first to operator last
  boards           [{id, name, core, flash_needed, runtime_flash, flash,
                   ram_needed, ram, stack, stack_needed, fits, instructions,
                   milliseconds}]: flash for the model file and the runtime,
                   RAM for the arena and the board's stack; runtime_flash,
                   for the runtime with start-up and a small app, not for an
                   app and a log of your own, stack_needed, the deepest stack
                   of an inference, and instructions are predicted,
                   milliseconds estimated from them; null where there is no
                   figure
                   with --slice, slice_instructions is the same for the
                   longest call of poll
  slices           {budget, calls, longest, operators: [first, last]}: the
                   calls of poll with that budget, the cost of the longest
                   and its operators; only with --slice
  tensor           {value, shape, dtype, bytes, scale, zero_point, place,
                   offset, name}: place is constant, arena or state; only
                   constants have a name, cut to 256 bytes
With --after, inputs and outputs are numbers of tensors, and there are:
  nodes            [{index, operator, origin, inputs, outputs}]: origin is
                   the node of the .tflite
  tensors          by number: {name, dtype, shape, kind, view_of, scale,
                   zero_point}: kind is computed, constant or state; scale is
                   null unless the tensor has exactly one";

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct InspectReport<'a> {
    pub(crate) model: &'a Path,
    pub(crate) name: Option<String>,
    pub(crate) labels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) front_end: Option<String>,
    pub(crate) inputs: Vec<Tensor<'a>>,
    pub(crate) outputs: Vec<Tensor<'a>>,
    pub(crate) layers: Vec<Layer<'a>>,
    pub(crate) totals: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Batch<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_rows: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
    memory: Vec<Resident>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slices: Option<Slices>,
    pub(crate) boards: Vec<Fit>,
}

/// The second plan of a model.
#[derive(Debug, Serialize)]
struct Batch<'a> {
    inputs: Vec<Tensor<'a>>,
    operators: usize,
    cost: u64,
    arena_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// The model or a board cannot be read.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Result<()> {
    if let Some(pass) = &args.after {
        return run_after(args, pass, screen);
    }
    let file = ModelFile::open(&args.model, args.max_memory)?;
    let model = file.model()?;
    file.batch(&model)?;
    let boards = read_boards(&args.boards)?;
    let slices = args.slice.map(|budget| slices::slices(&model, budget)).transpose()?;
    let report = InspectReport::new(&args.model, &model, &boards, slices);
    if args.json {
        return screen.json(&report);
    }
    print_summary(&report, screen)?;
    print_layers(&report, screen)?;
    print_memory(&model, screen)?;
    print_boards(&report.boards, screen)
}

impl<'a> InspectReport<'a> {
    /// Describes the model of the file `path`, and checks whether it fits `boards`.
    pub(crate) fn new(path: &'a Path, model: &Model<'a>, boards: &[Summary], slices: Option<Slices>) -> Self {
        let names = layers::names(model);
        let predictions = Predictions::carried();
        let boards = boards.iter().map(|board| boards::fit(board, model, &predictions, slices.as_ref())).collect();
        Self {
            model: path,
            name: model_file::name(model),
            labels: model_file::labels(model),
            front_end: sensor::declared(model),
            inputs: model.inputs().map(|i| layers::tensor(model, &names, i)).collect(),
            outputs: model.outputs().map(|i| layers::tensor(model, &names, i)).collect(),
            layers: layers::layers(model, &names),
            totals: layers::totals(model),
            batch: model.batch().ok().flatten().map(|batch| Batch {
                inputs: batch.inputs().map(|i| layers::tensor(&batch, &names, i)).collect(),
                operators: batch.op_count(),
                cost: batch.cost(),
                arena_bytes: batch.arena_len() as u64,
            }),
            input_rows: layers::rows_in_memory(model, 0),
            groups: layers::groups(model),
            memory: layers::residents(model),
            slices,
            boards,
        }
    }
}

fn run_after(args: &Args, pass: &str, screen: &mut Screen) -> Result<()> {
    let source = model_file::map(&args.model)?;
    if !model_file::is_network(&args.model, &source) {
        let failed = Error::new(format!("`{}` has no passes to show", args.model.display()));
        return Err(match kind_of(&source) {
            FileKind::Tealight => {
                failed.cause("it is compiled already").help("give the .tflite or .onnx that it was compiled from")
            }
            kind => failed.cause(format!("it is {kind}")).help("give a .tflite or .onnx file"),
        });
    }
    let (text, report) = after::graph_after(&args.model, &source, pass, args.max_memory)?;
    if args.json { screen.json(&report) } else { screen.print(text) }
}

/// Returns the boards that the options `--board` name; all if they name none.
///
/// # Errors
/// A board cannot be read, or there is none of that name.
pub(crate) fn read_boards(named: &[String]) -> Result<Vec<Summary>> {
    let here = std::env::current_dir().map_err(|error| Error::new("cannot find the current folder").cause(error))?;
    if named.is_empty() { boards::all(&here) } else { boards::named(named, &here) }
}

fn print_summary(report: &InspectReport<'_>, screen: &mut Screen) -> Result<()> {
    let totals = &report.totals;
    let name = report.name.clone().unwrap_or_else(|| report.model.display().to_string());
    let macs = grouped(totals.macs);
    let operators = counted(totals.operators, "operator");
    screen.heading(&name, &format!(": {operators}, {macs} MACs"))?;
    screen.print("\n")?;
    let mut table = Table::new().text("", 0).text("", 0);
    for (what, tensors) in [("input", &report.inputs), ("output", &report.outputs)] {
        for (i, tensor) in tensors.iter().enumerate() {
            table.row([format!("{what} {i}"), tensor_text(tensor)]);
        }
    }
    if let Some(front_end) = &report.front_end {
        table.row(["front end".into(), front_end.clone()]);
    }
    if !report.labels.is_empty() {
        let all = report.labels.join(", ");
        let short: String = all.chars().take(60).collect();
        table.row(["labels".into(), if short.len() < all.len() { format!("{short}…") } else { all }]);
    }
    let constants = bytes(totals.constant_bytes);
    table.row(["file".into(), format!("{}, of which constants {constants}", bytes(totals.file_bytes))]);
    let mut arena = format!("{}; maximum live at one time {}", bytes(totals.arena_bytes), bytes(totals.live_bytes));
    if totals.state_bytes > 0 {
        arena.push_str(&format!("; state {}", bytes(totals.state_bytes)));
    }
    table.row(["arena".into(), arena]);
    let (cost, longest) = (grouped(totals.cost), grouped(totals.longest_row));
    table.row(["cost".into(), format!("{cost} units of about a multiply-accumulate; longest row {longest}")]);
    if let Some(Batch { inputs, operators, cost, arena_bytes }) = &report.batch {
        let (operators, cost) = (counted(*operators, "operator"), grouped(*cost));
        table.row(["batch plan".into(), format!("{operators}; arena {}; cost {cost}", bytes(*arena_bytes))]);
        for (i, tensor) in inputs.iter().enumerate() {
            table.row([format!("  input {i}"), tensor_text(tensor)]);
        }
    }
    if let Some(Slices { budget, calls, longest, operators: [first, last], .. }) = &report.slices {
        let (budget, longest) = (grouped(*budget), grouped(*longest));
        let calls = counted(*calls, "call");
        let place = if first == last { format!("operator {first}") } else { format!("operators {first} to {last}") };
        table.row([
            "slices".into(),
            format!("a budget of {budget} takes {calls}; the longest costs {longest}, in {place}"),
        ]);
    }
    if let Some([held, height]) = report.input_rows {
        table.row(["input rows".into(), format!("{held} of {height} in memory at a time; the program writes them")]);
    }
    for &Group { first, last, passes } in &report.groups {
        table.row([
            "group".into(),
            format!("operators {first} to {last} run together, in passes of a few rows: {passes}"),
        ]);
    }
    screen.print(format!("{}\n", table.draw(None).0.trim_start_matches('\n')))
}

/// Describes a tensor: shape, type, size, and what its integers represent.
pub(crate) fn tensor_text(tensor: &Tensor<'_>) -> String {
    let quantization = if tensor.scale > 0.0 {
        format!(", scale {}, zero point {}", tensor.scale, tensor.zero_point)
    } else {
        String::new()
    };
    format!("{} {}, {}{quantization}", layers::shape_text(&tensor.shape), tensor.dtype, bytes(tensor.bytes))
}

fn print_layers(report: &InspectReport<'_>, screen: &mut Screen) -> Result<()> {
    let mut table = Table::new()
        .number("#", 0)
        .text("operator", 0)
        .text("input", 4)
        .text("output", 0)
        .text("type", 5)
        .number("MACs", 0)
        .number("bytes", 0)
        .number("rows", 2)
        .number("row cost", 3)
        .number("overlap", 1)
        .number("scratch", 1);
    let or_dash = |count: u64| if count == 0 { "-".to_string() } else { grouped(count) };
    for layer in &report.layers {
        let moving = layer.inputs.iter().flatten().filter(|input| input.place != "constant");
        let shapes: Vec<_> = moving.map(|input| layers::shape_text(&input.shape)).collect();
        table.row([
            layer.index.to_string(),
            layers::title(layer),
            shapes.join(", "),
            layers::shape_text(&layer.output.shape),
            layers::types_text(layer),
            or_dash(layer.macs),
            or_dash(layer.constant_bytes),
            grouped(layer.rows),
            grouped(layer.row_cost),
            or_dash(layer.overlap_bytes.into()),
            or_dash(layer.scratch_bytes.into()),
        ]);
    }
    let totals = &report.totals;
    let (text, left_out) = table.draw(screen.table_width());
    let (title, rows) = text.split_once('\n').unwrap_or((&text, ""));
    screen.heading(title, "")?;
    screen.print(rows)?;
    let constants = bytes(totals.constant_bytes);
    screen.print(format!("total: {} MACs, {constants} of constants\n", grouped(totals.macs)))?;
    if !left_out.is_empty() {
        screen.print(format!("(no room for: {}; use a wider terminal, or --json)\n", left_out.join(", ")))?;
    }
    screen.print("\n")
}

fn print_memory(model: &Model<'_>, screen: &mut Screen) -> Result<()> {
    let regions = layers::regions(model);
    let picture = Picture { regions: &regions, ops: model.op_count(), arena_len: model.arena_len() as u64 };
    if regions.len() > MAX_REGIONS {
        let what =
            format!("{}: too many for a picture of the memory; --json has them", counted(regions.len(), "value"));
        return screen.print(format!("{what}\n\n"));
    }
    let drawn = picture.draw(screen.width(), screen.colour);
    if drawn.is_empty() {
        return Ok(());
    }
    screen.heading("memory: time to the right, arena offset down", "")?;
    screen.picture(&drawn)?;
    screen.print("\n")
}

fn print_boards(fits: &[Fit], screen: &mut Screen) -> Result<()> {
    let mut table = Table::new().text("board", 0).text("core", 1).text("fits", 0);
    for title in ["flash", "of", "left", "RAM", "of", "left"] {
        table = table.number(title, 2);
    }
    table = table.number("runtime", 3).number("stack", 3);
    table = table.number("instructions", 0).number("ms", 0);
    let sliced = fits.iter().any(|fit| fit.slice_instructions.is_some());
    if sliced {
        table = table.number("longest slice", 0);
    }
    for fit in fits {
        let verdict = if fit.fits { "yes" } else { "no" };
        let slice = sliced.then(|| fit.slice_instructions.map_or_else(String::new, grouped));
        let cells = [
            fit.id.clone(),
            fit.core.clone(),
            verdict.into(),
            grouped(fit.flash_needed),
            grouped(fit.flash),
            left(fit.flash_needed, fit.flash),
            grouped(fit.ram_needed),
            grouped(fit.ram),
            left(fit.ram_needed, fit.ram),
            fit.runtime_flash.map_or_else(String::new, grouped),
            fit.stack_needed.map_or_else(String::new, grouped),
            fit.instructions.map_or_else(String::new, grouped),
            fit.milliseconds.map_or_else(String::new, |time| format!("{time:.1}")),
        ];
        table.row(cells.into_iter().chain(slice));
    }
    let (text, _) = table.draw(screen.table_width());
    let (title, rows) = text.split_once('\n').unwrap_or((&text, ""));
    screen.heading(title, "")?;
    screen.print(rows)?;
    screen.print(
        "(bytes; flash: the model file and the runtime, without an app and a log of your own; RAM: the arena and the \
         board's stack;\n runtime: its flash, with start-up and a small app; stack: the deepest of an inference; both \
         and instructions are predicted,\n and milliseconds estimated from them; where no runtime is stated, flash is \
         the model file alone)\n",
    )
}

/// Formats what is left of `available`; negative if it is not enough.
fn left(needed: u64, available: u64) -> String {
    match available.checked_sub(needed) {
        Some(left) => grouped(left),
        None => format!("-{}", grouped(needed - available)),
    }
}
