//! A board's console as lines of text: its frames of defmt, put back into words with what the image has of them.
//!
//! `cargo xtask log` does it for a board that something else runs.

use crate::error::Usage;
use crate::files::read;
use crate::report;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use defmt_decoder::{DecodeError, Frame, StreamDecoder, Table};
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;

/// What to show.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The ELF image that the board runs, as `cargo xtask build` writes it
    pub image: PathBuf,
    /// A serial port, set to the board's rate, or a file [default: standard input]
    pub source: Option<PathBuf>,
}

/// Shows the log of a board, up to the end of its report or of the source.
///
/// # Errors
/// Something cannot be read, or the board reports an error.
pub fn log(args: &LogArgs) -> Result<()> {
    let texts = Texts::of(&read(&args.image)?).with_context(|| format!("{}", args.image.display()))?;
    let mut source: Box<dyn Read> = match &args.source {
        Some(file) => Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?),
        None if std::io::stdin().is_terminal() => {
            return Err(Usage("name the serial port or the file to read, or pipe it in".into()).into());
        }
        None => Box::new(std::io::stdin()),
    };
    match show(&texts, &mut source, |line| println!("{line}"))? {
        Some(error) => bail!("the firmware stopped: {error}"),
        None => Ok(()),
    }
}

/// Passes on every line of a source, up to the report's end. Returns the error that ended the report, if one did.
fn show(texts: &Texts, source: &mut dyn Read, mut line: impl FnMut(&str)) -> Result<Option<String>> {
    let mut reader = texts.reader();
    let mut piece = [0; 4096];
    loop {
        let count = source.read(&mut piece).context("the board can no longer be heard")?;
        if count == 0 {
            return Ok(None);
        }
        let mut last = None;
        reader.push(&piece[..count], |text| {
            line(text);
            if report::is_last(text) {
                last = Some(text.strip_prefix("tealight error=").map(String::from));
            }
        });
        if let Some(error) = last {
            return Ok(error);
        }
    }
}

/// The texts of an image's log.
#[derive(Debug)]
pub struct Texts(Table);

impl Texts {
    /// Takes them from an ELF image.
    ///
    /// # Errors
    /// The image has no log, or one of an unknown version.
    pub fn of(image: &[u8]) -> Result<Self> {
        let table = Table::parse(image).context("the image's log cannot be read")?;
        table.map(Self).context("the image has no log; does its build script link `defmt.x`?")
    }

    /// A reader of the image's log.
    pub fn reader(&self) -> Reader<'_> {
        Reader::Frames(self.0.new_stream_decoder())
    }
}

/// Assembles lines from pieces.
pub enum Reader<'a> {
    /// Frames of defmt.
    Frames(Box<dyn StreamDecoder + Send + Sync + 'a>),
    /// Text; what there is of a line so far.
    Text(Vec<u8>),
}

impl Reader<'_> {
    /// Takes the next bytes, and passes on each line that ends in them, without its line end.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        match self {
            Self::Text(begun) => {
                for &byte in bytes {
                    if byte == b'\n' {
                        line(String::from_utf8_lossy(begun).trim_end());
                        begun.clear();
                    } else {
                        begun.push(byte);
                    }
                }
            }
            Self::Frames(decoder) => {
                decoder.received(bytes);
                loop {
                    match decoder.decode() {
                        Ok(frame) => line(&text(&frame)),
                        Err(DecodeError::UnexpectedEof) => break,
                        Err(DecodeError::Malformed) => line("(a part of the log is damaged)"),
                    }
                }
            }
        }
    }

    /// What is left when nothing more comes: a line without an end.
    pub fn finish(self, mut line: impl FnMut(&str)) {
        match self {
            Self::Text(begun) if !begun.is_empty() => line(&String::from_utf8_lossy(&begun)),
            Self::Text(_) | Self::Frames(_) => {}
        }
    }
}

/// A frame as a line; those with a level begin with it.
fn text(frame: &Frame<'_>) -> String {
    let message = frame.display_message();
    frame.level().map_or_else(|| message.to_string(), |level| format!("{} {message}", level.as_str().to_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut reader: Reader<'_>, pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        pieces.iter().for_each(|piece| reader.push(piece, |line| lines.push(line.to_string())));
        reader.finish(|line| lines.push(line.to_string()));
        lines
    }

    #[test]
    fn text_comes_line_by_line_wherever_it_is_cut() {
        let reader = Reader::Text(Vec::new());
        assert_eq!(lines(reader, &[b"on", b"e\r\ntwo\n", b"", b"rest"]), ["one", "two", "rest"]);
    }

    /// Three texts, at the addresses 1 to 3 of an image.
    fn texts() -> Texts {
        let table = r#"{ "timestamp": null, "encoding": "Rzcobs", "bitflags": {}, "entries": {
            "1": { "string": { "tag": "Println", "string": "tealight done=1" }, "raw_symbol": "a" },
            "2": { "string": { "tag": "Warn", "string": "{=u8} left" }, "raw_symbol": "b" },
            "3": { "string": { "tag": "Println", "string": "tealight error=panic" }, "raw_symbol": "c" } } }"#;
        Texts(serde_json::from_str(table).unwrap())
    }

    #[test]
    fn a_log_is_shown_to_the_end_of_its_report() {
        let mut seen = Vec::new();
        let mut shown = |mut bytes: &[u8]| show(&texts(), &mut bytes, |line| seen.push(line.to_string())).unwrap();
        assert_eq!(shown(&[0, 0x02, 0x07, 0x7A, 0, 0x01, 0x7E, 0]), None);
        assert_eq!(shown(&[0x03, 0x7E, 0]), Some("panic".into()));
        assert_eq!(shown(&[]), None);
        assert_eq!(seen, ["WARN 7 left", "tealight done=1", "tealight error=panic"]);
    }

    #[test]
    fn frames_become_words_and_a_damaged_one_is_said_to_be() {
        let texts = texts();
        // rzCOBS: the bytes 01 00; 02 00 07; then a frame of an unknown text; each ends with a 0.
        let frames = [&[0x01, 0x7E, 0][..], &[0x02, 0x07, 0x7A, 0], &[0x09, 0x7E, 0]];
        let expected = ["tealight done=1", "WARN 7 left", "(a part of the log is damaged)"];
        assert_eq!(lines(texts.reader(), &frames), expected);
        let whole = frames.concat();
        let (start, end) = whole.split_at(4);
        assert_eq!(lines(texts.reader(), &[start, end]), expected);
    }

    #[test]
    fn an_image_without_a_log_is_refused() {
        assert!(Texts::of(b"no image").is_err());
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(Texts::of(&own).unwrap_err().to_string().contains("no log"));
    }
}
