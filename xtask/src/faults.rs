//! `cargo xtask faults`: firmware that goes wrong says so and ends, on each board.
//!
//! Features of the app seed a panic, a read where no memory is, and a stack that runs over.

use crate::board::Board;
use crate::context::Context;
use crate::on_board::{Options, run_on_board};
use crate::progress::Progress;
use crate::run;
use anyhow::{Result, bail};
use std::time::Duration;

/// What is seeded, and how the board's report of it begins; on RISC-V a bad read has a name of its own.
const SEEDS: &[(&str, &[&str])] = &[
    ("seed-panic", &["panic at "]),
    ("seed-fault", &["hard-fault at pc:", "load-fault at pc:"]),
    ("seed-overflow", &["(stack-overflow at sp:"]),
];

/// The smallest of our own models: it fits every board.
const MODEL: &str = "anomaly";

/// None of them takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a small model with each seed.
pub fn faults(context: &Context, board: &str) -> Result<()> {
    let board = Board::find_emulated(&context.root, board)?;
    let (model, inputs) = run::demonstration_of(context, MODEL)?;
    for (seed, reports) in SEEDS {
        let progress = Progress::start(format!("{} with {seed} on {}", model.name, board.id));
        let options = Options { features: &[seed], limit: LIMIT, ..Options::default() };
        match run_on_board(context, &board, &model, &inputs, options) {
            Ok(_) => bail!("{} ran through with {seed}", board.id),
            Err(error) => {
                let error = error.to_string();
                if !reports.iter().any(|report| error.contains(report)) {
                    bail!("{} with {seed} did not report `{}` but:\n{error}", board.id, reports.join("` or `"));
                }
                progress.done(error.strip_prefix("the firmware stopped: ").unwrap_or(&error));
            }
        }
    }
    Ok(())
}
