//! TopK: the largest or smallest elements of each line, in order.
//!
//! Elements compare as numbers (-0.0 equals 0.0), equal ones keep their order, and NaN comes after all numbers.

use core::ops::Range;

use super::arg_min_max::order;
use crate::TopK;
use crate::top_k::find;

/// Computes output rows `rows`; a row is the `count` elements that are found in a line, and `output` holds those rows
/// only.
pub fn top_k_values(p: &TopK, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    find(p, rows, input, output, |_, x| x, |a, b| order(p.smallest, a, b));
}

/// The same as [`top_k_values`], with the elements' indices in their line.
pub fn top_k_indices(p: &TopK, rows: Range<usize>, input: &[f32], output: &mut [i32]) {
    find(p, rows, input, output, |i, _| i as i32, |a, b| order(p.smallest, a, b));
}
