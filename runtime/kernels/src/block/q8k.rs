//! Q8K: 256 elements of 8 bits, a factor, and the sum of every 16 elements. Activations of the K types.

use super::lanes::dot;
use super::search::{farthest, nearest};
use super::{BLOCK_K, Block, BlockType};
use zerocopy::little_endian::{F32, I16};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 256 elements `d * quants[i]`; `sums[j]` is the sum of `quants[16 * j..][..16]`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ8K {
    d: F32,
    quants: [i8; BLOCK_K],
    sums: [I16; BLOCK_K / 16],
}

impl BlockQ8K {
    /// The factor.
    #[inline]
    pub(super) fn d(&self) -> f32 {
        self.d.get()
    }

    /// The elements' integers.
    #[inline]
    pub(super) const fn quants(&self) -> &[i8; BLOCK_K] {
        &self.quants
    }

    /// The sum of every 16 of them.
    #[inline]
    pub(super) fn sums(&self) -> [i32; BLOCK_K / 16] {
        self.sums.map(|sum| i32::from(sum.get()))
    }
}

impl Block for BlockQ8K {
    const TYPE: BlockType = BlockType::Q8K;
    const LEN: usize = BLOCK_K;
    type Activation = Self;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK_K>().0.iter().zip(output) {
            let farthest = farthest(x);
            *block = Self::new_zeroed();
            if farthest != 0.0 {
                let inverse = -127.0 / farthest;
                block.d = F32::new(1.0 / inverse);
                for (w, &x) in block.quants.iter_mut().zip(x) {
                    *w = nearest(inverse * x).clamp(-128, 127) as i8;
                }
                let groups = block.quants.as_chunks::<16>().0;
                for (sum, group) in block.sums.iter_mut().zip(groups) {
                    *sum = I16::new(group.iter().map(|&w| i16::from(w)).sum());
                }
            }
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK_K>().0) {
            for (y, &w) in y.iter_mut().zip(&block.quants) {
                *y = block.d() * f32::from(w);
            }
        }
    }

    fn vec_dot(weights: &[Self], activations: &[Self]) -> f32 {
        let mut sum = 0.0;
        for (w, x) in weights.iter().zip(activations) {
            let products = dot(&w.quants, &x.quants);
            sum += products as f32 * w.d() * x.d();
        }
        sum
    }
}
