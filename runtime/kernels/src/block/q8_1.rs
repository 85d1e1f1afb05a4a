//! Q8_1: 32 elements of 8 bits, a factor, and the sum of all elements, `d * Σ w`. Activations of the
//! types with an offset: the offset's part of a product is the offset times that sum.

use super::half::Half;
use super::lanes::dot;
use super::{BLOCK, Block, BlockType};
use crate::arch;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// 32 elements `d * quants[i]`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockQ8_1 {
    d: Half,
    sum: Half,
    quants: [i8; BLOCK],
}

impl Block for BlockQ8_1 {
    const TYPE: BlockType = BlockType::Q8_1;
    const LEN: usize = BLOCK;
    type Activation = Self;

    fn quantize(input: &[f32], output: &mut [Self]) {
        for (x, block) in input.as_chunks().0.iter().zip(output) {
            let d = Half::from_f32(arch::quantize_q8_0(x, &mut block.quants));
            let sum: i32 = block.quants.iter().map(|&w| i32::from(w)).sum();
            // A product of halves, rounded to a half. It is computed in f32, then rounded.
            let sum = Half::from_f32(Half::from_f32(sum as f32).to_f32() * d.to_f32());
            (block.d, block.sum) = (d, sum);
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

impl BlockQ8_1 {
    /// The factor.
    #[inline]
    pub(super) fn d(&self) -> f32 {
        self.d.to_f32()
    }

    /// The sum of all elements.
    #[inline]
    pub(super) fn sum(&self) -> f32 {
        self.sum.to_f32()
    }

    /// The elements' integers.
    #[inline]
    pub(super) const fn quants(&self) -> &[i8; BLOCK] {
        &self.quants
    }
}
