//! LayerNorm and RmsNorm along the last dimension.
//!
//! LayerNorm: `(x - mean) / √(variance + epsilon) * weight + bias`, the variance from the differences to the
//! mean (Ba, Kiros and Hinton, "Layer normalization", 2016). RmsNorm: `x / √(mean(x²) + epsilon) * weight`
//! (Zhang and Sennrich, "Root mean square layer normalization", 2019).

use core::ops::Range;

use super::at;
use super::sum::{Weight, sum_of};
use crate::lines::{for_each_line, run};

/// Parameters of [`layer_norm`] and [`rms_norm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// The number of elements of a row.
    pub depth: usize,
    /// Added under the root to keep the divisor above 0.
    pub epsilon: f32,
}

/// Normalizes output rows `rows` to mean 0 and variance 1; a row is `depth` elements, and `output` holds
/// those rows only.
///
/// `weight` has `depth` entries, `bias` has as many or none.
pub fn layer_norm<W: Weight>(
    p: &Norm,
    rows: Range<usize>,
    input: &[f32],
    weight: &[W],
    bias: &[W],
    output: &mut [f32],
) {
    for_each_line(rows, p.depth, output, |row, output| {
        let input = run(input, row.wrapping_mul(p.depth), p.depth);
        let depth = p.depth as f32;
        let mean = sum_of(input, |x| x) / depth;
        let variance = sum_of(input, |x| (x - mean) * (x - mean)) / depth;
        let deviation = libm::sqrtf(variance + p.epsilon);
        for (i, ((output, x), w)) in output.iter_mut().zip(input).zip(weight).enumerate() {
            *output = (x - mean) / deviation * w.to_f32() + at(bias, i);
        }
    });
}

/// Normalizes output rows `rows` to a mean square of 1; a row is `depth` elements, and `output` holds
/// those rows only. `weight` has `depth` entries.
pub fn rms_norm<W: Weight>(p: &Norm, rows: Range<usize>, input: &[f32], weight: &[W], output: &mut [f32]) {
    for_each_line(rows, p.depth, output, |row, output| {
        let input = run(input, row.wrapping_mul(p.depth), p.depth);
        let root = libm::sqrtf(sum_of(input, |x| x * x) / p.depth as f32 + p.epsilon);
        for ((output, x), w) in output.iter_mut().zip(input).zip(weight) {
            *output = x / root * w.to_f32();
        }
    });
}
