//! The parts of a tokenizer, as they lie in a model file.

use crate::TextError;
use tealight_format::{DType, Model, Value};

/// The constant `name`, if the model has one of this type.
fn find<'m>(model: &Model<'m>, name: &str, dtype: DType) -> Option<(Value, &'m [u8])> {
    let index = model.constant_names().position(|constant| constant == name)?;
    let value = model.value(index);
    (value.dtype == dtype).then(|| (value, model.constant(&value)))
}

pub(crate) fn damaged(part: &str, what: impl Into<String>) -> TextError {
    TextError::Part { part: part.into(), what: what.into() }
}

/// The bytes of the U8 constant `name`.
#[cfg(feature = "bpe")]
pub(crate) fn bytes<'m>(model: &Model<'m>, name: &str) -> Result<&'m [u8], TextError> {
    find(model, name, DType::U8).map(|(_, bytes)| bytes).ok_or_else(|| damaged(name, "is missing"))
}

/// The U8 constant `name`, a text.
pub(crate) fn text<'m>(model: &Model<'m>, name: &str) -> Result<Option<&'m str>, TextError> {
    let Some((_, bytes)) = find(model, name, DType::U8) else { return Ok(None) };
    std::str::from_utf8(bytes).map(Some).map_err(|_| damaged(name, "is not UTF-8"))
}

/// The pairs of the I32 constant `name`, none if it is missing.
#[cfg(feature = "bpe")]
pub(crate) fn pairs(model: &Model<'_>, name: &str) -> Vec<[i32; 2]> {
    let bytes = find(model, name, DType::I32).map_or(&[][..], |(_, bytes)| bytes);
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().map(|pair| pair.map(i32::from_le_bytes)).collect()
}

/// The metadata entry `key`, a list of tokens below `count`.
#[cfg(feature = "bpe")]
pub(crate) fn tokens(model: &Model<'_>, key: &str, count: usize) -> Result<Vec<u32>, TextError> {
    let Some(list) = model.metadata(key) else { return Ok(Vec::new()) };
    let token = |word: &str| match word.parse::<u32>() {
        Ok(token) if usize::try_from(token).is_ok_and(|token| token < count) => Ok(token),
        _ => Err(damaged(key, format!("names {word:?}, which is none of its {count} tokens"))),
    };
    list.split(',').map(token).collect()
}
