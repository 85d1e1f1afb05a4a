//! BlockGather: rows of a block-quantized table by index, as real values: the embedding of a model whose
//! vocabulary is quantized.
//!
//! A negative index counts as 0 and one beyond the table as its last row, so that no input can fail.

use core::ops::Range;

use super::{BlockType, dequantize};
use crate::float::gather_index;
use crate::lines::{for_each_line, run};

/// Parameters of [`block_gather`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockGather {
    /// Type of the table.
    pub block: BlockType,
    /// Rows of the table.
    pub table_rows: usize,
    /// Elements of a row, a multiple of the block's length.
    pub row_len: usize,
}

/// Fetches output rows `rows`; row `i` is row `indices[i]` of the table, dequantized, and `output` holds the
/// rows of `rows` only.
///
/// `table` is `[table_rows, block.row_bytes(row_len)]` bytes.
pub fn block_gather(p: &BlockGather, rows: Range<usize>, indices: &[i32], table: &[u8], output: &mut [f32]) {
    let row_bytes = p.block.row_bytes(p.row_len);
    for_each_line(rows, p.row_len, output, |row, output| {
        let from = gather_index(indices, row, p.table_rows).wrapping_mul(row_bytes);
        dequantize(p.block, run(table, from, row_bytes), output);
    });
}
