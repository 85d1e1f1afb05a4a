//! TopK: the largest or smallest elements of each line, in order.
//!
//! Equal elements keep their order. No memory is needed: each place takes the first of the best elements that come
//! after that of the place before, which goes through the whole line again. It is meant for a few places.

use core::cmp::Ordering;
use core::ops::Range;

use crate::lines::{for_each_line, run};

/// Parameters of [`top_k_values`] and [`top_k_indices`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK {
    /// The number of elements of a line of the input.
    pub depth: usize,
    /// The number of elements that are found in each.
    pub count: usize,
    /// Whether the smallest elements are found, instead of the largest.
    pub smallest: bool,
}

/// Computes output rows `rows`; a row is the `count` elements that are found in a line, and `output` holds those rows
/// only.
pub fn top_k_values(p: &TopK, rows: Range<usize>, input: &[i8], output: &mut [i8]) {
    find(p, rows, input, output, |_, x| x, |a, b| if p.smallest { b.cmp(&a) } else { a.cmp(&b) });
}

/// The same as [`top_k_values`], with the elements' indices in their line.
pub fn top_k_indices(p: &TopK, rows: Range<usize>, input: &[i8], output: &mut [i32]) {
    find(p, rows, input, output, |i, _| i as i32, |a, b| if p.smallest { b.cmp(&a) } else { a.cmp(&b) });
}

/// Finds the elements that come last in `order`, and writes what `of` makes of the index and the element.
#[inline]
pub(crate) fn find<T: Copy, O>(
    p: &TopK,
    rows: Range<usize>,
    input: &[T],
    output: &mut [O],
    of: impl Fn(usize, T) -> O,
    order: impl Fn(T, T) -> Ordering,
) {
    for_each_line(rows, p.count, output, |row, output| {
        let line = run(input, row.wrapping_mul(p.depth), p.depth);
        let mut found: Option<(usize, T)> = None;
        for place in output {
            let is_left = |(i, x): (usize, T)| match found {
                None => true,
                Some((index, least)) => match order(x, least) {
                    Ordering::Less => true,
                    Ordering::Equal => i > index,
                    Ordering::Greater => false,
                },
            };
            let mut best: Option<(usize, T)> = None;
            for (i, &x) in line.iter().enumerate() {
                let is_better = best.is_none_or(|(_, most)| order(x, most) == Ordering::Greater);
                if is_better && is_left((i, x)) {
                    best = Some((i, x));
                }
            }
            let Some((i, x)) = best else { break };
            *place = of(i, x);
            found = best;
        }
    });
}
