//! The front end of a model, as its file declares it and as a command names it.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use tealight_sensor::{DeclarationError, picture, series};

/// What computes a model's first input from a sensor's data.
#[derive(Clone, Debug, PartialEq)]
pub enum FrontEnd {
    /// `tealight-audio`: a second of 16 kHz sound.
    LogMel,
    /// `tealight-sensor`: a picture.
    Picture(picture::FrontEnd),
    /// `tealight-sensor`: readings of a sensor.
    Series(series::FrontEnd),
}

/// The names of front ends in commands.
const LOG_MEL: &str = "log-mel";
const PICTURE: &str = "picture";
const SERIES: &str = "series";

impl FrontEnd {
    /// Returns the front end that a model file declares with this text.
    ///
    /// # Errors
    /// It is not known here.
    pub fn declared(text: &str) -> Result<Self> {
        let failed = || Error::new(format!("the model needs the front end `{text}`"));
        let Some(parsed) = Self::parse(text) else {
            return Err(failed().cause("this program does not have it").help("give a newer program"));
        };
        parsed.map_err(|error| {
            failed().cause(error.to_string()).help("compile the model again, with another --front-end")
        })
    }

    /// Reads a declaration; `None` if it is of no front end that is known here.
    fn parse(text: &str) -> Option<std::result::Result<Self, DeclarationError<'_>>> {
        if text == tealight_audio::LOG_MEL {
            return Some(Ok(Self::LogMel));
        }
        let parsed = match picture::FrontEnd::parse(text) {
            Err(DeclarationError::Name { .. }) => series::FrontEnd::parse(text).map(Self::Series),
            parsed => parsed.map(Self::Picture),
        };
        (!matches!(parsed, Err(DeclarationError::Name { .. }))).then_some(parsed)
    }
}

impl FromStr for FrontEnd {
    type Err = String;

    /// Reads `log-mel`, or `picture` or `series` with settings, such as `picture color=bgr mean=127.5 std=127.5`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, settings) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let declaration = match name {
            LOG_MEL if settings.is_empty() => tealight_audio::LOG_MEL.into(),
            PICTURE => format!("{} {settings}", picture::NAME),
            SERIES => format!("{} {settings}", series::NAME),
            _ => {
                return Err(format!(
                    "expected {LOG_MEL}, {PICTURE} with any of color=rgb|bgr|grey, fit=stretch|crop, mean=… and std=…, or \
                     {SERIES} with any of mean=…, std=… and hop=…"
                ));
            }
        };
        match Self::parse(&declaration) {
            Some(parsed) => parsed.map_err(|error| error.to_string()),
            None => Err(format!("there is no front end `{text}`")),
        }
    }
}

/// As a model file declares it.
impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogMel => f.write_str(tealight_audio::LOG_MEL),
            Self::Picture(picture) => picture.fmt(f),
            Self::Series(series) => series.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_command_becomes_a_declaration_and_is_read_again() {
        for (name, declaration) in [
            ("log-mel", "tealight-audio log-mel 1"),
            ("picture", "tealight-sensor picture 1 color=rgb fit=stretch"),
            (
                " picture  color=grey fit=crop mean=127.5 std=127.5",
                "tealight-sensor picture 1 color=grey fit=crop mean=127.5 std=127.5",
            ),
            ("series mean=0,1 std=2 hop=64", "tealight-sensor series 1 mean=0,1 std=2 hop=64"),
        ] {
            let front_end: FrontEnd = name.parse().unwrap();
            assert_eq!(front_end.to_string(), declaration);
            assert_eq!(FrontEnd::declared(declaration).unwrap(), front_end);
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_there_is() {
        for (text, part) in [("mfcc", "log-mel"), ("log-mel 2", "log-mel"), ("picture color=red", "`color=red`")] {
            let error = text.parse::<FrontEnd>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let error = FrontEnd::declared("tealight-sensor picture 2").unwrap_err().to_string();
        assert!(error.contains("picture 2") && error.contains("newer"), "{error}");
        let error = FrontEnd::declared("tealight-sensor picture 1 std=0").unwrap_err().to_string();
        assert!(error.contains("`std=0`"), "{error}");
    }
}
