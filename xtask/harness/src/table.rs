//! The look of tables on the terminal: columns, and a line under the header.

use comfy_table::{LineStyle, Table, TableStyle};

/// An empty table.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table
}
