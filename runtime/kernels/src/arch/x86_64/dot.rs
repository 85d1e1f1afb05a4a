//! Sums of products of bytes: 16 in one step with AVX2, 32 with VNNI.

use core::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_hadd_epi32, _mm_loadu_si128, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32,
    _mm256_extracti128_si256, _mm256_load_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm256_xor_si256,
};
#[cfg(test)]
use core::mem::transmute;

/// How products are summed. One input is stored once, for all rows of weights, in the form that the products need.
///
/// # Safety
/// Only on processors with the instructions that the implementing type names.
pub(super) trait Dot: Copy {
    /// The number of elements of a step.
    const STEP: usize;
    /// The number of windows in a tile: so many that the sums of four rows, and what they are computed from, fit into
    /// sixteen registers.
    const WINDOWS: usize;
    /// What is subtracted from the sum for each input, times the input.
    const EXCESS: i32;

    /// Stores 16 inputs.
    ///
    /// # Safety
    /// There are as many elements from `from` on, and room for them from `to` on.
    unsafe fn store_16(from: *const i8, to: *mut u8);

    /// Loads a step of weights.
    ///
    /// # Safety
    /// There are as many elements from `from` on.
    unsafe fn weights(from: *const i8) -> __m256i;

    /// The sum of some steps of stored inputs; 0 if [`EXCESS`](Self::EXCESS) is 0.
    ///
    /// # Safety
    /// There are as many steps of stored inputs from `inputs` on, aligned to 32 bytes.
    unsafe fn sum(inputs: *const u8, steps: usize) -> i32;

    /// Adds the products of a step of weights with a step of stored inputs.
    ///
    /// # Safety
    /// There is a step of stored inputs at `inputs`, aligned to 32 bytes.
    unsafe fn add(sum: __m256i, weights: __m256i, inputs: *const u8) -> __m256i;
}

/// AVX2: `VPMADDWD` on elements that are widened to 16 bits, which is exact. (`VPMADDUBSW` on bytes saturates.)
#[derive(Clone, Copy)]
pub(super) struct Avx2;

impl Dot for Avx2 {
    const STEP: usize = 16;
    const WINDOWS: usize = 2;
    const EXCESS: i32 = 0;

    #[inline(always)]
    unsafe fn store_16(from: *const i8, to: *mut u8) {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_storeu_si256(to.cast(), _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> __m256i {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn sum(_: *const u8, _: usize) -> i32 {
        0
    }

    #[inline(always)]
    unsafe fn add(sum: __m256i, weights: __m256i, inputs: *const u8) -> __m256i {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(weights, _mm256_load_si256(inputs.cast()))) }
    }
}

/// The products of `VPDPBUSD`, whose first operand is unsigned: the weights plus 128. The sum exceeds the one of the
/// weights by 128 times the sum of the inputs.
macro_rules! vnni {
    ($(#[$doc:meta])* $name:ident, $dot_product:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl Dot for $name {
            const STEP: usize = 32;
            const WINDOWS: usize = 3;
            const EXCESS: i32 = 128;

            #[inline(always)]
            unsafe fn store_16(from: *const i8, to: *mut u8) {
                // SAFETY: guaranteed by the caller.
                unsafe { to.cast::<[i8; 16]>().write_unaligned(from.cast::<[i8; 16]>().read_unaligned()) }
            }

            #[inline(always)]
            unsafe fn weights(from: *const i8) -> __m256i {
                // SAFETY: guaranteed by the caller.
                unsafe { _mm256_xor_si256(_mm256_loadu_si256(from.cast()), _mm256_set1_epi8(i8::MIN)) }
            }

            #[inline(always)]
            unsafe fn sum(inputs: *const u8, steps: usize) -> i32 {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let mut sum = _mm256_setzero_si256();
                    for step in 0..steps {
                        sum = Self::add(sum, _mm256_set1_epi8(1), inputs.add(32 * step));
                    }
                    let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
                    let sum = _mm_hadd_epi32(sum, sum);
                    _mm_cvtsi128_si32(_mm_hadd_epi32(sum, sum))
                }
            }

            #[inline(always)]
            unsafe fn add(sum: __m256i, weights: __m256i, inputs: *const u8) -> __m256i {
                // SAFETY: guaranteed by the caller.
                unsafe { $dot_product(sum, weights, _mm256_load_si256(inputs.cast())) }
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

#[cfg(test)]
vnni!(
    /// `VPDPBUSD` by its definition, for processors without it.
    Emulated,
    definition
);

#[cfg(test)]
unsafe fn definition(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
    // SAFETY: vectors are 32 bytes.
    let mut sums = unsafe { transmute::<__m256i, [i32; 8]>(sum) };
    // SAFETY: as above.
    let (unsigned, signed) =
        unsafe { (transmute::<__m256i, [u8; 32]>(unsigned), transmute::<__m256i, [i8; 32]>(signed)) };
    for ((sum, unsigned), signed) in sums.iter_mut().zip(unsigned.as_chunks::<4>().0).zip(signed.as_chunks::<4>().0) {
        for (&u, &s) in unsigned.iter().zip(signed) {
            *sum = sum.wrapping_add(i32::from(u) * i32::from(s));
        }
    }
    // SAFETY: as above.
    unsafe { transmute::<[i32; 8], __m256i>(sums) }
}
