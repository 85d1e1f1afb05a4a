//! Tables on the terminal, as `tealight` prints them.

pub use tealight_cli::Table;
use tealight_cli::grouped;

/// Creates a table with columns of text, then columns of numbers, which are aligned to the right, then more columns of
/// text.
pub fn table(texts: &[&'static str], numbers: &[&'static str], remarks: &[&'static str]) -> Table {
    let table = texts.iter().fold(Table::new(), |table, title| table.text(title, 0));
    let table = numbers.iter().fold(table, |table, title| table.number(title, 0));
    remarks.iter().fold(table, |table, title| table.text(title, 0))
}

/// A number, or a dash if there is none.
pub fn or_dash(number: Option<u64>) -> String {
    number.map_or_else(|| "-".into(), grouped)
}
