//! One run of a model on a board: firmware built, inputs in, outputs and report out.

use crate::board::{self, Board, ConsoleKind};
use crate::context::Context;
use crate::files::{sha256, write_whole};
use crate::firmware::{self, Level, Recipe, Sizes};
use crate::model::ModelFile;
use crate::qemu::Input;
use crate::report::Report;
use crate::{chip, emulator, fit, qemu, report};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

/// The default time limit of a run.
pub const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The results of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The firmware's own report.
    pub report: Report,
    /// The image's sizes.
    pub sizes: Sizes,
    /// Seconds that the emulation took on this machine.
    pub seconds: f64,
    /// The features that the front end computed from each input, in a row; empty without one.
    #[serde(skip)]
    pub features: Vec<u8>,
    /// The outputs of all inferences in a row.
    #[serde(skip)]
    pub outputs: Vec<u8>,
}

impl Run {
    /// What the firmware wrote for each input: features, if it computes them, then outputs.
    pub fn written(&self, model: &ModelFile) -> Vec<Vec<u8>> {
        let features = |index: usize| self.features.chunks(model.feature_bytes().max(1)).nth(index).unwrap_or(&[]);
        let outputs = self.outputs.chunks(model.output_bytes().max(1)).enumerate();
        outputs.map(|(index, outputs)| [features(index), outputs].concat()).collect()
    }
}

/// How the firmware is built and run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Features of `tealight-board`, which choose the app.
    pub features: &'a [&'a str],
    /// Builds the inputs into the image, which otherwise reads them from the host.
    pub embed_input: bool,
    /// How long the emulator may take.
    pub limit: Duration,
    /// The minimum level of what is built into the firmware's log.
    pub log: Level,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { features: &[], embed_input: false, limit: TIME_LIMIT, log: Level::Off }
    }
}

/// Runs the compiled model at `model` on `board`, once for each of the `inputs` that lie in a row.
pub fn run_on_board(
    context: &Context,
    board: &Board,
    model: &ModelFile,
    inputs: &[u8],
    options: Options<'_>,
) -> Result<Run> {
    let wanted = model.input_bytes();
    if inputs.is_empty() || wanted == 0 || !inputs.len().is_multiple_of(wanted) {
        bail!("the input has {} bytes, which is not a whole number of inferences of {wanted} bytes", inputs.len());
    }
    let mut features = options.features.to_vec();
    if model.listens {
        features.push("audio");
    }
    let options = Options { features: &features, ..options };
    let Emulated { console, written, sizes, seconds } =
        emulate(context, board, model, Input::Bytes(inputs), options, &|_| {})?;
    let report = Report::parse(&console, board::instructions_per_second(board))?;
    let inferences = inputs.len() / wanted;
    if report.inferences != inferences {
        bail!("{inferences} inferences were requested, {} were run", report.inferences);
    }
    let each = model.feature_bytes() + model.output_bytes();
    if written.len() != inferences * each {
        bail!("{inferences} inferences wrote {} bytes of output instead of {each} each", written.len());
    }
    let (mut features, mut outputs) = (Vec::new(), Vec::new());
    for one in written.chunks(each.max(1)) {
        let (made, answered) = one.split_at(model.feature_bytes());
        features.extend(made);
        outputs.extend(answered);
    }
    Ok(Run { report, sizes, seconds, features, outputs })
}

/// The results of running an image.
pub struct Emulated {
    /// Its console.
    pub console: String,
    /// Its output.
    pub written: Vec<u8>,
    /// The image's sizes.
    pub sizes: Sizes,
    /// Seconds that the emulation took on this machine.
    pub seconds: f64,
}

/// Builds firmware with the model and runs it on `input`. Calls `watch` with each line of its console as it arrives.
pub fn emulate(
    context: &Context,
    board: &Board,
    model: &ModelFile,
    input: Input<'_>,
    options: Options<'_>,
    watch: qemu::Watch<'_>,
) -> Result<Emulated> {
    fit::check(board, model)?;
    if !receives(board) && matches!(input, Input::Partner(_)) {
        bail!("the emulated chip of {} receives nothing on its wire; choose another board", board.id);
    }
    let embedded =
        if options.embed_input || !receives(board) { Some(stable_file(context, input.bytes(), "bin")?) } else { None };
    let folder =
        tempfile::Builder::new().prefix("tealight-run-").tempdir().context("cannot create a temporary folder")?;
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        anyhow::Ok(file)
    };
    if embedded.is_none() {
        write("input.bin", input.bytes())?;
    }
    let model_file = stable_copy(context, model)?;
    let recipe = Recipe {
        board,
        name: &model.name,
        model: &model_file,
        embedded_input: embedded.as_deref(),
        features: options.features,
        log: options.log,
    };
    // The first time, the emulator is installed while firmware is built.
    let root = context.root.clone();
    let (started, image) = std::thread::scope(|scope| {
        let installing = scope.spawn(|| starter(&Context::at(root)?, board));
        let image = firmware::build(context, recipe);
        (installing.join().unwrap_or_else(|panic| resume_unwind(panic)), image)
    });
    let ((name, program), image) = (started?, image?);
    let image_file = write("firmware.elf", &image)?;
    let start = Instant::now();
    let wired = if embedded.is_some() { Input::Bytes(&[]) } else { input };
    let job = qemu::Job {
        image: &image_file,
        folder: folder.path(),
        console: board.console.kind,
        input: wired,
        limit: options.limit,
    };
    let attended = |line: &str| {
        watch(line);
        if options.log != Level::Off && !report::is_fact(line) {
            eprintln!("  {}: {line}", board.id);
        }
    };
    let console = qemu::run(program(job), &name, job, &attended)?;
    let seconds = start.elapsed().as_secs_f64();
    // Firmware that failed reports it on its console, and may have written nothing.
    let written = match board.console.kind {
        ConsoleKind::Semihosting => std::fs::read(folder.path().join("output.bin")).unwrap_or_default(),
        ConsoleKind::Uart | ConsoleKind::Rtt => report::outputs(&console)?,
    };
    Ok(Emulated { console, written, sizes: firmware::sizes(&image)?, seconds })
}

/// Whether the board takes inputs from its emulator; if not, they are built into its image.
pub(crate) fn receives(board: &Board) -> bool {
    board.chip_emulator.as_ref().is_none_or(|chip| chip.program.receives())
}

/// Makes the command that runs a job.
type Starter = Box<dyn FnOnce(qemu::Job<'_>) -> std::process::Command + Send>;

/// The name of the board's emulator, and how it is started.
fn starter(context: &Context, board: &Board) -> Result<(String, Starter)> {
    if let Some(emulated) = board.chip_emulator.clone() {
        let program = chip::ensure(context, emulated.program)?;
        let name = format!("the emulated chip of {}", board.id);
        return Ok((name, Box::new(move |job| program.command(&emulated.chip, job.image))));
    }
    let Some(qemu) = board.qemu.clone() else {
        bail!("nothing here emulates {}", board.id);
    };
    let program = emulator::ensure(context, &qemu)?;
    Ok((qemu.binary.clone(), Box::new(move |job| qemu::command(program.command(), &qemu, job))))
}

/// Puts the model where its path depends on its contents alone, so that building the same firmware again costs nothing.
pub fn stable_copy(context: &Context, model: &ModelFile) -> Result<std::path::PathBuf> {
    stable_file(context, &model.bytes, "safetensors")
}

/// Puts a model, its inputs or the contents of a model slot where the path depends on the contents and the extension alone.
pub fn stable_file(context: &Context, bytes: &[u8], extension: &str) -> Result<std::path::PathBuf> {
    let folder = context.cache().join("compiled");
    let file = folder.join(format!("{}.{extension}", sha256(bytes)));
    if !file.is_file() {
        write_whole(&file, bytes)?;
    }
    Ok(file)
}

/// The same for inputs that are built into an image; `None` if there are none.
///
/// # Errors
///
/// If the file cannot be written.
pub fn stable_input(context: &Context, inputs: &[u8]) -> Result<Option<std::path::PathBuf>> {
    if inputs.is_empty() { Ok(None) } else { stable_file(context, inputs, "bin").map(Some) }
}
