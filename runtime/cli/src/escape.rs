//! Escapes text from files before it is written to a terminal.
//!
//! Names, labels and messages may come from an untrusted file. A terminal interprets control characters in them: it
//! clears the screen, changes its title, or shows text in another order. All text of the program is escaped, in
//! [`Screen`](crate::Screen), in tables and in [`Error`](crate::Error): characters that would not be shown as
//! themselves are written in the notation of Rust and JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` on one line with every character visible: control characters, line breaks, and those that change the
/// order or the look of others (U+202E and the like) become `\n`, `\u{1b}`, `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    replace(text, hidden, |c, out| out.extend(c.escape_default()))
}

/// Like [`visible`] for a text of several lines: line breaks and tabs stay.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    replace(text, |c| hidden(c) && c != '\n' && c != '\t', |c, out| out.extend(c.escape_default()))
}

/// Returns an equivalent JSON document with every character visible: hidden characters can only occur in its strings,
/// and become `\u001b`. Line breaks between its elements stay.
pub(crate) fn visible_json(document: &str) -> Cow<'_, str> {
    let escape = |c: char, out: &mut String| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    };
    replace(document, |c| hidden(c) && c != '\n', escape)
}

/// Returns at most `max` characters of `text`, with a mark if something was left out.
pub(crate) fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => text.into(),
        Some((at, _)) => format!("{}…", &text[..at]).into(),
    }
}

/// Returns whether a terminal does not show a character as itself: control characters, line and paragraph separators,
/// and the invisible ones that direct or annotate others (Unicode's general category Cf, except the joiners of words
/// and emoji).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn replace(text: &str, replaced: impl Fn(char) -> bool, by: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&replaced) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if replaced(c) { by(c, &mut out) } else { out.push(c) }
    }
    out.into()
}

/// Returns a metadata entry without its JSON escapes.
pub(crate) fn unescape(raw: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{raw}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_control_characters() {
        for (text, shown) in [
            ("plain é 🌍 \\n", "plain é 🌍 \\n"),
            ("\x1b[31mred\x07", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("gnp\u{202e}exe\u{2066}\u{200f}", "gnp\\u{202e}exe\\u{2066}\\u{200f}"),
            ("👩\u{200d}🚀", "👩\u{200d}🚀"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_lines("a\n\tb\r\x1b"), "a\n\tb\\r\\u{1b}");
    }

    #[test]
    fn a_document_stays_the_same_json() {
        for text in ["\x1b[31m\u{9b}\u{202e}\u{7f}\n\t\u{e0041}é", "plain"] {
            let document = serde_json::to_string_pretty(&[text]).unwrap();
            let shown = visible_json(&document);
            assert!(!shown.chars().any(|c| hidden(c) && c != '\n'), "{shown}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
    }
}
