//! Rope: rotary position embedding.
//!
//! The elements of a head are treated as points in the plane, and point `i` of position `t` is rotated by the
//! angle `t * base^(-2i / depth)`: `(a, b)` becomes `(a * cos - b * sin, a * sin + b * cos)`. A point is a pair
//! of adjacent elements (interleaved) or elements `i` and `i + depth / 2` (half-split).
//!
//! Sources: Su and others, "RoFormer" (2021); candle-nn `rotary_emb::rope` (half-split) and `rope_i`
//! (interleaved).

use core::ops::Range;

use super::at;
use crate::lines::{copy, for_each_line, run};
use crate::window::div_rem;

/// Parameters of [`rope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rope {
    /// The number of elements of a head, even.
    pub depth: usize,
    /// The number of consecutive rows with the same position: that of the heads if they are the inner dimension, else
    /// 1.
    pub rows_per_position: usize,
    /// Whether a point is a pair of adjacent elements; otherwise its elements are half a head apart.
    pub interleaved: bool,
}

/// Rotates output rows `rows`; a row is `depth` elements of position
/// `positions[row / rows_per_position % positions.len()]`, and `output` holds those rows only.
///
/// `cos` and `sin` are `[table positions, depth / 2]`. A row whose position is below 0 or beyond their end is copied
/// unchanged.
pub fn rope(
    p: &Rope,
    rows: Range<usize>,
    positions: &[i32],
    input: &[f32],
    cos: &[f32],
    sin: &[f32],
    output: &mut [f32],
) {
    let points = p.depth / 2;
    for_each_line(rows, p.depth, output, |row, output| {
        let input = run(input, row.wrapping_mul(p.depth), p.depth);
        let (group, _) = div_rem(row, p.rows_per_position);
        let (_, index) = div_rem(group, positions.len());
        let position = positions.get(index).and_then(|&position| usize::try_from(position).ok());
        let Some(from) = position.and_then(|position| position.checked_mul(points)) else {
            copy(output, input);
            return;
        };
        let (cos, sin) = (run(cos, from, points), run(sin, from, points));
        if cos.len() < points || sin.len() < points {
            copy(output, input);
            return;
        }
        for (i, (cos, sin)) in cos.iter().zip(sin).enumerate() {
            let (first, second) = if p.interleaved { (2 * i, 2 * i + 1) } else { (i, i + points) };
            let (a, b) = (at(input, first), at(input, second));
            if let Some(output) = output.get_mut(first) {
                *output = a * cos - b * sin;
            }
            if let Some(output) = output.get_mut(second) {
                *output = a * sin + b * cos;
            }
        }
    });
}

/// Fills the tables of [`rope`] for positions from 0: as many rows of `depth / 2` as both have.
///
/// `base` is 10000 in most models. The inverse frequencies are `1 / base^(2i / depth)` in `f32`, as models
/// define them.
pub fn rope_tables(base: f32, depth: usize, cos: &mut [f32], sin: &mut [f32]) {
    let points = depth / 2;
    for (i, (cos, sin)) in cos.iter_mut().zip(sin).enumerate() {
        let (position, point) = div_rem(i, points);
        let frequency = 1.0 / libm::powf(base, (2 * point) as f32 / depth as f32);
        let angle = position as f32 * frequency;
        (*cos, *sin) = (libm::cosf(angle), libm::sinf(angle));
    }
}
