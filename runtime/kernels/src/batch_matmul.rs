//! BatchMatMul: products of matrices that are both activations.
//!
//! `out[n, i, j] = clamp(zero_point + factor * Σ (a[n, i, k] - a_zero_point) * (b[n, k, j] - b_zero_point))`; either operand
//! may be stored transposed. Sums wrap.
//!
//! Source: TensorFlow Lite Micro `reference_ops::BatchMatMul` for int8.

use core::ops::Range;

use crate::lines::{for_each_line, tail};
use crate::quant::{Channel, requantize_accumulator};
use crate::window::div_rem;
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`batch_matmul`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMatMul {
    /// Rows of `a` and of the product.
    pub rows: usize,
    /// Columns of `a`, rows of `b`.
    pub inner: usize,
    /// Columns of `b` and of the product.
    pub columns: usize,
    /// Whether `a` is stored `[inner, rows]`.
    pub transpose_a: bool,
    /// Whether `b` is stored `[columns, inner]`.
    pub transpose_b: bool,
    /// Elements from one matrix of `a` to the next: 0 to use one for all.
    pub a_stride: usize,
    /// Elements from one matrix of `b` to the next: 0 to use one for all.
    pub b_stride: usize,
    /// Quantized value of a real zero in `a`.
    pub a_zero_point: i32,
    /// Quantized value of a real zero in `b`.
    pub b_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// `a_scale * b_scale / output_scale`.
    pub output: Multiplier,
}

/// Computes output rows `rows`; a row is `columns` elements, row `row % p.rows` of product
/// `row / p.rows`, and `output` holds those rows only.
pub fn batch_matmul(p: &BatchMatMul, rows: Range<usize>, a: &[i8], b: &[i8], output: &mut [i8]) {
    let channel = Channel { bias: 0, multiplier: p.output.multiplier, shift: p.output.shift };
    // From one element to the next of a row of `a`, and of a column of `b`; and from one of these to the next.
    let (a_step, a_next) = if p.transpose_a { (p.rows, 1) } else { (1, p.inner) };
    let (b_step, b_next) = if p.transpose_b { (1, p.inner) } else { (p.columns, 1) };
    for_each_line(rows, p.columns, output, |row, line| {
        let (batch, i) = div_rem(row, p.rows);
        let a = tail(a, batch.wrapping_mul(p.a_stride).wrapping_add(i.wrapping_mul(a_next)));
        let mut b = tail(b, batch.wrapping_mul(p.b_stride));
        for output in line {
            let mut sum = 0i32;
            // Steps of elements that lie side by side are known when this is compiled.
            if a_step == 1 && b_step == 1 {
                for (&x, &w) in a.iter().zip(b).take(p.inner) {
                    sum = sum.wrapping_add(p.product(x, w));
                }
            } else {
                let elements = a.iter().step_by(a_step.max(1)).zip(b.iter().step_by(b_step.max(1)));
                for (&x, &w) in elements.take(p.inner) {
                    sum = sum.wrapping_add(p.product(x, w));
                }
            }
            *output = requantize_accumulator(sum, &channel, p.output_zero_point, ActivationRange::FULL);
            b = tail(b, b_next);
        }
    });
}

impl BatchMatMul {
    /// The product of an element of each operand.
    #[inline]
    fn product(&self, a: i8, b: i8) -> i32 {
        i32::from(a).wrapping_sub(self.a_zero_point).wrapping_mul(i32::from(b).wrapping_sub(self.b_zero_point))
    }
}
