//! Any bytes: what the parser takes runs to its end, with the same outputs for any slicing.

#![no_main]
#![allow(clippy::unwrap_used)] // a failed unwrap is a finding

#[path = "../../../runtime/format/tests/build/mod.rs"]
mod build;
#[path = "../../../runtime/core/tests/support/exercise.rs"]
mod exercise;
#[path = "../../../runtime/format/tests/build/random.rs"]
mod random;

use exercise::{Limits, exercise};
use random::Choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Inputs and budgets are chosen by the file's own last bytes, its weights.
    let choices = &data[data.len() - data.len().min(256)..];
    exercise(data, Limits { arena: 1 << 20, cost: 20_000_000 }, &mut Choices::new(choices));
});
