//! FullyConnectedBlock: the activations of a batch are quantized into the workspace, then multiplied.

use crate::execute::Call;
use crate::linked::Ops;
use tealight_format::ops::{self, BlockType};
use tealight_kernels::block::{self, Block};
use tealight_kernels::float;

/// Calls `$function` with the Rust type of the blocks of type `$format`, if the set `$ops` contains it.
macro_rules! with_block {
    ($ops:ident, $format:expr, $function:ident($($argument:expr),*)) => {
        tealight_types::for_each_block!(with_block! { @ $ops, $format, $function($($argument),*), })
    };
    (@ $ops:ident, $format:expr, $function:ident $arguments:tt, $( $name:ident $block:ident $row:tt )+) => {
        match $format {
            $( BlockType::$name => {
                if const { $ops::SET.has_block(BlockType::$name) } {
                    $function::<block::$block> $arguments;
                }
            } )+
        }
    };
}

pub(super) use with_block;

/// Quantizes the activations of the batch that the rows belong to, or of all batches.
pub(super) fn quantize_activations<O: Ops>(op: &ops::FullyConnectedBlock, call: Call<'_>) {
    with_block!(O, op.block, quantize_activations_of(op, call));
}

fn quantize_activations_of<B: Block>(op: &ops::FullyConnectedBlock, call: Call<'_>) {
    let p = params::<B>(&call);
    let mut input = call.f32s(0);
    if !op.together {
        let batch = call.rows.start.checked_div(p.out_features).unwrap_or(0);
        let start = batch.wrapping_mul(p.in_features);
        input = input.get(start..start.wrapping_add(p.in_features)).unwrap_or(&[]);
    }
    block::quantize_of::<B::Activation>(input, call.output);
}

pub(super) fn fully_connected_block<O: Ops>(op: &ops::FullyConnectedBlock, call: Call<'_>) {
    with_block!(O, op.block, fully_connected_of(op, call));
}

fn fully_connected_of<B: Block>(op: &ops::FullyConnectedBlock, mut call: Call<'_>) {
    let p = params::<B>(&call);
    let first = call.rows.start.checked_rem(p.out_features).unwrap_or(0);
    // Where the workspace holds the activations of one batch, rows are counted from the start of the batch.
    let start = if op.together { call.rows.start } else { first };
    let rows = start..start.wrapping_add(call.rows.len());
    let (activations, weights, bias) = (call.workspace, call.bytes(1), call.f32s(2));
    let output = call.out();
    block::fully_connected_block_of::<B>(&p, rows, activations, weights, output);
    if op.together {
        let mut rest = output;
        let mut first = first;
        while !rest.is_empty() {
            let len = p.out_features.saturating_sub(first).clamp(1, rest.len());
            let Some((outputs, later)) = rest.split_at_mut_checked(len) else { return };
            float::add_bias(outputs, bias.get(first..).unwrap_or(&[]), op.activation);
            (rest, first) = (later, 0);
        }
    } else {
        float::add_bias(output, bias.get(first..).unwrap_or(&[]), op.activation);
    }
}

fn params<B: Block>(call: &Call<'_>) -> block::FullyConnectedBlock {
    let weights = call.input(1).shape();
    block::FullyConnectedBlock {
        block: B::TYPE,
        in_features: B::TYPE.row_len(weights.dim(1) as usize),
        out_features: weights.dim(0) as usize,
    }
}
