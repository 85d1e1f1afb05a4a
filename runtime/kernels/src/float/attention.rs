//! Scaled dot-product attention over a cache of keys and values.
//!
//! A network that reads a sequence step by step keeps the keys and values of all earlier positions in its
//! state. [`cache`] stores those of the new positions, one or several; [`attention`] then computes, for each
//! new position and head, `Σ_t softmax_t(scale * q · k_t) * v_t` over all positions up to its own.
//!
//! The softmax is computed in one pass with a running maximum; sum and output are rescaled whenever a score
//! exceeds it (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). No scores need to be
//! stored. Positions are processed in order.
//!
//! Source: Vaswani and others, "Attention is all you need" (2017); grouped heads: Ainslie and others, "GQA"
//! (2023).

use core::ops::Range;

use super::sum::{add_scaled, dot_rows};
use crate::lines::{copy, for_each_line, run, tail};
use crate::window::div_rem;

/// Parameters of [`cache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// The number of elements of a position: key (or value) heads times the elements of a head.
    pub len: usize,
}

/// Stores new rows `rows` of `input`; a row is the `len` elements of one position, and `positions` has the position of
/// each row of `input`. `cache` is `[capacity, len]`. Positions below 0 or beyond the capacity are dropped; the last of
/// equal positions is kept.
pub fn cache(p: &Cache, rows: Range<usize>, positions: &[i32], input: &[f32], cache: &mut [f32]) {
    for row in rows {
        let Some(&position) = positions.get(row) else {
            return;
        };
        let from = usize::try_from(position).ok().and_then(|position| position.checked_mul(p.len));
        let line = from.and_then(|from| cache.get_mut(from..)).and_then(|rest| rest.get_mut(..p.len));
        if let Some(line) = line {
            copy(line, run(input, row.wrapping_mul(p.len), p.len));
        }
    }
}

/// The number of positions whose scores are computed together.
const SCORES: usize = 8;

/// Parameters of [`attention`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// The number of query heads.
    pub heads: usize,
    /// The number of key and value heads. It divides `heads`; each is shared by `heads / kv_heads` consecutive query
    /// heads.
    pub kv_heads: usize,
    /// The number of elements of a head.
    pub depth: usize,
    /// Factor applied to the scores: `1 / √depth` in most models.
    pub scale: f32,
}

/// Computes output rows `rows`; a row is the `depth` elements of head `row % heads` of query
/// `row / heads`, and `output` holds those rows only.
///
/// `queries` is `[positions, heads, depth]`; `keys` and `values` are caches `[capacity, kv_heads, depth]`. Query `i`
/// attends to the positions from 0 to `positions[i]` that are in the caches. If there are none, the output is zeros.
pub fn attention(
    p: &Attention,
    rows: Range<usize>,
    positions: &[i32],
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    output: &mut [f32],
) {
    let (group, _) = div_rem(p.heads, p.kv_heads);
    let (capacity, _) = div_rem(keys.len().min(values.len()), p.kv_heads.wrapping_mul(p.depth));
    for_each_line(rows, p.depth, output, |row, output| {
        let query = run(queries, row.wrapping_mul(p.depth), p.depth);
        let (query_index, head) = div_rem(row, p.heads);
        let (kv_head, _) = div_rem(head, group);
        let last = positions.get(query_index).and_then(|&position| usize::try_from(position).ok());
        let seen = last.map_or(0, |last| last.saturating_add(1)).min(capacity);
        let mut softmax = Online { max: f32::NEG_INFINITY, sum: 0.0 };
        output.fill(0.0);
        let step = p.kv_heads.wrapping_mul(p.depth);
        let mut from = kv_head.wrapping_mul(p.depth);
        let mut left = seen;
        while left > 0 {
            let mut scores = [0.0; SCORES];
            let scores = scores.get_mut(..left.min(SCORES)).unwrap_or(&mut []);
            dot_rows(query, tail(keys, from), step, scores);
            for &mut score in &mut *scores {
                softmax.add(score * p.scale, run(values, from, p.depth), output);
                from = from.wrapping_add(step);
            }
            left = left.saturating_sub(SCORES);
        }
        if seen > 0 {
            for output in output {
                *output /= softmax.sum;
            }
        }
    });
}

/// A softmax in progress: the terms added so far are relative to the running maximum `most`.
struct Online {
    max: f32,
    sum: f32,
}

impl Online {
    #[inline]
    fn add(&mut self, score: f32, value: &[f32], output: &mut [f32]) {
        if score > self.max {
            let factor = libm::expf(self.max - score);
            self.max = score;
            self.sum *= factor;
            for output in &mut *output {
                *output *= factor;
            }
        }
        let weight = libm::expf(score - self.max);
        self.sum += weight;
        add_scaled(output, weight, value);
    }
}
