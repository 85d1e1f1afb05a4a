//! Any bytes as a GGUF file: what compiles parses and runs, and its tokenizer and template are read back.

#![no_main]

use tealight_compiler::Options;
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_fuzz::random::Choices;
use tealight_fuzz::{check, text};

libfuzzer_sys::fuzz_target!(init: text::expect_panics_of_the_renderer(), |data: &[u8]| {
    let mut choices = Choices::new(&data[data.len() - data.len().min(64)..]);
    // One position in most cases: tables and caches for many take longer than all the rest.
    let context = (!choices.one_in(16)).then_some(1);
    let compiled = compile_gguf(data, &GgufOptions { context, batch: None }, &Options::default());
    if let Some(compiled) = check(compiled, &mut choices) {
        text::check(&compiled, &mut choices);
    }
});
