//! The inner loops of the block products.

use super::BLOCK_K;

/// The dot product of two blocks.
#[inline]
pub(crate) fn dot<const N: usize>(a: &[i8; N], b: &[i8; N]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// The sum of `x` in order, starting from -0.0, the neutral element, as in the standard library.
#[inline]
pub(crate) fn sum(x: &[f32]) -> f32 {
    x.iter().fold(-0.0, |sum, &x| sum + x)
}

/// `Σ scales[i / 16] * a[i] * b[i]` in eight sums: element `i` goes to sum `i % 8`.
///
/// With `|a| <= 32` and `|scale| <= 128` a sum of two products fits 16 bits, and no sum exceeds 2^24, so it is
/// exact as `f32`.
#[inline]
pub(crate) fn scaled_lanes(a: &[i8; BLOCK_K], b: &[i8; BLOCK_K], scales: &[i16; 16]) -> [i32; 8] {
    let mut lanes = [0i32; 8];
    let groups = a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0);
    for ((a, b), &scale) in groups.zip(scales) {
        let mut products = [0i16; 8];
        let halves = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
        for (a, b) in halves {
            for ((product, &a), &b) in products.iter_mut().zip(a).zip(b) {
                *product += i16::from(a) * i16::from(b);
            }
        }
        for (lane, product) in lanes.iter_mut().zip(products) {
            *lane += i32::from(scale) * i32::from(product);
        }
    }
    lanes
}
