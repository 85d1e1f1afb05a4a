//! GatherBlock: rows of a block-quantized table by index, dequantized to f32: the embedding of a model whose
//! vocabulary is quantized.
//!
//! A negative index counts as 0, one past the end as the last row, so no input can fail.

use core::ops::Range;

use super::types::{Visit, visit};
use super::{Block, BlockType, blocks};
use crate::float::gather_index;
use crate::lines::{for_each_line, run};

/// Parameters of [`gather_block`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherBlock {
    /// Type of the table.
    pub block: BlockType,
    /// The number of rows of the table.
    pub table_rows: usize,
    /// Elements of a row, a multiple of the block's length.
    pub row_len: usize,
}

/// Fetches output rows `rows`; row `i` is row `indices[i]` of the table, dequantized, and `output` holds the
/// rows of `rows` only.
///
/// `table` is `[table_rows, block.row_bytes(row_len)]` bytes.
pub fn gather_block(p: &GatherBlock, rows: Range<usize>, indices: &[i32], table: &[u8], output: &mut [f32]) {
    struct Gather<'a>(&'a GatherBlock, Range<usize>, &'a [i32], &'a [u8], &'a mut [f32]);
    impl Visit for Gather<'_> {
        type Output = ();
        fn visit<B: Block>(self) {
            let Self(p, rows, indices, table, output) = self;
            gather_block_of::<B>(p, rows, indices, table, output);
        }
    }
    visit(p.block, Gather(p, rows, indices, table, output));
}

/// [`gather_block`] for one type: `p.block` must be `B::TYPE`.
pub fn gather_block_of<B: Block>(
    p: &GatherBlock,
    rows: Range<usize>,
    indices: &[i32],
    table: &[u8],
    output: &mut [f32],
) {
    let row_bytes = B::TYPE.row_bytes(p.row_len);
    for_each_line(rows, p.row_len, output, |row, output| {
        let from = gather_index(indices, row, p.table_rows).wrapping_mul(row_bytes);
        B::dequantize(blocks(run(table, from, row_bytes)), output);
    });
}
