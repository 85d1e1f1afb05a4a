//! Flashing, end to end, on emulated boards: the program `tealight-flash` with unmodified probe-rs, a simulated probe, and
//! the chip's flash algorithm and the firmware running in QEMU. The log must be whole to the last frame, and the network's
//! answers in it those of this machine.

use crate::board::Board;
use crate::context::Context;
use crate::error::Usage;
use crate::firmware::Level;
use crate::subject::run_here;
use crate::{emulator, flash, report, run};
use anyhow::{Context as _, Result, bail};
use std::time::Instant;
use tealight_simulated_probe::{Chip, Machine, Qemu, SimulatedProbe};

/// The debug hardware of the cores, by the names in `board.toml`.
const CHIPS: &[(&str, Chip)] =
    &[("Cortex-M0", Chip::CORTEX_M0), ("Cortex-M4F", Chip::CORTEX_M4), ("Cortex-M55", Chip::CORTEX_M55)];

/// Inferences, so that the log is several times as long as the buffer that it goes through.
const INFERENCES: u32 = 48;

/// Every emulated board that can be flashed.
///
/// # Errors
/// One of them failed.
pub fn flash_check(context: &Context) -> Result<()> {
    let program = flash::program(context)?;
    let mut checked = 0;
    for board in Board::emulated(&context.root)?.into_iter().filter(|board| board.by_probe().is_some()) {
        emulator::ensure_board(context, &board)?;
        on_board(context, &program, &board).with_context(|| format!("on {}", board.id))?;
        checked += 1;
    }
    if checked == 0 {
        bail!("no emulated board can be flashed");
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

fn on_board(context: &Context, program: &std::path::Path, board: &Board) -> Result<()> {
    let (model, input) = run::demonstration(context)?;
    // Inputs of which no two are the same.
    let inputs: Vec<u8> = (0..INFERENCES)
        .flat_map(|turn| input.iter().map(move |byte| byte.rotate_left(turn % 8) ^ turn as u8))
        .collect();
    let image = flash::image(context, board, &model, &inputs, Level::Debug)?;
    let probe = simulated(context, board)?;
    let mut words = ["flash", &image.display().to_string(), "--probe", &probe.selector()].map(String::from).to_vec();
    words.extend(flash::board_words(context, board)?);
    let begun = Instant::now();
    let console = flash::run_shown(program, &words)?;
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
    Ok(())
}
