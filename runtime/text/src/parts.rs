//! Reads the parts of a tokenizer from a model file.

use crate::TextError;
use crate::vocabulary::VocabularyFault;
use tealight_format::{DType, Model};

/// Returns the bytes of the constant `name`, if the model has one.
///
/// # Errors
/// Its type is not `dtype`.
fn find<'m>(model: &Model<'m>, name: &str, dtype: DType) -> Result<Option<&'m [u8]>, TextError> {
    let Some(index) = model.constant_names().position(|constant| constant == name) else { return Ok(None) };
    let value = model.value(index);
    if value.dtype != dtype {
        return Err(damaged(name, format!("is {} instead of {}", value.dtype.name(), dtype.name())));
    }
    Ok(Some(model.constant(&value)))
}

pub(crate) fn damaged(part: &str, what: impl Into<String>) -> TextError {
    TextError::Part { part: part.into(), what: what.into() }
}

impl From<VocabularyFault> for TextError {
    fn from(VocabularyFault { part, what }: VocabularyFault) -> Self {
        damaged(part, what)
    }
}

/// Returns the bytes of the U8 constant `name`.
#[cfg(feature = "bpe")]
pub(crate) fn bytes<'m>(model: &Model<'m>, name: &str) -> Result<&'m [u8], TextError> {
    find(model, name, DType::U8)?.ok_or_else(|| damaged(name, "is missing"))
}

/// Returns the U8 constant `name` as text.
pub(crate) fn text<'m>(model: &Model<'m>, name: &str) -> Result<Option<&'m str>, TextError> {
    let Some(bytes) = find(model, name, DType::U8)? else { return Ok(None) };
    std::str::from_utf8(bytes).map(Some).map_err(|_| damaged(name, "is not UTF-8"))
}

/// Returns the words of the I32 constant `name`, which holds pairs; empty if it is missing.
#[cfg(feature = "bpe")]
pub(crate) fn pairs<'m>(model: &Model<'m>, name: &str) -> Result<&'m [[[u8; 4]; 2]], TextError> {
    let Some(bytes) = find(model, name, DType::I32)? else { return Ok(&[]) };
    let (words, _) = bytes.as_chunks::<4>();
    match words.as_chunks::<2>() {
        (pairs, []) => Ok(pairs),
        _ => Err(damaged(name, "does not hold pairs")),
    }
}

/// Returns the metadata entry `key`, a list of tokens.
#[cfg(feature = "bpe")]
pub(crate) fn tokens(model: &Model<'_>, key: &str) -> Result<Vec<u32>, TextError> {
    let Some(list) = model.metadata(key) else { return Ok(Vec::new()) };
    let token = |word: &str| word.parse().map_err(|_| damaged(key, "is not a list of token numbers"));
    // Reads one more than the maximum: the check of the count then reports the error.
    list.split(',').take(crate::vocabulary::MAX_ENDS + 1).map(token).collect()
}
