//! The images of boards of real hardware on emulated chips: each must answer as this machine, byte for byte.

use crate::board::Board;
use crate::context::Context;
use crate::firmware::Level;
use crate::fit::DoesNotFit;
use crate::on_board::{Options, run_on_board};
use crate::progress::{Progress, say};
use crate::subject::run_here;
use crate::{conformance, emulator, faults, run, subject};
use anyhow::{Result, bail};

/// A network with convolutions, and a small one of fully connected layers.
const MODELS: [&str; 2] = ["digits", "anomaly"];

/// Runs every model that fits on every emulated chip, and causes faults in its firmware.
///
/// # Errors
/// A board does not run, or answers otherwise.
pub fn all(context: &Context) -> Result<()> {
    let boards = Board::chips(&context.root)?;
    boards.iter().try_for_each(|board| emulator::ensure_board(context, board))?;
    let subjects = subject::subjects(context, &[])?;
    conformance::on_boards(&boards, &subjects, &|_, _| true)?;
    faults::on_boards(context, &boards, &|_| true)
}

/// Runs two models on every emulated chip.
///
/// # Errors
/// A board does not run, or answers otherwise; or there is none.
pub fn chip_check(context: &Context) -> Result<()> {
    let boards = Board::chips(&context.root)?;
    if boards.is_empty() {
        bail!("there is no board with an emulated chip");
    }
    for board in &boards {
        emulator::ensure_board(context, board)?;
        MODELS.iter().try_for_each(|model| on_board(context, board, model))?;
    }
    Ok(())
}

/// Runs one of our own models on its demonstration's inputs.
///
/// # Errors
/// It does not run, or answers otherwise than this machine.
fn on_board(context: &Context, board: &Board, name: &str) -> Result<()> {
    let (model, inputs) = run::demonstration_of(context, name)?;
    let progress = Progress::start(format!("{name} on {}, an emulated chip", board.id));
    // As `layout` builds it, which is then not built again.
    let options = Options { log: Level::Info, ..Options::default() };
    let run = match run_on_board(context, board, &model, &inputs, options) {
        Err(error) if error.is::<DoesNotFit>() => {
            drop(progress);
            say(&format!("  --  {error}"));
            return Ok(());
        }
        run => run?,
    };
    let expected = run_here(&model.bytes, &inputs)?;
    if run.outputs != expected {
        bail!("{name} on {} answers {:?}, and on this machine {expected:?}", board.id, run.outputs);
    }
    let (bytes, seconds) = (expected.len(), run.seconds);
    progress.done(&format!("{bytes} bytes as on this machine, emulated in {seconds:.1} s"));
    Ok(())
}
