//! Builds firmware for boards, runs it in an emulator, measures it and checks it.
//!
//! A task takes a [`Context`] and reports what it does on stderr; stdout is for answers, or for one JSON value with
//! `--json`. `cargo xtask` is the front door to the tasks; it adds setting up, testing, training and releasing.
//!
//! | for | modules |
//! |---|---|
//! | boards | [`board`], [`boards`], [`linux`], [`new_board`] |
//! | set-up of this machine | [`setup`], [`install`], [`emulator`], [`backports`], [`fetch`], [`files`] |
//! | an image | [`firmware`], [`build`](mod@build), [`parts`], [`fit`], [`layout`], [`check_no_panic`] |
//! | the C interface | [`ffi`] |
//! | a run | [`on_board`], [`qemu`], [`chip`], [`report`], [`log`](mod@log), [`limit`], [`side_by_side`] |
//! | tasks for a user | [`run`], [`text`], [`flash`], [`simulate`] |
//! | their inputs and outputs | [`model`], [`input`], [`picture`], [`answer`], [`reconstruction`], [`table`], [`progress`] |
//! | measurements | [`bench`](mod@bench), [`host`], [`timed`], [`layers`], [`peers`], [`budget`], [`blocks`], [`prediction`], [`cost`], [`polls`], [`period`], [`interrupts`], [`eval`], [`figures`], [`llm`], [`parsing`] |
//! | checks | [`subject`], [`golden`], [`conformance`], [`faults`], [`repeat`], [`fuzz`], [`flash_check`], [`chip_check`], [`runners`], [`examples`], [`networks`], [`onnx_tests`] |

pub mod answer;
pub mod backports;
#[cfg(feature = "all")]
pub mod balance;
#[cfg(feature = "all")]
pub mod bench;
#[cfg(feature = "all")]
pub mod blocks;
pub mod board;
#[cfg(feature = "all")]
pub mod boards;
#[cfg(feature = "all")]
pub mod budget;
#[cfg(feature = "all")]
pub mod build;
#[cfg(feature = "all")]
pub mod check_no_panic;
pub mod chip;
#[cfg(feature = "all")]
pub mod chip_check;
#[cfg(feature = "all")]
pub mod conformance;
pub mod context;
#[cfg(feature = "all")]
pub mod cost;
pub mod emulator;
pub mod error;
#[cfg(feature = "all")]
pub mod eval;
#[cfg(feature = "all")]
pub mod examples;
#[cfg(feature = "all")]
pub mod faults;
#[cfg(feature = "all")]
pub mod fetch;
#[cfg(feature = "all")]
pub mod ffi;
#[cfg(feature = "all")]
pub mod figures;
pub mod files;
pub mod firmware;
pub mod fit;
#[cfg(feature = "all")]
pub mod flash;
#[cfg(feature = "all")]
pub mod flash_check;
#[cfg(feature = "all")]
mod footprint;
#[cfg(feature = "all")]
pub mod fuzz;
#[cfg(feature = "all")]
pub mod golden;
#[cfg(feature = "all")]
pub mod host;
pub mod input;
pub mod install;
#[cfg(feature = "all")]
pub mod interrupts;
#[cfg(feature = "all")]
pub mod layers;
#[cfg(feature = "all")]
pub mod layout;
pub mod limit;
#[cfg(feature = "all")]
pub mod linux;
#[cfg(feature = "all")]
pub mod llm;
pub mod log;
pub mod model;
#[cfg(feature = "all")]
pub mod networks;
#[cfg(feature = "all")]
pub mod new_board;
pub mod on_board;
#[cfg(feature = "all")]
pub mod onnx_tests;
#[cfg(feature = "all")]
pub mod parsing;
#[cfg(feature = "all")]
pub mod parts;
#[cfg(feature = "all")]
pub mod peers;
#[cfg(feature = "all")]
pub mod period;
pub mod picture;
#[cfg(feature = "all")]
pub mod polls;
#[cfg(feature = "all")]
pub mod prediction;
pub mod progress;
pub mod qemu;
pub mod reconstruction;
#[cfg(feature = "all")]
pub mod repeat;
pub mod report;
pub mod run;
#[cfg(feature = "all")]
pub mod runners;
#[cfg(feature = "all")]
pub mod setup;
#[cfg(feature = "all")]
pub mod side_by_side;
#[cfg(feature = "all")]
pub mod simulate;
#[cfg(feature = "all")]
pub mod subject;
pub mod table;
pub mod text;
#[cfg(feature = "all")]
pub mod timed;

pub use context::Context;
pub use error::Usage;
