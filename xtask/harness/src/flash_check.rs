//! Flashing, end to end, on emulated boards: the program `tealight-flash` with unmodified probe-rs, a simulated probe, and
//! the chip's flash algorithm and the firmware running in QEMU. The log must be whole to the last frame, and the network's
//! answers in it those of this machine.

use crate::board::Board;
use crate::context::Context;
use crate::error::Usage;
use crate::firmware::Level;
use crate::flash::{self, Build};
use crate::model::ModelFile;
use crate::subject::run_here;
use crate::{emulator, files, report, run};
use anyhow::{Context as _, Result, bail};
use object::{Object as _, ObjectSymbol as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tealight_simulated_probe::{Chip, Fault, Machine, Qemu, SimulatedProbe, Traffic};

/// The debug hardware of the cores, by the names in `board.toml`.
const CHIPS: &[(&str, Chip)] =
    &[("Cortex-M0", Chip::CORTEX_M0), ("Cortex-M4F", Chip::CORTEX_M4), ("Cortex-M55", Chip::CORTEX_M55)];

/// A small network, so that the log is not waited for.
const FIRST: &str = "anomaly";

/// Inferences, so that the log is a hundred times as long as the buffer that it goes through.
const INFERENCES: u32 = 256;

/// Every emulated board that can be flashed, by the program at this path; without `all` one of each core.
///
/// # Errors
/// One of them failed.
pub fn flash_check(context: &Context, program: &Path, all: bool) -> Result<()> {
    let (mut checked, mut slots) = (0, 0);
    let mut cores = BTreeSet::new();
    let mut boards = Board::emulated(&context.root)?;
    boards.retain(|board| board.by_probe().is_some());
    boards.retain(|board| cores.insert(board.core.clone()) || all);
    for board in boards {
        emulator::ensure_board(context, &board)?;
        let image = on_board(context, program, &board).with_context(|| format!("on {}", board.id))?;
        // The same on every board, and three seconds of waiting.
        if checked == 0 || all {
            without_log(context, program, &board, &image).with_context(|| format!("without a log, on {}", board.id))?;
        }
        if board.model_slot.is_some() {
            models_alone(context, program, &board).with_context(|| format!("in the model slot of {}", board.id))?;
            slots += 1;
        }
        checked += 1;
    }
    if checked == 0 || slots == 0 {
        bail!("no emulated board can be flashed, or none has a model slot");
    }
    Ok(())
}

/// A simulated probe with this board behind it.
///
/// # Errors
/// The board is not emulated, or the emulator does not start.
pub fn simulated(context: &Context, board: &Board) -> Result<SimulatedProbe<Qemu>> {
    let qemu = board.qemu.as_ref().with_context(|| Usage(format!("{} is not emulated", board.id)))?;
    let chip = CHIPS.iter().find(|(core, _)| *core == board.core);
    let (_, chip) = chip.with_context(|| format!("no chip with a {} is simulated", board.core))?;
    let mut command = emulator::ensure(context, qemu)?.command();
    command.args(["-M", &qemu.machine]).args(&qemu.arguments);
    let origin = |region: &str| board.memory.get(region).map_or(0, |region| region.origin as u32);
    let target = Qemu::start(command, Machine { vectors: origin("flash"), ram: origin("ram") })
        .with_context(|| format!("{} does not start", qemu.binary))?;
    SimulatedProbe::start(*chip, target).context("the simulated probe does not start")
}

/// Returns the image.
fn on_board(context: &Context, program: &Path, board: &Board) -> Result<PathBuf> {
    let (model, inputs) = run::demonstration_of(context, FIRST)?;
    let input = inputs.get(..model.input_bytes()).context("the demonstration has no input")?;
    // Inputs that differ.
    let inputs: Vec<u8> = (0..INFERENCES)
        .flat_map(|turn| input.iter().map(move |byte| byte.rotate_left(turn % 8) ^ turn as u8))
        .collect();
    let image = flash::image(context, board, &model, &inputs, Build { log: Level::Debug, loadable: false })?;
    let probe = simulated(context, board)?;
    let mut words = ["flash", &image.display().to_string(), "--probe", &probe.selector()].map(String::from).to_vec();
    words.extend(flash::board_words(context, board)?);
    let begun = Instant::now();
    let console = shown_in_short(program, &words)?;
    let seconds = begun.elapsed().as_secs_f64();
    let (found, expected) = (report::outputs(&console)?, run_here(&model.bytes, &inputs)?);
    if found != expected {
        bail!("the network answers {found:?}, and on this machine {expected:?}");
    }
    if report::number(&console, "done") != Some(INFERENCES.into()) {
        bail!("the report ends after other than {INFERENCES} inferences:\n{console}");
    }
    let each = (0..INFERENCES).map(|inference| format!("DEBUG inference {inference}:"));
    let once = ["tealight version=".into(), format!("tealight board={}", board.id), "INFO the model has".into()];
    for text in once.into_iter().chain(each) {
        if console.lines().filter(|line| line.starts_with(&text)).count() != 1 {
            bail!("the log does not have one line `{text}`:\n{console}");
        }
    }
    let lines = console.lines().count();
    println!(
        "{}: flashed, verified, started; {INFERENCES} answers as on this machine, {lines} lines of log, in {seconds:.1} s",
        board.id
    );
    println!("{}: {}", board.id, traffic(probe));
    Ok(image)
}

/// An image whose log is not found: the command does not hang, fails, and tells that the image is in flash.
fn without_log(context: &Context, program: &Path, board: &Board, image: &Path) -> Result<()> {
    let bytes = files::read(image)?;
    let file = object::File::parse(&*bytes).context("the image is not an ELF file")?;
    let block = file.symbol_by_name("_SEGGER_RTT").context("the image has no log over RTT")?;
    let probe = simulated(context, board)?;
    // Where its identification is, nothing is ever read but this.
    probe.switch().inject(Fault::Word { address: block.address() as u32, value: 0 });
    let mut words = ["flash", &image.display().to_string(), "--probe", &probe.selector()].map(String::from).to_vec();
    words.extend(flash::board_words(context, board)?);
    let output = Command::new(program).args(words).output().context("cannot run the program")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let told =
        ["its log was not found", "the image is in flash, and verified"].iter().all(|part| errors.contains(part));
    if output.status.code() != Some(1) || !told {
        bail!("a log that is not found ends by {}:\n{errors}", output.status);
    }
    println!("{}: a log that is not found is reported, with the state of the board", board.id);
    Ok(())
}

/// Runs the program, shows what it did, and returns the log, which it does not show.
fn shown_in_short(program: &Path, words: &[String]) -> Result<String> {
    let output = Command::new(program).args(words).output().context("cannot run the program")?;
    let (console, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("the program failed:\n{console}{errors}");
    }
    errors.lines().filter(|line| line.starts_with("  ok  ")).for_each(|line| println!("{line}"));
    Ok(console.into_owned())
}

/// What went over a probe's connections, which it ends.
fn traffic(probe: SimulatedProbe<Qemu>) -> String {
    let switch = probe.switch();
    let Traffic { requests, waited } = probe.stop().traffic();
    format!(
        "{} packets to the probe with {} transfers; {requests} requests to QEMU's debug server, waited for {:.1} s",
        switch.packets(),
        switch.transfers(),
        waited.as_secs_f64()
    )
}

/// The model that replaces the first one.
const SECOND: &str = "gesture";

/// Firmware with a model slot answers; after its model alone was replaced, it answers as the other model does. Where the
/// power goes while the model is written, the firmware reports that it has no valid one.
fn models_alone(context: &Context, program: &Path, board: &Board) -> Result<()> {
    let (first, input) = run::demonstration(context)?;
    let (second, other_input) = run::demonstration_of(context, SECOND)?;
    // With the level of the other image, for which all that it is made of is compiled already.
    let image = flash::image(context, board, &first, &input, Build { log: Level::Debug, loadable: true })?;
    let other = flash::slot_file(context, board, &second, &other_input)?;
    let probe = simulated(context, board)?;
    let board_words = flash::board_words(context, board)?;
    let words = |words: Vec<String>| [words, vec!["--probe".into(), probe.selector()], board_words.clone()].concat();
    let quietly = |words: &[String]| Command::new(program).args(words).output().context("cannot run the program");
    let answers = |console: &str, model: &ModelFile, input: &[u8]| {
        let (found, expected) = (report::outputs(console)?, run_here(&model.bytes, input)?);
        if found != expected {
            bail!("{} answers {found:?}, and on this machine {expected:?}", model.name);
        }
        Ok(())
    };
    let whole = vec!["flash".into(), image.display().to_string()];
    answers(&shown_in_short(program, &words(whole))?, &first, &input)?;
    let update = words(flash::model_words(&other, &image));
    let (before, begun) = (probe.switch().packets(), Instant::now());
    answers(&shown_in_short(program, &update)?, &second, &other_input)?;
    let seconds = begun.elapsed().as_secs_f64();
    let packets = probe.switch().packets() - before;
    println!("{}: only the model replaced, in {seconds:.1} s; the firmware read back before and after", board.id);
    // It was started and its log read, too, but most packets are the model's.
    let (mut refused, mut cuts) = (0, 0);
    for part in 1..CUTS {
        let packet = probe.switch().packets() + packets * part / CUTS;
        probe.switch().inject(Fault::Unplugged { packet });
        let cut = quietly(&update)?;
        probe.switch().clear();
        if cut.status.success() {
            continue;
        }
        let monitor = vec!["monitor".into(), image.display().to_string(), "--reset".into()];
        let after = quietly(&words(monitor))?;
        let (console, errors) = (String::from_utf8_lossy(&after.stdout), String::from_utf8_lossy(&after.stderr));
        cuts += 1;
        if after.status.success() {
            // The power went before the slot was touched, or after it was whole.
            answers(&console, &second, &other_input)?;
        } else if NO_MODEL.iter().any(|text| errors.contains(text)) && report::outputs(&console)?.is_empty() {
            refused += 1;
        } else {
            bail!("after the power went at packet {part}/{CUTS}, the firmware reports:\n{console}{errors}");
        }
        // From a valid model again.
        let mended = quietly(&update)?;
        if !mended.status.success() {
            bail!("the model cannot be written again:\n{}", String::from_utf8_lossy(&mended.stderr));
        }
    }
    if refused == 0 {
        bail!("of {cuts} cuts none left the board without a valid model");
    }
    println!("{}: of {cuts} power cuts, {refused} left no valid model, which the firmware reported", board.id);
    Ok(())
}

/// Parts that an update is divided into; between them the power goes.
const CUTS: u64 = 6;

/// What the firmware reports without a valid model.
const NO_MODEL: [&str; 2] = ["no-model", "model-damaged"];
