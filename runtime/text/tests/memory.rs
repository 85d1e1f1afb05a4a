//! Memory that a tokenizer holds is released with it.
#![cfg(feature = "bpe")]
#![allow(clippy::unwrap_used)]

use cap::Cap;
use std::alloc::System;
use tealight_compiler::Options;
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_format::Model;
use tealight_testing::gguf::{F32, Llama};
use tealight_text::Tokenizer;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn a_dropped_tokenizer_leaves_no_memory_allocated() {
    let file = Llama::new(1, F32, F32, false).file;
    let options = GgufOptions { context: Some(1), batch: Some(1) };
    let file = compile_gguf(&file.bytes(), &options, &Options::default()).unwrap().bytes;
    let model = Model::parse(&file).unwrap();
    let allocated_after = |repetitions: usize| {
        for _ in 0..repetitions {
            let tokens = Tokenizer::read(&model).unwrap().encode("ab ba");
            assert!(!tokens.unwrap().is_empty());
        }
        MEMORY.allocated()
    };
    // The first ones set up what the libraries keep for the process.
    let before = allocated_after(4);
    assert_eq!(allocated_after(40), before);
}
