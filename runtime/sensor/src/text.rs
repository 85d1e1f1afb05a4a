//! A front end as a line of text, as a model file holds it: its name, then `KEY=VALUE` for each setting.

use crate::normalization::{MAX_CHANNELS, Normalization, PerChannel};
use core::fmt;

/// Why a text declares no front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclarationError<'a> {
    /// It does not begin with the name and the version of this front end.
    Name {
        /// How it has to begin.
        expected: &'static str,
    },
    /// A word is no `KEY=VALUE`, or the key is not known.
    Key {
        /// The word.
        word: &'a str,
        /// The keys that there are.
        keys: &'static str,
    },
    /// A key has no such value.
    Value {
        /// The word.
        word: &'a str,
        /// The values that it has.
        values: &'static str,
    },
    /// A key occurs twice: the second word.
    Twice(&'a str),
    /// `mean=` without `std=`.
    WithoutStd,
}

impl fmt::Display for DeclarationError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { expected } => write!(f, "it does not begin with `{expected}`"),
            Self::Key { word, keys } => write!(f, "`{word}` is none of {keys}"),
            Self::Value { word, values } => write!(f, "`{word}`: expected {values}"),
            Self::Twice(word) => write!(f, "`{word}` sets a key for the second time"),
            Self::WithoutStd => write!(f, "it has mean= but no std="),
        }
    }
}

impl core::error::Error for DeclarationError<'_> {}

/// The settings in a declaration that begins with `name`.
pub(crate) fn settings<'a>(
    text: &'a str,
    name: &'static str,
) -> Result<impl Iterator<Item = &'a str>, DeclarationError<'a>> {
    match text.strip_prefix(name) {
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => Ok(rest.split_ascii_whitespace()),
        _ => Err(DeclarationError::Name { expected: name }),
    }
}

/// Sets a key that has no value so far.
pub(crate) fn set<'a, T>(slot: &mut Option<T>, value: T, word: &'a str) -> Result<(), DeclarationError<'a>> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(DeclarationError::Twice(word)),
    }
}

/// Numbers with commas between them, all finite.
pub(crate) fn numbers<'a>(word: &'a str, text: &str) -> Result<PerChannel, DeclarationError<'a>> {
    let refused = DeclarationError::Value { word, values: "a number, or one for each of at most 16 channels" };
    let mut numbers = [0.0; MAX_CHANNELS];
    let mut count = 0;
    for word in text.split(',') {
        let number = word.parse().ok().filter(|number: &f32| number.is_finite()).ok_or(refused)?;
        *numbers.get_mut(count).ok_or(refused)? = number;
        count += 1;
    }
    PerChannel::each(numbers.get(..count).unwrap_or(&[])).ok_or(refused)
}

/// The normalization of the words `mean=` and `std=`, if there are any.
pub(crate) fn normalization<'a>(
    mean: Option<PerChannel>,
    std: Option<(PerChannel, &'a str)>,
) -> Result<Option<Normalization>, DeclarationError<'a>> {
    match (mean, std) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(DeclarationError::WithoutStd),
        (_, Some((std, word))) if !std.as_slice().iter().all(|number| *number > 0.0) => {
            Err(DeclarationError::Value { word, values: "numbers above 0" })
        }
        (mean, Some((std, _))) => Ok(Some(Normalization { mean: mean.unwrap_or(PerChannel::all(0.0)), std })),
    }
}

/// Writes ` mean=… std=…`.
pub(crate) fn write_normalization(f: &mut fmt::Formatter<'_>, normalization: &Normalization) -> fmt::Result {
    for (key, numbers) in [("mean", normalization.mean), ("std", normalization.std)] {
        for (i, number) in numbers.as_slice().iter().enumerate() {
            if i == 0 { write!(f, " {key}={number}")? } else { write!(f, ",{number}")? }
        }
    }
    Ok(())
}
