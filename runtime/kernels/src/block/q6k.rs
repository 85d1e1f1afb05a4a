//! Q6K: 256 elements of 6 bits in 16 groups, each with a factor of 8 bits, `d * factor * (w - 32)`.

use super::half::Half;
use super::lanes::{scaled_lanes, sum};
use super::packing::{pack, unpack};
use super::search::{factor_q6, farthest, nearest};
use super::{BLOCK_K, Block, BlockQ8K, BlockType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 16 groups of 16 elements `d * scales[j] * (w - 32)`. Each half of the block has the low 4 bits of its
/// 128 elements in 64 bytes (elements `i` and `i + 64` in byte `i`) and the high 2 bits in 32 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ6K {
    low: [u8; BLOCK_K / 2],
    high: [u8; BLOCK_K / 4],
    scales: [i8; BLOCK_K / 16],
    d: Half,
}

impl BlockQ6K {
    /// The elements' integers minus 32.
    #[inline]
    fn elements(&self) -> [i8; BLOCK_K] {
        let mut elements = unpack::<4>(&self.high);
        let halves = elements.as_chunks_mut::<128>().0.iter_mut();
        for (half, low) in halves.zip(self.low.as_chunks::<64>().0) {
            let mut shift = 0;
            for quarter in half.as_chunks_mut::<64>().0 {
                for (w, low) in quarter.iter_mut().zip(low) {
                    *w = ((*w << 4) | (low.wrapping_shr(shift) & 0x0F) as i8) - 32;
                }
                shift += 4;
            }
        }
        elements
    }

    fn set_elements(&mut self, elements: &[u8; BLOCK_K]) {
        pack::<4>(&elements.map(|w| w >> 4), &mut self.high);
        let halves = elements.as_chunks::<128>().0.iter();
        for (half, low) in halves.zip(self.low.as_chunks_mut::<64>().0) {
            *low = [0; 64];
            let mut shift = 0;
            for quarter in half.as_chunks::<64>().0 {
                for (w, low) in quarter.iter().zip(&mut *low) {
                    *low |= (w & 0x0F).wrapping_shl(shift);
                }
                shift += 4;
            }
        }
    }
}

impl Block for BlockQ6K {
    const TYPE: BlockType = BlockType::Q6K;
    const LEN: usize = BLOCK_K;
    type Activation = BlockQ8K;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK_K>().0.iter().zip(output) {
            let x = x.as_chunks::<16>().0;
            let mut elements = [0; BLOCK_K];
            let mut factors = [0.0; 16];
            let groups = elements.as_chunks_mut::<16>().0.iter_mut();
            for ((factor, x), group) in factors.iter_mut().zip(x).zip(groups) {
                *factor = factor_q6::<32, 16>(x, group);
            }
            let inverse = -128.0 / farthest(&factors);
            block.d = Half::from_f32(1.0 / inverse);
            block.scales = factors.map(|factor| nearest(inverse * factor).min(127) as i8);

            let groups = elements.as_chunks_mut::<16>().0.iter_mut().zip(x);
            for ((group, x), scale) in groups.zip(block.scales) {
                let factor = block.d.to_f32() * f32::from(scale);
                if factor != 0.0 {
                    *group = x.map(|x| nearest(x / factor).clamp(-32, 31) as i8);
                }
            }
            block.set_elements(&elements.map(|w| (w + 32) as u8));
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK_K>().0) {
            let elements = block.elements();
            let groups = y.as_chunks_mut::<16>().0.iter_mut();
            let groups = groups.zip(elements.as_chunks::<16>().0);
            for ((y, w), scale) in groups.zip(block.scales) {
                let factor = block.d.to_f32() * f32::from(scale);
                *y = w.map(|w| factor * f32::from(w));
            }
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8K]) -> f32 {
        let mut sums = [0.0; 8];
        for (w, x) in weights.iter().zip(activations) {
            let lanes = scaled_lanes(&w.elements(), x.quants(), &w.scales.map(i16::from));
            let d = w.d.to_f32() * x.d();
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum += lane as f32 * d;
            }
        }
        sum(&sums)
    }
}
