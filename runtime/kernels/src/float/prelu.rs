//! Prelu in f32, elementwise with broadcasting: `x >= 0 ? x : x * alpha`.
//!
//! Source: TensorFlow Lite Micro `BroadcastPrelu4DSlowFloat`.

use core::ops::Range;

use crate::broadcast::Broadcast;

/// `input` where it is 0 or more, else `input * alpha`, for output rows `rows`, of `broadcast.row_len` elements;
/// `output` holds those rows only.
pub fn prelu(broadcast: &Broadcast, rows: Range<usize>, input: &[f32], alpha: &[f32], output: &mut [f32]) {
    broadcast.for_each(rows, input, alpha, output, |x, alpha| if x >= 0.0 { x } else { x * alpha });
}
