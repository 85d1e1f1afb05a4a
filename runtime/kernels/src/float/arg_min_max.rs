//! ArgMinMax: the index of the smallest or largest element along a dimension.
//!
//! Elements compare as numbers (-0.0 equals 0.0), and a NaN counts less than every number: it is found only where there
//! are no others.

use core::cmp::Ordering;
use core::ops::Range;

use crate::ArgMinMax;
use crate::arg_min_max::find;

/// Computes output rows `rows`; a row is one index, counted over the other dimensions, and `output` holds the indices
/// of `rows` only.
pub fn arg_min_max(p: &ArgMinMax, rows: Range<usize>, input: &[f32], output: &mut [i32]) {
    find(p, rows, input, output, |a, b| order(p.smallest, a, b));
}

/// The order of two elements, in which the largest comes last, or the smallest. NaN comes first.
#[inline]
pub(super) fn order(smallest: bool, a: f32, b: f32) -> Ordering {
    let order = if smallest { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
    order.unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}
