//! The product of a matrix of weights with one vector, with AVX-512: sixteen rows at a time, 64 elements of each in one
//! step.
//!
//! Here the weights are the unsigned operand, plus 128, because each is used once. That adds 128 times the sum of the
//! inputs to every sum.

use super::requantize::Way;
use super::zmm::{Block, Clamp, first};
use crate::lines::run;
use crate::matrix::Filters;
use core::arch::x86_64::{
    __m512i, _mm_mask_storeu_epi8, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_i32x4,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

/// Multiplies one input with all filters, of at least one element, as
/// [`composed::multiply`](crate::composed::multiply).
///
/// # Safety
/// The processor has the instructions; the filters lie within their slice, `input` has as many elements as one, and
/// there are as many outputs.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in super::super) unsafe fn multiply_vector(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) {
    let (len, all) = (filters.len, filters.channels.len());
    let (steps, rest) = (len / 64, len % 64);
    let vector = Vector { start: input.as_ptr(), steps, rest: first(rest), len };
    // SAFETY: guaranteed by the caller.
    let sum = unsafe { vector.sum() };
    let offset = _mm512_set1_epi32(filters.offset.wrapping_sub(sum.wrapping_mul(128)));
    let clamp = Clamp::new(filters.output);
    let mut at = 0;
    while at < all {
        // Rows that are left are computed together with some that are already computed.
        let rows = (all - at).min(16);
        let from = if all < 16 { at } else { at.min(all - 16) };
        let count = all.min(16);
        // SAFETY: guaranteed by the caller: so many rows lie from `from` on, and so many outputs.
        unsafe {
            let weights = filters.weights.as_ptr().add(from * len);
            let sums = match (count, steps, rest) {
                (16, 2, 0) => vector.multiply::<2>(weights, 15),
                (16, ..) => vector.multiply::<0>(weights, 15),
                _ => vector.multiply::<0>(weights, count - 1),
            };
            let (block, way) = Block::new(run(filters.channels, from, count), filters.output);
            let sums = _mm512_add_epi32(_mm512_add_epi32(sums, offset), block.bias);
            let scaled = match way {
                Way::Positive => block.scale(sums, Way::Positive),
                Way::Signed => block.scale(sums, Way::Signed),
                Way::General => block.scale(sums, Way::General),
            };
            let to = outputs.as_mut_ptr().add(from);
            _mm_mask_storeu_epi8(to, first(count) as u16, clamp.sixteen(scaled));
        }
        at += rows;
    }
}

/// An input, and with it the length of a row.
#[derive(Clone, Copy)]
struct Vector {
    start: *const i8,
    /// The number of whole steps.
    steps: usize,
    /// The elements of the last step, if it is not whole.
    rest: u64,
    len: usize,
}

impl Vector {
    /// The sum of all elements.
    ///
    /// # Safety
    /// They are there.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn sum(self) -> i32 {
        let (mut sums, ones) = (_mm512_setzero_si512(), _mm512_set1_epi8(1));
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut x = self.start;
            for _ in 0..self.steps {
                sums = _mm512_dpbusd_epi32(sums, ones, _mm512_loadu_si512(x.cast()));
                x = x.add(64);
            }
            sums = _mm512_dpbusd_epi32(sums, ones, _mm512_maskz_loadu_epi8(self.rest, x));
        }
        _mm512_reduce_add_epi32(sums)
    }

    /// The sums of sixteen rows, where row `last` stands for those behind it; 128 times the sum of the input is in
    /// each. `S` is the number of steps, all of them whole, or 0 for any.
    ///
    /// # Safety
    /// The input and the rows up to `last` are there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn multiply<const S: usize>(self, weights: *const i8, last: usize) -> __m512i {
        let mut fours = [_mm512_setzero_si512(); 4];
        for (i, four) in fours.iter_mut().enumerate() {
            let row = |r: usize| if last == 15 { 4 * i + r } else { (4 * i + r).min(last) };
            let start = weights.wrapping_add(row(0) * self.len);
            let distances = [0, 1, 2, 3].map(|r| (row(r) - row(0)) * self.len);
            // SAFETY: guaranteed by the caller.
            *four = unsafe { self.multiply_four::<S>(start, distances) };
        }
        let [a, b, c, d] = fours;
        let halves = |a, b| {
            _mm512_add_epi32(_mm512_shuffle_i32x4::<0b01_00_01_00>(a, b), _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b))
        };
        let (low, high) = (halves(a, b), halves(c, d));
        _mm512_add_epi32(
            _mm512_shuffle_i32x4::<0b10_00_10_00>(low, high),
            _mm512_shuffle_i32x4::<0b11_01_11_01>(low, high),
        )
    }

    /// The sums of four rows in each quarter, of a quarter of the elements.
    ///
    /// # Safety
    /// The input and the rows, so far behind `start`, are there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn multiply_four<const S: usize>(self, start: *const i8, distances: [usize; 4]) -> __m512i {
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sums = [_mm512_setzero_si512(); 4];
        let steps = if S == 0 { self.steps } else { S };
        // SAFETY: guaranteed by the caller.
        unsafe {
            for step in 0..steps {
                let x = _mm512_loadu_si512(self.start.wrapping_add(64 * step).cast());
                for (sum, distance) in sums.iter_mut().zip(distances) {
                    let weights = _mm512_loadu_si512(start.wrapping_add(64 * step + distance).cast());
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(weights, flip), x);
                }
            }
            if S == 0 && self.rest != 0 {
                let x = _mm512_maskz_loadu_epi8(self.rest, self.start.wrapping_add(64 * steps));
                for (sum, distance) in sums.iter_mut().zip(distances) {
                    // What is not loaded is multiplied by 0.
                    let weights = _mm512_maskz_loadu_epi8(self.rest, start.wrapping_add(64 * steps + distance));
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(weights, flip), x);
                }
            }
        }
        let [a, b, c, d] = sums;
        let pairs = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (low, high) = (pairs(a, b), pairs(c, d));
        _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high))
    }
}
