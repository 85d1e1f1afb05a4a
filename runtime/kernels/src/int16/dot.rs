//! Dot products of int16 activations with int8 weights.

use crate::lines::tail;

/// Up to so many products are summed in 32 bits: 2^8 times 2^15 times 2^7 fits.
const CHUNK: usize = 256;

/// Adds to each sum the dot product of `values` with a run of as many weights: that of sum `k` starts at `k * stride`.
#[inline]
pub(super) fn add_dots<const N: usize>(sums: &mut [i64; N], values: &[i16], weights: &[i8], stride: usize) {
    let mut weights = weights;
    for values in values.chunks(CHUNK) {
        let mut rows = [&[][..]; N];
        for (k, row) in rows.iter_mut().enumerate() {
            let Some(run) = tail(weights, k.wrapping_mul(stride)).get(..values.len()) else { return };
            *row = run;
        }
        let mut part = [0i32; N];
        for (i, &x) in values.iter().enumerate() {
            for (sum, row) in part.iter_mut().zip(&rows) {
                // Each row is as long as the values.
                let w = row.get(i).copied().unwrap_or(0);
                *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
            }
        }
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum = sum.wrapping_add(i64::from(part));
        }
        weights = tail(weights, values.len());
    }
}
