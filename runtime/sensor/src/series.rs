//! From the readings of a sensor of several channels, such as an inertial measurement unit, to an input.

use crate::element::Element;
use crate::normalization::Normalization;
use crate::text::{DeclarationError, normalization, numbers, set, settings, write_normalization};
use core::fmt;
use core::num::NonZeroU16;
use tealight_types::Quantization;

/// How a declaration of this front end begins in a model file, under `front_end`. A front end that computes other bits
/// needs another number.
pub const NAME: &str = "tealight-sensor series 1";

/// How an input is computed from readings in the sensor's units, oldest first, each with all channels. The text of a
/// declaration is read by [`parse`](Self::parse) and written by `Display`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontEnd {
    /// The value of a reading; `None`: the reading itself.
    pub normalization: Option<Normalization>,
    /// The number of readings from the start of an input to that of the next; `None`: as many as an input holds, so that
    /// inputs do not overlap.
    pub hop: Option<NonZeroU16>,
}

/// Why readings do not become an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputError {
    /// There are more or fewer readings than the input has elements.
    Elements {
        /// Elements of the input.
        expected: usize,
        /// The numbers that were given.
        found: usize,
    },
    /// The front end has numbers for other channels, or there are none.
    Channels {
        /// Channels of a reading.
        found: usize,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elements { expected, found } => {
                write!(f, "the input has {expected} elements, but {found} were given")
            }
            Self::Channels { found } => write!(f, "the front end is not for {found} channels"),
        }
    }
}

impl core::error::Error for InputError {}

impl FrontEnd {
    /// The front end of a model that declares none: readings are values.
    pub const PLAIN: Self = Self { normalization: None, hop: None };

    /// Reads a declaration: [`NAME`] and `KEY=VALUE` for each setting that is not the default, in any order.
    ///
    /// | key | value | default |
    /// |---|---|---|
    /// | `mean` | a number, or one for each channel with commas, in the sensor's units | 0 |
    /// | `std` | the same, above 0 | 1 |
    /// | `hop` | readings from the start of an input to that of the next, 1 to 65,535 | the readings of an input |
    ///
    /// # Errors
    /// The text is no such declaration.
    pub fn parse(text: &str) -> Result<Self, DeclarationError<'_>> {
        let (mut mean, mut std, mut hop) = (None, None, None);
        for word in settings(text, NAME)? {
            match word.split_once('=') {
                Some(("mean", value)) => set(&mut mean, numbers(word, value)?, word)?,
                Some(("std", value)) => set(&mut std, (numbers(word, value)?, word), word)?,
                Some(("hop", value)) => {
                    let refused = DeclarationError::Value { word, values: "1 to 65535" };
                    set(&mut hop, value.parse().map_err(|_| refused)?, word)?;
                }
                _ => return Err(DeclarationError::Key { word, keys: "mean=, std= and hop=" }),
            }
        }
        Ok(Self { normalization: normalization(mean, std)?, hop })
    }

    /// Computes an input of `[…, readings, channels]` from as many readings: `readings` has the elements' number and order.
    ///
    /// # Errors
    /// The lengths or the channels do not fit.
    pub fn fill<T: Element>(
        &self,
        readings: &[f32],
        channels: usize,
        quantization: Quantization,
        input: &mut [T],
    ) -> Result<(), InputError> {
        if readings.len() != input.len() {
            return Err(InputError::Elements { expected: input.len(), found: readings.len() });
        }
        if channels == 0 || !self.normalization.is_none_or(|normalization| normalization.is_for(channels)) {
            return Err(InputError::Channels { found: channels });
        }
        let mut channel = 0;
        for (element, &reading) in input.iter_mut().zip(readings) {
            let value = self.normalization.map_or(reading, |normalization| normalization.value(reading, channel));
            *element = T::of_value(value, quantization);
            channel = if channel + 1 == channels { 0 } else { channel + 1 };
        }
        Ok(())
    }
}

impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if let Some(normalization) = &self.normalization {
            write_normalization(f, normalization)?;
        }
        self.hop.map_or(Ok(()), |hop| write!(f, " hop={hop}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_as_it_is_written() {
        for words in ["", " mean=-0.011,0.385 std=0.934,0.504 hop=64", " mean=0 std=9.81", " hop=65535"] {
            let text = format!("{NAME}{words}");
            assert_eq!(FrontEnd::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_declaration_is_refused_with_the_word() {
        for (words, part) in [
            ("hop=0", "`hop=0`: expected 1"),
            ("hop=65536", "`hop=65536`"),
            ("std=-1", "`std=-1`: expected numbers above 0"),
            ("mean=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17 std=1", "16 channels"),
            ("fit=crop", "`fit=crop` is none of mean="),
        ] {
            let text = format!("{NAME} {words}");
            let error = FrontEnd::parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(FrontEnd::parse("tealight-sensor series"), Err(DeclarationError::Name { expected: NAME }));
    }

    #[test]
    fn readings_are_normalized_by_channel_and_quantized() {
        let front_end = FrontEnd::parse("tealight-sensor series 1 mean=1,10 std=2,0.5").unwrap();
        let (mut floats, mut codes) = ([0.0_f32; 4], [0_i8; 4]);
        front_end.fill(&[1.0, 10.0, 5.0, 9.0], 2, Quantization::NONE, &mut floats).unwrap();
        assert_eq!(floats, [0.0, 0.0, 2.0, -2.0]);
        front_end.fill(&[1.0, 10.0, 5.0, 9.0], 2, Quantization::new(0.5, 3), &mut codes).unwrap();
        assert_eq!(codes, [3, 3, 7, -1]);
        FrontEnd::PLAIN.fill(&[1.0, -2.0], 1, Quantization::new(0.5, 0), &mut codes[..2]).unwrap();
        assert_eq!(codes[..2], [2, -4]);
    }

    #[test]
    fn lengths_and_channels_that_do_not_fit_are_refused() {
        let front_end = FrontEnd::parse("tealight-sensor series 1 std=2,0.5").unwrap();
        let fill = |readings: &[f32], channels| front_end.fill(readings, channels, Quantization::NONE, &mut [0.0; 3]);
        assert_eq!(fill(&[0.0; 2], 2), Err(InputError::Elements { expected: 3, found: 2 }));
        assert_eq!(fill(&[0.0; 3], 3), Err(InputError::Channels { found: 3 }));
        assert_eq!(fill(&[0.0; 3], 0), Err(InputError::Channels { found: 0 }));
    }
}
