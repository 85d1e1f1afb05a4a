//! Gather: rows of a table by index, as an embedding looks them up.
//!
//! A negative index counts as 0, one past the end as the last row, so no input can fail.

use core::ops::Range;

use super::sum::Weight;
use crate::lines::{for_each_line, run};

/// Parameters of [`gather`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    /// The number of rows of the table.
    pub table_rows: usize,
    /// The number of elements of a row.
    pub row_len: usize,
}

/// Fetches output rows `rows`; row `i` is row `indices[i]` of the table, and `output` holds the rows of
/// `rows` only.
pub fn gather<W: Weight>(p: &Gather, rows: Range<usize>, indices: &[i32], table: &[W], output: &mut [f32]) {
    for_each_line(rows, p.row_len, output, |row, output| {
        let from = index(indices, row, p.table_rows).wrapping_mul(p.row_len);
        for (output, w) in output.iter_mut().zip(run(table, from, p.row_len)) {
            *output = w.to_f32();
        }
    });
}

/// Index number `row`, clamped to the table.
#[inline]
pub(crate) fn index(indices: &[i32], row: usize, table_rows: usize) -> usize {
    let index = indices.get(row).copied().unwrap_or(0).max(0) as usize;
    index.min(table_rows.saturating_sub(1))
}
