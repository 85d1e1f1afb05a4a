//! The inner loops of the f32 kernels, in plain Rust: products with rows of weights, and depthwise taps.
//!
//! An instruction set may replace them ([`arch`](crate::arch)); the bits are the same.

use super::sum::{Sum, Weight, add_products};
use super::{at, clamp};
use crate::lines::{run, tail};
use crate::portable::Window;

/// Rows that are multiplied together, so that each input is loaded once for all of them. Their sums need twice as many
/// registers of four lanes, which cores without vectors do not have.
const ROWS: usize =
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32")) { 4 } else { 1 };

/// Writes to `outputs[r]` the sum of the products of a window of `input` with row `r` of `weights`, in eight lanes.
///
/// A tap of the window is a run of `len` elements, which starts at lane 0. Row `r` of the weights starts at element
/// `r * stride`. If the runs do not lie within both slices, nothing is written.
pub(crate) fn multiply_f32<W: Weight>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
    outputs: &mut [f32],
) {
    if !rows_fit(window, len, [input.len(), weights.len()], stride, outputs.len()) {
        return;
    }
    let mut rows = weights;
    let (groups, rest) = outputs.as_chunks_mut::<ROWS>();
    for group in groups {
        *group = totals(window, len, input, rows, stride);
        rows = tail(rows, ROWS.wrapping_mul(stride));
    }
    for output in rest {
        [*output] = totals(window, len, input, rows, stride);
        rows = tail(rows, stride);
    }
}

/// Whether all runs of a window of `count` rows of weights lie within slices of the lengths `[input, weights]`.
#[inline]
pub(crate) fn rows_fit(window: &Window, len: usize, [input, weights]: [usize; 2], stride: usize, count: usize) -> bool {
    // A saturated product exceeds the length of any slice.
    let last = if window.is_empty() { 0 } else { stride.saturating_mul(count.saturating_sub(1)) };
    weights.checked_sub(last).is_some_and(|weights| window.fits(len, [input, weights]))
}

/// The totals of `N` rows.
#[inline]
fn totals<W: Weight, const N: usize>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
) -> [f32; N] {
    let mut sums = [Sum::default(); N];
    window.for_each_tap(input, weights, |input, weights| {
        let mut rows = [run(weights, 0, len); N];
        for (r, row) in rows.iter_mut().enumerate().skip(1) {
            *row = run(weights, r.wrapping_mul(stride), len);
        }
        add_products(&mut sums, run(input, 0, len), rows);
    });
    sums.map(Sum::total)
}

/// Writes to `outputs[c]` the sum of the products of element `c` of each tap of `input` and of `weights`, tap by tap.
///
/// If the taps do not lie within both slices, nothing is written.
pub(crate) fn depthwise_f32<W: Weight>(window: &Window, input: &[f32], weights: &[W], outputs: &mut [f32]) {
    if !window.fits(outputs.len(), [input.len(), weights.len()]) {
        return;
    }
    let (mut input, mut weights) = (input, weights);
    let (blocks, rest) = outputs.as_chunks_mut::<8>();
    for block in blocks {
        let mut sums = [0.0; 8];
        window.for_each_tap(input, weights, |input, weights| {
            if let (Some(x), Some(w)) = (input.first_chunk::<8>(), weights.first_chunk::<8>()) {
                for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                    *sum += x * w.to_f32();
                }
            }
        });
        *block = sums;
        (input, weights) = (tail(input, 8), tail(weights, 8));
    }
    rest.fill(0.0);
    window.for_each_tap(input, weights, |input, weights| {
        for ((sum, x), w) in rest.iter_mut().zip(input).zip(weights) {
            *sum += x * w.to_f32();
        }
    });
}

/// Adds the biases to sums, 0 where there are none, and clamps them.
pub(crate) fn add_bias(sums: &mut [f32], bias: &[f32], activation: [f32; 2]) {
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = clamp(*sum + at(bias, i), activation);
    }
}
