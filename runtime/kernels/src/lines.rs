//! Splitting slices into equal lines, and copying, without a branch that panics.

use core::ops::Range;

/// Calls `f(row, line)` for each of `rows`, with consecutive lines of `len` elements of `output`.
/// Stops early if `output` is too short.
#[inline]
pub(crate) fn for_each_line<T>(rows: Range<usize>, len: usize, output: &mut [T], mut f: impl FnMut(usize, &mut [T])) {
    let mut rest = output;
    for row in rows {
        let Some((line, later)) = rest.split_at_mut_checked(len) else {
            return;
        };
        f(row, line);
        rest = later;
    }
}

/// Removes the first `len` elements from the slice and returns them; `None` if there are fewer.
#[inline]
pub(crate) fn take<'a, T>(slice: &mut &'a [T], len: usize) -> Option<&'a [T]> {
    let (line, later) = slice.split_at_checked(len)?;
    *slice = later;
    Some(line)
}

/// The elements from `from` on; empty if there are fewer.
#[inline]
pub(crate) fn tail<T>(slice: &[T], from: usize) -> &[T] {
    slice.get(from..).unwrap_or(&[])
}

/// `len` elements from `from` on; empty if there are fewer.
#[inline]
pub(crate) fn run<T>(slice: &[T], from: usize, len: usize) -> &[T] {
    tail(slice, from).get(..len).unwrap_or(&[])
}

/// Both slices, cut to the length of the shorter one.
#[cfg(any(arm_mve, arm_neon, x86_64_vectors))]
#[inline(always)]
pub(crate) fn of_equal_length<'a, T, U>(input: &'a [T], output: &'a mut [U]) -> (&'a [T], &'a mut [U]) {
    let len = input.len().min(output.len());
    (run(input, 0, len), output.get_mut(..len).unwrap_or(&mut []))
}

/// The elements of a line before, in and after a range of its pixels, of `channels` elements each; `None` if it is shorter.
#[inline]
pub(crate) fn split_line<'a, T>(line: &'a mut [T], pixels: &Range<usize>, channels: usize) -> Option<[&'a mut [T]; 3]> {
    let (before, rest) = line.split_at_mut_checked(pixels.start.wrapping_mul(channels))?;
    let (inside, after) = rest.split_at_mut_checked(pixels.len().wrapping_mul(channels))?;
    Some([before, inside, after])
}

/// Copies as many bytes as both slices have, with the loop of the instruction set.
#[inline]
pub fn copy_bytes(output: &mut [i8], input: &[i8]) {
    crate::arch::copy_run(output, input);
}

/// Copies as many elements as both slices have: a loop that compiles to `memcpy`.
#[inline]
pub(crate) fn copy<T: Copy>(output: &mut [T], input: &[T]) {
    for (output, &x) in output.iter_mut().zip(input) {
        *output = x;
    }
}
