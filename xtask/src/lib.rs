//! `cargo xtask`, the front door: setting up, testing, fetching, training, renewing. What is done with boards is in
//! `tealight-harness`.
//!
//! A task takes a [`Context`] and reports what it does on stderr; stdout is for answers, or for one JSON value with
//! `--json`.

mod cpu_time;
mod lanes;
mod publish;
pub mod renew;
pub mod test;
pub mod train;

pub use tealight_harness::{Context, Usage};
use tealight_harness::{
    balance, board, budget, check_no_panic, chip_check, conformance, context, cost, emulator, error, eval, examples,
    faults, fetch, ffi, files, firmware, flash, flash_check, fuzz, install, interrupts, layout, linux, llm, model,
    networks, parsing, progress, repeat, runners, side_by_side, simulate, subject, table,
};
