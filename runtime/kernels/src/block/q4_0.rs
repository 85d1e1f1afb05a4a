//! Q4_0: 32 elements of 4 bits and a factor, `d * (w - 8)`. The element farthest from zero is exact: it
//! becomes `-8 * d`.

use super::half::Half;
use super::lanes::dot;
use super::packing::{nibbles, pack_nibbles, shift_down};
use super::search::{farthest, inverse};
use super::{BLOCK, Block, BlockQ8_0, BlockType};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 32 elements `d * (w - 8)`: byte `i` holds elements `i` (low half) and `i + 16`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ4_0 {
    d: Half,
    quants: [u8; BLOCK / 2],
}

impl BlockQ4_0 {
    /// The elements' integers minus 8.
    #[inline]
    fn elements(&self) -> [i8; BLOCK] {
        let mut elements = nibbles(&self.quants);
        shift_down(&mut elements, 8);
        elements
    }
}

impl Block for BlockQ4_0 {
    const TYPE: BlockType = BlockType::Q4_0;
    const LEN: usize = BLOCK;
    type Activation = BlockQ8_0;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks::<BLOCK>().0.iter().zip(output) {
            let d = farthest(x) / -8.0;
            let inverse = inverse(d);
            let elements = x.map(|x| ((x * inverse + 8.5) as u8).min(15));
            *block = Self { d: Half::from_f32(d), quants: pack_nibbles(&elements) };
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

    #[cfg(all(arm_dsp, arm_vfp))]
    fn multiply(weights: &[Self], activations: &[BlockQ8_0], outputs: &mut [f32]) {
        crate::arch::multiply_q4_0(weights.as_bytes(), activations.as_bytes(), outputs);
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
