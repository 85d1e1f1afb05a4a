//! Reading elements at a constant distance: the inner step of StridedSlice and Transpose.

use crate::lines::{copy, for_each_line, run, tail};
use crate::window::div_rem;

/// The index of `row` in each of `dims`; the last changes fastest.
#[inline]
pub(crate) fn unravel(row: usize, dims: &[usize]) -> [usize; 6] {
    let mut index = [0; 6];
    let mut rest = row;
    for (i, &dim) in index.iter_mut().zip(dims).take(dims.len().min(6)).rev() {
        (rest, *i) = div_rem(rest, dim);
    }
    index
}

/// The number of elements from one index to the next, for each dimension of a dense tensor.
#[inline]
pub(crate) fn dense_strides(dims: &[usize; 6]) -> [usize; 6] {
    let mut strides = [1; 6];
    let mut stride = 1usize;
    for (out, &dim) in strides.iter_mut().zip(dims).rev() {
        *out = stride;
        stride = stride.wrapping_mul(dim);
    }
    strides
}

/// Copies elements of `item` bytes, `step` elements apart, from element `start` on, to `output`.
pub(crate) fn gather(input: &[u8], start: usize, step: isize, item: usize, output: &mut [u8]) {
    if step == 1 {
        copy(output, run(input, start.wrapping_mul(item), output.len()));
        return;
    }
    let mut at = start;
    if item == 1 {
        for output in output {
            if let Some(&x) = input.get(at) {
                *output = x;
            }
            at = at.wrapping_add_signed(step);
        }
        return;
    }
    for_each_line(0..output.len(), item, output, |_, output| {
        // An item has only a few bytes, which are cheaper to copy one by one than with memcpy.
        for (output, &x) in output.iter_mut().zip(tail(input, at.wrapping_mul(item))) {
            *output = x;
        }
        at = at.wrapping_add_signed(step);
    });
}
