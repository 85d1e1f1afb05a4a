//! `cargo xtask faults`: firmware that fails reports why and ends, on each board.
//!
//! The app's feature `seed-faults` builds in a panic, a read of an address without memory, a stack overflow, and an
//! endless loop, which the time limit ends; the first byte of the input chooses one. A damaged model is refused by the
//! board itself, with the reason.

use crate::board::{self, Board};
use crate::context::Context;
use crate::fit::DoesNotFit;
use crate::model::ModelFile;
use crate::on_board::{Options, run_on_board};
use crate::progress::{Progress, say};
use crate::run;
use crate::side_by_side::on_each;
use anyhow::{Context as _, Result, bail};
use std::time::Duration;

/// A fault that is built in.
struct Seed {
    name: &'static str,
    /// The first byte of the input (`seeds.rs` of `tealight-board`).
    byte: u8,
    /// The report contains one of these; on RISC-V a bad read has a name of its own, and Espressif's HAL panics at one.
    reported: &'static [&'static str],
    /// How long the run may take.
    limit: Duration,
}

const LIMIT: Duration = Duration::from_secs(60);

/// The faults after an inference.
const SEEDS: &[Seed] = &[
    Seed { name: "a panic", byte: 1, reported: &["panic at "], limit: LIMIT },
    Seed {
        name: "a bad read",
        byte: 2,
        reported: &["hard-fault at pc:", "load-fault at pc:", "exception_handler/mod.rs:"],
        limit: LIMIT,
    },
    Seed {
        name: "a stack overflow",
        byte: 3,
        // An emulated Cortex-M0+ that cannot push a fault's frame stops, and the emulator tells it.
        reported: &["(stack-overflow at sp:", "the core is locked up at", "exception_handler/mod.rs:"],
        limit: LIMIT,
    },
    Seed {
        name: "an endless loop",
        byte: 4,
        reported: &["did not end within 2 s and was stopped"],
        limit: Duration::from_secs(2),
    },
];

/// A model that the board refuses.
const REFUSED: Seed = Seed {
    name: "a damaged model",
    byte: 0,
    reported: &["it refused the model: compiled for format version"],
    limit: LIMIT,
};

/// The smallest of our own models: it fits every board.
const MODEL: &str = "anomaly";

/// Causes each fault on a board.
pub fn faults(context: &Context, board: &str) -> Result<()> {
    let board = board::find_running(&context.root, board)?;
    let (model, inputs) = run::demonstration_of(context, MODEL)?;
    after_inference(context, &board, &model, &inputs)?;
    damaged_model(context, &board, &model, &inputs)
}

/// Causes each fault on every one of these boards, which are set up. Those that `loads` chooses get a damaged model, too,
/// whose firmware takes longer to build than that of all others.
pub fn on_boards(context: &Context, boards: &[Board], loads: &(dyn Fn(&Board) -> bool + Sync)) -> Result<()> {
    let (model, inputs) = run::demonstration_of(context, MODEL)?;
    let causes = |context: &Context, board: &Board| {
        after_inference(context, board, &model, &inputs)?;
        if loads(board) { damaged_model(context, board, &model, &inputs) } else { Ok(()) }
    };
    on_each(boards, causes).map(drop)
}

/// Causes the faults after an inference.
fn after_inference(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8]) -> Result<()> {
    for seed in SEEDS {
        if board.chip_emulator.as_ref().is_some_and(|chip| chip.not_raised.iter().any(|name| name == seed.name)) {
            say(&format!("  --  {} on {}: its emulator does not raise it", seed.name, board.id));
            continue;
        }
        let mut inputs = inputs.to_vec();
        *inputs.first_mut().context("the model has no input")? = seed.byte;
        let options = Options { features: &["seed-faults"], limit: seed.limit, ..Options::default() };
        cause(context, board, seed, model, &inputs, options)?;
    }
    Ok(())
}

/// Gives the board a model that it must refuse.
fn damaged_model(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8]) -> Result<()> {
    let mut damaged = model.clone();
    damage(&mut damaged)?;
    let options = Options { features: &["loadable"], limit: REFUSED.limit, ..Options::default() };
    match cause(context, board, &REFUSED, &damaged, inputs, options) {
        // Firmware with all operators is larger than some boards.
        Err(error) if error.is::<DoesNotFit>() => say(&format!("  --  {error}")),
        caused => caused?,
    }
    Ok(())
}

/// Runs firmware, which must fail and report what `seed` says.
fn cause(
    context: &Context,
    board: &Board,
    seed: &Seed,
    model: &ModelFile,
    inputs: &[u8],
    options: Options<'_>,
) -> Result<()> {
    let Seed { name, reported, .. } = seed;
    let progress = Progress::start(format!("{name} on {}", board.id));
    match run_on_board(context, board, model, inputs, options) {
        Ok(_) => bail!("{} ran to the end in spite of {name}", board.id),
        Err(error) if error.is::<DoesNotFit>() => Err(error),
        Err(error) => {
            let error = error.to_string();
            if !reported.iter().any(|part| error.contains(part)) {
                bail!("{} with {name} did not report `{}` but:\n{error}", board.id, reported.join("` or `"));
            }
            let first = error.lines().next().unwrap_or_default();
            progress.done(first.strip_prefix("the firmware stopped: ").unwrap_or(first));
            Ok(())
        }
    }
}

/// Makes it a model of an older format version: byte 8 of its first tensor, the plan (SPEC.md).
fn damage(model: &mut ModelFile) -> Result<()> {
    let length = model.bytes.first_chunk().map(|length| u64::from_le_bytes(*length)).context("the model is cut off")?;
    let version = usize::try_from(length)?.checked_add(8 + 8).and_then(|at| model.bytes.get_mut(at));
    *version.context("the model is cut off")? -= 1;
    Ok(())
}
