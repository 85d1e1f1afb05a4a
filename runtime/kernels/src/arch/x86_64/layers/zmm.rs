//! Vectors of 512 bits: sixteen accumulators.

use super::Registers;
use super::requantize::{MOST, Way};
use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::asm;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm_max_epi8, _mm_min_epi8, _mm_storeu_si128, _mm256_castsi256_si128,
    _mm256_mask_storeu_epi8, _mm256_permute2x128_si256, _mm256_storeu_si256, _mm512_add_epi32, _mm512_add_epi64,
    _mm512_castsi512_si128, _mm512_castsi512_si256, _mm512_cmpeq_epi32_mask, _mm512_cmpge_epi32_mask,
    _mm512_cmple_epi32_mask, _mm512_cvtepi8_epi32, _mm512_cvtsepi32_epi8, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_mask_add_epi64, _mm512_mask_loadu_epi32, _mm512_mask_mov_epi32,
    _mm512_mask_shuffle_epi32, _mm512_maskz_loadu_epi32, _mm512_max_epi8, _mm512_max_epi32, _mm512_min_epi8,
    _mm512_movepi64_mask, _mm512_mul_epi32, _mm512_packs_epi16, _mm512_packs_epi32, _mm512_permutex2var_epi32,
    _mm512_permutexvar_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi32, _mm512_slli_epi32, _mm512_slli_epi64, _mm512_sllv_epi32,
    _mm512_sllv_epi64, _mm512_srav_epi32, _mm512_srli_epi32, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi32,
    _mm512_sub_epi64,
};

/// Where every third word of three vectors lies, from each of the first three on: first in two of them, then in what
/// is found there and the last one.
const THIRDS: [[[i32; 16]; 2]; 3] = {
    let mut thirds = [[[0; 16]; 2]; 3];
    let mut at = 0;
    while at < 48 {
        let (first, i) = (at % 3, at / 3);
        thirds[first][0][i] = if at < 32 { at as i32 } else { 0 };
        thirds[first][1][i] = if at < 32 { i as i32 } else { at as i32 - 16 };
        at += 1;
    }
    thirds
};

/// The constants of sixteen channels.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(in super::super) struct Block {
    /// The initial accumulators.
    pub(super) bias: __m512i,
    multiplier: __m512i,
    /// The multipliers of the odd channels, in the low halves of 64 bits.
    odd: __m512i,
    /// What is added to the products of the even and of the odd channels.
    offsets: [__m512i; 2],
    /// Places to the right in the upper half of a product.
    shift: __m512i,
    /// In the general way alone, where the zero point is added last, an accumulator is shifted to the left first, and
    /// with `r` of 0 twice the product is taken and `n` is 0: places to the left of the accumulator, those of the products of the even and of the
    /// odd channels, what is added to negative ones, and the zero point if it is not in the offsets.
    left: __m512i,
    doubled: [__m512i; 2],
    negative: [__m512i; 2],
    zero_point: __m512i,
}

impl Block {
    /// The constants of the first sixteen of `channels`, or of fewer, and how they are used. The others are 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn new(channels: &[Channel], output: Output) -> (Self, Way) {
        let words = 3 * channels.len().min(16);
        let start = channels.as_ptr().cast::<i32>();
        let mask = |from: usize| (first(words) >> from) as u16;
        // SAFETY: a channel is three words; no others are read.
        let words = unsafe { [0, 16, 32].map(|from| _mm512_maskz_loadu_epi32(mask(from), start.wrapping_add(from))) };
        Self::of_words(words, output)
    }

    /// The constants of sixteen channels, whose words are these.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn of_words([a, b, c]: [__m512i; 3], output: Output) -> (Self, Way) {
        let third = |places: &[[i32; 16]; 2]| {
            // SAFETY: there are sixteen words.
            let [one, two] = unsafe { [0, 1].map(|i: usize| _mm512_loadu_si512(places[i].as_ptr().cast())) };
            _mm512_permutex2var_epi32(_mm512_permutex2var_epi32(a, one, b), two, c)
        };
        let (bias, multiplier, shift) = (third(&THIRDS[0]), third(&THIRDS[1]), third(&THIRDS[2]));
        let (zero, one) = (_mm512_setzero_si512(), _mm512_set1_epi32(1));
        // A multiplier of 0 returns 0 with any shift.
        let none = _mm512_cmpeq_epi32_mask(multiplier, zero);
        let right = _mm512_mask_mov_epi32(_mm512_sub_epi32(zero, shift), none, one);
        let short =
            _mm512_cmpge_epi32_mask(right, one) & _mm512_cmple_epi32_mask(right, _mm512_set1_epi32(MOST)) == u16::MAX;
        let zero_point = output.zero_point;
        let way = if !short || !(-128..=127).contains(&zero_point) {
            Way::General
        } else if i32::from(output.activation.min()) >= zero_point {
            Way::Positive
        } else {
            Way::Signed
        };
        // Places to the right, where there are any, in the low halves of 64 bits.
        let places = halves(_mm512_max_epi32(right, zero));
        let first = if way == Way::General { 0 } else { i64::from(zero_point) << 31 };
        // With no places, both halves of the sum that is shifted are 2^30: the one of twice the product.
        let (shifted, last) = (_mm512_set1_epi64((1 << 30) + first), _mm512_set1_epi64(1 << 30));
        let mut block = Self {
            bias,
            multiplier,
            odd: _mm512_srli_epi64::<32>(multiplier),
            offsets: [
                _mm512_add_epi64(_mm512_sllv_epi64(shifted, places[0]), last),
                _mm512_add_epi64(_mm512_sllv_epi64(shifted, places[1]), last),
            ],
            shift: _mm512_max_epi32(_mm512_sub_epi32(right, one), zero),
            left: zero,
            doubled: [zero; 2],
            negative: [zero; 2],
            zero_point: zero,
        };
        if short {
            // Also if another block is not, whose way is used for this one.
            block.negative = [_mm512_set1_epi64(-(1 << 31)); 2];
        } else {
            let doubled = halves(_mm512_srli_epi32::<31>(_mm512_sub_epi32(right, one)));
            let negative = |doubled| _mm512_slli_epi64::<31>(_mm512_sub_epi64(doubled, _mm512_set1_epi64(1)));
            block.negative = [negative(doubled[0]), negative(doubled[1])];
            block.doubled = doubled;
            block.left = _mm512_max_epi32(_mm512_sub_epi32(zero, right), zero);
        }
        if way == Way::General {
            block.zero_point = _mm512_set1_epi32(zero_point);
        }
        (block, way)
    }

    /// The outputs of sixteen accumulators, before the clamp.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn scale(&self, accumulators: __m512i, way: Way) -> __m512i {
        let general = way == Way::General;
        let x = if general { _mm512_sllv_epi32(accumulators, self.left) } else { accumulators };
        let mut products =
            [_mm512_mul_epi32(x, self.multiplier), _mm512_mul_epi32(_mm512_srli_epi64::<32>(x), self.odd)];
        for (i, product) in products.iter_mut().enumerate() {
            if way != Way::Positive {
                let below = _mm512_movepi64_mask(*product);
                let negative = if general { self.negative[i] } else { _mm512_set1_epi64(-(1 << 31)) };
                if general {
                    *product = _mm512_sllv_epi64(*product, self.doubled[i]);
                }
                *product = _mm512_mask_add_epi64(*product, below, *product, negative);
            }
            *product = _mm512_add_epi64(*product, self.offsets[i]);
        }
        // The upper halves of all products.
        let upper = _mm512_mask_shuffle_epi32::<0b11_11_01_01>(products[1], 0x5555, products[0]);
        let scaled = _mm512_srav_epi32(upper, self.shift);
        if general { _mm512_add_epi32(scaled, self.zero_point) } else { scaled }
    }
}

/// The even and the odd words, each in the low half of 64 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn halves(x: __m512i) -> [__m512i; 2] {
    let even = _mm512_srli_epi64::<32>(_mm512_shuffle_epi32::<0b10_10_00_00>(x));
    [even, _mm512_srli_epi64::<32>(x)]
}

/// The first of up to 64 bits.
#[inline]
pub(super) const fn first(count: usize) -> u64 {
    match count {
        0 => 0,
        1..64 => u64::MAX >> (64 - count),
        _ => u64::MAX,
    }
}

/// The output's range, in all bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct Clamp {
    lowest: __m512i,
    highest: __m512i,
}

impl Clamp {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn new(output: Output) -> Self {
        Self { lowest: _mm512_set1_epi8(output.activation.min()), highest: _mm512_set1_epi8(output.activation.max()) }
    }

    /// The bytes of one vector.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn sixteen(self, scaled: __m512i) -> __m128i {
        let bytes = _mm512_cvtsepi32_epi8(scaled);
        let [lowest, highest] = [self.lowest, self.highest].map(|x| _mm512_castsi512_si128(x));
        _mm_min_epi8(_mm_max_epi8(bytes, lowest), highest)
    }

    /// The bytes of four vectors: in each quarter, those of the quarters of all four, one after another.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn bytes(self, [a, b, c, d]: [__m512i; 4]) -> __m512i {
        // Saturation to wider types than the range of the activation does not change what the clamp returns.
        let bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        _mm512_min_epi8(_mm512_max_epi8(bytes, self.lowest), self.highest)
    }

    /// The bytes of four vectors, one after another.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn ordered(self, four: [__m512i; 4]) -> __m512i {
        // The quarters in the order of the four vectors.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, self.bytes(four))
    }
}

/// The vectors of AVX-512, with its parts F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy)]
pub(in super::super) struct Zmm;

impl Registers for Zmm {
    type Vector = __m512i;
    type Block = Block;
    type Clamp = Clamp;

    const LANES: usize = 16;
    const MOST: usize = 8;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn zero() -> __m512i {
        _mm512_setzero_si512()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn load(from: *const u8) -> __m512i {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn repeat(word: i32) -> __m512i {
        _mm512_set1_epi32(word)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn widen(from: *const i8) -> __m512i {
        // SAFETY: guaranteed by the caller.
        _mm512_cvtepi8_epi32(unsafe { _mm_loadu_si128(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn added(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn subtracted(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn shifted(a: __m512i, left: __m512i) -> __m512i {
        _mm512_sllv_epi32(a, left)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn block(channels: &[Channel], output: Output) -> (Block, Way) {
        Block::new(channels, output)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn no_block() -> Block {
        let zero = _mm512_setzero_si512();
        Block {
            bias: zero,
            multiplier: zero,
            odd: zero,
            offsets: [zero; 2],
            shift: zero,
            left: zero,
            doubled: [zero; 2],
            negative: [zero; 2],
            zero_point: zero,
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn block_of_fours(channels: &[Channel], fours: [(usize, usize); 4], output: Output) -> (Block, Way) {
        let start = channels.as_ptr().cast::<i32>();
        // Of 48 words, vector `w` has `16 w..16 w + 16`: the last ones of four channels, and the first ones of the
        // next.
        let words = [0, 1, 2].map(|w: usize| {
            [w, w + 1].into_iter().fold(_mm512_setzero_si512(), |words, j| {
                let (channel, there) = fours[j];
                let mask = first(3 * there) << (12 * j) >> (16 * w);
                let start = start.wrapping_add(3 * channel + 16 * w).wrapping_sub(12 * j);
                // SAFETY: a channel is three words; no others are read.
                unsafe { _mm512_mask_loadu_epi32(words, mask as u16, start) }
            })
        });
        Block::of_words(words, output)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn without(block: &mut Block, sums: __m512i) {
        block.bias = _mm512_sub_epi32(block.bias, _mm512_slli_epi32::<7>(sums));
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn bias(block: &Block) -> __m512i {
        block.bias
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn scale(block: &Block, accumulators: __m512i, way: Way) -> __m512i {
        block.scale(accumulators, way)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn scale_in_loop(block: &Block, accumulators: __m512i, way: Way) -> __m512i {
        let Block { mut multiplier, mut odd, .. } = *block;
        // SAFETY: no instruction.
        unsafe {
            asm!(
                "/* {} {} */",
                inout(zmm_reg) multiplier,
                inout(zmm_reg) odd,
                options(nomem, nostack, preserves_flags)
            );
        }
        Block { multiplier, odd, ..*block }.scale(accumulators, way)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn clamp(output: Output) -> Clamp {
        Clamp::new(output)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn store_ordered(four: [__m512i; 4], clamp: Clamp, to: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm512_storeu_si512(to.cast(), clamp.ordered(four)) };
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn store_pixels<const N: usize>(
        four: [__m512i; 4],
        clamp: Clamp,
        pixels: usize,
        channels: usize,
        to: *mut i8,
        step: usize,
    ) {
        let bytes = clamp.ordered(four);
        let halves = [_mm512_castsi512_si256(bytes), _mm512_extracti64x4_epi64::<1>(bytes)];
        let mut to = to;
        for i in 0..pixels {
            let half = match (N, i) {
                (2, _) => halves[i],
                (_, 0 | 2) => halves[i / 2],
                _ => _mm256_permute2x128_si256::<0x11>(halves[i / 2], halves[i / 2]),
            };
            // SAFETY: guaranteed by the caller: there is room for so many channels.
            unsafe {
                match (N, channels) {
                    (2, 32) => _mm256_storeu_si256(to.cast(), half),
                    (1, 16) => _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(half)),
                    _ => _mm256_mask_storeu_epi8(to, first(channels) as u32, half),
                }
            }
            to = to.wrapping_add(step);
        }
    }
}
