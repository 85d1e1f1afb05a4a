//! `cargo xtask faults`: firmware that goes wrong says so and ends, on each board.
//!
//! Features of the app seed a panic, a read where no memory is, a stack that runs over, and a loop without an end, which the
//! time limit ends. A damaged model is refused by the board itself, with the reason.

use crate::board;
use crate::context::Context;
use crate::fit::DoesNotFit;
use crate::model::ModelFile;
use crate::on_board::{Options, run_on_board};
use crate::progress::Progress;
use crate::run;
use anyhow::{Context as _, Result, bail};
use std::time::Duration;

/// Something that goes wrong.
struct Seed {
    /// The feature that makes it go wrong.
    feature: &'static str,
    /// Whether the model is damaged.
    damaged: bool,
    /// One of these is in what is said of it; on RISC-V a bad read has a name of its own.
    said: &'static [&'static str],
    /// How long it may take.
    limit: Duration,
}

const LIMIT: Duration = Duration::from_secs(60);

const SEEDS: &[Seed] = &[
    Seed { feature: "seed-panic", damaged: false, said: &["panic at "], limit: LIMIT },
    Seed { feature: "seed-fault", damaged: false, said: &["hard-fault at pc:", "load-fault at pc:"], limit: LIMIT },
    Seed { feature: "seed-overflow", damaged: false, said: &["(stack-overflow at sp:"], limit: LIMIT },
    Seed {
        feature: "seed-hang",
        damaged: false,
        said: &["did not end within 3 s and was stopped"],
        limit: Duration::from_secs(3),
    },
    Seed {
        feature: "loadable",
        damaged: true,
        said: &["it refused the model: compiled for format version"],
        limit: LIMIT,
    },
];

/// The smallest of our own models: it fits every board.
const MODEL: &str = "anomaly";

/// Runs a small model with each seed.
pub fn faults(context: &Context, board: &str) -> Result<()> {
    let board = board::find_emulated(&context.root, board)?;
    let (mut model, inputs) = run::demonstration_of(context, MODEL)?;
    let whole = model.bytes.clone();
    for Seed { feature, damaged, said, limit } in SEEDS {
        let progress = Progress::start(format!("{} with {feature} on {}", model.name, board.id));
        model.bytes.clone_from(&whole);
        if *damaged {
            damage(&mut model)?;
        }
        let options = Options { features: &[feature], limit: *limit, ..Options::default() };
        match run_on_board(context, &board, &model, &inputs, options) {
            Ok(_) => bail!("{} ran through with {feature}", board.id),
            // Firmware with all operators is larger than some boards.
            Err(error) if *damaged && error.is::<DoesNotFit>() => {
                drop(progress);
                eprintln!("  --  {error}");
            }
            Err(error) => {
                let error = error.to_string();
                if !said.iter().any(|part| error.contains(part)) {
                    bail!("{} with {feature} did not report `{}` but:\n{error}", board.id, said.join("` or `"));
                }
                let first = error.lines().next().unwrap_or_default();
                progress.done(first.strip_prefix("the firmware stopped: ").unwrap_or(first));
            }
        }
    }
    Ok(())
}

/// Makes it a model of an older format version: byte 8 of its first tensor, the plan (SPEC.md).
fn damage(model: &mut ModelFile) -> Result<()> {
    let length = model.bytes.first_chunk().map(|length| u64::from_le_bytes(*length)).context("the model is cut")?;
    let version = usize::try_from(length)?.checked_add(8 + 8).and_then(|at| model.bytes.get_mut(at));
    *version.context("the model is cut")? -= 1;
    Ok(())
}
