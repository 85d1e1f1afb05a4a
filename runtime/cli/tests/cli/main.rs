//! Tests of the program as users run it: one file for each command.

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
mod plan;
mod report;
mod run;
mod sensor;
mod weights;
