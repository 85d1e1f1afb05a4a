//! Block products on AVX2. Those of blocks of 32 elements are computed for eight rows at a time, whose sums are the lanes
//! of a register: each is the sum of its blocks in their order. The other types are compiled from plain Rust for AVX2.
//!
//! `VPMADDUBSW` multiplies unsigned bytes by signed ones and adds pairs in 16 bits, which elements of up to five bits do
//! not exceed. Elements of eight bits are widened for `VPMADDWD`.

use super::detect::{Vectors, vectors};
use crate::block::{Block, BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1, multiply_rows};
use core::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm_set1_epi16, _mm_srli_epi16, _mm256_add_epi32,
    _mm256_add_ps, _mm256_and_si256, _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cvtepi8_epi16,
    _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_or_si256, _mm256_packus_epi32,
    _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_setr_epi64x, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_sub_epi32,
};

/// A type of weights with blocks of 32 elements. A block starts with its factor in half precision, after which offset or
/// sum follow where there are any, and ends with its elements; so does a block of activations.
pub(crate) trait Elements: Block {
    /// What a stored element exceeds its integer by.
    const EXCESS: i8 = 0;
    /// Whether elements have eight bits and a sign; otherwise they have fewer, and none.
    const WHOLE_BYTES: bool = false;
    /// Whether an offset of the weights is multiplied by a sum of the activations.
    const OFFSET: bool = false;

    /// The elements of a block, in their order.
    ///
    /// # Safety
    /// There is a block at `block`; the processor has AVX2.
    unsafe fn load(block: *const Self) -> __m256i;
}

/// The last `N` bytes of a block.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn end<const N: usize, B>(block: *const B) -> *const u8 {
    block.cast::<u8>().wrapping_add(size_of::<B>() - N)
}

/// 32 elements of four bits: the lower halves of the last 16 bytes of a block, then the upper ones.
///
/// # Safety
/// As for [`Elements::load`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn nibbles<B>(block: *const B) -> __m256i {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let bytes = _mm_loadu_si128(end::<16, B>(block).cast());
        let both = _mm256_set_m128i(_mm_srli_epi16::<4>(bytes), bytes);
        _mm256_and_si256(both, _mm256_set1_epi8(0x0F))
    }
}

/// 32 elements of five bits: [`nibbles`], and the four bytes before them have a fifth bit of each.
///
/// # Safety
/// As for [`Elements::load`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn quintets<B>(block: *const B) -> __m256i {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let high = end::<20, B>(block).cast::<i32>().read_unaligned();
        // Byte `i / 8` in byte `i`, and bit `i % 8` of it.
        let bytes = _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
        let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
        let high = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(high), bytes), bits);
        let fifth = _mm256_and_si256(_mm256_cmpeq_epi8(high, bits), _mm256_set1_epi8(16));
        _mm256_or_si256(nibbles(block), fifth)
    }
}

/// 32 elements of eight bits.
///
/// # Safety
/// As for [`Elements::load`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn bytes<B>(block: *const B) -> __m256i {
    // SAFETY: guaranteed by the caller.
    unsafe { _mm256_loadu_si256(end::<32, B>(block).cast()) }
}

macro_rules! elements {
    ($($block:ty: $load:ident $(, $name:ident = $value:literal)*;)*) => {
        $(impl Elements for $block {
            $(const $name: elements!(@ $name) = $value;)*

            #[inline]
            #[target_feature(enable = "avx2,f16c")]
            unsafe fn load(block: *const Self) -> __m256i {
                // SAFETY: guaranteed by the caller.
                unsafe { $load(block) }
            }
        })*
    };
    (@ EXCESS) => { i8 };
    (@ $other:ident) => { bool };
}

elements! {
    BlockQ4_0: nibbles, EXCESS = 8;
    BlockQ4_1: nibbles, OFFSET = true;
    BlockQ5_0: quintets, EXCESS = 16;
    BlockQ5_1: quintets, OFFSET = true;
    BlockQ8_0: bytes, WHOLE_BYTES = true;
    BlockQ8_1: bytes, WHOLE_BYTES = true;
}

/// Eight sums, the total of which is the sum of the products of unsigned elements of up to five bits.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn few_bits(w: __m256i, x: __m256i) -> __m256i {
    _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1))
}

/// Two vectors of 16 elements, widened to 16 bits.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn widened(bytes: __m256i) -> [__m256i; 2] {
    let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
    [_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high)]
}

/// The factors at the starts of eight blocks, and the halves that follow them, in single precision.
///
/// # Safety
/// There are four bytes at each pointer; the processor has AVX2 and F16C.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn heads<B>(blocks: [*const B; 8]) -> [__m256; 2] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut words = [0; 8];
        for (word, block) in words.iter_mut().zip(blocks) {
            *word = block.cast::<i32>().read_unaligned();
        }
        let [a, b, c, d, e, f, g, h] = words;
        let words = _mm256_setr_epi32(a, b, c, d, e, f, g, h);
        let first = _mm256_and_si256(words, _mm256_set1_epi32(0xFFFF));
        // The first four of each, then the other four.
        let halves = _mm256_packus_epi32(first, _mm256_srli_epi32::<16>(words));
        let halves = _mm256_permute4x64_epi64::<0b11_01_10_00>(halves);
        [_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(halves))]
    }
}

/// The half at an address, in single precision, in all lanes.
///
/// # Safety
/// There are two bytes; the processor has AVX and F16C.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn half(from: *const u8) -> __m256 {
    // SAFETY: guaranteed by the caller.
    unsafe { _mm256_cvtph_ps(_mm_set1_epi16(from.cast::<i16>().read_unaligned())) }
}

/// The dot products of eight rows.
///
/// # Safety
/// There are `count` blocks from each pointer on; the processor has AVX2 and F16C.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn eight_rows<B: Elements>(rows: [*const B; 8], activations: *const B::Activation, count: usize) -> [f32; 8] {
    let mut totals = [0.0; 8];
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = _mm256_setzero_ps();
        for i in 0..count {
            let activations = activations.wrapping_add(i);
            let x = bytes(activations);
            let (wide, excess) = (widened(x), few_bits(_mm256_set1_epi8(B::EXCESS), x));
            // Not by `map`: what a function without these instructions calls is not inlined there.
            let (mut blocks, mut sums_of_eight) = (rows, [_mm256_setzero_si256(); 8]);
            for (block, sum) in blocks.iter_mut().zip(&mut sums_of_eight) {
                *block = block.wrapping_add(i);
                // The row of the next eight in its place. The address may be behind the last row.
                _mm_prefetch::<_MM_HINT_T0>(block.wrapping_add(8 * count).cast());
                let w = B::load(*block);
                *sum = if B::WHOLE_BYTES {
                    let w = widened(w);
                    _mm256_add_epi32(_mm256_madd_epi16(w[0], wide[0]), _mm256_madd_epi16(w[1], wide[1]))
                } else if B::EXCESS == 0 {
                    few_bits(w, x)
                } else {
                    _mm256_sub_epi32(few_bits(w, x), excess)
                };
            }
            let [a, b, c, d, e, f, g, h] = sums_of_eight;
            let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
            let products = _mm256_add_epi32(
                _mm256_permute2x128_si256::<0x20>(low, high),
                _mm256_permute2x128_si256::<0x31>(low, high),
            );
            let head = activations.cast::<u8>();
            let [factors, offsets] = heads(blocks);
            let mut product = _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(products), factors), half(head));
            if B::OFFSET {
                product = _mm256_add_ps(product, _mm256_mul_ps(offsets, half(head.wrapping_add(2))));
            }
            sums = _mm256_add_ps(sums, product);
        }
        _mm256_storeu_ps(totals.as_mut_ptr(), sums);
    }
    totals
}

/// [`Block::multiply`].
#[inline(never)]
pub(crate) fn multiply_elements<B: Elements>(weights: &[B], activations: &[B::Activation], outputs: &mut [f32]) {
    if vectors() == Vectors::Portable || activations.is_empty() {
        return multiply_rows(weights, activations, outputs);
    }
    let rows = outputs.len().min(weights.len() / activations.len());
    let outputs = outputs.get_mut(..rows).unwrap_or(&mut []);
    // SAFETY: the processor has AVX2 and F16C; there are as many rows as outputs.
    unsafe { multiply_avx2(weights.as_ptr(), activations, outputs) }
}

/// # Safety
/// There are as many rows as outputs; the processor has AVX2 and F16C.
#[target_feature(enable = "avx2,f16c")]
unsafe fn multiply_avx2<B: Elements>(weights: *const B, activations: &[B::Activation], outputs: &mut [f32]) {
    let (blocks, mut first) = (activations.len(), weights);
    for outputs in outputs.chunks_mut(8) {
        // In the place of rows that are not there, the last one is multiplied again.
        let last = outputs.len() - 1;
        let mut rows = [first; 8];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = row.wrapping_add(r.min(last) * blocks);
        }
        // SAFETY: guaranteed by the caller.
        let totals = unsafe { eight_rows(rows, activations.as_ptr(), blocks) };
        for (output, total) in outputs.iter_mut().zip(totals) {
            *output = total;
        }
        first = first.wrapping_add(8 * blocks);
    }
}

/// [`multiply_rows`].
pub(crate) fn multiply_blocks<B: Block>(weights: &[B], activations: &[B::Activation], outputs: &mut [f32]) {
    if vectors() == Vectors::Portable {
        return multiply_rows(weights, activations, outputs);
    }
    // SAFETY: the processor has AVX2 and F16C.
    unsafe { multiply_rows_avx2(weights, activations, outputs) }
}

/// # Safety
/// The processor has AVX2 and F16C.
#[target_feature(enable = "avx2,f16c")]
unsafe fn multiply_rows_avx2<B: Block>(weights: &[B], activations: &[B::Activation], outputs: &mut [f32]) {
    multiply_rows(weights, activations, outputs);
}
