//! The tokenizer and the chat template of a model file.

use crate::build::{self, Parts, with_header};
use crate::random::Choices;
use std::{panic, thread};
use tealight::{DType, Model};
use tealight_text::{Decoder, Message, TextError, Tokenizer};

/// Makes a panic of the library that renders templates no finding: its thread returns it as an error. It has sums that
/// overflow, which a release build does not check.
pub fn expect_panics_of_the_renderer() {
    let finding = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let renders = thread::current().name() == Some("chat template");
        let foreign = panic.location().is_some_and(|at| at.file().contains("/minijinja-"));
        if !(renders && foreign) {
            finding(panic);
        }
    }));
}

/// Reads the tokenizer of a model file, and tries it on a few texts. Gives why there is none.
///
/// # Panics
/// If tokens are none of the model's, or do not give back the text that they were made of.
pub fn check(file: &[u8], choose: &mut Choices<'_>) -> Option<TextError> {
    let model = Model::parse(file).ok()?;
    let tokenizer = match Tokenizer::read(&model) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            let _ = error.to_string();
            return Some(error);
        }
    };
    for token in [0, choose.word(), u32::MAX] {
        let _ = (tokenizer.bytes(token).len(), tokenizer.ends(token));
    }
    for _ in 0..3 {
        let text = text(choose);
        let Ok(tokens) = tokenizer.encode(&text) else { continue };
        assert!(tokens.iter().all(|&token| (token as usize) < tokenizer.count()), "{text:?}: {tokens:?}");
        let pieces: Vec<&[u8]> = tokens.iter().map(|&token| tokenizer.bytes(token)).collect();
        let mut decoder = Decoder::default();
        let shown: String = pieces.iter().map(|piece| decoder.push(piece)).collect::<String>() + &decoder.finish();
        let back = pieces.concat();
        assert_eq!(shown, String::from_utf8_lossy(&back));
        // Control tokens are not text, and the token that begins a text was not in it.
        let begun = pieces.first().map_or(0, |piece| piece.len());
        let whole = pieces.iter().all(|piece| !piece.is_empty());
        assert!(!whole || back == text.as_bytes() || &back[begun..] == text.as_bytes(), "{text:?} becomes {shown:?}");
    }
    let roles = ["user", "assistant", "system", "x"];
    let messages: Vec<Message> =
        (0..choose.below(4)).map(|_| Message { role: choose.pick(&roles).into(), content: text(choose) }).collect();
    if !grows(&model)
        && let Err(error) = tokenizer.chat(&messages)
    {
        let _ = error.to_string();
    }
    None
}

/// Whether the model's template may make values of any size, by multiplying a text or by joining it with itself again
/// and again. That is the one thing that rendering does not bound: the process that does it has a memory limit.
fn grows(model: &Model<'_>) -> bool {
    let mut constants = model.constant_names().enumerate();
    let Some((at, _)) = constants.find(|(_, name)| *name == "tokenizer.chat_template") else { return false };
    let template = String::from_utf8_lossy(model.constant(&model.value(at)));
    let has = |words: &[&str]| words.iter().any(|word| template.contains(word));
    let joins = has(&["~", "+", "format", "join"]);
    let again = has(&["set", "macro", "with", "call", "filter"]) || template.matches("join").count() > 1;
    has(&["*", "replace", "indent"]) || (joins && again)
}

fn text(choose: &mut Choices<'_>) -> String {
    const PIECES: [&str; 12] = ["a", "b", "ab", " ", "12", "\n", "é", "世", "<s>", "<|im_end|>", "!!", "\u{301}"];
    let pieces: String = (0..choose.below(10)).map(|_| choose.pick(&PIECES)).collect();
    // Rarely, because long texts take most of the time.
    if choose.one_in(64) { pieces.repeat(choose.byte().into()) } else { pieces }
}

/// A model file with these constants of text, and this metadata.
pub fn file(mut constants: Vec<build::Constant>, metadata: &[(&str, String)]) -> Vec<u8> {
    // Names stand in order, and all of these behind that of the model's own.
    constants.sort_by_key(|(name, ..)| *name);
    let model = build::relu();
    // Before the others: what the operators read has its place in the list.
    let read = model.constants.len();
    let added = constants.len() as u16;
    let index = |i: u16| if usize::from(i) < read { i } else { i + added };
    let mut parts = Parts { constants: [model.constants, constants].concat(), ..model };
    for op in &mut parts.ops {
        op.output = index(op.output);
        op.inputs = op.inputs.map(|input| input.map(index));
    }
    for i in &mut parts.outputs {
        *i = index(*i);
    }
    let file = parts.file();
    let at = build::plan_at(&file);
    let json = std::str::from_utf8(&file[8..at]).unwrap().trim_end();
    // Keys too, behind those that are there.
    let mut metadata = metadata.to_vec();
    metadata.sort();
    let entries: String = metadata.iter().map(|(key, value)| format!(",\"{key}\":{value:?}")).collect();
    with_header(&json.replacen(r#""},"plan""#, &format!("\"{entries}}},\"plan\""), 1), &file[at..])
}

/// A model file whose text parts are chosen: nearly valid, or any bytes.
pub fn random_file(choose: &mut Choices<'_>) -> Vec<u8> {
    let (tokens, kinds, merges) = crate::gguf_random::vocabulary(choose);
    let count = tokens.len() as u32;
    let mut list: Vec<u8> = tokens.iter().flat_map(|token| [token.as_bytes(), &[0]].concat()).collect();
    let mut kinds: Vec<u8> = kinds.into_iter().map(|kind| kind as u8).collect();
    let number = |token: &str| tokens.iter().position(|known| known == token).unwrap_or(0) as i32;
    let mut merges: Vec<i32> = merges.iter().flatten().map(|&at| number(&tokens[at])).collect();
    let mut template = crate::gguf_random::template(choose).into_bytes();
    let mut pre = choose.pick(&["smollm", "gpt-2", "starcoder", "refact", "command-r"]).to_string();
    let mut begin = choose.below(count).to_string();
    let mut end = format!("{},{}", choose.below(count), choose.below(count));
    let mut kind = "bpe".to_string();
    if choose.one_in(2) {
        for _ in 0..choose.between(1, 3) {
            let odd = choose.odd();
            match choose.below(12) {
                0 if !merges.is_empty() => {
                    let at = choose.below(merges.len() as u32) as usize;
                    merges[at] = if choose.one_in(2) { odd } else { choose.below(count) as i32 };
                }
                1 => merges.push(choose.below(count) as i32),
                2 => kinds.push(choose.byte()),
                3 if !kinds.is_empty() => {
                    let at = choose.below(kinds.len() as u32) as usize;
                    kinds[at] = choose.byte();
                }
                4 => drop(list.pop()),
                5 => {
                    let len = choose.below(20) as usize;
                    list.extend(choose.bytes(len));
                }
                6 => begin = odd.to_string(),
                7 => end.push(choose.pick(&[',', '9', '-', 'x'])),
                8 => pre = "x".into(),
                9 => kind = choose.pick(&["chars", "x", ""]).into(),
                10 => {
                    let len = choose.below(40) as usize;
                    template = choose.bytes(len);
                }
                _ => list = vec![],
            }
        }
    }
    let mut constants: Vec<build::Constant> = Vec::new();
    let mut add = |name, dtype: DType, dims: Vec<u32>, bytes: Vec<u8>| {
        if !bytes.is_empty() {
            constants.push((name, dtype, dims, bytes));
        }
    };
    let words: Vec<u8> = merges.iter().flat_map(|word| word.to_le_bytes()).collect();
    let merges = if merges.len() % 2 == 0 { vec![merges.len() as u32 / 2, 2] } else { vec![merges.len() as u32] };
    let name = if kind == "chars" { "tokenizer.characters" } else { "tokenizer.tokens" };
    add(name, DType::U8, vec![list.len() as u32], list);
    add("tokenizer.kinds", DType::U8, vec![kinds.len() as u32], kinds);
    add("tokenizer.merges", DType::I32, merges, words);
    add("tokenizer.chat_template", DType::U8, vec![template.len() as u32], template);
    let metadata = [("tokenizer", kind), ("tokenizer.pre", pre), ("tokenizer.begin", begin), ("tokenizer.end", end)];
    file(constants, &metadata)
}
