//! FullyConnectedBlock: the kernels read the mapped blocks in place.

use crate::clamp;
use crate::cpu::Vectors;
use crate::description::Runner;
use crate::segments::{Segment, segments};
use crate::threads::in_chunks;
use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants as candle;
use tealight::Part;
use tealight_format::ops::{self, BlockType};
use tealight_kernels::block::{self, FullyConnectedBlock, quantize_activations};

/// A product of activations `[batches, in_features]` with the transpose of weights `[out_features, in_features]`.
struct BlockProduct<'s> {
    batches: usize,
    in_features: usize,
    out_features: usize,
    activations: &'s [f32],
    /// Rows of blocks.
    weights: &'s [u8],
}

/// Appends the rows of `part` to `output`. A row of the operator is one element of its output.
pub(crate) fn fully_connected_block(
    op: &ops::FullyConnectedBlock,
    part: &Part<'_>,
    vectors: Vectors,
    output: &mut Vec<f32>,
) -> Option<()> {
    let (activations, weights) = (part.input(0)?, part.input(1)?);
    let format = op.block;
    let multiply = multiplier(format, vectors.runner(format));
    let [out_features, row_bytes] = [0, 1].map(|i| weights.shape().dim(i) as usize);
    let in_features = row_bytes / format.bytes() as usize * format.elements() as usize;
    let bias = part.input(2).and_then(|bias| bias.as_slice::<f32>());
    let [min, max] = op.activation;

    let mut sums = Vec::new();
    for Segment { batches, rows } in segments(part.rows(), out_features) {
        // Candle multiplies by four rows of weights at a time. A part is widened to whole groups of four, so splitting
        // an operator into parts does not change any bit.
        let wide = rows.start & !3..rows.end.next_multiple_of(4).min(out_features);
        let product = BlockProduct {
            batches: batches.len(),
            in_features,
            out_features: wide.len(),
            activations: activations.as_slice::<f32>()?.get(batches.start * in_features..batches.end * in_features)?,
            weights: weights.as_bytes().get(wide.start * row_bytes..wide.end * row_bytes)?,
        };
        sums.clear();
        sums.resize(batches.len() * wide.len(), 0.0);
        multiply(&product, &mut sums);
        for sums in sums.chunks_exact(wide.len()) {
            for (row, sum) in wide.clone().zip(sums).filter(|(row, _)| rows.contains(row)) {
                let sum = sum + bias.map_or(0.0, |bias| bias[row]);
                output.push(clamp(sum, min, max));
            }
        }
    }
    Some(())
}

macro_rules! with_candle_of {
    ($format:ident; $( $name:ident $block:ident $row:tt )+) => {
        match $format { $( BlockType::$name => with_candle::<candle::$block>, )+ }
    };
}

/// Returns the code for blocks of one type.
fn multiplier(format: BlockType, runner: Runner) -> impl Fn(&BlockProduct<'_>, &mut [f32]) {
    let by_candle: fn(&BlockProduct<'_>, &mut [f32]) = tealight_types::for_each_block!(with_candle_of! { format; });
    move |product, output| match runner {
        Runner::Candle => by_candle(product, output),
        Runner::Tealight | Runner::TealightThreads => with_kernels(format, product, output),
    }
}

/// Multiplies with Candle's kernels.
fn with_candle<T: GgmlType>(product: &BlockProduct<'_>, output: &mut [f32]) {
    let sizes = (product.batches, product.in_features, product.out_features);
    let blocks = blocks_of::<T>(product.weights);
    candle::matmul(sizes, product.activations, blocks, output).expect("the sizes are those of a checked model");
}

/// Returns bytes as blocks, in place.
fn blocks_of<T: GgmlType>(bytes: &[u8]) -> &[T] {
    // SAFETY: `T` is one of Candle's block structs, named above: `repr(C)`, of integers and floats without padding, for
    // which any bytes are a value. `align_to` looks after alignment and length.
    let (before, blocks, after) = unsafe { bytes.align_to::<T>() };
    // Every tensor of a model file starts at a multiple of 16, and a row at a multiple of the block size, which is a
    // multiple of the block's alignment.
    assert!(before.is_empty() && after.is_empty(), "weights out of alignment");
    blocks
}

/// Multiplies with Tealight's kernels.
fn with_kernels(block: BlockType, product: &BlockProduct<'_>, output: &mut [f32]) {
    let BlockProduct { in_features, out_features, activations, weights, .. } = *product;
    let p = FullyConnectedBlock { block, in_features, out_features };
    let mut quantized = vec![0; block.activations().row_bytes(activations.len())];
    quantize_activations(block, activations, &mut quantized);
    in_chunks(output, |start, output| {
        block::fully_connected_block(&p, start..start + output.len(), &quantized, weights, output);
    });
}
