//! Splits a range of an operator's rows, `width` to a batch, into batches and rows within them.

use std::ops::Range;

/// The same rows of several consecutive batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) batches: Range<usize>,
    /// Rows, counted from the start of a batch.
    pub(crate) rows: Range<usize>,
}

/// Returns the segments of `rows` in order: whole batches combined, and each incomplete batch separately.
pub(crate) fn segments(rows: Range<usize>, width: usize) -> impl Iterator<Item = Segment> {
    let mut at = rows.start;
    std::iter::from_fn(move || {
        let left = rows.end.checked_sub(at).filter(|&left| left > 0)?;
        let (batch, row) = (at / width, at % width);
        let batches = if row == 0 { (left / width).max(1) } else { 1 };
        let segment = Segment { batches: batch..batch + batches, rows: row..(row + left).min(width) };
        at += segment.batches.len() * segment.rows.len();
        Some(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_contain_every_row_once_and_in_order() {
        for (width, start, end) in (1..6).flat_map(|w| (0..13).flat_map(move |s| (s..20).map(move |e| (w, s, e)))) {
            let rows: Vec<usize> = segments(start..end, width)
                .flat_map(|Segment { batches, rows }| {
                    batches.flat_map(move |batch| rows.clone().map(move |row| batch * width + row))
                })
                .collect();
            assert_eq!(rows, (start..end).collect::<Vec<_>>(), "width {width}");
        }
    }

    #[test]
    fn whole_batches_are_not_split() {
        let found: Vec<_> = segments(3..17, 4).collect();
        let segment = |batches, rows| Segment { batches, rows };
        assert_eq!(found, [segment(0..1, 3..4), segment(1..4, 0..4), segment(4..5, 0..1)]);
    }
}
