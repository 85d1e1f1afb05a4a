//! GatherF32 and GatherBlock.

use super::fully_connected_block::with_block;
use crate::execute::Call;
use crate::linked::Ops;
use tealight_format::ops::{self, BlockType};
use tealight_kernels::block::{self, Block};
use tealight_kernels::float;

pub(super) fn gather_f32<O: Ops>(_: &ops::GatherF32, mut call: Call<'_>) {
    let table = call.input(1).shape();
    let p = float::Gather { table_rows: table.dim(0) as usize, row_len: table.dim(1) as usize };
    let indices = call.slice(0);
    with_weights!(O, call, W => float::gather::<W>(&p, call.rows.clone(), indices, call.slice(1), call.out()));
}

pub(super) fn gather_block<O: Ops>(op: &ops::GatherBlock, call: Call<'_>) {
    with_block!(O, op.block, gather_of(call));
}

fn gather_of<B: Block>(mut call: Call<'_>) {
    let table = call.input(1).shape();
    let p = block::GatherBlock {
        block: B::TYPE,
        table_rows: table.dim(0) as usize,
        row_len: B::TYPE.row_len(table.dim(1) as usize),
    };
    let (indices, table) = (call.slice(0), call.bytes(1));
    block::gather_block_of::<B>(&p, call.rows.clone(), indices, table, call.out());
}
