//! FullyConnectedBlock: the activations of a batch are quantized into the workspace, then multiplied.

use crate::execute::Call;
use tealight_format::ops::{self, BlockType};
use tealight_kernels::block::{self, BlockMatMul};

/// Quantizes the activations of the batch that the rows belong to.
pub(super) fn quantize_activations(op: &ops::FullyConnectedBlock, call: Call<'_>) {
    let Some((format, p)) = params(op, &call) else { return };
    let batch = call.rows.start.checked_div(p.out_features).unwrap_or(0);
    let start = batch.wrapping_mul(p.in_features);
    let input = call.reals(0).get(start..start.wrapping_add(p.in_features)).unwrap_or(&[]);
    block::quantize_activations(kernel_type(format), input, call.output);
}

pub(super) fn fully_connected_block(op: &ops::FullyConnectedBlock, mut call: Call<'_>) {
    let Some((_, p)) = params(op, &call) else { return };
    // The workspace is that of one batch: rows count from its start.
    let first = call.rows.start.checked_rem(p.out_features).unwrap_or(0);
    let rows = first..first.wrapping_add(call.rows.len());
    let (activations, weights, bias) = (call.workspace, call.bytes(1), call.reals(2));
    let output = call.out();
    block::block_matmul(&p, rows, activations, weights, output);
    let [least, greatest] = op.activation;
    for (i, output) in output.iter_mut().enumerate() {
        let sum = *output + bias.get(first.wrapping_add(i)).copied().unwrap_or(0.0);
        // NaN stays.
        *output = if sum < least {
            least
        } else if sum > greatest {
            greatest
        } else {
            sum
        };
    }
}

fn params(op: &ops::FullyConnectedBlock, call: &Call<'_>) -> Option<(BlockType, BlockMatMul)> {
    let format = BlockType::from_code(op.block)?;
    let weights = call.input(1).shape;
    let blocks = weights.dim(1).checked_div(format.bytes())?;
    let p = BlockMatMul {
        block: kernel_type(format),
        in_features: blocks.wrapping_mul(format.elements()) as usize,
        out_features: weights.dim(0) as usize,
    };
    Some((format, p))
}

/// The kernels' name of a type.
pub(super) fn kernel_type(format: BlockType) -> block::BlockType {
    match format {
        BlockType::Q4_0 => block::BlockType::Q4_0,
        BlockType::Q4_1 => block::BlockType::Q4_1,
        BlockType::Q5_0 => block::BlockType::Q5_0,
        BlockType::Q5_1 => block::BlockType::Q5_1,
        BlockType::Q8_0 => block::BlockType::Q8_0,
        BlockType::Q8_1 => block::BlockType::Q8_1,
        BlockType::Q2K => block::BlockType::Q2K,
        BlockType::Q3K => block::BlockType::Q3K,
        BlockType::Q4K => block::BlockType::Q4K,
        BlockType::Q5K => block::BlockType::Q5K,
        BlockType::Q6K => block::BlockType::Q6K,
        BlockType::Q8K => block::BlockType::Q8K,
    }
}
