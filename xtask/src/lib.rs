//! `cargo xtask`, the front door: setting up, testing, fetching, training, renewing. What is done with boards is in
//! `tealight-harness`.
//!
//! A task takes a [`Context`] and reports what it does on stderr; stdout is for answers, or for one JSON value with
//! `--json`.

mod cpu_time;
mod examples;
mod lanes;
pub mod networks;
pub mod new_board;
pub mod onnx_tests;
mod publish;
pub mod renew;
mod runners;
pub mod simulate;
pub mod test;
pub mod train;

pub use tealight_harness::{Context, Usage};
use tealight_harness::{
    balance, board, budget, check_no_panic, chip, chip_check, conformance, context, cost, emulator, error, eval,
    faults, fetch, ffi, figures, files, firmware, flash, flash_check, fuzz, install, interrupts, layout, limit, linux,
    llm, model, parsing, progress, repeat, report, run, side_by_side, subject, table,
};
