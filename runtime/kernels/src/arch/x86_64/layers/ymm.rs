//! Vectors of 256 bits: eight accumulators.

use super::Registers;
use super::requantize::{MOST, Way};
use crate::arch::x86_64::requantize::{Factors, unknown};
use crate::lines::{copy, run};
use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si32, _mm_loadl_epi64, _mm_srli_epi64, _mm_srli_si128, _mm_storel_epi64,
    _mm_storeu_si128, _mm_unpackhi_epi64, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_castsi256_si128, _mm256_cmpeq_epi32, _mm256_cmpgt_epi32,
    _mm256_cvtepi8_epi32, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_max_epi8, _mm256_max_epi32,
    _mm256_min_epi8, _mm256_mul_epi32, _mm256_or_si256, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32,
    _mm256_setzero_si256, _mm256_slli_epi32, _mm256_slli_epi64, _mm256_sllv_epi32, _mm256_sllv_epi64,
    _mm256_srai_epi32, _mm256_srav_epi32, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_sub_epi32, _mm256_testz_si256,
};

/// The constants of eight channels.
#[repr(C, align(32))]
#[derive(Clone, Copy)]
pub(in super::super) struct Block {
    /// Those of the general way, and the initial accumulators.
    pub(super) factors: Factors,
    /// What is added to the products of the even and of the odd channels.
    offsets: [__m256i; 2],
    /// Places to the right in the upper half of a product.
    shift: __m256i,
}

impl Block {
    /// The constants of the first eight of `channels`, or of fewer, and how they are used. The others are 0.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(channels: &[Channel], output: Output) -> (Self, Way) {
        let factors = Factors::new(channels, output);
        let (zero, one) = (_mm256_setzero_si256(), _mm256_set1_epi32(1));
        // A multiplier of 0 returns 0 with any shift.
        let right = _mm256_blendv_epi8(factors.right, one, _mm256_cmpeq_epi32(factors.multiplier, zero));
        let others =
            _mm256_or_si256(_mm256_cmpgt_epi32(one, right), _mm256_cmpgt_epi32(right, _mm256_set1_epi32(MOST)));
        let zero_point = output.zero_point;
        let way = if _mm256_testz_si256(others, others) == 0 || !(-128..=127).contains(&zero_point) {
            Way::General
        } else if i32::from(output.activation.min()) >= zero_point {
            Way::Positive
        } else {
            Way::Signed
        };
        // Places to the right in the low halves of 64 bits.
        let places = [_mm256_and_si256(right, _mm256_set1_epi64x(0xffff_ffff)), _mm256_srli_epi64::<32>(right)];
        let last = _mm256_set1_epi64x(1 << 30);
        let shifted = _mm256_set1_epi64x((1 << 30) + (i64::from(zero_point) << 31));
        let block = Self {
            factors,
            offsets: [
                _mm256_add_epi64(_mm256_sllv_epi64(shifted, places[0]), last),
                _mm256_add_epi64(_mm256_sllv_epi64(shifted, places[1]), last),
            ],
            shift: _mm256_max_epi32(_mm256_sub_epi32(right, one), zero),
        };
        (block, way)
    }

    /// The outputs of eight accumulators, before the clamp.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn scale(&self, x: __m256i, way: Way) -> __m256i {
        if way == Way::General {
            return self.factors.scale(x);
        }
        let even = _mm256_add_epi64(_mm256_mul_epi32(x, self.factors.multiplier), self.offsets[0]);
        let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(x), self.factors.odd), self.offsets[1]);
        let upper = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
        if way == Way::Positive {
            return _mm256_srav_epi32(upper, self.shift);
        }
        // Of the sums of negative products 2^31 is subtracted: one of the upper half, if the lower one is below 2^31.
        // With a multiplier of 0 it is not.
        let lower = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
        let borrow = _mm256_srai_epi32::<31>(_mm256_andnot_si256(lower, x));
        _mm256_srav_epi32(_mm256_add_epi32(upper, borrow), self.shift)
    }
}

/// The output's range, in all bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct Clamp {
    lowest: __m256i,
    highest: __m256i,
}

impl Clamp {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(output: Output) -> Self {
        Self { lowest: _mm256_set1_epi8(output.activation.min()), highest: _mm256_set1_epi8(output.activation.max()) }
    }

    /// The bytes of four vectors: in each half, those of the halves of all four, one after another.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn bytes(self, [a, b, c, d]: [__m256i; 4]) -> __m256i {
        // Saturation to wider types than the range of the activation does not change what the clamp returns.
        let bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        _mm256_min_epi8(_mm256_max_epi8(bytes, self.lowest), self.highest)
    }

    /// The bytes of four vectors, one after another.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn ordered(self, four: [__m256i; 4]) -> __m256i {
        _mm256_permutevar8x32_epi32(self.bytes(four), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
    }
}

/// Stores the first of sixteen bytes.
///
/// # Safety
/// There is room for so many.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn store_first(bytes: __m128i, count: usize, to: *mut i8) {
    let (mut bytes, mut to, mut left) = (bytes, to, count);
    // SAFETY: guaranteed by the caller: only what is left is written.
    unsafe {
        if left >= 16 {
            return _mm_storeu_si128(to.cast(), bytes);
        }
        if left >= 8 {
            _mm_storel_epi64(to.cast(), bytes);
            (bytes, to, left) = (_mm_srli_si128::<8>(bytes), to.add(8), left - 8);
        }
        if left >= 4 {
            to.cast::<i32>().write_unaligned(_mm_cvtsi128_si32(bytes));
            (bytes, to, left) = (_mm_srli_epi64::<32>(bytes), to.add(4), left - 4);
        }
        let mut word = _mm_cvtsi128_si32(bytes);
        while left > 0 {
            to.write(word as i8);
            (word, to, left) = (word >> 8, to.add(1), left - 1);
        }
    }
}

/// Stores the first of 32 bytes.
///
/// # Safety
/// There is room for so many.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn store_some(bytes: __m256i, count: usize, to: *mut i8) {
    let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
    // SAFETY: guaranteed by the caller.
    unsafe {
        if count >= 32 {
            return _mm256_storeu_si256(to.cast(), bytes);
        }
        store_first(low, count, to);
        if count > 16 {
            store_first(high, count - 16, to.add(16));
        }
    }
}

/// The vectors of AVX2.
#[derive(Clone, Copy)]
pub(in super::super) struct Ymm;

impl Registers for Ymm {
    type Vector = __m256i;
    type Block = Block;
    type Clamp = Clamp;

    const LANES: usize = 8;
    const MOST: usize = 6;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> __m256i {
        _mm256_setzero_si256()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const u8) -> __m256i {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn repeat(word: i32) -> __m256i {
        _mm256_set1_epi32(word)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn widen(from: *const i8) -> __m256i {
        // SAFETY: guaranteed by the caller.
        _mm256_cvtepi8_epi32(unsafe { _mm_loadl_epi64(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn added(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn subtracted(a: __m256i, b: __m256i) -> __m256i {
        _mm256_sub_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn shifted(a: __m256i, left: __m256i) -> __m256i {
        _mm256_sllv_epi32(a, left)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn block(channels: &[Channel], output: Output) -> (Block, Way) {
        Block::new(channels, output)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn block_of_fours(channels: &[Channel], fours: [(usize, usize); 4], output: Output) -> (Block, Way) {
        let mut eight = [Channel { bias: 0, multiplier: 0, shift: 0 }; 8];
        for (eight, (channel, there)) in eight.as_chunks_mut::<4>().0.iter_mut().zip(fours) {
            copy(eight, run(channels, channel, there));
        }
        Block::new(&eight, output)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn no_block() -> Block {
        let eight = [Channel { bias: 0, multiplier: 0, shift: 0 }; 8];
        Block::new(&eight, Output { zero_point: 0, activation: tealight_types::ActivationRange::FULL }).0
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn without(block: &mut Block, sums: __m256i) {
        block.factors.bias = _mm256_sub_epi32(block.factors.bias, _mm256_slli_epi32::<7>(sums));
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn bias(block: &Block) -> __m256i {
        block.factors.bias
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn scale(block: &Block, accumulators: __m256i, way: Way) -> __m256i {
        block.scale(accumulators, way)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn scale_in_loop(block: &Block, accumulators: __m256i, way: Way) -> __m256i {
        let mut block = *block;
        block.factors.multiplier = unknown(block.factors.multiplier);
        block.factors.odd = unknown(block.factors.odd);
        block.scale(accumulators, way)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn clamp(output: Output) -> Clamp {
        Clamp::new(output)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store_ordered(four: [__m256i; 4], clamp: Clamp, to: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_storeu_si256(to.cast(), clamp.ordered(four)) };
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store_pixels<const N: usize>(
        four: [__m256i; 4],
        clamp: Clamp,
        pixels: usize,
        channels: usize,
        to: *mut i8,
        step: usize,
    ) {
        let bytes = clamp.ordered(four);
        let halves = [_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes)];
        let mut to = to;
        for i in 0..pixels {
            let half = match (N, i) {
                (2, _) => halves[i],
                (_, 0 | 2) => halves[i / 2],
                _ => _mm_unpackhi_epi64(halves[i / 2], halves[i / 2]),
            };
            // SAFETY: guaranteed by the caller: there is room for so many channels.
            unsafe {
                match (N, channels) {
                    (2, 16) => _mm_storeu_si128(to.cast(), half),
                    (1, 8) => _mm_storel_epi64(to.cast(), half),
                    _ => store_first(half, channels, to),
                }
            }
            to = to.wrapping_add(step);
        }
    }
}
