//! The declaration of the front end of pictures.

use super::NAME;
use super::front_end::{Color, Fit, FrontEnd};
use crate::text::{DeclarationError, normalization, numbers, set, settings, write_normalization};
use core::fmt;

const COLORS: [(&str, Color); 3] = [("rgb", Color::Rgb), ("bgr", Color::Bgr), ("grey", Color::Grey)];
const FITS: [(&str, Fit); 2] = [("stretch", Fit::Stretch), ("crop", Fit::Crop)];

impl FrontEnd {
    /// Reads a declaration: [`NAME`] and `KEY=VALUE` for each setting that is not the default, in any order.
    ///
    /// | key | value | default |
    /// |---|---|---|
    /// | `color` | `rgb`, `bgr`, `grey` | `rgb` |
    /// | `fit` | `stretch`, `crop` | `stretch` |
    /// | `mean` | a number, or one for each channel with commas, in pixels from 0 to 255 | 0, if `std` is given |
    /// | `std` | the same, above 0 | none: black to white is the range of the input's type |
    ///
    /// # Errors
    /// The text is no such declaration.
    pub fn parse(text: &str) -> Result<Self, DeclarationError<'_>> {
        let (mut color, mut fit, mut mean, mut std) = (None, None, None, None);
        for word in settings(text, NAME)? {
            match word.split_once('=') {
                Some(("color", value)) => set(&mut color, named(&COLORS, value, word, "rgb, bgr or grey")?, word)?,
                Some(("fit", value)) => set(&mut fit, named(&FITS, value, word, "stretch or crop")?, word)?,
                Some(("mean", value)) => set(&mut mean, (numbers(word, value)?, word), word)?,
                Some(("std", value)) => set(&mut std, (numbers(word, value)?, word), word)?,
                _ => return Err(DeclarationError::Key { word, keys: "color=, fit=, mean= and std=" }),
            }
        }
        let color = color.unwrap_or(Color::Rgb);
        for (numbers, word) in mean.iter().chain(&std) {
            if !numbers.is_for(color.channels()) {
                return Err(DeclarationError::Value { word, values: "a number, or one for each channel of the color" });
            }
        }
        let normalization = normalization(mean.map(|(numbers, _)| numbers), std)?;
        Ok(Self { color, fit: fit.unwrap_or(Fit::Stretch), normalization })
    }
}

/// The value of that name.
fn named<'a, T: Copy>(
    table: &[(&str, T)],
    name: &str,
    word: &'a str,
    values: &'static str,
) -> Result<T, DeclarationError<'a>> {
    let found = table.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    found.ok_or(DeclarationError::Value { word, values })
}

impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let color = COLORS.iter().find(|(_, color)| *color == self.color).map_or("", |(name, _)| name);
        let fit = FITS.iter().find(|(_, fit)| *fit == self.fit).map_or("", |(name, _)| name);
        write!(f, "{NAME} color={color} fit={fit}")?;
        self.normalization.as_ref().map_or(Ok(()), |normalization| write_normalization(f, normalization))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_as_it_is_written() {
        for words in [
            "color=rgb fit=stretch",
            "color=bgr fit=crop mean=123.68,116.779,103.939 std=1",
            "color=grey fit=stretch mean=127.5 std=127.5",
        ] {
            let text = format!("{NAME} {words}");
            assert_eq!(FrontEnd::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let parsed = |text: &str| FrontEnd::parse(text).unwrap().to_string();
        assert_eq!(parsed(NAME), format!("{NAME} color=rgb fit=stretch"));
        assert_eq!(parsed(&format!("{NAME} std=255")), format!("{NAME} color=rgb fit=stretch mean=0 std=255"));
    }

    #[test]
    fn what_is_no_declaration_is_refused_with_the_word() {
        for (words, part) in [
            ("colour=rgb", "`colour=rgb` is none of color="),
            ("rgb", "`rgb` is none of"),
            ("color=cmyk", "`color=cmyk`: expected rgb"),
            ("std=0", "`std=0`: expected numbers above 0"),
            ("std=NaN", "`std=NaN`"),
            ("std=1,2", "`std=1,2`"),
            ("std=1,2,3,4", "`std=1,2,3,4`"),
            ("color=grey std=1,2,3", "`std=1,2,3`"),
            ("mean=x std=1", "`mean=x`"),
            ("mean=1", "no std="),
            ("fit=crop fit=crop", "second time"),
        ] {
            let text = format!("{NAME} {words}");
            let error = FrontEnd::parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in ["", "tealight-sensor picture 2", "tealight-sensor picture 10", "tealight-audio log-mel 1"] {
            assert_eq!(FrontEnd::parse(text), Err(DeclarationError::Name { expected: NAME }), "{text}");
        }
    }
}
