//! Q3K: 256 elements of 3 bits in 16 groups, each with a factor of 6 bits, `d * (factor - 32) * (w - 4)`.

use super::half::Half;
use super::lanes::{scaled_lanes, sum};
use super::packing::{add_high_bits, pack, shift_down, take_high_bits, unpack};
use super::search::{factor_q3, farthest, nearest};
use super::{BLOCK_K, Block, BlockQ8K, BlockType};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 16 groups of 16 elements `d * (factor - 32) * (w - 4)`. The third bits are in `high`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ3K {
    high: [u8; BLOCK_K / 8],
    low: [u8; BLOCK_K / 4],
    scales: Scales,
    d: Half,
}

/// 16 numbers of 6 bits: byte `i` of `low` has the low bits of numbers `i` and `i + 8`, byte `i` of
/// `high` the high bits of numbers `i`, `i + 4`, `i + 8`, `i + 12`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Scales {
    low: [u8; 8],
    high: [u8; 4],
}

impl Scales {
    fn pack(numbers: &[u8; 16]) -> Self {
        let (mut low, mut high) = ([0; 8], [0; 4]);
        let mut shift = 0;
        for numbers in numbers.as_chunks::<8>().0 {
            for (low, number) in low.iter_mut().zip(numbers) {
                *low |= (number & 0x0F).wrapping_shl(shift);
            }
            shift += 4;
        }
        let mut shift = 0;
        for numbers in numbers.as_chunks::<4>().0 {
            for (high, number) in high.iter_mut().zip(numbers) {
                *high |= (number >> 4).wrapping_shl(shift);
            }
            shift += 2;
        }
        Self { low, high }
    }

    /// The numbers minus 32.
    fn unpack(&self) -> [i16; 16] {
        let mut numbers = [0; 16];
        let (mut low_shift, mut high_shift) = (0, 0);
        for numbers in numbers.as_chunks_mut::<8>().0 {
            let low = self.low.as_chunks::<4>().0;
            for (numbers, low) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(low) {
                for ((number, low), high) in numbers.iter_mut().zip(low).zip(self.high) {
                    let low = low.wrapping_shr(low_shift) & 0x0F;
                    let high = high.wrapping_shr(high_shift) & 3;
                    *number = i16::from(low | (high << 4)) - 32;
                }
                high_shift += 2;
            }
            low_shift += 4;
        }
        numbers
    }
}

impl BlockQ3K {
    /// The elements' integers minus 4.
    #[inline]
    fn elements(&self) -> [i8; BLOCK_K] {
        let mut elements = unpack::<4>(&self.low);
        add_high_bits(&mut elements, &self.high, 4);
        shift_down(&mut elements, 4);
        elements
    }
}

impl Block for BlockQ3K {
    const TYPE: BlockType = BlockType::Q3K;
    const LEN: usize = BLOCK_K;
    type Activation = BlockQ8K;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK_K>().0.iter().zip(output) {
            let x = x.as_chunks::<16>().0;
            let mut factors = [0.0; 16];
            for (factor, x) in factors.iter_mut().zip(x) {
                *factor = factor_q3::<4, 16>(x);
            }
            *block = Self::new_zeroed();
            let farthest = farthest(&factors);
            if farthest != 0.0 {
                let inverse = -32.0 / farthest;
                let numbers = factors.map(|factor| (nearest(inverse * factor).clamp(-32, 31) + 32) as u8);
                block.scales = Scales::pack(&numbers);
                block.d = Half::from_f32(1.0 / inverse);
            }

            let mut elements = [0; BLOCK_K];
            let groups = elements.as_chunks_mut::<16>().0.iter_mut().zip(x);
            for ((group, x), scale) in groups.zip(block.scales.unpack()) {
                let factor = block.d.to_f32() * f32::from(scale);
                if factor != 0.0 {
                    *group = x.map(|x| (nearest(x / factor).clamp(-4, 3) + 4) as u8);
                }
            }
            block.high = take_high_bits(&mut elements, 4);
            pack::<4>(&elements, &mut block.low);
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK_K>().0) {
            let elements = block.elements();
            let groups = y.as_chunks_mut::<16>().0.iter_mut();
            let groups = groups.zip(elements.as_chunks::<16>().0);
            for ((y, w), scale) in groups.zip(block.scales.unpack()) {
                let factor = block.d.to_f32() * f32::from(scale);
                *y = w.map(|w| factor * f32::from(w));
            }
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8K]) -> f32 {
        let mut sums = [0.0; 8];
        for (w, x) in weights.iter().zip(activations) {
            let lanes = scaled_lanes(&w.elements(), x.quants(), &w.scales.unpack());
            let d = w.d.to_f32() * x.d();
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum += d * lane as f32;
            }
        }
        sum(&sums)
    }
}
