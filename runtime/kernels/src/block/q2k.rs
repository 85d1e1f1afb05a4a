//! Q2K: 256 elements of 2 bits in 16 groups, each with a factor and an offset of 4 bits,
//! `d * factor * w - d_min * offset`.

use super::half::Half;
use super::packing::{pack, unpack};
use super::search::{factor_and_offset, maximum, nearest};
use super::{BLOCK_K, Block, BlockQ8K, BlockType};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 16 groups of 16 elements `d * (scales[j] % 16) * w - d_min * (scales[j] / 16)`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ2K {
    scales: [u8; BLOCK_K / 16],
    quants: [u8; BLOCK_K / 4],
    d: Half,
    d_min: Half,
}

impl BlockQ2K {
    #[inline]
    fn elements(&self) -> [i8; BLOCK_K] {
        unpack::<4>(&self.quants)
    }
}

/// Rounds `x` to multiples of a 15th of its maximum; returns the multiples and that 15th.
fn fifteenths(x: &[f32; 16]) -> ([u8; 16], Half) {
    let max = maximum(x);
    if max > 0.0 {
        let inverse = 15.0 / max;
        let rounded = x.map(|x| nearest(inverse * x) as u8);
        (rounded, Half::from_f32(max / 15.0))
    } else {
        ([0; 16], Half::from_f32(0.0))
    }
}

impl Block for BlockQ2K {
    const TYPE: BlockType = BlockType::Q2K;
    const LEN: usize = BLOCK_K;
    type Activation = BlockQ8K;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK_K>().0.iter().zip(output) {
            let x = x.as_chunks::<16>().0;
            let (mut factors, mut offsets) = ([0.0; 16], [0.0; 16]);
            for ((factor, offset), x) in factors.iter_mut().zip(&mut offsets).zip(x) {
                (*factor, *offset) = factor_and_offset::<3, 16>(x);
            }
            let (factors, d) = fifteenths(&factors);
            let (offsets, d_min) = fifteenths(&offsets);
            *block = Self::new_zeroed();
            (block.d, block.d_min) = (d, d_min);
            for ((scale, factor), offset) in block.scales.iter_mut().zip(factors).zip(offsets) {
                *scale = factor | (offset << 4);
            }

            let mut elements = [0; BLOCK_K];
            let groups = elements.as_chunks_mut::<16>().0.iter_mut().zip(x);
            for ((group, x), scale) in groups.zip(block.scales) {
                let factor = d.to_f32() * f32::from(scale & 0x0F);
                let offset = d_min.to_f32() * f32::from(scale >> 4);
                if factor != 0.0 {
                    *group = x.map(|x| nearest((x + offset) / factor).clamp(0, 3) as u8);
                }
            }
            pack::<4>(&elements, &mut block.quants);
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK_K>().0) {
            let elements = block.elements();
            let groups = y.as_chunks_mut::<16>().0.iter_mut();
            let groups = groups.zip(elements.as_chunks::<16>().0);
            for ((y, w), scale) in groups.zip(block.scales) {
                let factor = block.d.to_f32() * f32::from(scale & 0x0F);
                let offset = block.d_min.to_f32() * f32::from(scale >> 4);
                *y = w.map(|w| factor * f32::from(w) - offset);
            }
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8K]) -> f32 {
        let mut sum = 0.0;
        for (w, x) in weights.iter().zip(activations) {
            let offsets = x.sums().into_iter().zip(w.scales);
            let offsets: i32 = offsets.map(|(sum, scale)| sum * i32::from(scale >> 4)).sum();
            let elements = w.elements();
            let groups = elements.as_chunks::<16>().0.iter().zip(x.quants().as_chunks::<16>().0);
            let mut products = 0;
            for ((w, x), scale) in groups.zip(w.scales) {
                let group = w.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x));
                products += i32::from(scale & 0x0F) * group.sum::<i32>();
            }
            let d = x.d() * w.d.to_f32();
            let d_min = x.d() * w.d_min.to_f32();
            sum += d * products as f32 - d_min * offsets as f32;
        }
        sum
    }
}
