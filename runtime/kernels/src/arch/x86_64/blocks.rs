//! Block products on AVX2, and on its byte products. Those of blocks of 32 elements are computed for eight rows of weights
//! at a time, whose sums are the lanes of a register: each is the sum of its blocks in their order. A block of eight rows
//! is unpacked once, and multiplied with as many rows of activations as there are. The other types are compiled from
//! plain Rust for AVX2.
//!
//! Four neighbouring elements of a row are a lane: the products of `VPDPBUSD`, whose first operand is unsigned, then
//! need no further sum within a register. Elements with a sign are stored plus an excess, and the sum is reduced by that
//! times the sum of the activations.

use super::detect::{Vectors, vectors};
use crate::block::{
    BLOCK, Block, BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1, greatest_magnitude, inverse,
    multiply_rows, one_after_another, quantize_block,
};
use core::arch::x86_64::{
    __m256, __m256i, _CMP_GE_OQ, _CMP_LE_OQ, _CMP_ORD_Q, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm_set_epi32,
    _mm256_add_epi8, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256,
    _mm256_andnot_ps, _mm256_broadcastsi128_si256, _mm256_castps_si256, _mm256_castsi128_si256, _mm256_castsi256_si128,
    _mm256_cmp_ps, _mm256_cmpeq_epi8, _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_cvttps_epi32,
    _mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32, _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_loadu_ps,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_or_si256,
    _mm256_packs_epi16, _mm256_packs_epi32, _mm256_packus_epi32, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_ps,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_epi32,
    _mm256_sub_ps, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

/// The number of rows of weights that are multiplied together: the lanes of a register.
const ROWS: usize = 8;

/// The maximum number of rows of activations that a block of weights is unpacked for.
const BATCHES: usize = 16;

/// The maximum number of blocks of a row whose factors are converted beforehand.
const PIECE: usize = 64;

/// A type of weights with blocks of 32 elements. A block starts with its factor in half precision, after which offset or
/// sum follow where there are any, and ends with its elements; so does a block of activations.
pub(crate) trait Elements: Block {
    /// What a loaded element exceeds its integer by.
    const EXCESS: i32 = 0;
    /// Whether loaded elements have eight bits; otherwise they have at most five.
    const WHOLE_BYTES: bool = false;
    /// Whether an offset of the weights is multiplied by a sum of the activations.
    const OFFSET: bool = false;

    /// The elements of a block of each row, plus the excess: vector `k` has elements `4 k` to `4 k + 3` of row `r` in lane
    /// `r`.
    ///
    /// # Safety
    /// There is a block at each pointer; the processor has AVX2 and F16C.
    unsafe fn load(blocks: &[*const Self; ROWS]) -> [__m256i; 8];
}

/// The 16 bytes at `offset` of two blocks.
///
/// # Safety
/// There are 16 bytes from there on; the processor has AVX2 and F16C.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn dwords_of<B>(first: *const B, second: *const B, offset: usize) -> __m256i {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let first = _mm_loadu_si128(first.cast::<u8>().wrapping_add(offset).cast());
        let second = _mm_loadu_si128(second.cast::<u8>().wrapping_add(offset).cast());
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), second)
    }
}

/// The four dwords at `offset` of each block: dword `k` of row `r` is lane `r` of vector `k`.
///
/// # Safety
/// There are 16 bytes from there on; the processor has AVX2 and F16C.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn dwords<B>(blocks: &[*const B; ROWS], offset: usize) -> [__m256i; 4] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let [a, b, c, d, e, f, g, h] = *blocks;
        // Not by a closure or `map`: what a function without these instructions calls is not inlined there.
        let (a, b) = (dwords_of(a, e, offset), dwords_of(b, f, offset));
        let (c, d) = (dwords_of(c, g, offset), dwords_of(d, h, offset));
        let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        ]
    }
}

/// 32 elements of four bits: the lower halves of the last 16 bytes of a block, then the upper ones.
///
/// # Safety
/// As for [`Elements::load`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn nibbles<B>(blocks: &[*const B; ROWS]) -> [__m256i; 8] {
    // SAFETY: guaranteed by the caller.
    let [a, b, c, d] = unsafe { dwords(blocks, size_of::<B>() - 16) };
    let low = _mm256_set1_epi8(0x0F);
    [
        _mm256_and_si256(a, low),
        _mm256_and_si256(b, low),
        _mm256_and_si256(c, low),
        _mm256_and_si256(d, low),
        _mm256_and_si256(_mm256_srli_epi16::<4>(a), low),
        _mm256_and_si256(_mm256_srli_epi16::<4>(b), low),
        _mm256_and_si256(_mm256_srli_epi16::<4>(c), low),
        _mm256_and_si256(_mm256_srli_epi16::<4>(d), low),
    ]
}

/// 32 elements of five bits: [`nibbles`], and the four bytes before them have a fifth bit of each.
///
/// # Safety
/// As for [`Elements::load`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn quintets<B>(blocks: &[*const B; ROWS]) -> [__m256i; 8] {
    // SAFETY: guaranteed by the caller.
    let ([high, ..], [a, b, c, d, e, f, g, h]) = unsafe { (dwords(blocks, size_of::<B>() - 20), nibbles(blocks)) };
    // Of vector `k`, byte `k / 2` of each lane has the bits, from bit `4 (k % 2)` on.
    [
        fifth::<0>(a, high),
        fifth::<1>(b, high),
        fifth::<2>(c, high),
        fifth::<3>(d, high),
        fifth::<4>(e, high),
        fifth::<5>(f, high),
        fifth::<6>(g, high),
        fifth::<7>(h, high),
    ]
}

/// The elements of vector `K`, with their fifth bits from the 32 of each lane of `high`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn fifth<const K: i32>(elements: __m256i, high: __m256i) -> __m256i {
    let lanes = _mm256_broadcastsi128_si256(_mm_set_epi32(0x0C0C_0C0C, 0x0808_0808, 0x0404_0404, 0));
    let bytes = _mm256_shuffle_epi8(high, _mm256_add_epi8(lanes, _mm256_set1_epi8((K / 2) as i8)));
    let bits = _mm256_set1_epi32(if K % 2 == 0 { 0x0804_0201 } else { 0x8040_2010_u32.cast_signed() });
    let fifth = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
    _mm256_or_si256(elements, _mm256_and_si256(fifth, _mm256_set1_epi8(16)))
}

/// 32 elements of eight bits, plus 128.
///
/// # Safety
/// As for [`Elements::load`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn bytes<B>(blocks: &[*const B; ROWS]) -> [__m256i; 8] {
    // SAFETY: guaranteed by the caller.
    let [[a, b, c, d], [e, f, g, h]] =
        unsafe { [dwords(blocks, size_of::<B>() - 32), dwords(blocks, size_of::<B>() - 16)] };
    let sign = _mm256_set1_epi8(i8::MIN);
    [
        _mm256_xor_si256(a, sign),
        _mm256_xor_si256(b, sign),
        _mm256_xor_si256(c, sign),
        _mm256_xor_si256(d, sign),
        _mm256_xor_si256(e, sign),
        _mm256_xor_si256(f, sign),
        _mm256_xor_si256(g, sign),
        _mm256_xor_si256(h, sign),
    ]
}

macro_rules! elements {
    ($($block:ty: $load:ident $(, $name:ident = $value:literal)*;)*) => {
        $(impl Elements for $block {
            $(const $name: elements!(@ $name) = $value;)*

            #[inline]
            #[target_feature(enable = "avx2,f16c")]
            unsafe fn load(blocks: &[*const Self; ROWS]) -> [__m256i; 8] {
                // SAFETY: guaranteed by the caller.
                unsafe { $load(blocks) }
            }
        })*
    };
    (@ EXCESS) => { i32 };
    (@ $other:ident) => { bool };
}

elements! {
    BlockQ4_0: nibbles, EXCESS = 8;
    BlockQ4_1: nibbles, OFFSET = true;
    BlockQ5_0: quintets, EXCESS = 16;
    BlockQ5_1: quintets, OFFSET = true;
    BlockQ8_0: bytes, EXCESS = 128, WHOLE_BYTES = true;
    BlockQ8_1: bytes, EXCESS = 128, WHOLE_BYTES = true;
}

/// The factors at the starts of eight blocks, and the halves that follow them, in single precision.
///
/// # Safety
/// There are 16 bytes at each pointer; the processor has AVX2 and F16C.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn heads<B>(blocks: &[*const B; ROWS]) -> [__m256; 2] {
    // SAFETY: guaranteed by the caller.
    let [words, ..] = unsafe { dwords(blocks, 0) };
    let first = _mm256_and_si256(words, _mm256_set1_epi32(0xFFFF));
    // The first four of each, then the other four.
    let halves = _mm256_packus_epi32(first, _mm256_srli_epi32::<16>(words));
    let halves = _mm256_permute4x64_epi64::<0b11_01_10_00>(halves);
    [_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(halves))]
}

/// How products of bytes are added up.
///
/// # Safety
/// Only on processors with the instructions that the implementing type names.
trait Quads: Copy {
    /// Adds the products of the loaded elements `w` and 32 activations to `sums`. Lane `r` gets those of row `r`.
    ///
    /// # Safety
    /// There are 32 bytes at `x`.
    unsafe fn add<B: Elements>(sums: __m256i, w: &[__m256i; 8], x: *const i32) -> __m256i;
}

/// Four activations from `4 k` on, in all lanes.
///
/// # Safety
/// There are so many; the processor has AVX2.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn four(x: *const i32, k: usize) -> __m256i {
    // SAFETY: guaranteed by the caller.
    unsafe { _mm256_set1_epi32(x.wrapping_add(k).read_unaligned()) }
}

/// AVX2. `VPMADDUBSW` adds pairs of products in 16 bits, which the sum of four of them does not exceed for elements of
/// five bits. Elements of eight bits are multiplied in two parts: their upper seven bits, and the lowest one.
#[derive(Clone, Copy)]
struct Avx2;

impl Avx2 {
    /// Adds the products of half of the elements.
    ///
    /// # Safety
    /// There are 16 bytes at `x`; the processor has AVX2.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_half<B: Elements>(sums: __m256i, w: [__m256i; 4], x: *const i32) -> __m256i {
        // SAFETY: guaranteed by the caller.
        let [x0, x1, x2, x3] = unsafe { [four(x, 0), four(x, 1), four(x, 2), four(x, 3)] };
        let [mut a, mut b, mut c, mut d] = w;
        let mut sums = sums;
        if B::WHOLE_BYTES {
            let (lowest, two) = (_mm256_set1_epi8(1), _mm256_set1_epi16(2));
            let (a1, b1) = (_mm256_and_si256(a, lowest), _mm256_and_si256(b, lowest));
            let (c1, d1) = (_mm256_and_si256(c, lowest), _mm256_and_si256(d, lowest));
            let a7 = _mm256_maddubs_epi16(_mm256_srli_epi16::<1>(_mm256_xor_si256(a, a1)), x0);
            let b7 = _mm256_maddubs_epi16(_mm256_srli_epi16::<1>(_mm256_xor_si256(b, b1)), x1);
            let c7 = _mm256_maddubs_epi16(_mm256_srli_epi16::<1>(_mm256_xor_si256(c, c1)), x2);
            let d7 = _mm256_maddubs_epi16(_mm256_srli_epi16::<1>(_mm256_xor_si256(d, d1)), x3);
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a7, two));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(b7, two));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(c7, two));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(d7, two));
            (a, b, c, d) = (a1, b1, c1, d1);
        }
        let ab = _mm256_add_epi16(_mm256_maddubs_epi16(a, x0), _mm256_maddubs_epi16(b, x1));
        let cd = _mm256_add_epi16(_mm256_maddubs_epi16(c, x2), _mm256_maddubs_epi16(d, x3));
        let pairs = _mm256_add_epi16(ab, cd);
        _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

impl Quads for Avx2 {
    #[inline(always)]
    unsafe fn add<B: Elements>(sums: __m256i, w: &[__m256i; 8], x: *const i32) -> __m256i {
        let [a, b, c, d, e, f, g, h] = *w;
        // SAFETY: guaranteed by the caller.
        unsafe {
            let sums = Self::add_half::<B>(sums, [a, b, c, d], x);
            Self::add_half::<B>(sums, [e, f, g, h], x.wrapping_add(4))
        }
    }
}

macro_rules! vnni {
    ($(#[$doc:meta])* $name:ident, $dot_product:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name;

        impl Quads for $name {
            #[inline(always)]
            unsafe fn add<B: Elements>(sums: __m256i, w: &[__m256i; 8], x: *const i32) -> __m256i {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let [a, b, c, d, e, f, g, h] = *w;
                    let sums = $dot_product(sums, a, four(x, 0));
                    let sums = $dot_product(sums, b, four(x, 1));
                    let sums = $dot_product(sums, c, four(x, 2));
                    let sums = $dot_product(sums, d, four(x, 3));
                    let sums = $dot_product(sums, e, four(x, 4));
                    let sums = $dot_product(sums, f, four(x, 5));
                    let sums = $dot_product(sums, g, four(x, 6));
                    $dot_product(sums, h, four(x, 7))
                }
            }
        }
    };
}

vnni!(
    /// AVX-VNNI.
    AvxVnni,
    _mm256_dpbusd_avx_epi32
);
vnni!(
    /// VNNI and VL of AVX-512.
    Avx512Vnni,
    _mm256_dpbusd_epi32
);

/// What a block of activations is multiplied by, converted.
#[derive(Clone, Copy)]
struct Head {
    factor: f32,
    /// The sum of all elements, for weights with an offset.
    sum: f32,
    /// What the products exceed those of the weights by, negative.
    excess: i32,
}

impl Head {
    const ZERO: Self = Self { factor: 0.0, sum: 0.0, excess: 0 };

    /// That of a block of activations for weights of type `B`.
    ///
    /// # Safety
    /// There is a block at `block`; the processor has AVX2 and F16C.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn of<B: Elements>(block: *const B::Activation) -> Self {
        // SAFETY: guaranteed by the caller; a block has more than 32 bytes.
        unsafe {
            let [factor, sum] = heads(&[block; ROWS]);
            let mut lanes = [0.0; ROWS];
            _mm256_storeu_ps(lanes.as_mut_ptr(), factor);
            let [factor, ..] = lanes;
            _mm256_storeu_ps(lanes.as_mut_ptr(), sum);
            let [sum, ..] = lanes;
            let elements = block.cast::<u8>().wrapping_add(size_of::<B::Activation>() - 32);
            let elements = elements.cast::<[i8; 32]>().read_unaligned();
            let mut excess = 0;
            if B::EXCESS != 0 {
                for x in elements {
                    excess -= B::EXCESS * i32::from(x);
                }
            }
            Self { factor, sum, excess }
        }
    }
}

/// The operands of a product: rows of weights, and rows of activations of as many blocks.
struct Product<B: Elements> {
    weights: *const B,
    rows: usize,
    activations: *const B::Activation,
    batches: usize,
    /// The number of blocks in a row.
    blocks: usize,
    /// Output `o` of batch `b` is at `b * width + o`.
    outputs: *mut f32,
    width: usize,
}

impl<B: Elements> Product<B> {
    /// Computes all outputs. At most `N` batches use a block that is unpacked once.
    ///
    /// # Safety
    /// There are `rows` rows of weights, `batches` of activations and room for their outputs, of which a batch has no
    /// more than `width`; the processor has AVX2, F16C and the instructions of `Q`.
    #[inline(always)]
    unsafe fn compute<const N: usize, Q: Quads>(&self) {
        let mut batch = 0;
        while batch < self.batches {
            // Known to the compiler for one batch.
            let batches = if N == 1 { 1 } else { (self.batches - batch).min(N) };
            let mut from = 0;
            while from < self.blocks {
                let count = (self.blocks - from).min(PIECE);
                // SAFETY: guaranteed by the caller.
                unsafe { self.piece::<N, Q>(batch, batches, from, count) };
                from += count;
            }
            batch += batches;
        }
    }

    /// Adds the products of blocks `from` to `from + count` to the outputs of some batches.
    ///
    /// # Safety
    /// As for [`compute`](Self::compute); there are such blocks and batches, at most [`PIECE`] and `N`.
    #[inline(always)]
    unsafe fn piece<const N: usize, Q: Quads>(&self, batch: usize, batches: usize, from: usize, count: usize) {
        let activations = |b: usize| self.activations.wrapping_add((batch + b) * self.blocks + from);
        let mut heads_of = [[Head::ZERO; PIECE]; N];
        for (b, heads) in heads_of.iter_mut().enumerate().take(batches) {
            for (i, head) in heads.iter_mut().enumerate().take(count) {
                // SAFETY: guaranteed by the caller.
                *head = unsafe { Head::of::<B>(activations(b).wrapping_add(i)) };
            }
        }
        let mut row = 0;
        while row < self.rows {
            // In the place of rows that are not there, the last one is multiplied again.
            let here = (self.rows - row).min(ROWS);
            let mut blocks = [self.weights; ROWS];
            for (r, block) in blocks.iter_mut().enumerate() {
                *block = self.weights.wrapping_add((row + r.min(here - 1)) * self.blocks + from);
            }
            let output = |b: usize| self.outputs.wrapping_add((batch + b) * self.width + row);
            // SAFETY: guaranteed by the caller.
            unsafe {
                let mut sums = [_mm256_setzero_ps(); N];
                if from > 0 {
                    for (b, sum) in sums.iter_mut().enumerate().take(batches) {
                        *sum = load(output(b), here);
                    }
                }
                // The next rows, in the time of these. The address may be behind the last row.
                let mut next = self.weights.wrapping_add((row + ROWS) * self.blocks + from).cast::<i8>();
                for i in 0..count {
                    for line in (0..ROWS * size_of::<B>()).step_by(64) {
                        _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(line));
                    }
                    next = next.wrapping_add(ROWS * size_of::<B>());
                    let (w, [factors, offsets]) = (B::load(&blocks), heads(&blocks));
                    let mut b = 0;
                    while b < batches {
                        let (head, sum) = (heads_of.get_unchecked(b).get_unchecked(i), sums.get_unchecked_mut(b));
                        let x = activations(b).wrapping_add(i).cast::<u8>();
                        let x = x.wrapping_add(size_of::<B::Activation>() - 32).cast();
                        let products = Q::add::<B>(_mm256_set1_epi32(head.excess), &w, x);
                        let product = _mm256_mul_ps(_mm256_cvtepi32_ps(products), factors);
                        let mut product = _mm256_mul_ps(product, _mm256_set1_ps(head.factor));
                        if B::OFFSET {
                            product = _mm256_add_ps(product, _mm256_mul_ps(offsets, _mm256_set1_ps(head.sum)));
                        }
                        *sum = _mm256_add_ps(*sum, product);
                        b += 1;
                    }
                    for block in &mut blocks {
                        *block = block.wrapping_add(1);
                    }
                }
                for (b, &sum) in sums.iter().enumerate().take(batches) {
                    store(sum, output(b), here);
                }
            }
            row += ROWS;
        }
    }

    /// # Safety
    /// As for [`compute`](Self::compute).
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn avx2(&self) {
        // SAFETY: guaranteed by the caller.
        unsafe { if self.batches == 1 { self.compute::<1, Avx2>() } else { self.compute::<BATCHES, Avx2>() } }
    }

    /// # Safety
    /// As for [`compute`](Self::compute).
    #[target_feature(enable = "avx2,f16c,avxvnni")]
    unsafe fn avx_vnni(&self) {
        // SAFETY: guaranteed by the caller.
        unsafe { if self.batches == 1 { self.compute::<1, AvxVnni>() } else { self.compute::<BATCHES, AvxVnni>() } }
    }

    /// # Safety
    /// As for [`compute`](Self::compute).
    #[target_feature(enable = "avx2,f16c,avx512f,avx512vl,avx512vnni")]
    unsafe fn avx512_vnni(&self) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if self.batches == 1 { self.compute::<1, Avx512Vnni>() } else { self.compute::<BATCHES, Avx512Vnni>() }
        }
    }
}

/// The first `count` lanes.
///
/// # Safety
/// There are so many numbers, at most eight; the processor has AVX2.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn load(from: *const f32, count: usize) -> __m256 {
    let mut lanes = [0.0; ROWS];
    // SAFETY: guaranteed by the caller.
    unsafe {
        from.copy_to_nonoverlapping(lanes.as_mut_ptr(), count.min(ROWS));
        _mm256_loadu_ps(lanes.as_ptr())
    }
}

/// Stores the first `count` lanes.
///
/// # Safety
/// There is room for so many, at most eight; the processor has AVX2.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn store(sums: __m256, to: *mut f32, count: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if count == ROWS {
            return _mm256_storeu_ps(to, sums);
        }
        let mut lanes = [0.0; ROWS];
        _mm256_storeu_ps(lanes.as_mut_ptr(), sums);
        to.copy_from_nonoverlapping(lanes.as_ptr(), count.min(ROWS));
    }
}

/// [`Block::multiply`].
#[inline(never)]
pub(crate) fn multiply_elements<B: Elements>(weights: &[B], activations: &[B::Activation], outputs: &mut [f32]) {
    multiply_batches(weights, activations, activations.len(), outputs.len(), outputs);
}

/// [`Block::multiply_batches`].
#[inline(never)]
pub(crate) fn multiply_batches<B: Elements>(
    weights: &[B],
    activations: &[B::Activation],
    blocks: usize,
    width: usize,
    outputs: &mut [f32],
) {
    if vectors() == Vectors::Portable || blocks == 0 || width == 0 {
        return one_after_another(weights, activations, blocks, width, outputs, multiply_rows);
    }
    let product = Product {
        weights: weights.as_ptr(),
        rows: width.min(weights.len() / blocks),
        activations: activations.as_ptr(),
        batches: (outputs.len() / width).min(activations.len() / blocks),
        blocks,
        outputs: outputs.as_mut_ptr(),
        width,
    };
    // SAFETY: the processor has these instructions; rows, batches and outputs were counted.
    unsafe {
        match vectors() {
            Vectors::Avx512Vnni => product.avx512_vnni(),
            Vectors::AvxVnni => product.avx_vnni(),
            _ => product.avx2(),
        }
    }
}

/// [`quantize_block`].
#[inline]
pub(crate) fn quantize_q8_0(x: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> f32 {
    if vectors() == Vectors::Portable {
        return quantize_block(x, quants);
    }
    // SAFETY: the processor has AVX2.
    unsafe { quantize_avx2(x, quants) }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2,f16c")]
unsafe fn quantize_avx2(x: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> f32 {
    let from = x.as_ptr();
    // SAFETY: there are 32 elements.
    let [a, b, c, d] = unsafe {
        [
            _mm256_loadu_ps(from),
            _mm256_loadu_ps(from.add(8)),
            _mm256_loadu_ps(from.add(16)),
            _mm256_loadu_ps(from.add(24)),
        ]
    };
    // The magnitude, if it is greater: NaN is not.
    let greater = |most: __m256, x: __m256| _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0), x), most);
    let most = greater(greater(greater(greater(_mm256_setzero_ps(), a), b), c), d);
    let mut lanes = [0.0; ROWS];
    // SAFETY: there is room for eight.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), most) };
    let factor = greatest_magnitude(&lanes) / 127.0;
    let inverse = _mm256_set1_ps(inverse(factor));
    let [a, b] = [nearest_of(a, inverse), nearest_of(b, inverse)];
    let [c, d] = [nearest_of(c, inverse), nearest_of(d, inverse)];
    // Four of each of the four in both halves, in turn.
    let bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    // SAFETY: there is room for 32.
    unsafe { _mm256_storeu_si256(quants.as_mut_ptr().cast(), bytes) };
    factor
}

/// The nearest whole number of `x * inverse`, halves away from zero, and 0 for NaN. Numbers that 16 bits do not hold become
/// others that 8 bits do not hold.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn nearest_of(x: __m256, inverse: __m256) -> __m256i {
    let x = _mm256_mul_ps(x, inverse);
    let x = _mm256_and_ps(x, _mm256_cmp_ps::<_CMP_ORD_Q>(x, x));
    let x = _mm256_max_ps(_mm256_min_ps(x, _mm256_set1_ps(1000.0)), _mm256_set1_ps(-1000.0));
    let whole = _mm256_cvttps_epi32(x);
    let fraction = _mm256_sub_ps(x, _mm256_cvtepi32_ps(whole));
    // All ones, which is -1.
    let up = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GE_OQ>(fraction, _mm256_set1_ps(0.5)));
    let down = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LE_OQ>(fraction, _mm256_set1_ps(-0.5)));
    _mm256_add_epi32(_mm256_sub_epi32(whole, up), down)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::blocks;
    use std::vec;

    /// Compares the products of random bytes with the portable ones, on every instruction set that is there.
    fn same_on_all_sets<B: Elements>(random: &mut impl FnMut() -> usize) {
        let mut bytes = |len: usize| (0..len).map(|_| (random() >> 5) as u8).collect::<std::vec::Vec<u8>>();
        for (rows, batches, row_blocks) in
            [(1, 1, 1), (8, 1, 18), (13, 2, 3), (7, BATCHES, 2), (24, BATCHES + 1, 1), (9, 3, PIECE + 5), (16, 1, 130)]
        {
            let weights = bytes(rows * row_blocks * size_of::<B>());
            let activations = bytes(batches * row_blocks * size_of::<B::Activation>());
            let (weights, activations) = (blocks::<B>(&weights), blocks::<B::Activation>(&activations));
            let mut expected = vec![0.0; rows * batches];
            one_after_another(weights, activations, row_blocks, rows, &mut expected, multiply_rows);
            type Set<'a, B> = (&'a [Vectors], unsafe fn(&Product<B>));
            let sets: [Set<'_, B>; 3] = [
                (&[Vectors::Avx512Vnni], Product::avx512_vnni),
                (&[Vectors::AvxVnni], Product::avx_vnni),
                (&[Vectors::Avx2, Vectors::AvxVnni, Vectors::Avx512Vnni], Product::avx2),
            ];
            for (_, compute) in sets.iter().filter(|(on, _)| on.contains(&vectors())) {
                let mut outputs = vec![7.0; rows * batches];
                let product = Product {
                    weights: weights.as_ptr(),
                    rows,
                    activations: activations.as_ptr(),
                    batches,
                    blocks: row_blocks,
                    outputs: outputs.as_mut_ptr(),
                    width: rows,
                };
                // SAFETY: the processor has these instructions, and there are as many of everything.
                unsafe { compute(&product) };
                for (i, (found, expected)) in outputs.iter().zip(&expected).enumerate() {
                    let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                    assert!(same, "{:?}, {rows} rows, {batches} batches: {i}: {found}, not {expected}", B::TYPE);
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_plain_rust_for_every_type_and_instruction_set() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..20 {
            same_on_all_sets::<BlockQ4_0>(&mut random);
            same_on_all_sets::<BlockQ4_1>(&mut random);
            same_on_all_sets::<BlockQ5_0>(&mut random);
            same_on_all_sets::<BlockQ5_1>(&mut random);
            same_on_all_sets::<BlockQ8_0>(&mut random);
            same_on_all_sets::<BlockQ8_1>(&mut random);
        }
    }
}
