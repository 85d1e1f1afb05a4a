//! Pieces of an HTML page that is also well-formed XML.
//!
//! Every text goes through [`Escaped`]: names and labels come from files that may be hostile.

use crate::escape::{shortened, visible};
use std::fmt::{self, Write as _};

/// The maximum number of characters of one text: a name in a file may have a million.
const LONGEST: usize = 200;

/// A text as it is written between tags, or in a quoted attribute. It is shortened, and its control characters are made
/// visible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in visible(&shortened(self.0, LONGEST)).chars() {
            match letter {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                '\'' => f.write_str("&#39;"),
                // XML has no such characters.
                '\u{fffe}' | '\u{ffff}' => write!(f, "{}", letter.escape_unicode()),
                letter => f.write_char(letter),
            }?;
        }
        Ok(())
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    /// A text of any origin.
    Text(String),
    /// A number or a text, aligned to the right.
    Number(String),
    /// A number with a bar below it; the share of the bar's full length is between 0 and 1.
    Bar(String, f64),
    /// A text of any origin on a shade of a colour: the name of its class, and a strength between 0 and 1.
    Shade(String, &'static str, f64),
    /// A text of any origin that heads a row.
    Head(String),
}

impl Cell {
    /// Returns whether it is aligned to the right.
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Bar(..))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "<td>{}</td>", Escaped(text)),
            Self::Head(text) => write!(f, "<th scope=\"row\">{}</th>", Escaped(text)),
            Self::Number(text) => write!(f, "<td class=\"n\">{}</td>", Escaped(text)),
            Self::Bar(text, share) => {
                let width = share.clamp(0.0, 1.0) * 100.0;
                let text = Escaped(text);
                write!(f, "<td class=\"n\">{text}<span class=\"bar\"><i style=\"width: {width:.1}%\"></i></span></td>")
            }
            Self::Shade(text, class, strength) => {
                let strength = strength.clamp(0.0, 1.0);
                write!(f, "<td class=\"{class}\" style=\"--s: {strength:.2}\"><b>{}</b></td>", Escaped(text))
            }
        }
    }
}

/// Returns a table with these titles, which scrolls by itself where the page is too narrow.
///
/// A title is aligned as the first row's cell below it.
pub(super) fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut rows = rows.into_iter().peekable();
    let mut html = String::from("<div class=\"scroll\"><table>\n");
    if !titles.is_empty() {
        html += "<thead><tr>";
        for (column, title) in titles.iter().enumerate() {
            let below = rows.peek().and_then(|row| row.get(column));
            let class = if below.is_some_and(Cell::is_number) { " class=\"n\"" } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", Escaped(title));
        }
        html += "</tr></thead>\n";
    }
    html += "<tbody>\n";
    for row in rows {
        html += "<tr>";
        for cell in row {
            let _ = write!(html, "{cell}");
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// Returns a heading and what belongs to it.
pub(super) fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{content}</section>\n", Escaped(title))
}

/// Returns a paragraph of a text of any origin.
pub(super) fn paragraph(text: &str) -> String {
    let parts: Vec<String> = text.split('\n').map(|line| escaped_long(line).to_string()).collect();
    format!("<p>{}</p>\n", parts.join("<br/>"))
}

/// Returns a text with a capital letter at its start.
pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Escapes a sentence, however long: its parts that come from files have been shortened.
fn escaped_long(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(LONGEST).map(|part| Escaped(&part.iter().collect::<String>()).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        let hostile = "</td><script>alert(\"1\" & '2')</script>\x1b\0\u{202e}\u{ffff}";
        let cells = vec![Cell::Text(hostile.into()), Cell::Head(hostile.into()), Cell::Number(hostile.into())];
        let more = vec![Cell::Bar(hostile.into(), 7.0), Cell::Shade(hostile.into(), "hit", f64::NAN)];
        let html = section(hostile, &(table(&[hostile], [cells, more]) + &paragraph(hostile)));
        let document = roxmltree::Document::parse(&html).unwrap();
        assert!(!document.descendants().any(|node| node.has_tag_name("script")));
        let shown = "</td><script>alert(\"1\" & '2')</script>\\u{1b}\\u{0}\\u{202e}\\u{ffff}";
        let texts = document.descendants().filter(|node| node.is_text() && node.text() == Some(shown));
        assert_eq!(texts.count(), 8);
    }

    #[test]
    fn long_names_are_cut_and_long_sentences_are_not() {
        let long = "é".repeat(1000);
        assert!(Escaped(&long).to_string().chars().count() <= LONGEST + 1);
        assert_eq!(paragraph(&long).matches('é').count(), 1000);
    }
}
