//! Byte-pair encoding on bytes, as in GPT-2.
//!
//! Its tokens are written with one printable character for each byte: the printable bytes of Latin-1 are written as
//! themselves, the others as the characters from U+0100 on, in order. (Radford and others, "Language models are
//! unsupervised multitask learners", 2019.)

use crate::parts::damaged;
use crate::vocabulary::{BytePairs, CONTROL, USER_DEFINED, check_merge_count, check_size};
use crate::{TextError, parts};
use std::collections::HashMap;
use tealight_format::Model;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, PreTokenizerWrapper, Tokenizer};

const TOKENS: &str = "tokenizer.tokens";
const KINDS: &str = "tokenizer.kinds";
const MERGES: &str = "tokenizer.merges";

/// Methods of splitting a text into words, and whether each digit is a separate word.
const SPLITS: [(&str, bool); 5] =
    [("gpt-2", false), ("smollm", true), ("starcoder", true), ("refact", true), ("command-r", true)];

/// A byte-pair encoding.
#[derive(Debug)]
pub(crate) struct Bpe {
    tokenizer: Tokenizer,
    names: Vec<String>,
}

/// The parts of a byte-pair encoding in a model file.
pub(crate) struct Parts {
    pub(crate) bpe: Bpe,
    /// The bytes of each token.
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) begin: Option<u32>,
    pub(crate) end: Vec<u32>,
}

impl Bpe {
    /// Reads the encoding from `model`. All parts are checked before anything is built from them.
    pub(crate) fn read(model: &Model<'_>) -> Result<Parts, TextError> {
        let Some(list) = parts::text(model, TOKENS)? else { return Err(damaged(TOKENS, "is missing")) };
        let Some(list) = list.strip_suffix('\0') else { return Err(damaged(TOKENS, "does not end with a zero byte")) };
        let count = 1 + list.bytes().filter(|byte| *byte == 0).count();
        check_size(count, list.len() + 1 - count)?;
        let names: Vec<&str> = list.split('\0').collect();
        let kinds = parts::bytes(model, KINDS)?;
        let pairs = parts::pairs(model, MERGES)?;
        check_merge_count(pairs.len())?;
        let merges: Vec<[u32; 2]> = pairs.iter().map(|pair| pair.map(u32::from_le_bytes)).collect();
        let begin = parts::tokens(model, "tokenizer.begin")?.first().copied();
        let end = parts::tokens(model, "tokenizer.end")?;
        BytePairs { tokens: &names, kinds, merges: &merges, begin, end: &end }.check()?;

        let names: Vec<String> = names.into_iter().map(String::from).collect();
        let vocabulary: Vocab = names.iter().cloned().zip(0..).collect();
        let name = |token: u32| names.get(token as usize).cloned().unwrap_or_default();
        let merges: Vec<_> = merges.into_iter().map(|[left, right]| (name(left), name(right))).collect();
        // The library keeps its cache of words in a variable of the thread, which a dropped tokenizer leaves behind.
        let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).cache_capacity(0).build();
        let mut tokenizer = Tokenizer::new(bpe.map_err(|error| damaged(MERGES, format!("does not fit: {error}")))?);
        tokenizer.with_pre_tokenizer(Some(split(model.metadata("tokenizer.pre").unwrap_or_default())?));
        let of_kind =
            |kind: u8| names.iter().zip(kinds).filter(move |(_, found)| **found == kind).map(|(name, _)| name);
        let special = of_kind(CONTROL).map(|name| AddedToken::from(name, true));
        let whole = of_kind(USER_DEFINED).map(|name| AddedToken::from(name, false).normalized(false));
        let unfit = |error| damaged(KINDS, format!("does not fit: {error}"));
        tokenizer.add_special_tokens(special).map_err(unfit)?;
        tokenizer.add_tokens(whole).map_err(unfit)?;
        let letters = letters();
        let bytes = names.iter().zip(kinds).map(|(name, &kind)| match kind {
            CONTROL => Vec::new(),
            USER_DEFINED => name.as_bytes().to_vec(),
            _ => to_bytes(name, &letters),
        });
        let bytes = bytes.collect();
        Ok(Parts { bpe: Self { tokenizer, names }, bytes, begin, end })
    }

    /// Returns the tokens of `text`. `bytes` are those of each token, as [`read`](Self::read) returns them.
    pub(crate) fn encode(&self, text: &str, bytes: &[Vec<u8>]) -> Result<Vec<u32>, TextError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| TextError::Encode(error.to_string()))?;
        let tokens = encoding.get_ids().to_vec();
        // The library skips bytes without a token, and confuses the bytes of a user-defined token with those that its
        // name represents as a normal token. So the text is rebuilt from the tokens and compared. The bytes of a
        // control token are its name.
        let mut rest = text.as_bytes();
        for &token in &tokens {
            let found = bytes.get(token as usize).filter(|bytes| !bytes.is_empty());
            let taken = found.map_or(self.name(token).as_bytes(), Vec::as_slice);
            rest = rest.strip_prefix(taken).ok_or_else(|| TextError::Text { text: text.into() })?;
        }
        if rest.is_empty() { Ok(tokens) } else { Err(TextError::Text { text: text.into() }) }
    }

    /// Returns the token as it is written in the file.
    pub(crate) fn name(&self, token: u32) -> &str {
        usize::try_from(token).ok().and_then(|token| self.names.get(token)).map_or("", String::as_str)
    }
}

fn split(name: &str) -> Result<PreTokenizerWrapper, TextError> {
    let Some((_, digits)) = SPLITS.iter().find(|(known, _)| *known == name) else {
        let known = SPLITS.map(|(name, _)| name).join(", ");
        return Err(TextError::Split { found: name.into(), known });
    };
    let words = ByteLevel::new(false, true, true);
    Ok(if *digits { Sequence::new(vec![Digits::new(true).into(), words.into()]).into() } else { words.into() })
}

/// Returns the byte that each character represents.
fn letters() -> HashMap<char, u8> {
    let mut others = '\u{100}'..;
    let letter = |byte: u8| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => Some(char::from(byte)),
        _ => others.next(),
    };
    (0..=u8::MAX).map(letter).zip(0..=u8::MAX).filter_map(|(letter, byte)| Some((letter?, byte))).collect()
}

/// Returns the bytes that a token represents. A character outside the code represents itself.
fn to_bytes(name: &str, letters: &HashMap<char, u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for letter in name.chars() {
        match letters.get(&letter) {
            Some(&byte) => bytes.push(byte),
            None => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}
