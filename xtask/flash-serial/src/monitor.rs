//! The log of running firmware on a serial port.
//!
//! First come lines of text, of the chip's boot loaders. A frame of the log begins and ends with a zero, which no text
//! has: what comes before the first zero is text, what comes after are frames.

use crate::Error;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};
use tealight_console::{Reader, Texts};

/// How long it may take until anything comes.
const START: Duration = Duration::from_secs(15);

/// Shows the log until the firmware's report ends.
pub(crate) fn show(source: &mut impl Read, texts: &Texts, mut line: impl FnMut(&str)) -> Result<(), Error> {
    let (mut boot, mut frames) = (Some(Reader::Text(Vec::new())), texts.reader());
    let mut piece = [0; 4096];
    let (begun, mut heard) = (Instant::now(), false);
    loop {
        let count = match source.read(&mut piece) {
            Ok(0) => return Err(Error::Log("the port is closed".into())),
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                if !heard && begun.elapsed() > START {
                    return Err(Error::NoLog(START.as_secs()));
                }
                continue;
            }
            Err(error) => return Err(Error::Log(error.to_string())),
        };
        heard = true;
        let mut bytes = piece.get(..count).unwrap_or_default();
        if let Some(mut text) = boot.take() {
            let end = bytes.iter().position(|&byte| byte == 0);
            let (before, after) = bytes.split_at(end.unwrap_or(bytes.len()));
            text.push(before, &mut line);
            bytes = after;
            match end {
                Some(_) => text.finish(&mut line),
                None => boot = Some(text),
            }
        }
        if let Some(ended) = frames.push_report(bytes, &mut line) {
            return ended.map_err(Error::Firmware);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed unwrap is a failed test
mod tests {
    use super::*;
    use std::io;

    /// Three texts, at the addresses 1 to 3 of an image.
    fn texts() -> Texts {
        let table = r#"{ "timestamp": null, "encoding": "Rzcobs", "bitflags": {}, "entries": {
            "1": { "string": { "tag": "Println", "string": "tealight done=1" }, "raw_symbol": "a" },
            "2": { "string": { "tag": "Warn", "string": "{=u8} left" }, "raw_symbol": "b" },
            "3": { "string": { "tag": "Println", "string": "tealight error=panic" }, "raw_symbol": "c" } } }"#;
        serde_json::from_str(table).unwrap()
    }

    /// A port that gives these pieces, with a pause before each.
    struct Pieces<'a>(Vec<&'a [u8]>, bool);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::TimedOut.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            into[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn shown(pieces: &[&[u8]]) -> (Result<(), Error>, Vec<String>) {
        let mut lines = Vec::new();
        let ended = show(&mut Pieces(pieces.to_vec(), false), &texts(), |line| lines.push(line.to_string()));
        (ended, lines)
    }

    #[test]
    fn the_boot_loaders_text_comes_before_the_log_wherever_it_is_cut() {
        let whole = b"ESP-ROM:esp32c3\r\nboot:\r\n\0\x02\x07\x7A\0\0\x01\x7E\0".as_slice();
        for cut in 1..whole.len() {
            let (ended, lines) = shown(&[&whole[..cut], &whole[cut..]]);
            ended.unwrap();
            assert_eq!(lines, ["ESP-ROM:esp32c3", "boot:", "WARN 7 left", "tealight done=1"], "cut at {cut}");
        }
    }

    #[test]
    fn an_error_of_the_firmware_and_a_port_that_is_gone_are_told() {
        assert!(matches!(shown(&[b"\0\x03\x7E\0"]).0, Err(Error::Firmware(text)) if text == "panic"));
        let (ended, lines) = shown(&[b"ESP-ROM\n", b"\0\x02\x07\x7A\0"]);
        assert!(matches!(ended, Err(Error::Log(_))) && lines.len() == 2, "{lines:?}");
    }
}
