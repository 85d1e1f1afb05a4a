//! The program as its users run it: one file a command.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod accuracy;
mod bounds;
mod calibrate;
mod common;
mod compile;
#[cfg(feature = "generate")]
mod generate;
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../compiler/tests/support/gguf.rs"]
mod gguf;
#[cfg(unix)]
mod hostile;
mod inspect;
mod run;
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../compiler/tests/support/tflite.rs"]
mod tflite;
mod weights;
