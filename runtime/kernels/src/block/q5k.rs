//! Q5K: 256 elements of 5 bits in 8 groups, each with a factor and an offset of 6 bits,
//! `d * factor * w - d_min * offset`.

use super::packing::{add_high_bits, pack, take_high_bits, unpack};
use super::scales::{Head, Product};
use super::{BLOCK_K, Block, BlockQ8K, BlockType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `d`, `d_min`, 12 bytes of factors and offsets, the elements' fifth bits, and their low bits.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ5K {
    head: Head,
    high: [u8; BLOCK_K / 8],
    low: [u8; BLOCK_K / 2],
}

impl BlockQ5K {
    #[inline]
    fn elements(&self) -> [i8; BLOCK_K] {
        let mut elements = unpack::<2>(&self.low);
        add_high_bits(&mut elements, &self.high, 16);
        elements
    }
}

impl Block for BlockQ5K {
    const TYPE: BlockType = BlockType::Q5K;
    const LEN: usize = BLOCK_K;
    type Activation = BlockQ8K;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK_K>().0.iter().zip(output) {
            let (head, mut elements) = Head::quantize::<31>(x);
            block.head = head;
            block.high = take_high_bits(&mut elements, 16);
            pack::<2>(&elements, &mut block.low);
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK_K>().0) {
            block.head.dequantize(&block.elements(), y);
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8K]) -> f32 {
        let mut product = Product::default();
        for (w, x) in weights.iter().zip(activations) {
            product.add(&w.head, &w.elements(), x);
        }
        product.value()
    }
}
