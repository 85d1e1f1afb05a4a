//! Plain tables: aligned columns with two spaces between them, of which some can be left out where space is short.

use crate::escape::{shortened, visible};
use std::fmt;

/// The maximum number of characters of a cell: a name in a file may have a million.
const WIDEST: usize = 200;

/// A table that is filled row by row.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Column {
    title: &'static str,
    right: bool,
    /// Columns of the highest rank are left out first; a column of rank 0 always stays.
    rank: u8,
}

/// Spaces between columns.
const GAP: &str = "  ";

impl Table {
    /// Creates a table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of text. If the table is too wide, columns of the highest `rank` are left out first; rank 0 always
    /// stays.
    pub fn text(mut self, title: &'static str, rank: u8) -> Self {
        self.columns.push(Column { title, right: false, rank });
        self
    }

    /// Adds a column of numbers, aligned to the right.
    pub fn number(mut self, title: &'static str, rank: u8) -> Self {
        self.columns.push(Column { title, right: true, rank });
        self
    }

    /// Adds a row with one cell for each column. A cell may quote a file.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| visible(&shortened(&cell, WIDEST)).into_owned());
        self.rows.push(cells.collect());
    }

    /// Returns the table as text, and the titles of the columns that were left out to make it at most `width` columns
    /// wide.
    pub fn draw(&self, width: Option<usize>) -> (String, Vec<&'static str>) {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.column_width(column)).collect();
        let total = |shown: &[usize]| {
            shown.iter().map(|column| widths[*column] + GAP.len()).sum::<usize>().saturating_sub(GAP.len())
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut left_out = Vec::new();
        while width.is_some_and(|width| total(&shown) > width) {
            let Some(worst) = shown.iter().copied().filter(|c| self.rank(*c) > 0).max_by_key(|c| self.rank(*c)) else {
                break;
            };
            shown.retain(|column| *column != worst);
            left_out.push(self.columns[worst].title);
        }
        let mut text = String::new();
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_string()).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let cells: Vec<String> = shown.iter().map(|column| self.cell(row, *column, widths[*column])).collect();
            text.push_str(cells.join(GAP).trim_end());
            text.push('\n');
        }
        (text, left_out)
    }

    fn rank(&self, column: usize) -> u8 {
        self.columns[column].rank
    }

    fn column_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| console::measure_text_width(cell)).max().unwrap_or(0);
        widest.max(self.columns[column].title.len())
    }

    fn cell(&self, row: &[String], column: usize, width: usize) -> String {
        let text = row.get(column).map_or("", String::as_str);
        let gap = " ".repeat(width.saturating_sub(console::measure_text_width(text)));
        if self.columns[column].right { format!("{gap}{text}") } else { format!("{text}{gap}") }
    }
}

/// All columns, without an end of the last line.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.draw(None).0.trim_end_matches('\n'))
    }
}

/// Formats `number` with commas between groups of three digits.
pub fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a count: "1 operator", "1,200 operators".
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// Formats `count` bytes.
pub(crate) fn bytes(count: impl Into<u64>) -> String {
    format!("{} B", grouped(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_least_important_is_left_out_first() {
        let mut table = Table::new().text("name", 0).number("n", 1).number("more", 2);
        table.row(["a".into(), "1".into(), "22".into()]);
        table.row(["bbb×".into(), "333".into(), "4".into()]);
        assert_eq!(table.to_string(), "name    n  more\na       1    22\nbbb×  333     4");
        assert_eq!(table.draw(None), ("name    n  more\na       1    22\nbbb×  333     4\n".into(), vec![]));
        assert_eq!(table.draw(Some(9)), ("name    n\na       1\nbbb×  333\n".into(), vec!["more"]));
        assert_eq!(table.draw(Some(2)).1, ["more", "n"]);
    }

    #[test]
    fn a_cell_is_short_and_on_one_line_for_any_text() {
        let mut table = Table::new().text("name", 0);
        table.row(["a\nb\x1b[2J".into()]);
        table.row(["x".repeat(1 << 20)]);
        let text = table.draw(None).0;
        assert!(text.contains("a\\nb\\u{1b}[2J") && text.lines().count() == 3 && text.len() < 1000, "{text}");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(["0", "999", "1,000", "1,234,567"], [0u32, 999, 1000, 1_234_567].map(grouped));
    }
}
