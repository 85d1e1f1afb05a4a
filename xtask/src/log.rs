//! A board's console as lines of text: its frames of defmt, put back into words with what the image has of them.

use anyhow::{Context as _, Result};
use defmt_decoder::{DecodeError, Frame, StreamDecoder, Table};

/// The texts of an image's log.
#[derive(Debug)]
pub struct Texts(Table);

impl Texts {
    /// Takes them from an ELF image.
    ///
    /// # Errors
    /// The image has no log, or one of a version that this program does not know.
    pub fn of(image: &[u8]) -> Result<Self> {
        let table = Table::parse(image).context("the image's log cannot be read")?;
        table.map(Self).context("the image has no log; does its build script link `defmt.x`?")
    }

    /// A reader of what the image says.
    pub fn reader(&self) -> Reader<'_> {
        Reader::Frames(self.0.new_stream_decoder())
    }
}

/// Makes lines of what comes in pieces.
pub enum Reader<'a> {
    /// Frames of defmt.
    Frames(Box<dyn StreamDecoder + Send + Sync + 'a>),
    /// Text; what there is of a line so far.
    Text(Vec<u8>),
}

impl Reader<'_> {
    /// Takes the next bytes, and gives each line that ends with them, without its end.
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

    #[test]
    fn frames_become_words_and_a_damaged_one_is_said_to_be() {
        // Two texts, at the addresses 1 and 2 of the image: a line of the report, and a warning with a number.
        let table = r#"{ "timestamp": null, "encoding": "Rzcobs", "bitflags": {}, "entries": {
            "1": { "string": { "tag": "Println", "string": "tealight done" }, "raw_symbol": "a" },
            "2": { "string": { "tag": "Warn", "string": "{=u8} left" }, "raw_symbol": "b" } } }"#;
        let texts = Texts(serde_json::from_str(table).unwrap());
        // rzCOBS: the bytes 01 00; 02 00 07; then a frame of an unknown text; each ends with a 0.
        let frames = [&[0x01, 0x7E, 0][..], &[0x02, 0x07, 0x7A, 0], &[0x09, 0x7E, 0]];
        let expected = ["tealight done", "WARN 7 left", "(a part of the log is damaged)"];
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
