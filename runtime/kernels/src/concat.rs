//! Concat: inputs side by side along one dimension.
//!
//! A row is an index of the dimensions before that one. Each input fills its own columns of every output row, so one
//! call copies one input, and the order of the calls does not matter. All inputs share the output's
//! quantization.
//!
//! Source: TensorFlow Lite Micro `reference_ops::Concatenation`.

use core::ops::Range;

use crate::lines::{copy, for_each_line, run};

/// The position of one input in a concatenation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcatPart {
    /// The number of bytes of an output row: that of all inputs together.
    pub row_len: usize,
    /// Offset in the output row, in bytes, where this input begins.
    pub start: usize,
    /// The number of bytes of a row of this input.
    pub len: usize,
}

/// Copies one input to its columns of output rows `rows`; `output` holds those rows only, `input` is
/// the whole tensor.
///
/// ```
/// use tealight_kernels::{ConcatPart, concat_part};
///
/// let mut output = [0; 6];
/// concat_part(&ConcatPart { row_len: 3, start: 0, len: 2 }, 0..2, &[1, 2, 3, 4], &mut output);
/// concat_part(&ConcatPart { row_len: 3, start: 2, len: 1 }, 0..2, &[8, 9], &mut output);
/// assert_eq!(output, [1, 2, 8, 3, 4, 9]);
/// ```
pub fn concat_part(p: &ConcatPart, rows: Range<usize>, input: &[u8], output: &mut [u8]) {
    let column = p.start..p.start.wrapping_add(p.len);
    for_each_line(rows, p.row_len, output, |row, output| {
        if let Some(column) = output.get_mut(column.clone()) {
            copy(column, run(input, row.wrapping_mul(p.len), p.len));
        }
    });
}
