//! Mean of int16 elements: that of [`mean`](crate::mean()), with zero points of 0.
//!
//! The sum wraps at 32 bits, but cannot reach that in a valid model file, where a mean has at most 2^15 elements.

use core::ops::Range;

use crate::mean::{Mean, mean_of};
use tealight_types::ActivationRangeI16;

/// Computes output rows `rows`; a row is one element, counted over the dimensions that are kept, and
/// `output` holds the elements of `rows` only.
pub fn mean(p: &Mean, rows: Range<usize>, input: &[i16], output: &mut [i16]) {
    mean_of(p, rows, input, output, |x| ActivationRangeI16::FULL.clamp(x));
}
