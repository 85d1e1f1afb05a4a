//! `cargo xtask flash` and its kin: a board's firmware built around a model, and handed to the program `tealight-flash`,
//! which talks to the board by a debug probe.
//!
//! The program is started, and not linked, so that building xtask does not build probe-rs.

mod drive;
mod firmware;
mod last;
mod linux;
mod linux_check;
mod serial;
mod serial_check;
mod slot;
mod uf2;
mod way;

use crate::answer;
use crate::board::{self, Board, ConsoleKind, LinuxBoard};
use crate::context::Context;
use crate::error::{Reported, Usage};
use crate::firmware::Level;
use crate::model::ModelFile;
use crate::{build, files, install, report, run};
use anyhow::{Context as _, Result};
use clap::Args;
use firmware::Firmware;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tealight_board_spec::{ByProbe, Flash};
use xshell::cmd;

pub use linux_check::check as check_linux;
pub use serial_check::check as check_serial;
pub use way::Way;

/// Scores shown of an answer.
const TOP: usize = 3;

/// What to flash, and where.
#[derive(Clone, Debug, Default, Args)]
pub struct FlashArgs {
    /// The board, and its probe
    #[command(flatten)]
    pub by: ProbeArgs,
    /// The way in, of those that the board has [default: its first one, or what --probe or --to belong to]
    #[arg(long = "by", value_enum)]
    pub way: Option<Way>,
    /// Where to: for `uf2` the drive of the board's boot loader, a folder or a file [default: the drive that is found];
    /// the port for `serial` [default: the only one that may be such a board]; for a Linux board USER@HOST, USER@HOST:FOLDER, or a folder of this machine
    #[arg(long, conflicts_with = "probe")]
    pub to: Option<String>,
    /// For `serial`: does not reset the chip, which is put into its boot loader before, and reset after, by hand
    #[arg(long)]
    pub no_reset: bool,
    /// For a Linux board: also writes a systemd unit of this name, and enables it
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// For a Linux board: the configuration file of ssh [default: ssh's own]
    #[arg(long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Flashes this ELF image instead of building one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "input", "log", "loadable", "model_only"])]
    pub image: Option<PathBuf>,
    /// Model: .tflite, compiled .safetensors, or the name of one of our own [default: digits]
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Inputs to build in, as `run` takes them [default for our own models: held-out ones]
    #[arg(long, requires = "model")]
    pub input: Vec<PathBuf>,
    /// Builds firmware that takes its model from a slot in flash, where `--model-only` replaces it
    #[arg(long)]
    pub loadable: bool,
    /// Replaces the model in the slot of firmware that was flashed by `--loadable`, and nothing else: nothing is built
    #[arg(long, conflicts_with_all = ["loadable", "log"])]
    pub model_only: bool,
    /// What the firmware logs besides its report
    #[arg(long, value_enum, default_value_t = Level::Info)]
    pub log: Level,
    /// Proves that firmware and model fit the chip and draws its memory, without a probe
    #[arg(long)]
    pub dry_run: bool,
    /// Does not show the log, or run the model on a Linux board
    #[arg(long)]
    pub no_monitor: bool,
}

/// Which board, by which probe.
#[derive(Clone, Debug, Default, Args)]
pub struct ProbeArgs {
    /// The board [default: the one that was flashed last from this clone]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub board: String,
    /// The debug probe: VID:PID or VID:PID:SERIAL, as `cargo xtask probes` lists it [default: the only one there is]
    #[arg(long)]
    pub probe: Option<String>,
    /// Seconds that the probe may take for one step
    #[arg(long, default_value_t = 15)]
    pub timeout: u64,
}

impl ProbeArgs {
    /// The words for the program. The board's flash algorithm is built, if it is one of ours.
    fn words(&self, context: &Context, board: &Board) -> Result<Vec<String>> {
        let mut words = vec!["--timeout".into(), self.timeout.to_string()];
        words.extend(self.probe.iter().flat_map(|probe| ["--probe".into(), probe.clone()]));
        words.extend(board_words(context, board)?);
        Ok(words)
    }
}

/// The words that name a board and its flash algorithm, which is built if it is one of ours.
///
/// # Errors
/// It does not build.
pub(crate) fn board_words(context: &Context, board: &Board) -> Result<Vec<String>> {
    let mut words = vec!["--board".into(), board.id.clone()];
    if let Some(ByProbe { algorithm: Some(package), .. }) = board.by_probe() {
        words.extend(["--algorithm".into(), algorithm(context, package)?.display().to_string()]);
    }
    Ok(words)
}

/// The target that every Cortex-M runs.
const ALGORITHM_TARGET: &str = "thumbv6m-none-eabi";

/// Builds a flash algorithm and returns its ELF file.
fn algorithm(context: &Context, package: &str) -> Result<PathBuf> {
    install::ensure_target(context, ALGORITHM_TARGET)?;
    let (shell, cargo) = (&context.shell, context.cargo());
    let messages = cmd!(
        shell,
        "{cargo} build --profile firmware --package {package} --target {ALGORITHM_TARGET} --message-format=json"
    );
    let messages = messages.env_remove("RUSTFLAGS").quiet().ignore_stderr().read();
    let messages = messages.with_context(|| format!("`cargo build --package {package}` failed"))?;
    crate::firmware::executable(&messages, package).with_context(|| format!("cargo built no {package}"))
}

/// Builds firmware with the model or takes the image, flashes it, and shows its log and its answers.
///
/// # Errors
/// Something does not fit or cannot be built, or the program failed, which has shown why.
pub fn flash(context: &Context, args: &FlashArgs) -> Result<()> {
    if let Some(board) = LinuxBoard::find(&context.root, &args.by.board)? {
        if args.loadable || args.model_only {
            return Err(Usage(
                "--loadable and --model-only are for boards with firmware: on a Linux board the model is a file".into(),
            )
            .into());
        }
        return linux::flash(context, &board, args);
    }
    if args.service.is_some() || args.ssh_config.is_some() {
        return Err(Usage("--service and --ssh-config are for Linux boards".into()).into());
    }
    let board = chosen(context, &args.by.board)?;
    if args.loadable || args.model_only {
        slot::of(&board)?;
    }
    let way = way::choose(&board, args.way, args.by.probe.is_some(), args.to.is_some())?;
    if args.no_reset && !matches!(way, Flash::Serial(_)) {
        return Err(
            Usage(format!("--no-reset is for `--by serial`, and {} is flashed in another way", board.id)).into()
        );
    }
    match way {
        Flash::Uf2(by) if args.model_only && !args.dry_run => return slot::to_drive(context, &board, by, args),
        Flash::Uf2(by) if !args.dry_run => return drive::flash(context, &board, by, args),
        Flash::Serial(by) if !args.dry_run => return serial::flash(context, &board, by, args),
        _ => {}
    }
    let (firmware, mut words) = if args.model_only {
        let slot::Update { model, file } = slot::update(context, &board, args)?;
        let words = model_words(&file, &flashed_image(context, &board)?);
        (Firmware::Model { model, inputs: Vec::new(), how: args.into() }, words)
    } else {
        let firmware = Firmware::of(context, &board, args)?;
        let image = firmware.image(context, &board)?;
        (firmware, [&["flash".into(), image.display().to_string()], &kept_words(context, &board)[..]].concat())
    };
    let program = program(context)?;
    if !args.dry_run {
        last::remember(context, &board)?;
    }
    words.extend(args.by.words(context, &board)?);
    words.extend(args.dry_run.then(|| "--dry-run".into()));
    // A board that logs over its serial port has no log for a debugger.
    let silent = args.no_monitor || board.console.kind == ConsoleKind::Uart;
    words.extend(silent.then(|| "--no-monitor".into()));
    let console = run_shown(&program, &words)?;
    print!("{}", firmware.answers(&console)?);
    if board.console.kind == ConsoleKind::Uart && !args.dry_run && !args.no_monitor {
        println!("{}", log_of_port(context, &board));
    }
    Ok(())
}

/// How the log is read of a board that sends it from a UART.
fn log_of_port(context: &Context, board: &Board) -> String {
    format!(
        "`cargo xtask log {} PORT` shows its log, from the serial port that its UART is wired to\n\
         It is sent once after each reset: reset the board when that command waits.",
        flashed(context, board).display()
    )
}

/// Shows the log of what was flashed last.
///
/// # Errors
/// Nothing was flashed from here, or the program failed.
pub fn monitor(context: &Context, by: &ProbeArgs, reset: bool) -> Result<()> {
    let board = chosen(context, &by.board)?;
    let image = flashed_image(context, &board)?;
    if board.console.kind == ConsoleKind::Uart {
        return Err(Usage(format!("{} logs to no debug probe: {}", board.id, log_of_port(context, &board))).into());
    }
    let mut words = vec!["monitor".into(), image.display().to_string()];
    words.extend(by.words(context, &board)?);
    words.extend(reset.then(|| "--reset".into()));
    run_shown(&program(context)?, &words).map(drop)
}

/// Lists the debug probes.
///
/// # Errors
/// The program failed.
pub fn probes(context: &Context) -> Result<()> {
    run_shown(&program(context)?, &["probes".into()]).map(drop)
}

/// Resets a board.
///
/// # Errors
/// The program failed.
pub fn reset(context: &Context, by: &ProbeArgs) -> Result<()> {
    let board = chosen(context, &by.board)?;
    let words = [&["reset".into()], &by.words(context, &board)?[..]].concat();
    run_shown(&program(context)?, &words).map(drop)
}

/// Erases a board's flash.
///
/// # Errors
/// It was not confirmed, or the program failed.
pub fn erase(context: &Context, by: &ProbeArgs, yes: bool) -> Result<()> {
    let board = chosen(context, &by.board)?;
    let mut words = [&["erase".into()], &by.words(context, &board)?[..]].concat();
    words.extend(yes.then(|| "--yes".into()));
    run_shown(&program(context)?, &words).map(drop)
}

/// The board called `id`, or if that is empty the one that was flashed last, of which stderr tells.
fn chosen(context: &Context, id: &str) -> Result<Board> {
    match last::board(context).filter(|_| id.is_empty()) {
        Some(last) => {
            eprintln!("  --  the board is {last}, which was flashed last; --board names another");
            find(context, &last)
        }
        None => find(context, id),
    }
}

/// The board called `id`, if its `board.toml` states how it is flashed.
fn find(context: &Context, id: &str) -> Result<Board> {
    let flashable: Vec<_> = Board::all(&context.root)?.into_iter().filter(|board| !board.flash.is_empty()).collect();
    if let Some(board) = flashable.iter().find(|board| board.id == id) {
        return Ok(board.clone());
    }
    let known: Vec<&str> = flashable.iter().map(|board| board.id.as_str()).collect();
    let known = known.join(", ");
    if id.is_empty() {
        return Err(Usage(format!("name the board by --board; those that can be flashed are: {known}")).into());
    }
    board::find(&context.root, id)?;
    Err(Usage(format!("{id} cannot be flashed: its board.toml has no `[[flash]]`; boards that have it: {known}"))
        .into())
}

/// How a flashed image is built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// What the firmware logs besides its report.
    pub log: Level,
    /// Whether the firmware takes its model from the board's model slot.
    pub loadable: bool,
}

impl From<&FlashArgs> for Build {
    fn from(args: &FlashArgs) -> Self {
        Self { log: args.log, loadable: args.loadable }
    }
}

/// Builds firmware with the model and its inputs, whose log a debugger can read, and returns the file of the image.
///
/// # Errors
/// The model does not fit, or the firmware does not build.
pub fn image(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8], how: Build) -> Result<PathBuf> {
    let mut features = model.features().to_vec();
    if board.console.kind == ConsoleKind::Semihosting {
        features.push("rtt");
    }
    let image = match how.loadable {
        true => slot::image(context, board, model, inputs, &features, how.log)?,
        false => build::image(context, board, model, inputs, &features, how.log)?,
    };
    built(context, board, &image)
}

/// Puts an image that is to be flashed into a file.
fn built(context: &Context, board: &Board, image: &[u8]) -> Result<PathBuf> {
    let file = context.cache().join("built").join(format!("{}.elf", board.id));
    files::write_whole(&file, image)?;
    Ok(file)
}

/// The words by which a program keeps the image once the board's flash changes.
fn kept_words(context: &Context, board: &Board) -> [String; 2] {
    ["--keep".into(), flashed(context, board).display().to_string()]
}

/// The contents of the board's model slot, as [`model_words`] has them flashed.
///
/// # Errors
/// The board has no slot, or the model does not fit it.
pub(crate) fn slot_file(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8]) -> Result<PathBuf> {
    slot::file(context, board, model, inputs)
}

/// The words for the program by which it puts contents into the model slot of an image that is in flash.
pub(crate) fn model_words(contents: &Path, image: &Path) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    vec!["model".into(), path(contents), "--image".into(), path(image)]
}

/// The UF2 file of an image, for a board that takes one.
pub(crate) fn uf2_file(board: &Board, image: &[u8]) -> Option<Result<Vec<u8>>> {
    let family = board.flash.iter().find_map(|way| if let Flash::Uf2(by) = way { Some(by.family) } else { None })?;
    let file = uf2::segments(image).and_then(|segments| uf2::file(&segments, &flash_range(board), family));
    Some(file)
}

/// The addresses of the board's flash.
fn flash_range(board: &Board) -> Range<u64> {
    board.memory.get("flash").map_or(0..0, |flash| flash.origin..flash.origin + flash.length)
}

/// The image that was flashed last, which has the texts of its log and the addresses of its model slot.
///
/// # Errors
/// None was flashed from here.
fn flashed_image(context: &Context, board: &Board) -> Result<PathBuf> {
    let image = flashed(context, board);
    if !image.is_file() {
        return Err(Usage(format!(
            "no firmware was flashed to {} from here, and what the board has is not known; `cargo xtask flash` flashes \
             some, with `--loadable` such whose model `--model-only` replaces",
            board.id
        ))
        .into());
    }
    Ok(image)
}

/// Where the image is kept that was flashed last.
fn flashed(context: &Context, board: &Board) -> PathBuf {
    context.cache().join("flashed").join(format!("{}.elf", board.id))
}

/// Builds the program and returns its path.
///
/// # Errors
/// It does not build.
pub fn program(context: &Context) -> Result<PathBuf> {
    context.build_program("tealight-flash", "probe-rs takes minutes")
}

/// Runs the program, shows what it prints as it comes, and returns it.
pub(crate) fn run_shown(program: &Path, words: &[String]) -> Result<String> {
    let mut child = Command::new(program)
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut console = String::new();
    if let Some(pipe) = child.stdout.take() {
        for line in BufReader::new(pipe).lines() {
            let line = line.with_context(|| format!("cannot read the output of {}", program.display()))?;
            println!("{line}");
            console += &line;
            console.push('\n');
        }
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(Reported(status.code().map_or(1, |code| if code == 2 { 2 } else { 1 })).into());
    }
    Ok(console)
}

/// The answers in a report: the highest scores of each inference.
fn answers(model: &ModelFile, console: &str) -> Result<String> {
    let outputs = report::outputs(console)?;
    let each = model.feature_bytes() + model.output_bytes();
    let Some(tensor) = model.outputs.first().filter(|_| each > 0) else { return Ok(String::new()) };
    let mut text = String::new();
    for (index, written) in outputs.chunks_exact(each).enumerate() {
        let output = written.get(model.feature_bytes()..).unwrap_or_default();
        let values = tensor.real(output.get(..tensor.bytes).unwrap_or(output));
        text += &format!("\nInference {}\n{}", index + 1, answer::lines(&answer::top(&values, &model.labels, TOP)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_cannot_be_flashed_is_answered_with_those_that_can() {
        let context = Context::new().unwrap();
        find(&context, "microbit").unwrap();
        for id in ["", "raspi3b"] {
            let error = find(&context, id).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains("microbit"), "{error}");
        }
        assert!(find(&context, "toaster").unwrap_err().to_string().contains("`toaster`"));
    }

    #[test]
    fn options_for_other_boards_are_refused_before_anything_is_built() {
        let context = Context::new().unwrap();
        let refusal = |id: &str, args: FlashArgs| {
            let by = ProbeArgs { board: id.into(), ..ProbeArgs::default() };
            let error = flash(&context, &FlashArgs { by, ..args }).unwrap_err();
            assert!(error.is::<Usage>(), "{error}");
            error.to_string()
        };
        let no_reset = || FlashArgs { no_reset: true, ..FlashArgs::default() };
        assert!(refusal("microbit", no_reset()).contains("--by serial"));
        assert!(refusal("pico", no_reset()).contains("--by serial"));
        assert!(refusal("linux-aarch64", no_reset()).contains("runs Linux"));
        let service = FlashArgs { service: Some("net".into()), ..FlashArgs::default() };
        assert!(refusal("microbit", service).contains("--service"));
    }

    #[test]
    fn the_monitor_of_a_board_with_a_serial_port_names_the_command_that_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let boards = folder.path().join("boards/pico");
        std::fs::create_dir_all(&boards).unwrap();
        std::fs::copy(crate::context::root().join("boards/hardware/pico/board.toml"), boards.join("board.toml"))
            .unwrap();
        let context = Context::at(folder.path().into()).unwrap();
        let by = ProbeArgs { board: "pico".into(), ..ProbeArgs::default() };
        let refusal = || monitor(&context, &by, false).unwrap_err();
        assert!(refusal().is::<Usage>() && refusal().to_string().contains("no firmware was flashed"), "{}", refusal());
        files::write_whole(&context.cache().join("flashed/pico.elf"), b"an image").unwrap();
        let error = refusal();
        assert!(error.is::<Usage>() && error.to_string().contains("flashed/pico.elf PORT` shows its log"), "{error}");
    }

    #[test]
    fn what_the_program_prints_is_returned_and_its_failure_keeps_its_exit_code() {
        let shell = |script: &str| run_shown(Path::new("sh"), &["-c".into(), script.into()]);
        assert_eq!(shell("echo one; echo two").unwrap(), "one\ntwo\n");
        for (script, code) in [("exit 2", 2), ("exit 1", 1), ("exit 77", 1)] {
            assert_eq!(crate::error::exit_code(&shell(script).unwrap_err()), code);
        }
        assert!(run_shown(Path::new("/no such program"), &[]).unwrap_err().to_string().contains("cannot start"));
    }
}
