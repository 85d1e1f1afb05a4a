//! How far an operator's output may overlap an input that no later operator reads.
//!
//! An operator that reads its input in the order of its output needs, at output row y, only the input from some row on.
//! The output may then overwrite the part of the input that is no longer needed: at the same address if both advance at
//! the same pace (in place), or from a lower address if the output advances faster. Each row is computed into a scratch
//! row and then copied, so a row may also overwrite input that it reads itself. This is the memory reuse that Blacker
//! et al., "Optimising TinyML with diagonal memory optimisation" (2020), describe, at the granularity of rows.

use super::{Operands, Work};
use crate::Value;

/// The order in which an operator reads one input while it computes its output rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAccess {
    /// The number of bytes of one input row.
    pub row_bytes: u32,
    /// The number of input rows from one output row to the next.
    pub stride: u32,
    /// Output row y needs input rows from `y * stride - lead` on.
    pub lead: u32,
    /// The number of input rows from there that output row y needs, those outside of the input included.
    pub extent: u32,
}

impl RowAccess {
    /// The minimum distance d such that an input at offset `i` and an output at offset `o` with `i >= o + d` can share
    /// memory. The condition: for every output row y from 1 on, the rows before y, already written, end at or below the
    /// first byte that row y and later rows read. Both positions are linear in y except for the bend at `lead /
    /// stride`, so the largest difference is at an end or at the bend.
    pub const fn distance(&self, work: &Work) -> u32 {
        let last = work.rows as u64 - 1;
        let bend = match self.lead.checked_div(self.stride) {
            Some(bend) => bend as u64,
            None => last,
        };
        let candidates = [1, bend, bend + 1, last];
        let mut distance = 0;
        let mut i = 0;
        while i < candidates.len() {
            let y = candidates[i];
            if y >= 1 && y <= last {
                let written = y * work.row_bytes as u64;
                let needed = (y * self.stride as u64).saturating_sub(self.lead as u64) * self.row_bytes as u64;
                let d = written.saturating_sub(needed);
                if d > distance {
                    distance = d;
                }
            }
            i += 1;
        }
        // `written` is at most the output's length, which fits.
        distance as u32
    }
}

/// The access of windows of height `extent` over one image: input rows are image rows.
pub(super) const fn windows(input: &Value, stride: i32, pad: i32, extent: u64) -> Option<RowAccess> {
    if input.shape.dim(0) != 1 || input.shape.dim(1) == 0 || stride < 1 || pad < 0 || extent > u32::MAX as u64 {
        return None;
    }
    let row_bytes = input.whole_len() / input.shape.dim(1);
    Some(RowAccess { row_bytes, stride: stride as u32, lead: pad as u32, extent: extent as u32 })
}

/// The access of a convolution to its input, operand 0; `None` for any other operand `k`. Operand 1 has the filters.
pub(super) const fn filters(
    input: &Value,
    operands: &Operands,
    k: usize,
    [stride, pad, dilation]: [i32; 3],
) -> Option<RowAccess> {
    match operands.input(1) {
        Some(weights) if k == 0 => {
            let taps = weights.shape.dim(1) as u64;
            let extent = taps.saturating_sub(1).saturating_mul(dilation.unsigned_abs() as u64) + 1;
            windows(input, stride, pad, extent)
        }
        _ => None,
    }
}

/// One input row for each output row.
pub(super) const fn in_step(input: &Value, output: &Value, outer: usize) -> Option<RowAccess> {
    if !input.shape.is(&output.shape) {
        return None;
    }
    match input.shape.product(0, outer) {
        Some(rows) if rows > 0 => {
            Some(RowAccess { row_bytes: input.whole_len() / rows, stride: 1, lead: 0, extent: 1 })
        }
        _ => None,
    }
}

/// One input row for each output row, where a row is a line of the last dimension: the operator works line by line.
pub(super) const fn line_for_line(input: &Value, output: &Value) -> Option<RowAccess> {
    in_step(input, output, output.shape.rank().saturating_sub(1))
}

/// One input row for each output row, where a row is a line of the last dimension, whatever its length.
pub(super) const fn row_for_row(input: &Value, output: &Value) -> Option<RowAccess> {
    let rows = input.shape.product(0, input.shape.rank().saturating_sub(1));
    match (rows, output.shape.product(0, output.shape.rank().saturating_sub(1))) {
        (Some(rows), Some(of_output)) if rows > 0 && rows == of_output => {
            Some(RowAccess { row_bytes: input.whole_len() / rows, stride: 1, lead: 0, extent: 1 })
        }
        _ => None,
    }
}
