//! Any bytes: what the parser takes runs to its end, with the same outputs for any slicing.

#![no_main]

use tealight_fuzz::LIMITS;
use tealight_fuzz::exercise::exercise;
use tealight_fuzz::random::Choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Inputs and budgets are chosen by the file's own last bytes, its weights.
    let choices = &data[data.len() - data.len().min(256)..];
    exercise(data, LIMITS, &mut Choices::new(choices));
});
