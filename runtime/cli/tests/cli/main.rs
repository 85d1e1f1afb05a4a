//! The program as its users run it: one file a command.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod accuracy;
mod bounds;
mod calibrate;
mod common;
mod compile;
#[cfg(feature = "generate")]
mod generate;
#[cfg(unix)]
mod hostile;
mod inspect;
mod run;
mod weights;
