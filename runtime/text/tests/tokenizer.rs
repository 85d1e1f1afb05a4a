//! Tokenizers that are read from a model file.
#![cfg(feature = "bpe")]
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_compiler::graph::ElementType;
use tealight_compiler::{Bpe, Options, Vocabulary};
use tealight_format::{Model, Operator, ops};
use tealight_testing::gguf::{F32, File, Llama, TOKENS};
use tealight_testing::rng::Rng;
use tealight_text::{Decoder, Message, TextError, Tokenizer};

/// Returns the smallest model that contains `vocabulary`.
fn model(vocabulary: Option<Vocabulary>) -> Vec<u8> {
    let mut b = Builder::new();
    let x = b.input("x", ElementType::F32, &[1]);
    let neg = ops::UnaryF32 { function: ops::UnaryFunction::Neg };
    let y = b.op("y", Operator::UnaryF32(neg), [x], ElementType::F32, &[1]);
    b.output(y);
    compile_kernel_graph(b.finish(), b"", &Options { vocabulary, ..Options::default() }).unwrap().bytes
}

fn read(file: &[u8]) -> Result<Tokenizer, TextError> {
    Tokenizer::read(&Model::parse(file).unwrap())
}

fn of_gguf(file: &File) -> Tokenizer {
    let options = GgufOptions { context: Some(1), batch: Some(1) };
    read(&compile_gguf(&file.bytes(), &options, &Options::default()).unwrap().bytes).unwrap()
}

/// All 256 bytes, and some merges.
fn bytes_and_merges() -> Bpe {
    let letter = |byte: u8| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        // The other bytes are numbered from U+0100 on: 0 to 32, 127 to 160, 173.
        0..=32 => char::from_u32(0x100 + u32::from(byte)).unwrap(),
        127..=160 => char::from_u32(0x121 + u32::from(byte) - 127).unwrap(),
        173 => '\u{143}',
    };
    let mut tokens: Vec<String> = (0..=255).map(|byte| letter(byte).to_string()).collect();
    let mut merges = Vec::new();
    for (left, right) in [
        ("t", "h"),
        ("th", "e"),
        ("a", "a"),
        ("aa", "aa"),
        ("Ġ", "the"),
        ("1", "2"),
        ("Ã", "©"),
        ("h", "e"),
        ("a", "b"),
    ] {
        let number = |token: &str| tokens.iter().position(|known| known == token).unwrap() as u32;
        merges.push([number(left), number(right)]);
        tokens.push(format!("{left}{right}"));
    }
    let kinds = vec![1; tokens.len()];
    Bpe { tokens, kinds, merges, pre: "gpt-2".into(), ..Bpe::default() }
}

/// Encodes one word by the definition of byte-pair encoding: repeatedly merges the pair with the highest priority, from
/// the left.
fn join(bpe: &Bpe, word: &str) -> Vec<u32> {
    let mut tokens: Vec<u32> = word.bytes().map(u32::from).collect();
    let number = |text: &str| bpe.tokens.iter().position(|token| token == text).unwrap() as u32;
    loop {
        let rank = |at: usize| bpe.merges.iter().position(|merge| merge[..] == tokens[at..at + 2]);
        let best = (0..tokens.len().saturating_sub(1)).filter_map(|at| Some((rank(at)?, at))).min();
        let Some((rank, at)) = best else { return tokens };
        let [left, right] = bpe.merges[rank];
        let joined = number(&format!("{}{}", bpe.tokens[left as usize], bpe.tokens[right as usize]));
        tokens.splice(at..at + 2, [joined]);
    }
}

fn decode(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let mut decoder = Decoder::default();
    let text: String = tokens.iter().map(|&token| decoder.push(tokenizer.bytes(token))).collect();
    text + &decoder.finish()
}

#[test]
fn applies_merges_in_order() {
    let tokenizer = of_gguf(&Llama::new(1, F32, F32, false).file);
    let names = |text: &str| {
        let tokens = tokenizer.encode(text).unwrap();
        tokens.iter().map(|&token| TOKENS[token as usize]).collect::<Vec<_>>()
    };
    assert_eq!(names("hello"), ["hello"]);
    assert_eq!(names("hell"), ["he", "ll"]);
    // `he llo` has priority over `Ġ he`.
    assert_eq!(names("a hellohe"), ["a", "Ġ", "hello", "he"]);
    assert_eq!(names("a he"), ["a", "Ġhe"]);
    assert_eq!(names("a\nb"), ["a", "Ċ", "b"]);
    // A control token is matched as a whole, and is not text.
    assert_eq!(names("ab</s>c"), ["a", "b", "</s>", "c"]);
    assert_eq!(decode(&tokenizer, &tokenizer.encode("ab</s>c\n hello").unwrap()), "abc\n hello");
    assert!(tokenizer.ends(1) && !tokenizer.ends(0));
    assert_eq!(tokenizer.count(), TOKENS.len());
    assert_eq!(tokenizer.bytes(1000), b"");
    // This small vocabulary does not contain all bytes.
    assert_eq!(tokenizer.encode("ax"), Err(TextError::Text { text: "ax".into() }));
}

#[test]
fn adds_the_begin_token_once_if_the_model_requires_it() {
    let mut file = Llama::new(1, F32, F32, false).file;
    file.entry("tokenizer.ggml.add_bos_token", 7, vec![1]);
    let tokenizer = of_gguf(&file);
    assert_eq!(tokenizer.encode("a").unwrap(), [0, 2]);
    assert_eq!(tokenizer.encode("<s>a").unwrap(), [0, 2]);
}

#[test]
fn a_conversation_follows_the_models_template() {
    let tokenizer = of_gguf(&Llama::new(1, F32, F32, false).file);
    let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    let text = tokenizer.chat(&[message("user", "he"), message("assistant", "llo")]).unwrap();
    assert_eq!(text, "bheallo".to_string() + "a");

    let chat = |template: &str| {
        let chat_template = Some(template.to_string());
        let vocabulary = Vocabulary::Bpe(Bpe { chat_template, ..bytes_and_merges() });
        read(&model(Some(vocabulary))).unwrap().chat(&[message("user", "x")])
    };
    assert_eq!(chat("{{ messages[0]['content'] }}").unwrap(), "x");
    for template in ["{{ raise_exception('no system') }}", "{% for", "{% for i in range(100000000) %}{% endfor %}"] {
        assert!(matches!(chat(template), Err(TextError::Template(_))), "{template}");
    }
    let plain = read(&model(Some(Vocabulary::Bpe(bytes_and_merges())))).unwrap();
    assert_eq!(plain.chat(&[]), Err(TextError::NoTemplate));
}

#[test]
fn digits_are_split_where_the_pre_tokenizer_requires() {
    let of = |pre: &str| read(&model(Some(Vocabulary::Bpe(Bpe { pre: pre.into(), ..bytes_and_merges() })))).unwrap();
    assert_eq!(decode(&of("gpt-2"), &of("gpt-2").encode("12 12").unwrap()), "12 12");
    assert_eq!(of("gpt-2").encode("12").unwrap().len(), 1);
    assert_eq!(of("smollm").encode("12").unwrap(), [u32::from(b'1'), u32::from(b'2')]);
    let error = read(&model(Some(Vocabulary::Bpe(Bpe { pre: "qwen2".into(), ..bytes_and_merges() })))).unwrap_err();
    assert!(error.to_string().contains("\"qwen2\"") && error.to_string().contains("smollm"), "{error}");
}

#[test]
fn encodes_known_characters_and_rejects_others() {
    let tokenizer = read(&model(Some(Vocabulary::Chars("\n aé🌍".chars().collect())))).unwrap();
    let tokens = tokenizer.encode("é a\n🌍").unwrap();
    assert_eq!(tokens, [3, 1, 2, 0, 4]);
    assert_eq!(decode(&tokenizer, &tokens), "é a\n🌍");
    assert_eq!(tokenizer.encode("ab"), Err(TextError::Character { character: 'b' }));
}

#[test]
fn reports_a_model_without_a_tokenizer() {
    assert_eq!(read(&model(None)).unwrap_err(), TextError::NoTokenizer);
}

#[test]
fn a_damaged_tokenizer_is_refused_and_nothing_panics() {
    let file = model(Some(Vocabulary::Bpe(Bpe { end: vec![3], ..bytes_and_merges() })));
    assert!(read(&file).is_ok());
    // The tokenizer's constants come after the plan, and its metadata are in the header.
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut random = Rng(11);
    let mut refused = 0;
    for _ in 0..300 {
        let mut bytes = file.clone();
        for _ in 0..=random.index(3) {
            let at = random.index(bytes.len());
            bytes[at] = if random.index(2) == 0 { 0 } else { random.index(256) as u8 };
        }
        let Ok(model) = Model::parse(&bytes) else { continue };
        match Tokenizer::read(&model) {
            Err(_) => refused += 1,
            Ok(tokenizer) => {
                // Whatever the tokens are, encoding ends.
                let _ = tokenizer.encode("the aaab é 12").map(|tokens| decode(&tokenizer, &tokens));
            }
        }
    }
    assert!(refused > 20 && header > 100, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn encodes_words_by_the_definition(word in "[a-fhtx]{0,12}") {
        let bpe = bytes_and_merges();
        let expected = join(&bpe, &word);
        let tokenizer = read(&model(Some(Vocabulary::Bpe(bpe)))).unwrap();
        prop_assert_eq!(tokenizer.encode(&word).unwrap(), expected);
    }

    #[test]
    fn decoding_an_encoded_text_returns_it(text: String) {
        let tokenizer = read(&model(Some(Vocabulary::Bpe(bytes_and_merges())))).unwrap();
        prop_assert_eq!(decode(&tokenizer, &tokenizer.encode(&text).unwrap()), text);
    }
}

#[test]
fn rejects_a_text_with_missing_bytes_even_if_the_lengths_match() {
    // By its kind, `Ġ` is text of two bytes, but the library also finds it for a space.
    let tokens = ["a", "Ġ"].map(String::from).to_vec();
    let bpe = Bpe { tokens, kinds: vec![1, 4], pre: "gpt-2".into(), ..Bpe::default() };
    let tokenizer = read(&model(Some(Vocabulary::Bpe(bpe)))).unwrap();
    assert_eq!(tokenizer.encode("aĠa"), Ok(vec![0, 1, 0]));
    assert_eq!(tokenizer.encode("s "), Err(TextError::Text { text: "s ".into() }));
}
