//! Block-quantized matrices: GGML's block types, with Candle's numbers.
//!
//! A row of a matrix is divided into blocks of 32 or 256 consecutive elements. A block contains its elements
//! as small integers, and the factor (and offset) that converts them to real values. Rows are bytes: a matrix is a
//! U8 tensor `[rows, row_bytes]`, at any alignment.
//!
//! In a product the activations are quantized as well, to 8-bit blocks of the same length
//! ([`BlockType::activations`]); within a block all sums are integers, and blocks are added up in order,
//! in `f32`, without fused multiply-add. The sum over a block therefore has the same result in any order, and
//! an instruction set may compute it in any order.
//!
//! Each type has one file, with its layout. [`BlockType`] selects a type at run time, [`Block`] at
//! compile time, for a program that needs the code of one type only.
//!
//! Quantization follows Candle's arithmetic step by step. In Candle the sign of some zeros depends on the
//! processor (the maximum of `0.0` and `-0.0`); here it is that of x86-64 on every target. NaN counts as no
//! value.
//!
//! Sources: candle-core 0.11 `quantized::k_quants` (`from_float`, `to_float`, `vec_dot_unopt`), which
//! follows GGML's `ggml-quants.c`.

mod fully_connected;
mod gather;
mod half;
mod lanes;
mod packing;
mod q2k;
mod q3k;
mod q4_0;
mod q4_1;
mod q4k;
mod q5_0;
mod q5_1;
mod q5k;
mod q6k;
mod q8_0;
mod q8_1;
mod q8k;
mod scales;
mod search;
mod types;

pub use fully_connected::{FullyConnectedBlock, fully_connected_block, fully_connected_block_of};
pub use gather::{GatherBlock, gather_block, gather_block_of};
pub use q2k::BlockQ2K;
pub use q3k::BlockQ3K;
pub use q4_0::BlockQ4_0;
pub use q4_1::BlockQ4_1;
pub use q4k::BlockQ4K;
pub use q5_0::BlockQ5_0;
pub use q5_1::BlockQ5_1;
pub use q5k::BlockQ5K;
pub use q6k::BlockQ6K;
pub use q8_0::BlockQ8_0;
pub(crate) use q8_0::quantize_block;
pub use q8_1::BlockQ8_1;
pub use q8k::BlockQ8K;
#[cfg(x86_64_vectors)]
pub(crate) use search::{greatest_magnitude, inverse};
pub use tealight_types::BlockType;

use crate::arch;
use crate::lines::{for_each_line, run, take};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The number of elements in a block of the types without K.
pub const BLOCK: usize = 32;
/// The number of elements in a block of the K types.
pub const BLOCK_K: usize = 256;

/// A block type known at compile time.
///
/// If the length of a row is not a multiple of [`Block::LEN`], its last elements are lost; a compiler pads such rows.
pub trait Block: Copy + FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + 'static {
    /// The same type as a value.
    const TYPE: BlockType;
    /// The number of elements in a block.
    const LEN: usize;
    /// The type of the activations with which it is multiplied.
    type Activation: Block;

    /// Quantizes a row; as many blocks as both slices have.
    fn quantize(input: &[f32], output: &mut [Self]);

    /// Dequantizes a row; as many blocks as both slices have.
    fn dequantize(input: &[Self], output: &mut [f32]);

    /// The dot product of two rows, over as many blocks as both have.
    fn vec_dot(weights: &[Self], activations: &[Self::Activation]) -> f32;

    /// Writes to each output the dot product of a row of weights with the activations. The rows are adjacent and have
    /// as many blocks as the activations. If there are too few, some outputs stay unchanged.
    fn multiply(weights: &[Self], activations: &[Self::Activation], outputs: &mut [f32]) {
        arch::multiply_blocks(weights, activations, outputs);
    }

    /// [`multiply`](Self::multiply) for several rows of activations, of `row_blocks` blocks each. Each has `width` of the
    /// outputs, one for each row of the weights.
    fn multiply_batches(
        weights: &[Self],
        activations: &[Self::Activation],
        row_blocks: usize,
        width: usize,
        outputs: &mut [f32],
    ) {
        one_after_another(weights, activations, row_blocks, width, outputs, Self::multiply);
    }
}

/// [`Block::multiply_batches`], by `multiply` for one row of activations.
#[inline(always)]
pub(crate) fn one_after_another<B: Block>(
    weights: &[B],
    activations: &[B::Activation],
    row_blocks: usize,
    width: usize,
    outputs: &mut [f32],
    multiply: fn(&[B], &[B::Activation], &mut [f32]),
) {
    if width == 0 {
        return;
    }
    for_each_line(0..usize::MAX, width, outputs, |batch, outputs| {
        multiply(weights, run(activations, batch.wrapping_mul(row_blocks), row_blocks), outputs);
    });
}

/// [`Block::multiply`] by [`Block::vec_dot`].
#[inline(always)]
pub(crate) fn multiply_rows<B: Block>(weights: &[B], activations: &[B::Activation], outputs: &mut [f32]) {
    let mut rows = weights;
    for output in outputs {
        let Some(row) = take(&mut rows, activations.len()) else { return };
        *output = B::vec_dot(row, activations);
    }
}

/// The whole blocks at the start of `bytes`.
#[inline]
pub(crate) fn blocks<B: Block>(bytes: &[u8]) -> &[B] {
    let count = bytes.len() / size_of::<B>().max(1);
    <[B]>::ref_from_prefix_with_elems(bytes, count).map_or(&[], |(blocks, _)| blocks)
}

/// The whole blocks at the start of `bytes`, for writing.
#[inline]
fn blocks_mut<B: Block>(bytes: &mut [u8]) -> &mut [B] {
    let count = bytes.len() / size_of::<B>().max(1);
    <[B]>::mut_from_prefix_with_elems(bytes, count).map_or(&mut [], |(blocks, _)| blocks)
}

/// Quantizes to blocks of type `block`, as many as both slices have. The input may be several rows of whole
/// blocks.
pub fn quantize(block: BlockType, input: &[f32], output: &mut [u8]) {
    struct Quantize<'a>(&'a [f32], &'a mut [u8]);
    impl types::Visit for Quantize<'_> {
        type Output = ();
        fn visit<B: Block>(self) {
            B::quantize(self.0, blocks_mut(self.1));
        }
    }
    types::visit(block, Quantize(input, output));
}

/// [`quantize`] for one type.
pub fn quantize_of<B: Block>(input: &[f32], output: &mut [u8]) {
    B::quantize(input, blocks_mut(output));
}

/// Quantizes activations for a product with weights of type `weights`: to blocks of type
/// [`weights.activations()`](BlockType::activations).
pub fn quantize_activations(weights: BlockType, input: &[f32], output: &mut [u8]) {
    // Does not call `quantize`, which would link the quantizers of all types.
    match weights.activations() {
        BlockType::Q8_1 => BlockQ8_1::quantize(input, blocks_mut(output)),
        BlockType::Q8K => BlockQ8K::quantize(input, blocks_mut(output)),
        _ => BlockQ8_0::quantize(input, blocks_mut(output)),
    }
}

/// Dequantizes blocks of type `block`, as many as both slices have; `input` is the bytes of the blocks.
pub fn dequantize(block: BlockType, input: &[u8], output: &mut [f32]) {
    struct Dequantize<'a>(&'a [u8], &'a mut [f32]);
    impl types::Visit for Dequantize<'_> {
        type Output = ();
        fn visit<B: Block>(self) {
            B::dequantize(blocks(self.0), self.1);
        }
    }
    types::visit(block, Dequantize(input, output));
}

/// The dot product of a row of weights of type `block` with a row of activations of type
/// [`block.activations()`](BlockType::activations), over as many blocks as both have.
#[must_use]
pub fn vec_dot(block: BlockType, weights: &[u8], activations: &[u8]) -> f32 {
    struct Dot<'a>(&'a [u8], &'a [u8]);
    impl types::Visit for Dot<'_> {
        type Output = f32;
        fn visit<B: Block>(self) -> f32 {
            B::vec_dot(blocks(self.0), blocks(self.1))
        }
    }
    types::visit(block, Dot(weights, activations))
}
