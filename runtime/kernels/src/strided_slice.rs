//! StridedSlice: every `stride`-th element from `begin` on, in each dimension.
//!
//! `output[i] = input[begin + i * stride]`, per dimension; a stride may be negative. Slice, Split and
//! Unpack use this kernel too.
//!
//! Source: TensorFlow Lite Micro `reference_ops::StridedSlice`.

use core::ops::Range;

use crate::lines::for_each_line;
use crate::view::{dense_strides, gather, unravel};

/// Parameters of [`strided_slice`]. Shapes are padded with leading ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StridedSlice {
    /// Input shape.
    pub input: [usize; 6],
    /// Output shape.
    pub output: [usize; 6],
    /// Input index of the first output element, per dimension.
    pub begin: [usize; 6],
    /// Input indices from one output index to the next, per dimension.
    pub stride: [isize; 6],
    /// The number of bytes of an element.
    pub item: usize,
}

/// Computes output rows `rows`; a row is one line along the last dimension, and `output` holds those
/// rows only.
pub fn strided_slice(p: &StridedSlice, rows: Range<usize>, input: &[u8], output: &mut [u8]) {
    let [.., line] = p.output;
    let [.., step] = p.stride;
    let strides = dense_strides(&p.input);
    for_each_line(rows, line.wrapping_mul(p.item), output, |row, output| {
        // The row's index; 0 in the last dimension.
        let index = unravel(row, p.output.first_chunk::<5>().unwrap_or(&[0; 5]));
        let mut start = 0usize;
        for (((i, begin), stride), size) in index.into_iter().zip(p.begin).zip(p.stride).zip(strides) {
            let at = begin.wrapping_add_signed((i as isize).wrapping_mul(stride));
            start = start.wrapping_add(at.wrapping_mul(size));
        }
        gather(input, start, step, p.item, output);
    });
}
