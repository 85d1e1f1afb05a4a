//! The inner loops of the multiply-accumulate kernels, in plain Rust.
//!
//! Everything that an instruction set may do better stands here, behind slices and small arrays, so
//! that another module with the same functions can take this one's place.

use crate::lines::tail;

/// Adds to `accumulators[r]` the dot product of `input` with row `r` of `weights`, for `N` rows.
///
/// Row `r` starts at element `r * stride`. Each input is loaded once for all rows. If a row does
/// not lie within `weights`, nothing is added.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    let mut rows = [input; N];
    let mut rest = weights;
    for (r, row) in rows.iter_mut().enumerate() {
        if r > 0 {
            rest = tail(rest, stride);
        }
        let Some(found) = rest.get(..input.len()) else {
            return;
        };
        *row = found;
    }
    for (i, &x) in input.iter().enumerate() {
        for (accumulator, row) in accumulators.iter_mut().zip(rows) {
            if let Some(&w) = row.get(i) {
                *accumulator = accumulator.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
}

/// The sum of all elements.
#[inline]
pub(crate) fn sum(values: &[i8]) -> i32 {
    values.iter().fold(0, |sum, &value| sum.wrapping_add(i32::from(value)))
}

/// Adds `input[i] * weights[i]` to `accumulators[i]`.
#[inline]
pub(crate) fn multiply_add(accumulators: &mut [i32], input: &[i8], weights: &[i8]) {
    for ((accumulator, &x), &w) in accumulators.iter_mut().zip(input).zip(weights) {
        *accumulator = accumulator.wrapping_add(i32::from(x) * i32::from(w));
    }
}

/// Adds `factor * weights[i]` to `accumulators[i]`.
#[inline]
pub(crate) fn multiply_add_scalar(accumulators: &mut [i32], factor: i32, weights: &[i8]) {
    for (accumulator, &w) in accumulators.iter_mut().zip(weights) {
        *accumulator = accumulator.wrapping_add(factor.wrapping_mul(i32::from(w)));
    }
}
