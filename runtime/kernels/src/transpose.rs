//! Transpose: a permutation of the dimensions.
//!
//! Source: TensorFlow Lite Micro `reference_ops::Transpose`.

use core::ops::Range;

use crate::lines::for_each_line;
use crate::view::{dense_strides, gather, unravel};

/// Parameters of [`transpose`]. Shapes are padded with leading ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transpose {
    /// Input shape.
    pub input: [usize; 6],
    /// Output dimension `i` is input dimension `perm[i]`.
    pub perm: [usize; 6],
    /// The number of bytes of an element.
    pub item: usize,
}

/// Computes output rows `rows`; a row is one line along the last output dimension, and `output`
/// holds those rows only.
pub fn transpose(p: &Transpose, rows: Range<usize>, input: &[u8], output: &mut [u8]) {
    let strides = dense_strides(&p.input);
    let dims = p.perm.map(|from| p.input.get(from).copied().unwrap_or(1));
    let strides = p.perm.map(|from| strides.get(from).copied().unwrap_or(0));
    let ([.., line], [.., step]) = (dims, strides);
    for_each_line(rows, line.wrapping_mul(p.item), output, |row, output| {
        let index = unravel(row, dims.first_chunk::<5>().unwrap_or(&[0; 5]));
        let start = index
            .into_iter()
            .zip(strides)
            .fold(0usize, |start, (i, stride)| start.wrapping_add(i.wrapping_mul(stride)));
        gather(input, start, step as isize, p.item, output);
    });
}
