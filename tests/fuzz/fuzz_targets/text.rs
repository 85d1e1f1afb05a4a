//! Tokenizers and chat templates of model files, chosen by the bytes or made of them: they are read or refused, and
//! what is read turns texts into tokens and back, and renders conversations.

#![no_main]

use tealight::DType;
use tealight_fuzz::random::Choices;
use tealight_fuzz::{split, text};

libfuzzer_sys::fuzz_target!(init: text::expect_panics_of_the_renderer(), |data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    if how % 4 > 0 {
        let (mut rest, mut choices) = split(data);
        text::check(&text::random_file(&mut choices), &mut rest);
        return;
    }
    // The bytes are the template, beside a tokenizer of two letters.
    let template = data.to_vec();
    let mut constants = vec![
        ("tokenizer.tokens", DType::U8, vec![4], b"a\0b\0".to_vec()),
        ("tokenizer.kinds", DType::U8, vec![2], vec![1, 1]),
    ];
    if !template.is_empty() {
        constants.push(("tokenizer.chat_template", DType::U8, vec![template.len() as u32], template));
    }
    let metadata = [("tokenizer", "bpe".to_string()), ("tokenizer.pre", "gpt-2".to_string())];
    text::check(&text::file(constants, &metadata), &mut Choices::new(&data[data.len() - data.len().min(32)..]));
});
