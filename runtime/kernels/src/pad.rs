//! Pad: the input inside a border of one value.
//!
//! Source: TensorFlow Lite Micro `reference_ops::Pad` (PAD and PADV2).

use core::ops::Range;

use crate::lines::{copy, for_each_line};
use crate::view::unravel;

/// Parameters of [`pad`]. Shapes are padded with leading ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// Input shape.
    pub input: [usize; 6],
    /// Output shape.
    pub output: [usize; 6],
    /// The number of border elements before the input, per dimension. The rest of the output after it is border too.
    pub before: [usize; 6],
    /// The bytes of one border element, of which the first `item` are used.
    pub value: [u8; 4],
    /// The number of bytes of an element, 1 to 4.
    pub item: usize,
}

/// Computes output rows `rows`; a row is one line along the last dimension, and `output` holds those
/// rows only.
pub fn pad(p: &Pad, rows: Range<usize>, input: &[u8], output: &mut [u8]) {
    let [.., line] = p.output;
    let [.., input_line] = p.input;
    let [.., before] = p.before;
    let line = line.wrapping_mul(p.item);
    let input_line = input_line.wrapping_mul(p.item);
    let before = before.wrapping_mul(p.item);
    let value = p.value.get(..p.item).unwrap_or(&p.value);

    for_each_line(rows, line, output, |row, output| {
        let index = unravel(row, p.output.first_chunk::<5>().unwrap_or(&[0; 5]));
        let mut from = Some(0usize);
        for ((i, before), dim) in index.into_iter().zip(p.before).zip(p.input).take(5) {
            let inside = i.checked_sub(before).filter(|&i| i < dim);
            from = from.zip(inside).map(|(from, i)| from.wrapping_mul(dim).wrapping_add(i));
        }
        let line = from.and_then(|from| {
            let from = from.wrapping_mul(input_line);
            input.get(from..from.wrapping_add(input_line))
        });
        let Some(line) = line else {
            fill(output, value);
            return;
        };
        let Some((left, rest)) = output.split_at_mut_checked(before) else {
            return;
        };
        let Some((middle, right)) = rest.split_at_mut_checked(line.len()) else {
            return;
        };
        fill(left, value);
        copy(middle, line);
        fill(right, value);
    });
}

/// Repeats an element's bytes.
fn fill(output: &mut [u8], value: &[u8]) {
    if let [value] = value {
        output.fill(*value);
        return;
    }
    for (output, &x) in output.iter_mut().zip(value.iter().cycle()) {
        *output = x;
    }
}
