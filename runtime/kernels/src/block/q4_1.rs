//! Q4_1: 32 elements of 4 bits, a factor and an offset, `d * w + m`, which span the range from the minimum to
//! the maximum element.

use super::half::Half;
use super::lanes::dot;
use super::packing::{nibbles, pack_nibbles};
use super::search::{inverse, range};
use super::{BLOCK, Block, BlockQ8_1, BlockType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 32 elements `d * w + m`: byte `i` holds elements `i` (low half) and `i + 16`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ4_1 {
    d: Half,
    m: Half,
    quants: [u8; BLOCK / 2],
}

impl Block for BlockQ4_1 {
    const TYPE: BlockType = BlockType::Q4_1;
    const LEN: usize = BLOCK;
    type Activation = BlockQ8_1;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK>().0.iter().zip(output) {
            let (min, max) = range(x);
            let d = (max - min) / 15.0;
            let inverse = inverse(d);
            let elements = x.map(|x| (((x - min) * inverse + 0.5) as u8).min(15));
            *block = Self { d: Half::from_f32(d), m: Half::from_f32(min), quants: pack_nibbles(&elements) };
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK>().0) {
            let (d, m) = (block.d.to_f32(), block.m.to_f32());
            *y = nibbles(&block.quants).map(|w| f32::from(w) * d + m);
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8_1]) -> f32 {
        let mut sum = 0.0;
        for (w, x) in weights.iter().zip(activations) {
            let products = dot(&nibbles(&w.quants), x.quants());
            sum += products as f32 * w.d.to_f32() * x.d() + w.m.to_f32() * x.sum();
        }
        sum
    }

    #[cfg(any(arm_neon, x86_64_vectors))]
    fn multiply(weights: &[Self], activations: &[BlockQ8_1], outputs: &mut [f32]) {
        crate::arch::multiply_elements(weights, activations, outputs);
    }

    #[cfg(x86_64_vectors)]
    fn multiply_batches(
        weights: &[Self],
        activations: &[Self::Activation],
        row_blocks: usize,
        width: usize,
        outputs: &mut [f32],
    ) {
        crate::arch::multiply_batches(weights, activations, row_blocks, width, outputs);
    }
}
