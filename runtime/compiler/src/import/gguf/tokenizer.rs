//! The tokenizer that a GGUF file holds.

use super::reader::{Gguf, Value};
use crate::diag::GgufError;
use crate::vocabulary::{Bpe, Vocabulary};
use std::collections::HashMap;

/// Reads the tokenizer: GGML's model `gpt2`, a byte-pair encoding on bytes.
pub(super) fn vocabulary(file: &Gguf<'_>) -> Result<Vocabulary, GgufError> {
    let missing = |key: &str, wanted: &str| GgufError::Key { key: key.into(), wanted: wanted.into() };
    const MODEL: &str = "tokenizer.ggml.model";
    match file.string(MODEL)? {
        Some("gpt2") => {}
        Some(other) => {
            return Err(GgufError::Unsupported {
                key: MODEL.into(),
                found: format!("`{other}`"),
                accepted: "`gpt2` (byte-pair encoding)".into(),
            });
        }
        None => return Err(missing(MODEL, "`gpt2`")),
    }
    const TOKENS: &str = "tokenizer.ggml.tokens";
    let tokens = file.strings(TOKENS)?.ok_or_else(|| missing(TOKENS, "a list of texts"))?;
    const KINDS: &str = "tokenizer.ggml.token_type";
    let kind = |value| match value {
        Value::Unsigned(kind) => u8::try_from(kind).ok(),
        Value::Signed(kind) => u8::try_from(kind).ok(),
        _ => None,
    };
    let kinds =
        file.list(KINDS, "a list of kinds from 1 to 6", |value| kind(value).filter(|kind| (1..=6).contains(kind)));
    let kinds = kinds?.unwrap_or_else(|| vec![1; tokens.len()]);
    let begins = file.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(false);
    let begin = file.u32("tokenizer.ggml.bos_token_id")?.filter(|_| begins);
    let mut end = Vec::new();
    for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
        end.extend(file.u32(key)?.filter(|token| !end.contains(token)));
    }
    Ok(Vocabulary::Bpe(Bpe {
        merges: merges(file, &tokens)?,
        tokens: tokens.into_iter().map(String::from).collect(),
        kinds,
        pre: file.string("tokenizer.ggml.pre")?.unwrap_or("gpt-2").into(),
        begin,
        end,
        chat_template: file.string("tokenizer.chat_template")?.map(String::from),
    }))
}

/// The merges, each `left right`, as pairs of tokens.
fn merges(file: &Gguf<'_>, tokens: &[&str]) -> Result<Vec<[u32; 2]>, GgufError> {
    const MERGES: &str = "tokenizer.ggml.merges";
    let number: HashMap<&str, u32> = tokens.iter().zip(0..).map(|(token, i)| (*token, i)).collect();
    let mut joined = String::new();
    let mut pair = |merge: &str| {
        let (left, right) = merge.split_once(' ')?;
        joined.clear();
        joined.extend([left, right]);
        number.get(&*joined)?;
        Some([*number.get(left)?, *number.get(right)?])
    };
    let mut merges = Vec::new();
    for (i, merge) in file.strings(MERGES)?.unwrap_or_default().into_iter().enumerate() {
        merges.push(pair(merge).ok_or_else(|| GgufError::Key {
            key: MERGES.into(),
            wanted: format!("pairs of tokens that join to a token (merge {i} is {merge:?})"),
        })?);
    }
    Ok(merges)
}
