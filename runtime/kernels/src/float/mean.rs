//! Mean over any dimensions: the sum of the elements in order, from 0, divided by their number.

use core::ops::Range;

use super::at;
use crate::view::{dense_strides, unravel};

/// Parameters of [`mean`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mean {
    /// Input shape, padded with leading ones.
    pub dims: [usize; 6],
    /// Bit `i` is set if dimension `i` is averaged over.
    pub reduced: u32,
}

/// Computes output rows `rows`; a row is one element, counted over the dimensions that are kept, and
/// `output` holds the elements of `rows` only.
pub fn mean(p: &Mean, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    let strides = dense_strides(&p.dims);
    // A dimension is either indexed by the output or summed over; in the other array its size is 1.
    let (mut kept, mut summed) = ([1; 6], [1; 6]);
    for (i, ((kept, summed), dim)) in kept.iter_mut().zip(&mut summed).zip(p.dims).enumerate() {
        *(if p.reduced & (1 << i) != 0 { summed } else { kept }) = dim;
    }
    let offset_of = |index: [usize; 6]| {
        let offsets = index.into_iter().zip(strides);
        offsets.fold(0usize, |at, (i, stride)| at.wrapping_add(i.wrapping_mul(stride)))
    };
    let count = summed.iter().fold(1usize, |n, &dim| n.wrapping_mul(dim));
    for (row, output) in rows.zip(output) {
        let base = offset_of(unravel(row, &kept));
        let mut sum = 0.0;
        for i in 0..count {
            sum += at(input, base.wrapping_add(offset_of(unravel(i, &summed))));
        }
        *output = sum / count as f32;
    }
}
