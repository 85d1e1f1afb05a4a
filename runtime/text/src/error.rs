//! Why text could not be turned into tokens.

/// Why text could not be turned into tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The model file holds no tokenizer.
    #[error("the model has no tokenizer: it is not a language model, or was compiled without one")]
    NoTokenizer,
    /// A tokenizer of a kind that is not known.
    #[error("the model's tokenizer is of the kind {found:?}; known: bpe, chars")]
    Kind {
        /// What the file says.
        found: String,
    },
    /// A tokenizer that this program cannot read.
    #[cfg(not(feature = "bpe"))]
    #[error("the model's tokenizer is a byte-pair encoding, which this program was built without")]
    WithoutBpe,
    /// A way of splitting text into words that is not known.
    #[error("the tokenizer splits text as {found:?} does; known: {known}")]
    Split {
        /// What the file says.
        found: String,
        /// Those that are known.
        known: String,
    },
    /// A part of the tokenizer is missing, or contradicts another.
    #[error("the model's tokenizer is damaged: `{part}` {what}")]
    Part {
        /// The constant or the metadata entry.
        part: String,
        /// What is wrong.
        what: String,
    },
    /// A character that the model has no token for.
    #[error("the model has no token for the character {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// A text some bytes of which are in none of the model's tokens.
    #[error("the model has no tokens for a part of {text:?}")]
    Text {
        /// The text.
        text: String,
    },
    /// A text that the tokenizer does not take.
    #[error("the tokenizer does not take this text: {0}")]
    Encode(String),
    /// The model was not made for conversations.
    #[error("the model has no chat template: it continues texts, but was not made for conversations")]
    NoTemplate,
    /// The chat template does not work.
    #[error("the model's chat template failed: {0}")]
    Template(String),
}
