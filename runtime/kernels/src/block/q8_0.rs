//! Q8_0: 32 elements of 8 bits and a factor, `d * w`. Weights, and activations of the types without an
//! offset.

use super::half::Half;
use super::lanes::dot;
use super::search::{greatest_magnitude, inverse, nearest};
use super::{BLOCK, Block, BlockType};
use crate::arch;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 32 elements `d * quants[i]`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ8_0 {
    d: Half,
    quants: [i8; BLOCK],
}

/// Returns a factor, and writes elements, with `x ≈ factor * w`, `|w| <= 127`.
#[inline]
pub(crate) fn quantize_block(x: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> f32 {
    let d = greatest_magnitude(x) / 127.0;
    let inverse = inverse(d);
    *quants = x.map(|x| nearest(x * inverse).clamp(-128, 127) as i8);
    d
}

impl Block for BlockQ8_0 {
    const TYPE: BlockType = BlockType::Q8_0;
    const LEN: usize = BLOCK;
    type Activation = Self;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks().0.iter().zip(output) {
            block.d = Half::from_f32(arch::quantize_q8_0(x, &mut block.quants));
        }
    }

    fn dequantize(input: &[Self], output: &mut [f32]) {
        for (block, y) in input.iter().zip(output.as_chunks_mut::<BLOCK>().0) {
            let d = block.d.to_f32();
            *y = block.quants.map(|w| f32::from(w) * d);
        }
    }

    fn vec_dot(weights: &[Self], activations: &[Self]) -> f32 {
        let mut sum = 0.0;
        for (w, x) in weights.iter().zip(activations) {
            sum += dot(&w.quants, &x.quants) as f32 * w.d.to_f32() * x.d.to_f32();
        }
        sum
    }

    #[cfg(all(arm_dsp, arm_vfp))]
    fn multiply(weights: &[Self], activations: &[Self], outputs: &mut [f32]) {
        arch::multiply_q8_0(weights.as_bytes(), activations.as_bytes(), outputs);
    }

    #[cfg(any(arm_neon, x86_64_vectors))]
    fn multiply(weights: &[Self], activations: &[Self], outputs: &mut [f32]) {
        arch::multiply_elements(weights, activations, outputs);
    }

    #[cfg(x86_64_vectors)]
    fn multiply_batches(
        weights: &[Self],
        activations: &[Self::Activation],
        row_blocks: usize,
        width: usize,
        outputs: &mut [f32],
    ) {
        arch::multiply_batches(weights, activations, row_blocks, width, outputs);
    }
}

impl BlockQ8_0 {
    /// The factor.
    #[inline]
    pub(super) fn d(&self) -> f32 {
        self.d.to_f32()
    }

    /// The elements' integers.
    #[inline]
    pub(super) const fn quants(&self) -> &[i8; BLOCK] {
        &self.quants
    }
}
