//! ArgMinMax: the index of the smallest or largest element along a dimension.
//!
//! Of equal elements the first counts, or the last. The order of codes is that of the values that they represent.
//!
//! Source: TensorFlow Lite Micro's ARG_MAX and ARG_MIN, which take the first; ONNX's `select_last_index`.

use core::cmp::Ordering;
use core::ops::Range;

use crate::window::div_rem;

/// Parameters of [`arg_min_max`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgMinMax {
    /// The number of elements along the dimension.
    pub len: usize,
    /// The number of elements from one index of the dimension to the next.
    pub inner: usize,
    /// Whether the smallest element counts, instead of the largest.
    pub smallest: bool,
    /// Whether the last of equal elements counts, instead of the first.
    pub last: bool,
}

/// Computes output rows `rows`; a row is one index, counted over the other dimensions, and `output` holds the indices
/// of `rows` only.
pub fn arg_min_max(p: &ArgMinMax, rows: Range<usize>, input: &[i8], output: &mut [i32]) {
    find(p, rows, input, output, |a, b| if p.smallest { b.cmp(&a) } else { a.cmp(&b) });
}

/// Finds the elements that come last in `order`.
#[inline]
pub(crate) fn find<T: Copy>(
    p: &ArgMinMax,
    rows: Range<usize>,
    input: &[T],
    output: &mut [i32],
    order: impl Fn(T, T) -> Ordering,
) {
    for (row, output) in rows.zip(output) {
        let (outer, inner) = div_rem(row, p.inner);
        let first = outer.wrapping_mul(p.len).wrapping_mul(p.inner).wrapping_add(inner);
        let along = input.get(first..).unwrap_or(&[]).iter().step_by(p.inner.max(1)).take(p.len);
        let mut elements = along.enumerate();
        let Some((_, &(mut best))) = elements.next() else { continue };
        let mut index = 0;
        for (i, &x) in elements {
            let order = order(x, best);
            if order == Ordering::Greater || (p.last && order == Ordering::Equal) {
                (index, best) = (i, x);
            }
        }
        *output = index as i32;
    }
}
