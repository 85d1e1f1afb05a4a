//! Sums of two tensors, 64 elements at a time.

use super::requantize::{Block, Clamp, Way};
use crate::add::AddSub;
use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm512_add_epi32, _mm512_cvtepi8_epi32, _mm512_permutexvar_epi32,
    _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_si512, _mm512_sllv_epi32, _mm512_storeu_si512,
    _mm512_sub_epi32,
};
use tealight_types::{ActivationRange, Multiplier};

/// How an element is scaled after its zero point is subtracted.
struct Scale {
    zero_point: __m512i,
    /// Places to the left.
    left: __m512i,
    /// The factor that follows; `None` if it is a power of two that the places have already, and nothing is rounded.
    factor: Option<(Block, Way)>,
}

impl Scale {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn new(factor: Multiplier, zero_point: i32, left: i32) -> Self {
        let right = 1i32.wrapping_sub(factor.shift);
        // A difference of bytes has nine bits.
        let exact = factor.multiplier == 1 << 30
            && (right.max(0)..=22).contains(&left)
            && factor.shift <= 0
            && (-128..=127).contains(&zero_point);
        Self {
            zero_point: _mm512_set1_epi32(zero_point),
            left: _mm512_set1_epi32(if exact { left.wrapping_sub(right) } else { left }),
            factor: if exact { None } else { Some(block(factor, 0, ActivationRange::FULL)) },
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn scale(&self, x: __m128i) -> __m512i {
        let x = _mm512_sllv_epi32(_mm512_sub_epi32(_mm512_cvtepi8_epi32(x), self.zero_point), self.left);
        match &self.factor {
            None => x,
            Some((block, Way::General)) => block.scale(x, Way::General),
            Some((block, _)) => block.scale(x, Way::Signed),
        }
    }
}

/// The constants of sixteen lanes with one factor.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn block(factor: Multiplier, zero_point: i32, activation: ActivationRange) -> (Block, Way) {
    let Multiplier { multiplier, shift } = factor;
    Block::new(&[Channel { bias: 0, multiplier, shift }; 16], Output { zero_point, activation })
}

/// Adds the first elements of two slices, 64 at a time, and returns their number.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in super::super) fn add(p: &AddSub, a: &[i8], b: &[i8], outputs: &mut [i8]) -> usize {
    let left = p.left_shift & 31;
    let (a_scale, b_scale) = (Scale::new(p.a, p.a_zero_point, left), Scale::new(p.b, p.b_zero_point, left));
    let (factor, way) = block(p.output, p.output_zero_point, p.activation);
    let clamp = Clamp::new(Output { zero_point: p.output_zero_point, activation: p.activation });
    // The quarters in the order of the four vectors.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let mut done = 0;
    for ((a, b), outputs) in a.as_chunks::<64>().0.iter().zip(b.as_chunks().0).zip(outputs.as_chunks_mut().0) {
        let _: (&[i8; 64], &[i8; 64], &mut [i8; 64]) = (a, b, outputs);
        let mut four = [_mm512_setzero_si512(); 4];
        for ((a, b), sum) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0).zip(&mut four) {
            // SAFETY: there are sixteen elements each.
            let [a, b] = unsafe { [_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast())] };
            *sum = _mm512_add_epi32(a_scale.scale(a), b_scale.scale(b));
        }
        for sum in &mut four {
            *sum = match way {
                Way::Positive => factor.scale(*sum, Way::Positive),
                Way::Signed => factor.scale(*sum, Way::Signed),
                Way::General => factor.scale(*sum, Way::General),
            };
        }
        let bytes = _mm512_permutexvar_epi32(order, clamp.bytes(four));
        // SAFETY: there is room for 64.
        unsafe { _mm512_storeu_si512(outputs.as_mut_ptr().cast(), bytes) };
        done += 64;
    }
    done
}
