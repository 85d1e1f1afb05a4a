//! What the programs that talk to a board share. Above all its console: its frames of defmt, put back into words with what
//! the image has of them, and what the lines say of the board's report. Besides, [errors](error_line) in one line, the
//! [`bar`] of their progress, and the image that they [`keep`] of what is in a board's flash.
//!
//! The texts of a log are in the image's debug information, and not on the board.
//!
//! ```
//! use tealight_console::{Reader, is_last};
//!
//! let mut lines = Vec::new();
//! let mut reader = Reader::Text(Vec::new());
//! reader.push(b"tealight board=x1\ntealight do", |line| lines.push(line.to_string()));
//! reader.push(b"ne=2\n", |line| lines.push(line.to_string()));
//! assert_eq!(lines, ["tealight board=x1", "tealight done=2"]);
//! assert!(is_last(&lines[1]));
//! ```

mod flashed;
mod progress;

pub use flashed::keep;
pub use progress::{Unit, bar};

use defmt_decoder::{DecodeError, Frame, StreamDecoder, Table};

/// Why an image has no texts of a log.
#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    /// It is damaged, or of an unknown version.
    #[error("the image's log cannot be read: {0}")]
    Unreadable(String),
    /// It was built without one.
    #[error("the image has no log; does its build script link `defmt.x`?")]
    Missing,
}

/// Whether a line is part of a report.
pub fn is_fact(line: &str) -> bool {
    line.starts_with("tealight ")
}

/// Whether a line ends a report.
pub fn is_last(line: &str) -> bool {
    end(line).is_some()
}

/// How a line ends a report, if it does: in order, or by this error of the firmware.
fn end(line: &str) -> Option<Result<(), &str>> {
    match line.strip_prefix("tealight error=") {
        Some(error) => Some(Err(error)),
        None => line.starts_with("tealight done=").then_some(Ok(())),
    }
}

/// An error and its causes, in one line.
pub fn error_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause.
        if !text.contains(&cause_text) {
            text = format!("{}: {cause_text}", text.trim_end_matches('.'));
        }
        source = cause.source();
    }
    text
}

/// Whether a line reports that the board waits for its inputs.
pub fn is_ready(line: &str) -> bool {
    line.starts_with("tealight ready=")
}

/// The texts of an image's log.
#[derive(Debug, serde::Deserialize)]
pub struct Texts(Table);

impl Texts {
    /// Takes them from an ELF image.
    ///
    /// # Errors
    /// [`TextsError`] if the image has no log, or one of an unknown version.
    pub fn of(image: &[u8]) -> Result<Self, TextsError> {
        let table = Table::parse(image).map_err(|error| TextsError::Unreadable(format!("{error:#}")))?;
        table.map(Self).ok_or(TextsError::Missing)
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

    /// Like [`Reader::push`]; returns how the report ended, if a line ended it: in order, or by an error of the firmware.
    pub fn push_report(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) -> Option<Result<(), String>> {
        let mut ended = None;
        self.push(bytes, |text| {
            line(text);
            if let Some(how) = end(text) {
                ended = Some(how.map_err(String::from));
            }
        });
        ended
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
    fn the_end_of_a_report_is_returned_and_what_follows_it_is_passed_on() {
        let mut reader = Reader::Text(Vec::new());
        let mut seen = 0;
        let mut push = |bytes: &[u8]| reader.push_report(bytes, |_| seen += 1);
        assert_eq!(push(b"tealight board=x1\ntealight do"), None);
        assert_eq!(push(b"ne=2\nmore\n"), Some(Ok(())));
        assert_eq!(push(b"tealight error=panic at x\n"), Some(Err("panic at x".into())));
        assert_eq!(seen, 4);
    }

    #[test]
    fn an_errors_causes_stand_behind_it_and_none_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Link(&'static str, #[source] Option<Box<Link>>);
        let chain = Link("It failed.", Some(Box::new(Link("no wire", Some(Box::new(Link("wire", None)))))));
        assert_eq!(error_line(&chain), "It failed: no wire");
    }

    #[test]
    fn an_image_without_a_log_is_refused() {
        assert!(Texts::of(b"no image").is_err());
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(Texts::of(&own).unwrap_err().to_string().contains("no log"));
    }
}
