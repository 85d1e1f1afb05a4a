//! GatherF32 and GatherBlock.

use super::block::kernel_type;
use crate::execute::Call;
use tealight_format::ops::{self, BlockType};
use tealight_kernels::block::{BlockGather, block_gather};
use tealight_kernels::float;

pub(super) fn gather_f32(_: &ops::GatherF32, mut call: Call<'_>) {
    let table = call.input(1).shape;
    let p = float::Gather { table_rows: table.dim(0) as usize, row_len: table.dim(1) as usize };
    let (indices, table) = (call.slice(0), call.reals(1));
    float::gather(&p, call.rows.clone(), indices, table, call.out());
}

pub(super) fn gather_block(op: &ops::GatherBlock, mut call: Call<'_>) {
    let Some(format) = BlockType::from_code(op.block) else { return };
    let table = call.input(1).shape;
    let blocks = table.dim(1).checked_div(format.bytes()).unwrap_or(0);
    let p = BlockGather {
        block: kernel_type(format),
        table_rows: table.dim(0) as usize,
        row_len: blocks.wrapping_mul(format.elements()) as usize,
    };
    let (indices, table) = (call.slice(0), call.bytes(1));
    block_gather(&p, call.rows.clone(), indices, table, call.out());
}
