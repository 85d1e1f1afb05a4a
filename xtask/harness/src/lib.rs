//! Builds firmware for boards, runs it in an emulator, measures it and checks it.
//!
//! A task takes a [`Context`] and reports what it does on stderr; stdout is for answers, or for one JSON value with
//! `--json`. `cargo xtask` is the front door to the tasks; it adds those that concern no board.
//!
//! | for | modules |
//! |---|---|
//! | boards | [`board`], [`boards`], [`linux`] |
//! | set-up of this machine | [`setup`], [`install`], [`emulator`], [`backports`], [`fetch`], [`files`] |
//! | an image | [`firmware`], [`build`](mod@build), [`parts`], [`fit`], [`layout`], [`check_no_panic`] |
//! | the C interface | [`ffi`] |
//! | a run | [`on_board`], [`qemu`], [`chip`], [`report`], [`log`](mod@log), [`limit`], [`side_by_side`] |
//! | tasks for a user | [`run`], [`text`], [`flash`] |
//! | their inputs and outputs | [`model`], [`input`], [`picture`], [`answer`], [`reconstruction`], [`table`], [`progress`] |
//! | measurements | [`bench`](mod@bench), [`host`], [`timed`], [`layers`], [`peers`], [`budget`], [`blocks`], [`prediction`], [`cost`], [`polls`], [`eval`], [`figures`], [`llm`], [`parsing`] |
//! | checks | [`subject`], [`golden`], [`conformance`], [`faults`], [`repeat`], [`fuzz`], [`flash_check`], [`chip_check`] |

pub mod answer;
pub mod backports;
pub mod balance;
pub mod bench;
pub mod blocks;
pub mod board;
pub mod boards;
pub mod budget;
pub mod build;
pub mod check_no_panic;
pub mod chip;
pub mod chip_check;
pub mod conformance;
pub mod context;
pub mod cost;
pub mod emulator;
pub mod error;
pub mod eval;
pub mod faults;
pub mod fetch;
pub mod ffi;
pub mod figures;
pub mod files;
pub mod firmware;
pub mod fit;
pub mod flash;
pub mod flash_check;
pub mod fuzz;
pub mod golden;
pub mod host;
pub mod input;
pub mod install;
pub mod layers;
pub mod layout;
pub mod limit;
pub mod linux;
pub mod llm;
pub mod log;
pub mod model;
pub mod on_board;
pub mod parsing;
pub mod parts;
pub mod peers;
pub mod period;
pub mod picture;
pub mod polls;
pub mod prediction;
pub mod progress;
pub mod qemu;
pub mod reconstruction;
pub mod repeat;
pub mod report;
pub mod run;
pub mod setup;
pub mod side_by_side;
pub mod subject;
pub mod table;
pub mod text;
pub mod timed;

pub use context::Context;
pub use error::Usage;
