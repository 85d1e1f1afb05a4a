//! Mean over any dimensions.
//!
//! `out = clamp(zero_point + (Σ x - n * input_zero_point) * factor / n)`, with `1/n` included in the
//! multiplier: it is shifted left by the number of bits of `n`, then divided by `n` as an integer. The sum wraps at 32
//! bits, but cannot reach that in a valid model file, where `n` is at most 2^23.
//!
//! Source: TensorFlow Lite Micro `reference_ops::QuantizedMeanOrSum`.

use core::ops::Range;

use crate::quant::multiply_by_quantized_multiplier;
use crate::view::{dense_strides, unravel};
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`mean`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mean {
    /// Input shape, padded with leading ones.
    pub dims: [usize; 6],
    /// Bit `i` is set if dimension `i` is averaged over.
    pub reduced: u32,
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// `input_scale / output_scale`, without the division by the number of elements.
    pub output: Multiplier,
}

/// Computes output rows `rows`; a row is one element, counted over the dimensions that are kept, and
/// `output` holds the elements of `rows` only.
pub fn mean(p: &Mean, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    mean_of(p, rows, input, output, |x| ActivationRange::FULL.clamp(x));
}

/// The same for elements of any integer type, whose results `code` clamps to it.
#[inline]
pub(crate) fn mean_of<T: Copy + Into<i32>>(
    p: &Mean,
    rows: Range<usize>,
    input: &[T],
    output: &mut [T],
    code: impl Fn(i32) -> T,
) {
    let strides = dense_strides(&p.dims);
    let is_reduced = |i: usize| p.reduced & (1 << i) != 0;
    // A dimension is either indexed by the output or summed over; in the other array its size is 1.
    let mut kept = [1; 6];
    let mut summed = [1; 6];
    for (i, ((kept, summed), dim)) in kept.iter_mut().zip(&mut summed).zip(p.dims).enumerate() {
        *(if is_reduced(i) { summed } else { kept }) = dim;
    }
    let offset_of = |index: [usize; 6]| {
        index.into_iter().zip(strides).fold(0usize, |at, (i, stride)| at.wrapping_add(i.wrapping_mul(stride)))
    };
    let count = summed.iter().fold(1usize, |n, &dim| n.wrapping_mul(dim));
    let Some(Multiplier { multiplier, shift }) = divided(p.output, count) else {
        return;
    };
    let (line, line_stride) = innermost(&summed, &strides);
    let lines = count / line;
    let offset = p.input_zero_point.wrapping_mul(count as i32);

    for (row, output) in rows.zip(output) {
        let base = offset_of(unravel(row, &kept));
        let mut sum = 0i32;
        for i in 0..lines {
            // Element `i * line` of the summed dimensions; its index in the innermost of them is 0.
            let from = base.wrapping_add(offset_of(unravel(i * line, &summed)));
            let elements = input.get(from..).unwrap_or(&[]).iter().step_by(line_stride).take(line);
            sum = elements.fold(sum, |sum, &x| sum.wrapping_add(x.into()));
        }
        let scaled = multiply_by_quantized_multiplier(sum.wrapping_sub(offset), multiplier, shift);
        *output = code(scaled.wrapping_add(p.output_zero_point));
    }
}

/// Length (at least 1) and stride (at least 1) of the innermost dimension that is summed over.
fn innermost(summed: &[usize; 6], strides: &[usize; 6]) -> (usize, usize) {
    let dims = summed.iter().zip(strides).rev();
    let found = dims.map(|(&dim, &stride)| (dim, stride.max(1))).find(|&(dim, _)| dim > 1);
    found.unwrap_or((1, 1))
}

/// The factor divided by `count`; `None` for a count of 0.
fn divided(Multiplier { multiplier, shift }: Multiplier, count: usize) -> Option<Multiplier> {
    let bits = (count as u64).checked_ilog2()? as i32;
    let bits = bits.min(32).min(shift.saturating_add(31)).max(0);
    let multiplier = (i64::from(multiplier) << bits).checked_div(count as i64)?;
    Some(Multiplier { multiplier: multiplier as i32, shift: shift.saturating_sub(bits) })
}
