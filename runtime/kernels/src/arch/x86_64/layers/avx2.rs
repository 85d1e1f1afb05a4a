//! AVX-VNNI, whose `VPDPBUSD` adds four products of unsigned with signed bytes to each of eight accumulators, and AVX2
//! alone, whose `VPMADDWD` adds two products of 16 bits, which is exact.

use super::convolution::Shape;
use super::ymm::{Clamp, Ymm, store_some};
use super::{Set, entries};
use crate::arch::x86_64::dot::{Avx2, AvxVnni};
use core::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_cvtepi8_epi16, _mm_cvtsi32_si128, _mm_loadl_epi64, _mm_loadu_si128,
    _mm_set1_epi8, _mm_storel_epi64, _mm_storeu_si128, _mm_xor_si128, _mm256_add_epi32, _mm256_broadcastsi128_si256,
    _mm256_castsi128_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_dpbusd_avx_epi32,
    _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

impl Set for AvxVnni {
    type Registers = Ymm;

    const ELEMENT: usize = 1;

    entries!("avx2,avxvnni", 1 2 3 4 5 12, 6);

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn multiply(sums: __m256i, x: __m256i, weights: __m256i) -> __m256i {
        _mm256_dpbusd_avx_epi32(sums, x, weights)
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn add_weights(sums: __m256i, weights: __m256i) -> __m256i {
        _mm256_dpbusd_avx_epi32(sums, _mm256_set1_epi8(1), weights)
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn copy(to: *mut u8, from: *const i8, count: usize) {
        let flip = _mm256_set1_epi8(i8::MIN);
        // SAFETY: guaranteed by the caller; the last bytes are copied together with some that are already copied.
        unsafe {
            let copy_32 = |i: usize| {
                let x = _mm256_loadu_si256(from.add(i).cast());
                _mm256_storeu_si256(to.add(i).cast(), _mm256_xor_si256(x, flip));
            };
            let copy_16 = |i: usize| {
                let x = _mm_loadu_si128(from.add(i).cast());
                _mm_storeu_si128(to.add(i).cast(), _mm_xor_si128(x, _mm_set1_epi8(i8::MIN)));
            };
            let copy_8 = |i: usize| {
                let x = from.add(i).cast::<u64>().read_unaligned();
                to.add(i).cast::<u64>().write_unaligned(x ^ 0x8080_8080_8080_8080);
            };
            let copy_4 = |i: usize| {
                let x = from.add(i).cast::<u32>().read_unaligned();
                to.add(i).cast::<u32>().write_unaligned(x ^ 0x8080_8080);
            };
            match count {
                0..4 => {
                    for i in 0..count {
                        to.add(i).write(from.add(i).read().cast_unsigned() ^ 0x80);
                    }
                }
                4..8 => [0, count - 4].into_iter().for_each(copy_4),
                8..16 => [0, count - 8].into_iter().for_each(copy_8),
                16..32 => [0, count - 16].into_iter().for_each(copy_16),
                _ => {
                    let mut i = 0;
                    while i + 32 <= count {
                        copy_32(i);
                        i += 32;
                    }
                    if i < count {
                        copy_32(count - 32);
                    }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn set(to: *mut u8, zero_point: i8, size: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { set(to, _mm256_set1_epi8(zero_point ^ i8::MIN), size) }
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn order(shape: Shape, from: *const i8, rows: usize, end: *const i8, to: *mut u8, stride: usize) -> __m256i {
        // SAFETY: guaranteed by the caller.
        unsafe { order::<Self>(shape, from, rows, end, to, stride) }
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn tap(from: *const i8, size: usize, times: usize, _: usize) -> __m256i {
        // SAFETY: guaranteed by the caller.
        unsafe { repeated(from, size, times) }
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn together([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        let (low_2, high_2) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
        [
            _mm256_unpacklo_epi16(low, low_2),
            _mm256_unpackhi_epi16(low, low_2),
            _mm256_unpacklo_epi16(high, high_2),
            _mm256_unpackhi_epi16(high, high_2),
        ]
    }

    #[inline(always)]
    fn lane(v: usize, four: usize) -> usize {
        16 * four + 4 * v
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn store_lanes(four: [__m256i; 4], clamp: Clamp, count: usize, to: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe { store_some(clamp.bytes(four), count, to) };
    }
}

impl Set for Avx2 {
    type Registers = Ymm;

    const ELEMENT: usize = 2;

    entries!("avx2", 1 2 3 4 5 12, 6);

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn multiply(sums: __m256i, x: __m256i, weights: __m256i) -> __m256i {
        _mm256_add_epi32(sums, _mm256_madd_epi16(x, weights))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_weights(sums: __m256i, _: __m256i) -> __m256i {
        sums
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn copy(to: *mut u8, from: *const i8, count: usize) {
        // SAFETY: guaranteed by the caller; the last bytes are copied together with some that are already copied.
        unsafe {
            let copy_16 = |i: usize| {
                let x = _mm_loadu_si128(from.add(i).cast());
                _mm256_storeu_si256(to.add(2 * i).cast(), _mm256_cvtepi8_epi16(x));
            };
            let copy_8 = |i: usize| {
                let x = _mm_loadl_epi64(from.add(i).cast());
                _mm_storeu_si128(to.add(2 * i).cast(), _mm_cvtepi8_epi16(x));
            };
            let copy_4 = |i: usize| {
                let x = _mm_cvtsi32_si128(from.add(i).cast::<i32>().read_unaligned());
                _mm_storel_epi64(to.add(2 * i).cast(), _mm_cvtepi8_epi16(x));
            };
            match count {
                0..4 => {
                    for i in 0..count {
                        to.add(2 * i).cast::<i16>().write_unaligned(from.add(i).read().into());
                    }
                }
                4..8 => [0, count - 4].into_iter().for_each(copy_4),
                8..16 => [0, count - 8].into_iter().for_each(copy_8),
                _ => {
                    let mut i = 0;
                    while i + 16 <= count {
                        copy_16(i);
                        i += 16;
                    }
                    if i < count {
                        copy_16(count - 16);
                    }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn set(to: *mut u8, zero_point: i8, size: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { set(to, _mm256_set1_epi16(zero_point.into()), size) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn order(shape: Shape, from: *const i8, rows: usize, end: *const i8, to: *mut u8, stride: usize) -> __m256i {
        // SAFETY: guaranteed by the caller.
        unsafe { order::<Self>(shape, from, rows, end, to, stride) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn tap(from: *const i8, size: usize, times: usize, part: usize) -> __m256i {
        // SAFETY: guaranteed by the caller.
        let bytes = unsafe { repeated(from, size, times) };
        let half = if part == 0 { _mm256_castsi256_si128(bytes) } else { _mm256_extracti128_si256::<1>(bytes) };
        _mm256_cvtepi8_epi16(half)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn together([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        [
            _mm256_unpacklo_epi16(a, c),
            _mm256_unpackhi_epi16(a, c),
            _mm256_unpacklo_epi16(b, d),
            _mm256_unpackhi_epi16(b, d),
        ]
    }

    #[inline(always)]
    fn lane(v: usize, four: usize) -> usize {
        16 * (v / 2) + 8 * four + 4 * (v % 2)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store_lanes(four: [__m256i; 4], clamp: Clamp, count: usize, to: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe { store_some(_mm256_permute4x64_epi64::<0b11_01_10_00>(clamp.bytes(four)), count, to) };
    }
}

/// Writes a value into `size` bytes, and up to 31 behind them.
///
/// # Safety
/// There is room for them.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn set(to: *mut u8, value: __m256i, size: usize) {
    let mut at = 0;
    while at < size {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_storeu_si256(to.add(at).cast(), value) };
        at += 32;
    }
}

/// [`Set::order`], of bytes or of 16 bits.
///
/// # Safety
/// As for it.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn order<S: Set<Registers = Ymm>>(
    shape: Shape,
    from: *const i8,
    rows: usize,
    end: *const i8,
    to: *mut u8,
    stride: usize,
) -> __m256i {
    let len = shape.lines * shape.run;
    // The last row stands for those that are missing.
    let mut starts = [from; 8];
    for (r, start) in starts.iter_mut().enumerate() {
        *start = from.wrapping_add(r.min(rows - 1) * len);
    }
    let at_once = 4 * S::ELEMENTS;
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = _mm256_setzero_si256();
        let (mut at, mut to) = (0, to);
        for _ in 0..shape.lines {
            let mut left = shape.run;
            while left > 0 {
                let now = left.min(at_once);
                // Whole words are mostly loaded without a look at the end.
                let words = match (S::ELEMENT, now == at_once) {
                    (1, true) => turned(|r| _mm_loadu_si128(starts[r].wrapping_add(at).cast())),
                    (1, false) => turned(|r| first_bytes(starts[r].wrapping_add(at), now, end)),
                    (_, true) => turned(|r| _mm_cvtepi8_epi16(_mm_loadl_epi64(starts[r].wrapping_add(at).cast()))),
                    (_, false) => turned(|r| _mm_cvtepi8_epi16(first_bytes(starts[r].wrapping_add(at), now, end))),
                };
                for word in words.into_iter().take(now.div_ceil(S::ELEMENTS)) {
                    if S::ELEMENT == 1 {
                        let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), word);
                        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
                    }
                    _mm256_storeu_si256(to.cast(), word);
                    to = to.add(stride);
                }
                (at, left) = (at + now, left - now);
            }
        }
        sums
    }
}

/// Of eight rows of four words, the columns.
#[inline]
#[target_feature(enable = "avx2")]
fn turned(load: impl Fn(usize) -> __m128i) -> [__m256i; 4] {
    let rows = |i: usize| _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load(i)), load(i + 4));
    let [a, b, c, d] = [rows(0), rows(1), rows(2), rows(3)];
    let (low, high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (low_2, high_2) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(low, low_2),
        _mm256_unpackhi_epi64(low, low_2),
        _mm256_unpacklo_epi64(high, high_2),
        _mm256_unpackhi_epi64(high, high_2),
    ]
}

/// Sixteen bytes of ones, and as many of zeros.
static MASKS: [i8; 32] = {
    let mut masks = [0; 32];
    let mut i = 0;
    while i < 16 {
        masks[i] = -1;
        i += 1;
    }
    masks
};

/// The first `count` bytes, at most sixteen, and zeros.
///
/// # Safety
/// They are there, within a slice that ends at `end`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn first_bytes(from: *const i8, count: usize, end: *const i8) -> __m128i {
    // SAFETY: guaranteed by the caller; of the masks sixteen are left.
    unsafe {
        if (end as usize).wrapping_sub(from as usize) >= 16 {
            let mask = _mm_loadu_si128(MASKS.as_ptr().add(16 - count.min(16)).cast());
            return _mm_and_si128(_mm_loadu_si128(from.cast()), mask);
        }
        let mut bytes = [0i8; 16];
        bytes.as_mut_ptr().copy_from_nonoverlapping(from, count.min(16));
        _mm_loadu_si128(bytes.as_ptr().cast())
    }
}

/// `size` weights, `times` times.
///
/// # Safety
/// So many lie from `from` on; `times` is 1, or 32 divided by `size`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn repeated(from: *const i8, size: usize, times: usize) -> __m256i {
    // SAFETY: guaranteed by the caller.
    unsafe {
        match (size, times) {
            (4, 8) => _mm256_set1_epi32(from.cast::<i32>().read_unaligned()),
            (8, 4) => _mm256_set1_epi64x(from.cast::<i64>().read_unaligned()),
            (16, 2) => _mm256_broadcastsi128_si256(_mm_loadu_si128(from.cast())),
            (32, _) => _mm256_loadu_si256(from.cast()),
            _ => {
                let mut bytes = [0i8; 32];
                bytes.as_mut_ptr().copy_from_nonoverlapping(from, size.min(32));
                _mm256_loadu_si256(bytes.as_ptr().cast())
            }
        }
    }
}
