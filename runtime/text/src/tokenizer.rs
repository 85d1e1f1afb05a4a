//! Reads and applies the tokenizer of a model file.

#[cfg(feature = "bpe")]
use crate::bpe::{Bpe, Parts};
#[cfg(feature = "bpe")]
use crate::chat::Conversation;
use crate::{TextError, parts};
use std::collections::HashMap;
use tealight_format::Model;

/// Converts text to a model's tokens, and tokens to bytes of text.
#[derive(Debug)]
pub struct Tokenizer {
    kind: Kind,
    /// The bytes of each token; empty for one that is not text.
    bytes: Vec<Vec<u8>>,
    begin: Option<u32>,
    end: Vec<u32>,
    #[cfg(feature = "bpe")]
    chat_template: Option<Result<String, TextError>>,
}

#[derive(Debug)]
enum Kind {
    Chars(HashMap<char, u32>),
    #[cfg(feature = "bpe")]
    Bpe(Box<Bpe>),
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The role of its author: `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

impl Tokenizer {
    /// Reads the tokenizer from `model`.
    ///
    /// # Errors
    /// There is none, its kind is unknown, or it is inconsistent.
    pub fn read(model: &Model<'_>) -> Result<Self, TextError> {
        match model.metadata("tokenizer") {
            None => Err(TextError::NoTokenizer),
            Some("chars") => Self::chars(model),
            #[cfg(feature = "bpe")]
            Some("bpe") => Self::bpe(model),
            #[cfg(not(feature = "bpe"))]
            Some("bpe") => Err(TextError::WithoutBpe),
            Some(other) => Err(TextError::Kind { found: other.into() }),
        }
    }

    fn chars(model: &Model<'_>) -> Result<Self, TextError> {
        const CHARACTERS: &str = "tokenizer.characters";
        let text = parts::text(model, CHARACTERS)?.ok_or_else(|| parts::damaged(CHARACTERS, "is missing"))?;
        let mut numbers = HashMap::new();
        // A duplicate character ends the loop, so it is bounded by the number of different characters.
        for (character, number) in text.chars().zip(0..) {
            if numbers.insert(character, number).is_some() {
                return Err(parts::damaged(CHARACTERS, format!("has the character {character:?} twice")));
            }
        }
        let bytes = text.chars().map(|c| c.to_string().into_bytes()).collect();
        Ok(Self {
            kind: Kind::Chars(numbers),
            bytes,
            begin: None,
            end: Vec::new(),
            #[cfg(feature = "bpe")]
            chat_template: None,
        })
    }

    #[cfg(feature = "bpe")]
    fn bpe(model: &Model<'_>) -> Result<Self, TextError> {
        let Parts { bpe, bytes, begin, end } = Bpe::read(model)?;
        let chat_template = parts::text(model, "tokenizer.chat_template")?.map(crate::chat::checked);
        Ok(Self { kind: Kind::Bpe(Box::new(bpe)), bytes, begin, end, chat_template })
    }

    /// Returns the number of tokens.
    pub fn count(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the tokens of `text`, preceded by the one that begins a text if the model has one.
    ///
    /// # Errors
    /// The model has no tokens for a part of the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let mut tokens: Vec<u32> = self.begin.into_iter().collect();
        match &self.kind {
            Kind::Chars(numbers) => {
                for character in text.chars() {
                    tokens.push(*numbers.get(&character).ok_or(TextError::Character { character })?);
                }
            }
            #[cfg(feature = "bpe")]
            Kind::Bpe(bpe) => {
                let found = bpe.encode(text, &self.bytes)?;
                // A chat template may already have added the first token to the text.
                let begun = found.first() == self.begin.as_ref();
                tokens.extend(found.into_iter().skip(begun.into()));
            }
        }
        Ok(tokens)
    }

    /// Returns the bytes that `token` represents: a piece of UTF-8 that may begin or end inside a character. Empty for
    /// a token that is not text, or is not one of the model's.
    pub fn bytes(&self, token: u32) -> &[u8] {
        usize::try_from(token).ok().and_then(|token| self.bytes.get(token)).map_or(&[], Vec::as_slice)
    }

    /// Returns whether `token` ends a text.
    pub fn ends(&self, token: u32) -> bool {
        self.end.contains(&token)
    }

    /// Returns the text of a conversation in the form that the model was trained on, up to where its answer begins.
    ///
    /// # Errors
    /// The model has no chat template, or the template fails or refuses these messages: see [`Conversation::render`].
    #[cfg(feature = "bpe")]
    pub fn chat(&self, messages: &[Message]) -> Result<String, TextError> {
        self.conversation(messages)?.render()
    }

    /// Returns a conversation with the template that formats it as one text.
    ///
    /// # Errors
    /// The model has no chat template, or one that is too long.
    #[cfg(feature = "bpe")]
    pub fn conversation(&self, messages: &[Message]) -> Result<Conversation, TextError> {
        let template = self.chat_template.clone().ok_or(TextError::NoTemplate)??;
        let name = |token: Option<&u32>| match (&self.kind, token) {
            (Kind::Bpe(bpe), Some(&token)) => bpe.name(token).to_string(),
            _ => String::new(),
        };
        let (begin, end) = (name(self.begin.as_ref()), name(self.end.first()));
        Ok(Conversation { template, messages: messages.to_vec(), begin, end })
    }
}
