//! BatchMatMul: products of matrices that are both activations.
//!
//! `out[n, i, j] = Σ a[n, i, k] * b[n, k, j]`; either operand may be stored transposed. If only `b` is, an
//! element is a dot product; otherwise its sum runs over `k` in order, from 0.

use core::ops::Range;

use super::at;
use super::sum::{add_scaled, dot_rows};
use crate::lines::{for_each_line, run, tail};
use crate::window::div_rem;

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
}

/// Computes output rows `rows`; a row is `columns` elements, row `row % p.rows` of product
/// `row / p.rows`, and `output` holds those rows only.
pub fn batch_matmul(p: &BatchMatMul, rows: Range<usize>, a: &[f32], b: &[f32], output: &mut [f32]) {
    for_each_line(rows, p.columns, output, |row, line| {
        let (batch, i) = div_rem(row, p.rows);
        let a = tail(a, batch.wrapping_mul(p.a_stride));
        let b = tail(b, batch.wrapping_mul(p.b_stride));
        if p.transpose_b && !p.transpose_a {
            let a = run(a, i * p.inner, p.inner);
            dot_rows(a, b, p.inner, line);
            return;
        }
        line.fill(0.0);
        for k in 0..p.inner {
            let x = at(a, if p.transpose_a { k * p.rows + i } else { i * p.inner + k });
            if p.transpose_b {
                for (j, output) in line.iter_mut().enumerate() {
                    *output += x * at(b, j * p.inner + k);
                }
            } else {
                add_scaled(line, x, run(b, k * p.columns, p.columns));
            }
        }
    });
}
