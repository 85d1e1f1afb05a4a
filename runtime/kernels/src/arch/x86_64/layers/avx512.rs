//! AVX-512 with its products of bytes (VNNI): `VPDPBUSD` adds four products of unsigned with signed bytes to each of
//! sixteen accumulators. Inputs are its unsigned operand, plus 128.

use super::convolution::Shape;
use super::zmm::{Clamp, Zmm, first};
use super::{Set, entries};
use crate::arch::x86_64::dot::Avx512Vnni;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm512_broadcast_i32x4,
    _mm512_broadcast_i64x4, _mm512_castsi128_si512, _mm512_castsi512_si128, _mm512_castsi512_si256,
    _mm512_dpbusd_epi32, _mm512_inserti32x4, _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_store_si512,
    _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi8, _mm512_unpacklo_epi16, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

impl Set for Avx512Vnni {
    type Registers = Zmm;

    const ELEMENT: usize = 1;

    entries!("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", 1 2 3 4 5 6 7 16, 8);

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn multiply(sums: __m512i, x: __m512i, weights: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, x, weights)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn add_weights(sums: __m512i, weights: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), weights)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn copy(to: *mut u8, from: *const i8, count: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { copy(to, from, count) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn set(to: *mut u8, zero_point: i8, size: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { set(to, zero_point, size) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn order(shape: Shape, from: *const i8, rows: usize, _: *const i8, to: *mut u8, stride: usize) -> __m512i {
        // SAFETY: guaranteed by the caller.
        unsafe { order(shape, from, rows, to, stride) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn tap(from: *const i8, size: usize, times: usize, _: usize) -> __m512i {
        // SAFETY: guaranteed by the caller.
        unsafe { repeated(from, size, times) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn together(four: [__m512i; 4]) -> [__m512i; 4] {
        together(four)
    }

    #[inline(always)]
    fn lane(v: usize, four: usize) -> usize {
        16 * four + 4 * v
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn store_lanes(four: [__m512i; 4], clamp: Clamp, count: usize, to: *mut i8) {
        let bytes = clamp.bytes(four);
        // SAFETY: guaranteed by the caller.
        unsafe {
            if count == 64 {
                _mm512_storeu_si512(to.cast(), bytes);
            } else {
                _mm512_mask_storeu_epi8(to, first(count), bytes);
            }
        }
    }
}

/// Writes the weights of sixteen filters, or of fewer, in the order of the registers, so far apart, and returns their
/// sums.
///
/// # Safety
/// So many filters, at least one, lie from `from` on, and there is room.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn order(shape: Shape, from: *const i8, rows: usize, to: *mut u8, stride: usize) -> __m512i {
    let len = shape.lines * shape.run;
    // Each fourth row, and the distances of those after it; the last one stands for those that are missing.
    let row = |r: usize| r.min(rows - 1);
    let starts = [0, 4, 8, 12].map(|r| from.wrapping_add(row(r) * len));
    let distances = [0, 1, 2, 3].map(|r| r * len);
    let whole = rows == 16;
    let mut sums = _mm512_setzero_si512();
    let (mut at, mut to) = (0, to);
    for _ in 0..shape.lines {
        let mut left = shape.run;
        while left > 0 {
            let now = left.min(16);
            // SAFETY: guaranteed by the caller.
            let quads = unsafe {
                let mask = (u32::MAX >> (32 - now)) as u16;
                match (whole, now) {
                    (true, 16) => turned(|r| _mm_loadu_si128(starts[r / 4].wrapping_add(distances[r % 4] + at).cast())),
                    (true, _) => {
                        turned(|r| _mm_maskz_loadu_epi8(mask, starts[r / 4].wrapping_add(distances[r % 4] + at)))
                    }
                    _ => turned(|r| _mm_maskz_loadu_epi8(mask, from.wrapping_add(row(r) * len + at))),
                }
            };
            for quad in quads.into_iter().take(now.div_ceil(4)) {
                sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), quad);
                // SAFETY: guaranteed by the caller.
                unsafe {
                    _mm512_store_si512(to.cast(), quad);
                    to = to.add(stride);
                }
            }
            (at, left) = (at + now, left - now);
        }
    }
    sums
}

/// Of sixteen rows of four words, the columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn turned(load: impl Fn(usize) -> __m128i) -> [__m512i; 4] {
    let rows = |i: usize| {
        let one = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(load(i)), load(i + 4));
        _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(one, load(i + 8)), load(i + 12))
    };
    let [a, b, c, d] = [rows(0), rows(1), rows(2), rows(3)];
    let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (low_2, high_2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(low, low_2),
        _mm512_unpackhi_epi64(low, low_2),
        _mm512_unpacklo_epi64(high, high_2),
        _mm512_unpackhi_epi64(high, high_2),
    ]
}

/// The elements of four vectors in turns. Four vectors hold those of the lanes `16 j + 4 v..16 j + 4 v + 4` in quarter
/// `j` of vector `v`, so that packing puts sums of them back into order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn together([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
    let (low_2, high_2) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
    [
        _mm512_unpacklo_epi16(low, low_2),
        _mm512_unpackhi_epi16(low, low_2),
        _mm512_unpacklo_epi16(high, high_2),
        _mm512_unpackhi_epi16(high, high_2),
    ]
}

/// `size` weights, `times` times.
///
/// # Safety
/// So many lie from `from` on; `times` is 1, or 64 divided by `size`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn repeated(from: *const i8, size: usize, times: usize) -> __m512i {
    // SAFETY: guaranteed by the caller.
    let once = unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> (64 - size), from) };
    let low = _mm512_castsi512_si128(once);
    let word = _mm_cvtsi128_si64(low);
    match times {
        2 => _mm512_broadcast_i64x4(_mm512_castsi512_si256(once)),
        4 => _mm512_broadcast_i32x4(low),
        8 => _mm512_set1_epi64(word),
        16 => _mm512_set1_epi32(word as i32),
        _ => once,
    }
}

/// Copies elements, each plus 128.
///
/// # Safety
/// There are so many, and room for them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn copy(to: *mut u8, from: *const i8, count: usize) {
    let flip = _mm512_set1_epi8(i8::MIN);
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut i = 0;
        while i + 64 <= count {
            _mm512_storeu_si512(to.add(i).cast(), _mm512_xor_si512(_mm512_loadu_si512(from.add(i).cast()), flip));
            i += 64;
        }
        if i < count {
            let mask = first(count - i);
            let rest = _mm512_maskz_loadu_epi8(mask, from.add(i));
            _mm512_mask_storeu_epi8(to.add(i).cast(), mask, _mm512_xor_si512(rest, flip));
        }
    }
}

/// Writes a zero point, plus 128, into `count` bytes.
///
/// # Safety
/// There is room for them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn set(to: *mut u8, zero_point: i8, count: usize) {
    let value = _mm512_set1_epi8(zero_point ^ i8::MIN);
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut i = 0;
        while i + 64 <= count {
            _mm512_storeu_si512(to.add(i).cast(), value);
            i += 64;
        }
        if i < count {
            _mm512_mask_storeu_epi8(to.add(i).cast(), first(count - i), value);
        }
    }
}
