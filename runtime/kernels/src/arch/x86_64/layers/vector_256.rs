//! The product of a matrix of weights with one vector, with AVX2 and AVX-VNNI: eight rows at a time.
//!
//! The input is stored once in the form that [`Dot`] multiplies, padded with zeros to whole steps.

use crate::arch::x86_64::dot::Dot;
use crate::arch::x86_64::requantize::Factors;
use crate::lines::{copy, run, tail};
use crate::matrix::Filters;
use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};
use core::mem::MaybeUninit;

/// The bytes of the stored input.
const STORED: usize = 8192;

/// The bytes of a step of stored inputs, and the maximum number of its elements.
const STEP_SIZE: usize = 32;

/// Whether an input of `len` elements can be stored.
#[inline]
pub(in super::super) fn can_multiply_vector<D: Dot>(len: usize) -> bool {
    (1..=STORED / STEP_SIZE * D::STEP).contains(&len)
}

/// A stored input.
#[repr(C, align(32))]
struct Stored([MaybeUninit<u8>; STORED]);

/// Multiplies one input with all filters, as [`composed::multiply`](crate::composed::multiply).
///
/// # Safety
/// The processor has the instructions of `D`, which the caller is compiled for; the filters lie within their slice,
/// `input` has as many elements as one, [`can_multiply_vector`] is true, and there are as many outputs.
#[inline(always)]
pub(in super::super) unsafe fn multiply_vector<D: Dot>(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) {
    let (len, all) = (filters.len, filters.channels.len());
    let mut stored = Stored([const { MaybeUninit::uninit() }; STORED]);
    let to = stored.0.as_mut_ptr().cast::<u8>();
    let element = STEP_SIZE / D::STEP;
    let (sixteens, rest) = input.as_chunks::<16>();
    // SAFETY: guaranteed by the caller: there is room for whole steps.
    let sum = unsafe {
        for (i, sixteen) in sixteens.iter().enumerate() {
            D::store_16(sixteen.as_ptr(), to.add(16 * element * i));
        }
        let mut last = [0; STEP_SIZE];
        copy(&mut last, rest);
        let mut i = sixteens.len();
        while !(16 * i).is_multiple_of(D::STEP) || 16 * i < len {
            D::store_16(last.as_ptr().add(16 * (i - sixteens.len())), to.add(16 * element * i));
            i += 1;
        }
        D::sum(to, 16 * i / D::STEP)
    };
    let offset = filters.offset.wrapping_sub(sum.wrapping_mul(D::EXCESS));
    let mut copied = [0; 8 * STEP_SIZE];
    let mut at = 0;
    while at < all {
        // Rows that are left are computed together with some that are already computed.
        let from = if all < 8 { 0 } else { at.min(all - 8) };
        let count = all.min(8);
        let rows = Rows::new::<D>(tail(filters.weights, from * len), len, count - 1, &mut copied);
        // SAFETY: guaranteed by the caller; every processor with the instructions of some `D` has AVX2.
        unsafe {
            let sums = rows.multiply::<D>(to);
            let factors = Factors::new(run(filters.channels, from, count), filters.output);
            let sums = _mm256_add_epi32(_mm256_add_epi32(sums, factors.bias), _mm256_set1_epi32(offset));
            factors.store(sums, outputs.get_mut(from..from + count).unwrap_or(&mut []));
        }
        at += 8;
    }
}

/// Eight rows of weights, of which the last stands for those that are missing.
struct Rows {
    /// The number of whole steps.
    steps: usize,
    starts: [*const i8; 8],
    /// What follows the whole steps of each row, if anything does; behind it there may be anything.
    rests: Option<[*const i8; 8]>,
}

impl Rows {
    /// The rows up to `last`. If reading whole steps would go beyond the slice, what follows the whole steps is copied.
    #[inline(always)]
    fn new<D: Dot>(weights: &[i8], len: usize, last: usize, copied: &mut [i8; 8 * STEP_SIZE]) -> Self {
        let (steps, start) = (len / D::STEP, weights.as_ptr());
        let whole = steps * D::STEP;
        let rests = if whole == len {
            None
        } else if last * len + whole + D::STEP <= weights.len() {
            Some(eight(start.wrapping_add(whole), len, last))
        } else {
            for (r, copied) in copied.as_chunks_mut::<STEP_SIZE>().0.iter_mut().enumerate() {
                copy(copied, run(weights, r * len + whole, len - whole));
            }
            Some(eight(copied.as_ptr(), STEP_SIZE, last))
        };
        Self { steps, starts: eight(start, len, last), rests }
    }

    /// The sums of all rows.
    ///
    /// # Safety
    /// The processor has the instructions of `D`; the input is stored from `inputs` on.
    #[inline(always)]
    unsafe fn multiply<D: Dot>(&self, inputs: *const u8) -> __m256i {
        // SAFETY: guaranteed by the caller; the rows have whole steps of weights, and one for the rest.
        unsafe {
            let mut sums = [_mm256_setzero_si256(); 8];
            for step in 0..self.steps {
                let x = inputs.wrapping_add(STEP_SIZE * step);
                for (sum, start) in sums.iter_mut().zip(self.starts) {
                    *sum = D::add(*sum, D::weights(start.wrapping_add(D::STEP * step)), x);
                }
            }
            if let Some(rests) = self.rests {
                let x = inputs.wrapping_add(STEP_SIZE * self.steps);
                for (sum, start) in sums.iter_mut().zip(rests) {
                    *sum = D::add(*sum, D::weights(start), x);
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            let (low, high) = (total_of_four([a, b, c, d]), total_of_four([e, f, g, h]));
            _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
        }
    }
}

/// The starts of eight rows that are `stride` elements apart.
#[inline(always)]
fn eight(start: *const i8, stride: usize, last: usize) -> [*const i8; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|r: usize| start.wrapping_add(r.min(last) * stride))
}

/// The sums of four vectors' lanes in each half.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn total_of_four([a, b, c, d]: [__m256i; 4]) -> __m256i {
    let pairs = |a, b| _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (low, high) = (pairs(a, b), pairs(c, d));
    _mm256_add_epi32(_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high))
}
