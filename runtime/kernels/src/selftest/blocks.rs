//! Digests of the block kernels, over random rows of many kinds.

use crate::block::{self, BLOCK_K, BlockType};

use super::{Digest, Random};

/// Elements of a row: two of the longest blocks.
const ROW: usize = 2 * BLOCK_K;
/// An upper bound of the bytes of a row of any type.
const ROW_BYTES: usize = 1024;
/// Rows of each type.
const ROWS: u32 = 48;

/// The functions that a digest is computed from: those of this crate, or of another that must return the same bits.
pub trait Blocks {
    /// Quantizes a row.
    fn quantize(&self, block: BlockType, row: &[f32], bytes: &mut [u8]);
    /// Dequantizes a row.
    fn dequantize(&self, block: BlockType, bytes: &[u8], row: &mut [f32]);
    /// The product of a row of weights with one of activations.
    fn vec_dot(&self, block: BlockType, weights: &[u8], activations: &[u8]) -> f32;
}

/// The kernels of this crate.
#[derive(Clone, Copy, Debug)]
pub struct TealightBlocks;

impl Blocks for TealightBlocks {
    fn quantize(&self, block: BlockType, row: &[f32], bytes: &mut [u8]) {
        block::quantize(block, row, bytes);
    }

    fn dequantize(&self, block: BlockType, bytes: &[u8], row: &mut [f32]) {
        block::dequantize(block, bytes, row);
    }

    fn vec_dot(&self, block: BlockType, weights: &[u8], activations: &[u8]) -> f32 {
        block::vec_dot(block, weights, activations)
    }
}

/// The digest of the blocks, dequantized values and products that `kernels` computes from random rows.
pub fn block_digest(kernels: &impl Blocks, block: BlockType) -> u64 {
    let mut random = Random::new(block as u64);
    let mut digest = Digest::default();
    let (mut row, mut dequantized) = ([0.0; ROW], [0.0; ROW]);
    let (mut weights, mut activations) = ([0; ROW_BYTES], [0; ROW_BYTES]);
    let of = |bytes: &'_ mut [u8; ROW_BYTES], block: BlockType| -> usize { block.row_bytes(ROW).min(bytes.len()) };
    for _ in 0..ROWS {
        let len = of(&mut weights, block);
        let weights = weights.get_mut(..len).unwrap_or(&mut []);
        fill(&mut random, &mut row);
        kernels.quantize(block, &row, weights);
        kernels.dequantize(block, weights, &mut dequantized);
        let len = of(&mut activations, block.activations());
        let activations = activations.get_mut(..len).unwrap_or(&mut []);
        fill(&mut random, &mut row);
        kernels.quantize(block.activations(), &row, activations);
        let product = kernels.vec_dot(block, weights, activations);
        digest = digest.bytes(weights).bytes(activations).f32s(&dequantized).f32s(&[product]);
    }
    digest.0
}

/// A row whose parts are of different kinds: dense, one-sided, sparse, constant, with a far outlier, of a few levels,
/// tiny, large.
fn fill(random: &mut Random, row: &mut [f32; ROW]) {
    for part in row.chunks_mut(32) {
        let kind = random.below(9);
        // A power of two from 2^-12 to 2^11.
        let scale = f32::from_bits((random.below(24) + 115) << 23);
        let constant = random.unit() * scale;
        for x in part {
            let unit = random.unit();
            *x = match kind {
                0 => constant,
                1 => unit.abs() * scale,
                2 => -unit.abs() * scale - scale,
                3 if random.below(8) > 0 => 0.0,
                4 if random.below(40) == 0 => unit * 1000.0 * scale,
                5 => ((unit * 4.0) as i32) as f32 * scale,
                6 => unit * 1e-30,
                7 => unit * 4e4,
                _ => unit * scale,
            };
        }
    }
}

/// The digests of candle-core 0.11.1 on x86-64 (`tests/candle` computes them again).
pub const BLOCKS: [(BlockType, u64); 12] = [
    (BlockType::Q4_0, 0x125e_cc56_2a23_6a1b),
    (BlockType::Q4_1, 0xd66f_0314_1e9b_c4cb),
    (BlockType::Q5_0, 0x19c9_b93c_66b9_1b98),
    (BlockType::Q5_1, 0xb025_cd00_8210_c109),
    (BlockType::Q8_0, 0xb835_c9c2_4ea3_1cad),
    (BlockType::Q8_1, 0x658d_77bb_c24d_4a82),
    (BlockType::Q2K, 0x7f24_c08a_62b9_4d5c),
    (BlockType::Q3K, 0x0230_5e1b_bd51_088d),
    (BlockType::Q4K, 0x69e9_8386_a1f1_24da),
    (BlockType::Q5K, 0xee91_632c_4ae0_5daa),
    (BlockType::Q6K, 0xca00_ea86_ffe1_7187),
    (BlockType::Q8K, 0x517f_3dd6_c451_c0f8),
];
