//! The inner loops of the block products.

use super::{BLOCK, BLOCK_K};
use crate::portable::dot_rows;

/// The dot product of two blocks of 32 bytes.
#[inline]
pub(crate) fn dot(a: &[i8; BLOCK], b: &[i8; BLOCK]) -> i32 {
    let mut sum = [0];
    dot_rows(&mut sum, a, b, 0);
    let [sum] = sum;
    sum
}

/// The sum of `x`, first to last, from -0.0: the neutral element, as the standard library has it.
#[inline]
pub(crate) fn sum(x: &[f32]) -> f32 {
    x.iter().fold(-0.0, |sum, &x| sum + x)
}

/// `Σ scales[i / 16] * a[i] * b[i]` in eight sums: element `i` goes to sum `i % 8`.
///
/// With `|a| <= 32` and `|scale| <= 128` no sum exceeds 2^24: as `f32` it is exact.
#[inline]
pub(crate) fn scaled_lanes(a: &[i8; BLOCK_K], b: &[i8; BLOCK_K], scales: &[i32; 16]) -> [i32; 8] {
    let mut lanes = [0i32; 8];
    let groups = a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0);
    for ((a, b), scale) in groups.zip(scales) {
        let halves = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
        for (a, b) in halves {
            for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += scale * (i32::from(a) * i32::from(b));
            }
        }
    }
    lanes
}
