//! Q5_0: 32 elements of 5 bits and a factor, `d * (w - 16)`. The element farthest from zero is exact: it
//! becomes `-16 * d`.

use super::half::Half;
use super::lanes::dot;
use super::packing::{pack_quintets, quintets, shift_down};
use super::search::{farthest, inverse};
use super::{BLOCK, Block, BlockQ8_0, BlockType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 32 elements `d * (w - 16)`: byte `i` of `low` holds the low bits of elements `i` and `i + 16`, bit
/// `i` of `high` (little-endian) the fifth bit of element `i`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ5_0 {
    d: Half,
    high: [u8; 4],
    low: [u8; BLOCK / 2],
}

impl BlockQ5_0 {
    /// The elements' integers minus 16.
    #[inline]
    fn elements(&self) -> [i8; BLOCK] {
        let mut elements = quintets(&self.low, self.high);
        shift_down(&mut elements, 16);
        elements
    }
}

impl Block for BlockQ5_0 {
    const TYPE: BlockType = BlockType::Q5_0;
    const LEN: usize = BLOCK;
    type Activation = BlockQ8_0;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK>().0.iter().zip(output) {
            let d = farthest(x) / -16.0;
            let inverse = inverse(d);
            let elements = x.map(|x| ((x * inverse + 16.5) as i8).min(31) as u8);
            let (low, high) = pack_quintets(&elements);
            let d = Half::from_f32(d);
            *block = Self { d, high, low };
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK>().0) {
            let d = block.d.to_f32();
            *y = block.elements().map(|w| f32::from(w) * d);
        }
    }

    fn vec_dot(weights: &[Self], activations: &[BlockQ8_0]) -> f32 {
        let mut sum = 0.0;
        for (w, x) in weights.iter().zip(activations) {
            sum += dot(&w.elements(), x.quants()) as f32 * w.d.to_f32() * x.d();
        }
        sum
    }

    #[cfg(any(arm_neon, x86_64_vectors))]
    fn multiply(weights: &[Self], activations: &[BlockQ8_0], outputs: &mut [f32]) {
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
