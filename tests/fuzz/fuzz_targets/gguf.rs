//! Nearly valid GGUF files, chosen by the bytes: what compiles parses and runs, and its tokenizer and template are read
//! back.

#![no_main]

use tealight_compiler::Options;
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_fuzz::{check, gguf_random, split, text};
use tealight_text::TextError;

libfuzzer_sys::fuzz_target!(init: text::expect_panics_of_the_renderer(), |data: &[u8]| {
    let (mut rest, mut choices) = split(data);
    // Tables and caches for many positions take longer than all the rest.
    let context = if rest.one_in(32) { None } else { Some(rest.pick(&[1, 1, 4, 0, u32::MAX])) };
    let file = gguf_random::file(&mut choices);
    if let Some(compiled) = check(compile_gguf(&file, &GgufOptions { context, batch: None }, &Options::default()), &mut rest) {
        // The compiler may keep the name of a way of splitting that this build's tokenizer does not have.
        let error = text::check(&compiled, &mut rest);
        assert!(matches!(error, None | Some(TextError::Split { .. })), "{error:?}");
    }
});
