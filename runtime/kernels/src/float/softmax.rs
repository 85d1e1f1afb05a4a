//! Softmax along the last dimension: `exp(beta * (x - max)) / Σ exp(beta * (x - max))`.

use core::ops::Range;

use super::sum::sum_of;
use crate::lines::{for_each_line, run};

/// Parameters of [`softmax`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    /// The number of elements of a row.
    pub depth: usize,
    /// Factor of the input, not negative; 1 in nearly every model.
    pub beta: f32,
}

/// Computes output rows `rows`; a row is `depth` elements, and `output` holds those rows only.
pub fn softmax(p: &Softmax, rows: Range<usize>, input: &[f32], output: &mut [f32]) {
    for_each_line(rows, p.depth, output, |row, output| {
        let input = run(input, row.wrapping_mul(p.depth), p.depth);
        let max = input.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
        for (output, x) in output.iter_mut().zip(input) {
            *output = libm::expf((x - max) * p.beta);
        }
        let sum = sum_of(output, |x| x);
        for output in output {
            *output /= sum;
        }
    });
}
