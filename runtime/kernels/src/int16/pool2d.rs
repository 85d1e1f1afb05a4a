//! AvgPool2d and MaxPool2d over NHWC, of int16 elements: as those of int8.
//!
//! The sum wraps at 32 bits, but cannot reach that in a valid model file, where at most 2^15 taps meet the input.
//!
//! Source: TensorFlow Lite Micro `reference_integer_ops::AveragePool` and `MaxPool` for int16.

use core::ops::Range;

use crate::pool2d::{Average, Maximum, pool};
use tealight_types::{ActivationRangeI16, Window2d};

/// Parameters of [`avg_pool2d`] and [`max_pool2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC, with the input's channels.
    pub output: [usize; 4],
    /// The window of an output pixel in the input; its dilation counts as 1.
    pub window: Window2d,
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

/// Averages output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements, and `output`
/// holds the lines of `rows` only.
///
/// For a window that is entirely in the padding, the output pixel stays unchanged.
pub fn avg_pool2d(p: &Pool2d, rows: Range<usize>, input: &[i16], output: &mut [i16]) {
    pool::<Average, _>([p.input, p.output], &p.window, |x| p.activation.clamp(x), rows, input, output);
}

/// Takes the maxima of output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements,
/// and `output` holds the lines of `rows` only.
pub fn max_pool2d(p: &Pool2d, rows: Range<usize>, input: &[i16], output: &mut [i16]) {
    pool::<Maximum, _>([p.input, p.output], &p.window, |x| p.activation.clamp(x), rows, input, output);
}
