//! Requantization of eight channels at a time.
//!
//! [`requantize_accumulator`](crate::quant::requantize_accumulator) with its precondition, that multipliers are not
//! negative. Then the rounded product exceeds `i32::MIN`, and one less does not wrap.

use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::asm;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si64, _mm_max_epi8, _mm_min_epi8, _mm_packs_epi16, _mm_packs_epi32, _mm_set1_epi8,
    _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_blend_epi32, _mm256_castsi256_si128,
    _mm256_cmpgt_epi32, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_max_epi32, _mm256_mul_epi32,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_setzero_si256,
    _mm256_sllv_epi32, _mm256_srai_epi32, _mm256_srav_epi32, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_sub_epi32,
};
use tealight_types::ActivationRange;

/// The constants of eight channels.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    /// The initial accumulators.
    pub(super) bias: __m256i,
    pub(super) multiplier: __m256i,
    /// The multipliers of the odd channels, in the low halves of 64 bits.
    pub(super) odd: __m256i,
    /// Places to the left before the product.
    left: __m256i,
    /// Places to the right after it.
    pub(super) right: __m256i,
    zero_point: __m256i,
    lowest: __m128i,
    highest: __m128i,
}

impl Factors {
    /// The constants of the first eight of `channels`, with zeros if there are fewer.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(channels: &[Channel], output: Output) -> Self {
        match channels.first_chunk() {
            Some(channels) => Self::of_eight(channels, output),
            None => {
                let mut eight = [Channel { bias: 0, multiplier: 0, shift: 0 }; 8];
                crate::lines::copy(&mut eight, channels);
                Self::of_eight(&eight, output)
            }
        }
    }

    /// The constants with a number added to every bias.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn plus(self, offset: i32) -> Self {
        Self { bias: _mm256_add_epi32(self.bias, _mm256_set1_epi32(offset)), ..self }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn of_eight(channels: &[Channel; 8], output: Output) -> Self {
        let words = channels.as_ptr().cast::<__m256i>();
        // SAFETY: eight channels of twelve bytes are three vectors.
        let [a, b, c] = unsafe { [0, 1, 2].map(|i| _mm256_loadu_si256(words.add(i))) };
        // Every third word: of 24, the words 0, 3, 6 lie in `a`, 9, 12, 15 in `b`, 18, 21 in `c`, all in other places.
        let bias = _mm256_blend_epi32::<0b0010_0100>(_mm256_blend_epi32::<0b1001_0010>(a, b), c);
        let multiplier = _mm256_blend_epi32::<0b0100_1001>(_mm256_blend_epi32::<0b0010_0100>(a, b), c);
        let shift = _mm256_blend_epi32::<0b1001_0010>(_mm256_blend_epi32::<0b0100_1001>(a, b), c);
        let bias = _mm256_permutevar8x32_epi32(bias, _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5));
        let multiplier = _mm256_permutevar8x32_epi32(multiplier, _mm256_setr_epi32(1, 4, 7, 2, 5, 0, 3, 6));
        let shift = _mm256_permutevar8x32_epi32(shift, _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7));
        let zero = _mm256_setzero_si256();
        let activation: ActivationRange = output.activation;
        Self {
            bias,
            multiplier,
            odd: _mm256_srli_epi64::<32>(multiplier),
            left: _mm256_max_epi32(shift, zero),
            right: _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero),
            zero_point: _mm256_set1_epi32(output.zero_point),
            lowest: _mm_set1_epi8(activation.min()),
            highest: _mm_set1_epi8(activation.max()),
        }
    }

    /// The outputs of eight accumulators, before the clamp.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn scale(&self, accumulators: __m256i) -> __m256i {
        _mm256_add_epi32(self.multiply(accumulators), self.zero_point)
    }

    /// Accumulators scaled by the factor of each channel, before the zero point is added.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn multiply(&self, accumulators: __m256i) -> __m256i {
        let x = _mm256_sllv_epi32(accumulators, self.left);
        let half = _mm256_set1_epi64x(1 << 30);
        let even = _mm256_add_epi64(_mm256_mul_epi32(x, unknown(self.multiplier)), half);
        let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(x), unknown(self.odd)), half);
        // Bits 31 to 62 of each product.
        let product = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), _mm256_add_epi64(odd, odd));
        let shifts = _mm256_cmpgt_epi32(self.right, _mm256_setzero_si256());
        let lowered = _mm256_add_epi32(product, _mm256_and_si256(_mm256_srai_epi32::<31>(product), shifts));
        // The last bit that is shifted out, which rounds upward.
        let doubled = _mm256_srav_epi32(lowered, _mm256_add_epi32(self.right, shifts));
        let up = _mm256_and_si256(doubled, _mm256_srli_epi32::<31>(shifts));
        _mm256_add_epi32(_mm256_srav_epi32(lowered, self.right), up)
    }

    /// Scaled outputs as bytes in the activation's range.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn clamp(&self, scaled: __m256i) -> [u8; 8] {
        // Saturation to wider types than the range of the activation does not change what the clamp returns.
        let halves = _mm_packs_epi32(_mm256_castsi256_si128(scaled), _mm256_extracti128_si256::<1>(scaled));
        let bytes = _mm_packs_epi16(halves, halves);
        let bytes = _mm_min_epi8(_mm_max_epi8(bytes, self.lowest), self.highest);
        _mm_cvtsi128_si64(bytes).to_le_bytes()
    }

    /// Writes the outputs of eight accumulators, or as many as there is room for.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn store(&self, accumulators: __m256i, outputs: &mut [i8]) {
        let bytes = self.clamp(self.scale(accumulators)).map(u8::cast_signed);
        match outputs.first_chunk_mut() {
            Some(outputs) => *outputs = bytes,
            None => crate::lines::copy(outputs, &bytes),
        }
    }
}

/// The same factors, of which the compiler knows nothing: it takes the extension of constant factors to 64 bits out of
/// a loop, and in the loop no longer knows that it multiplies 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn unknown(factors: __m256i) -> __m256i {
    let mut same = factors;
    // SAFETY: no instruction.
    unsafe { asm!("/* {} */", inout(ymm_reg) same, options(nomem, nostack, preserves_flags)) };
    same
}

/// [`portable::requantize`](crate::portable::requantize): eight at a time.
#[target_feature(enable = "avx2")]
pub(super) fn requantize(accumulators: &[i32], channels: &[Channel], output: Output, outputs: &mut [i8]) {
    let (eights, left) = accumulators.as_chunks::<8>();
    let mut channels = channels.chunks(8);
    let mut outputs = outputs.chunks_mut(8);
    for accumulators in eights {
        let (Some(channels), Some(outputs)) = (channels.next(), outputs.next()) else { return };
        let len = channels.len().min(outputs.len());
        let Some(outputs) = outputs.get_mut(..len) else { return };
        // SAFETY: there are eight accumulators.
        let sums = unsafe { _mm256_loadu_si256(accumulators.as_ptr().cast()) };
        Factors::new(channels, output).store(sums, outputs);
    }
    if let (Some(channels), Some(outputs)) = (channels.next(), outputs.next()) {
        crate::portable::requantize(left, channels, output.zero_point, output.activation, outputs);
    }
}
