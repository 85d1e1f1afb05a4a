//! FullyConnectedBlock: activations times a block-quantized matrix.
//!
//! `out[b, o] = weights[o] · activations[b]`, each product as [`Block::vec_dot`] sums it.
//!
//! Source: candle-core 0.11 `quantized::k_quants::matmul`, with `vec_dot_unopt`.

use core::ops::Range;

use super::types::{Visit, visit};
use super::{Block, BlockType, blocks};
use crate::arch;
use crate::lines::{run, tail};
use crate::window::div_rem;

/// Parameters of [`fully_connected_block`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnectedBlock {
    /// Type of the weights; the activations have type [`BlockType::activations`].
    pub block: BlockType,
    /// Elements of a row of the weights, a multiple of the block's length.
    pub in_features: usize,
    /// Rows of the weights.
    pub out_features: usize,
}

/// Computes output rows `rows`; a row is one element, feature `row % out_features` of batch
/// `row / out_features`, and `output` holds the elements of `rows` only.
///
/// `activations` is `[batches, block.activations().row_bytes(in_features)]` bytes, written by
/// [`quantize_activations`](super::quantize_activations); `weights` is
/// `[out_features, block.row_bytes(in_features)]` bytes.
pub fn fully_connected_block(
    p: &FullyConnectedBlock,
    rows: Range<usize>,
    activations: &[u8],
    weights: &[u8],
    output: &mut [f32],
) {
    struct MatMul<'a>(&'a FullyConnectedBlock, Range<usize>, [&'a [u8]; 2], &'a mut [f32]);
    impl Visit for MatMul<'_> {
        type Output = ();
        fn visit<B: Block>(self) {
            let Self(p, rows, [activations, weights], output) = self;
            fully_connected_block_of::<B>(p, rows, activations, weights, output);
        }
    }
    visit(p.block, MatMul(p, rows, [activations, weights], output));
}

/// [`fully_connected_block`] for one type: `p.block` must be `B::TYPE`.
pub fn fully_connected_block_of<B: Block>(
    p: &FullyConnectedBlock,
    rows: Range<usize>,
    activations: &[u8],
    weights: &[u8],
    output: &mut [f32],
) {
    let (activations, weights) = (blocks::<B::Activation>(activations), blocks::<B>(weights));
    let row_blocks = p.in_features / B::LEN.max(1);
    let (mut row, mut rest) = (rows.start, output);
    // The features of a batch at once, or of several.
    while !rest.is_empty() {
        let (batch, feature) = div_rem(row, p.out_features);
        let (batches, _) = if arch::UNPACKS_ONCE && feature == 0 && p.out_features > 0 {
            div_rem(rest.len(), p.out_features)
        } else {
            (1, 0)
        };
        let features = p.out_features.saturating_sub(feature).clamp(1, rest.len());
        let count = if batches > 1 { batches.wrapping_mul(p.out_features) } else { features };
        let Some((outputs, later)) = rest.split_at_mut_checked(count) else { return };
        let first = batch.wrapping_mul(row_blocks);
        if batches > 1 {
            B::multiply_batches(weights, tail(activations, first), row_blocks, p.out_features, outputs);
        } else {
            let activations = run(activations, first, row_blocks);
            B::multiply(tail(weights, feature.wrapping_mul(row_blocks)), activations, outputs);
        }
        (row, rest) = (row.wrapping_add(count), later);
    }
}
