//! Any bytes: the parser returns, its accessors do, and what it takes the `safetensors` crate takes.

#![no_main]
#![allow(clippy::unwrap_used)] // a failed unwrap is a finding

use tealight::Model;
use tealight_fuzz::exercise::{Limits, exercise};
use tealight_fuzz::random::Choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if Model::parse(data).is_ok() {
        safetensors::SafeTensors::deserialize(data).unwrap();
        // Nothing is small enough to be run here: this only reads.
        exercise(data, Limits { arena: 0, cost: 0 }, &mut Choices::new(&[]));
    }
});
