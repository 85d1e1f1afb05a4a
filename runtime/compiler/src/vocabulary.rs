//! A language model's tokenizer, kept in the model file: constants that no operator reads, and metadata.
//!
//! A device that only generates tokens does not need it; a program that reads and writes text loads it
//! (`tealight-text`). The format's SPEC.md describes how it is stored.

use crate::diag::{CompileError, Result};
use crate::ir::graph::{ElementType, Tensor};
use std::collections::{BTreeMap, HashSet};
use tealight_text::vocabulary::{BytePairs, VocabularyFault};

/// How text is converted to a model's tokens and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vocabulary {
    /// Each token is a character: token i is character i of this list.
    Chars(Vec<char>),
    /// Byte-pair encoding on bytes, as in GPT-2.
    Bpe(Bpe),
}

/// A byte-pair encoding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bpe {
    /// Each token in GPT-2's printable form, in which a byte is one character (a space is `Ġ`).
    pub tokens: Vec<String>,
    /// GGML's kind of each token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub kinds: Vec<u8>,
    /// Pairs of tokens that are merged into one, in order of priority.
    pub merges: Vec<[u32; 2]>,
    /// GGML's name of the method that splits text into words, such as `gpt-2` or `smollm`.
    pub pre: String,
    /// The token to put at the beginning of a text, if any.
    pub begin: Option<u32>,
    /// Tokens that end a text.
    pub end: Vec<u32>,
    /// Jinja template that formats the messages of a conversation as one text.
    pub chat_template: Option<String>,
}

impl Vocabulary {
    /// Returns the number of tokens (saturating).
    pub fn count(&self) -> u32 {
        let count = match self {
            Self::Chars(characters) => characters.len(),
            Self::Bpe(bpe) => bpe.tokens.len(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Returns the constants and the metadata that represent it.
    ///
    /// # Errors
    /// It is inconsistent: a duplicate character or token, a merge of tokens that do not exist, and the like.
    pub(crate) fn parts(&self) -> Result<(Vec<Tensor>, BTreeMap<String, String>)> {
        match self {
            Self::Chars(characters) => {
                distinct(characters, "character")?;
                let text: String = characters.iter().collect();
                let metadata = BTreeMap::from([("tokenizer".to_string(), "chars".to_string())]);
                Ok((vec![bytes("tokenizer.characters", text.into_bytes())], metadata))
            }
            Self::Bpe(bpe) => bpe.parts(),
        }
    }
}

impl Bpe {
    fn parts(&self) -> Result<(Vec<Tensor>, BTreeMap<String, String>)> {
        self.check()?;
        let mut list = Vec::new();
        for token in &self.tokens {
            list.extend(token.bytes());
            list.push(0);
        }
        let mut tensors = vec![bytes("tokenizer.tokens", list), bytes("tokenizer.kinds", self.kinds.clone())];
        if !self.merges.is_empty() {
            let words: Vec<u8> = self.merges.iter().flatten().flat_map(|token| token.to_le_bytes()).collect();
            let shape = vec![self.merges.len() as u32, 2];
            tensors.push(Tensor::constant("tokenizer.merges", ElementType::I32, shape, words));
        }
        if let Some(template) = self.chat_template.as_ref().filter(|template| !template.is_empty()) {
            tensors.push(bytes("tokenizer.chat_template", template.clone().into_bytes()));
        }
        let mut metadata = BTreeMap::from([
            ("tokenizer".to_string(), "bpe".to_string()),
            ("tokenizer.pre".to_string(), self.pre.clone()),
        ]);
        if let Some(begin) = self.begin {
            metadata.insert("tokenizer.begin".to_string(), begin.to_string());
        }
        if !self.end.is_empty() {
            let end: Vec<_> = self.end.iter().map(u32::to_string).collect();
            metadata.insert("tokenizer.end".to_string(), end.join(","));
        }
        Ok((tensors, metadata))
    }

    fn check(&self) -> Result<()> {
        let tokens: Vec<&str> = self.tokens.iter().map(String::as_str).collect();
        let Self { kinds, merges, begin, end, .. } = self;
        let checked = BytePairs { tokens: &tokens, kinds, merges, begin: *begin, end }.check();
        checked.map_err(|VocabularyFault { part, what }| {
            // The model file has its own names for the parts, independent of the source's.
            let part = match part {
                "tokenizer.kinds" => "the list of kinds",
                "tokenizer.merges" => "the list of merges",
                "tokenizer.begin" => "the token that begins a text",
                "tokenizer.end" => "the list of tokens that end a text",
                _ => "the list of tokens",
            };
            CompileError::Vocabulary(format!("{part} {what}"))
        })?;
        if self.pre.chars().any(char::is_control) {
            return Err(CompileError::Vocabulary(format!(
                "the name of the pre-tokenizer {:?} has a control character",
                self.pre
            )));
        }
        Ok(())
    }
}

fn bytes(name: &str, bytes: Vec<u8>) -> Tensor {
    Tensor::constant(name, ElementType::U8, vec![bytes.len() as u32], bytes)
}

fn distinct<T: std::hash::Hash + Eq + std::fmt::Debug>(list: &[T], what: &str) -> Result<()> {
    if list.is_empty() {
        return Err(CompileError::Vocabulary(format!("it has no {what}")));
    }
    let mut seen = HashSet::new();
    match list.iter().find(|item| !seen.insert(*item)) {
        Some(item) => Err(CompileError::Vocabulary(format!("it has the {what} {item:?} twice"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bpe, Vocabulary};

    fn bpe() -> Bpe {
        Bpe {
            tokens: ["a", "b", "ab"].map(String::from).to_vec(),
            kinds: vec![1, 1, 1],
            merges: vec![[0, 1]],
            pre: "gpt-2".into(),
            ..Bpe::default()
        }
    }

    #[test]
    fn rejects_an_inconsistent_vocabulary_with_the_reason() {
        bpe().parts().unwrap();
        for (what, broken) in [
            ("\"a\" twice", Bpe { tokens: ["a", "b", "a"].map(String::from).to_vec(), ..bpe() }),
            ("\"a\\0\"", Bpe { tokens: ["a\0", "b", "ab"].map(String::from).to_vec(), ..bpe() }),
            ("2 entries for 3 tokens", Bpe { kinds: vec![1, 1], ..bpe() }),
            ("joins the tokens 0 and 3", Bpe { merges: vec![[0, 3]], ..bpe() }),
            ("names the token 9", Bpe { end: vec![9], ..bpe() }),
            ("control character", Bpe { pre: "a\u{1b}".into(), ..bpe() }),
            ("no token", Bpe::default()),
        ] {
            let error = broken.parts().unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
        assert!(Vocabulary::Chars(vec!['x', 'x']).parts().is_err());
    }
}
