//! The report: lines of `tealight key=value` on the console, which xtask reads and a person can.
//!
//! Values are decimal integers or plain words. The first line is `version`, the last is `done` or `error`;
//! other lines on the console are not part of it.

use embedded_io::Write;

/// Version of the report's keys and their meaning.
pub const VERSION: u32 = 2;

/// Writes one fact whose value is a word.
pub fn word<W: Write>(console: &mut W, key: &str, value: &str) {
    line(console, &[b"tealight ", key.as_bytes(), b"=", value.as_bytes()]);
}

/// Writes one fact whose value is a number.
pub fn number<W: Write>(console: &mut W, key: &str, value: u32) {
    let digits = Digits::new(value);
    line(console, &[b"tealight ", key.as_bytes(), b"=", digits.as_bytes()]);
}

/// Writes the parts and a line end. A console that does not take them has nobody who could be told, so errors end here.
pub fn line<W: Write>(console: &mut W, parts: &[&[u8]]) {
    for part in parts {
        let _ = console.write_all(part);
    }
    let _ = console.write_all(b"\n");
    let _ = console.flush();
}

/// A number's decimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    bytes: [u8; 10],
    start: usize,
}

impl Digits {
    /// The digits of `value`.
    pub fn new(mut value: u32) -> Self {
        let mut bytes = [b'0'; 10];
        let mut start = bytes.len();
        for byte in bytes.iter_mut().rev() {
            *byte = b'0' + (value % 10) as u8;
            value /= 10;
            start -= 1;
            if value == 0 {
                break;
            }
        }
        Self { bytes, start }
    }

    /// The digits as ASCII, at least one.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_formatter() {
        for value in [0, 1, 9, 10, 11, 99, 100, 4_294_967_295, 1_000_000_000, 305_419_896] {
            let digits = Digits::new(value);
            assert_eq!(digits.as_bytes(), value.to_string().as_bytes());
        }
    }

    #[test]
    fn a_fact_is_one_line() {
        let mut console = [0_u8; 64];
        let mut rest = &mut console[..];
        number(&mut rest, "arena_bytes", 4096);
        word(&mut rest, "x", "y");
        let unused = rest.len();
        let (written, _) = console.split_at(console.len() - unused);
        assert_eq!(written, b"tealight arena_bytes=4096\ntealight x=y\n");
    }
}
