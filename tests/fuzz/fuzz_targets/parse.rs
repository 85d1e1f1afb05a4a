//! Any bytes: the parser returns, its accessors do, and what it takes the `safetensors` crate takes.

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
use tealight::Model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if Model::parse(data).is_ok() {
        safetensors::SafeTensors::deserialize(data).unwrap();
        // Nothing is small enough to be run here: this only reads.
        exercise(data, Limits { arena: 0, cost: 0 }, &mut Choices::new(&[]));
    }
});
