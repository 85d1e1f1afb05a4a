//! Q4K: 256 elements of 4 bits in 8 groups, each with a factor and an offset of 6 bits,
//! `d * factor * w - d_min * offset`.

use super::packing::{pack, unpack};
use super::scales::{Head, Product};
use super::{BLOCK_K, Block, BlockQ8K, BlockType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `d`, `d_min`, 12 bytes of factors and offsets, and the elements.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ4K {
    head: Head,
    quants: [u8; BLOCK_K / 2],
}

impl Block for BlockQ4K {
    const TYPE: BlockType = BlockType::Q4K;
    const LEN: usize = BLOCK_K;
    type Activation = BlockQ8K;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK_K>().0.iter().zip(output) {
            let (head, elements) = Head::quantize::<15>(x);
            block.head = head;
            pack::<2>(&elements, &mut block.quants);
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK_K>().0) {
            block.head.dequantize(&unpack::<2>(&block.quants), y);
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8K]) -> f32 {
        let mut product = Product::default();
        for (w, x) in weights.iter().zip(activations) {
            product.add(&w.head, &unpack::<2>(&w.quants), x);
        }
        product.value()
    }
}
