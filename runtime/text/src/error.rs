//! Errors of the conversion between text and tokens.

/// Why text could not be converted to tokens, or a tokenizer could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The model file contains no tokenizer.
    #[error("the model has no tokenizer: it is not a language model, or was compiled without one")]
    NoTokenizer,
    /// The kind of the tokenizer is not supported.
    #[error("the model's tokenizer is of the kind {found:?}; known: bpe, chars")]
    Kind {
        /// The kind in the file.
        found: String,
    },
    /// The tokenizer needs the feature `bpe`.
    #[cfg(not(feature = "bpe"))]
    #[error("the model's tokenizer is a byte-pair encoding, which this program was built without")]
    WithoutBpe,
    /// The method of splitting text into words is not supported.
    #[error("the tokenizer splits text as {found:?} does; known: {known}")]
    Split {
        /// The method in the file.
        found: String,
        /// The supported methods.
        known: String,
    },
    /// A part of the tokenizer is missing, or contradicts another part.
    #[error("the model's tokenizer is damaged: `{part}` {what}")]
    Part {
        /// The constant or the metadata entry.
        part: String,
        /// What is wrong.
        what: String,
    },
    /// The model has no token for a character.
    #[error("the model has no token for the character {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// Some bytes of the text are in none of the model's tokens.
    #[error("the model has no tokens for a part of {text:?}")]
    Text {
        /// The text.
        text: String,
    },
    /// The tokenizer refuses the text.
    #[error("the tokenizer does not take this text: {0}")]
    Encode(String),
    /// The model has no chat template.
    #[error("the model has no chat template: it continues texts, but was not made for conversations")]
    NoTemplate,
    /// The chat template failed.
    #[error("the model's chat template failed: {0}")]
    Template(String),
}
