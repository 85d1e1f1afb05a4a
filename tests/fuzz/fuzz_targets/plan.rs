//! Nearly valid plans of all operators, chosen by the bytes: what the parser takes runs to its end, with the same
//! outputs for any slicing, and for memory that is shared or not.

#![no_main]
#![allow(clippy::unwrap_used)] // a failed unwrap is a finding

#[path = "../../../runtime/format/tests/build/mod.rs"]
mod build;
#[path = "../../../runtime/core/tests/support/exercise.rs"]
mod exercise;
#[path = "../../../runtime/format/tests/build/random.rs"]
mod random;

use exercise::{Limits, Outcome, exercise};
use random::Choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (rest, plan) = data.split_at(data.len().min(64));
    let parts = random::plan(&mut Choices::new(plan));
    let file = parts.file();
    let limits = Limits { arena: 1 << 20, cost: 20_000_000 };
    if exercise(&file, limits, &mut Choices::new(rest)) == Outcome::Ran {
        let outputs = |file: &[u8]| exercise::outputs(file, &mut Choices::new(rest));
        assert_eq!(outputs(&file), outputs(&random::apart(&parts).file()), "sharing memory shows in the outputs");
    }
});
