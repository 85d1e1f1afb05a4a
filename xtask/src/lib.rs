//! Tasks of the project, one module each: build firmware, run it on an emulated board, test everything.
//!
//! A task takes a [`Context`] and says what it does on stderr; stdout is for answers, or for one JSON value with `--json`.

pub mod answer;
pub mod backports;
pub mod bench;
pub mod blocks;
pub mod board;
pub mod boards;
pub mod build;
pub mod check_no_panic;
pub mod conformance;
pub mod context;
pub mod cost;
pub mod emulator;
pub mod error;
mod examples;
pub mod faults;
pub mod fetch;
pub mod figures;
pub mod firmware;
pub mod fit;
pub mod fuzz;
pub mod input;
pub mod layout;
pub mod limit;
pub mod linux;
pub mod llm;
pub mod log;
pub mod model;
pub mod new_board;
pub mod on_board;
pub mod parsing;
pub mod picture;
pub mod progress;
mod publish;
pub mod qemu;
pub mod reconstruction;
pub mod renew;
pub mod repeat;
pub mod report;
pub mod run;
pub mod setup;
pub mod subject;
pub mod table;
pub mod test;
pub mod text;
pub mod zoo;

pub use context::Context;
pub use error::Usage;
