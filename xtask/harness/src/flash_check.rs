//! Flashing, end to end, on emulated boards: the program `tealight-flash` with unmodified probe-rs, a simulated probe, and
//! the chip's flash algorithm and the firmware running in QEMU. The log must be whole, and the network's answers in it
//! those of this machine.

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

/// Every emulated board that can be flashed.
///
/// # Errors
/// One of them failed.
pub fn flash_check(context: &Context) -> Result<()> {
    let program = flash::program(context)?;
    let mut checked = 0;
    for board in Board::emulated(&context.root)?.into_iter().filter(|board| board.flash.is_some()) {
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
    let (model, inputs) = run::demonstration(context)?;
    let image = flash::image(context, board, &model, &inputs, Level::Debug)?;
    let probe = simulated(context, board)?;
    let mut words = ["flash", &image.display().to_string(), "--probe", &probe.selector()].map(String::from).to_vec();
    words.extend(flash::board_words(context, board)?);
    let begun = Instant::now();
    let console = flash::told(program, &words)?;
    let seconds = begun.elapsed().as_secs_f64();
    let (found, expected) = (report::outputs(&console)?, run_here(&model.bytes, &inputs)?);
    if found != expected {
        bail!("the network answers {found:?}, and on this machine {expected:?}");
    }
    let inferences = inputs.len() / model.input_bytes().max(1);
    if report::number(&console, "done") != Some(inferences as u64) {
        bail!("the report ends after other than {inferences} inferences:\n{console}");
    }
    for text in ["tealight version=", &format!("tealight board={}", board.id), "INFO the model has", "DEBUG inference"]
    {
        if !console.lines().any(|line| line.starts_with(text)) {
            bail!("the log lacks `{text}`:\n{console}");
        }
    }
    println!("{}: flashed, verified, started, {inferences} answers as on this machine in {seconds:.1} s", board.id);
    Ok(())
}
