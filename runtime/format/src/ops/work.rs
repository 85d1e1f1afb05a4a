//! The work of an operator: its rows, and their cost.
//!
//! The unit of cost is a multiply-accumulate of an int8 convolution: about three instructions on a Cortex-M4. Other
//! work is weighted by its instructions on that core, by a formula in the operator's file and in SPEC.md; `cargo xtask
//! cost` measures them. A formula covers the worst data and the worst row. A common network runs two to four
//! instructions for each unit of cost, and no valid plan runs more than [`INSTRUCTIONS_PER_UNIT`].
//!
//! | cost | when it is counted |
//! |---|---|
//! | [`CALL_COST`] | for each slice of an operator: once if it runs in one go, and once for each call of `poll` that works on it |
//! | [`prepare_cost`](Work::prepare_cost) | before row 0, and again after each [`period`](Work::period) rows |
//! | [`row_cost`](Work::row_cost) | for each row |
//! | [`scratch_cost`](Work::scratch_cost) | for each row in addition, if rows are computed into a scratch value |

use super::{OUTPUT, OpFault, elementwise_outer};
use crate::{DType, MAX_RANK, Shape, Value};

/// The cost of entering an operator, or resuming it: reading its record and operands, selecting and setting up its
/// kernel.
pub const CALL_COST: u32 = 1500;

/// The maximum number of instructions that a unit of cost takes on a Cortex-M4 (Arm MPS2, AN386).
pub const INSTRUCTIONS_PER_UNIT: u32 = 8;

/// The cost of a row beyond that of its elements, in a kernel that works row by row: computing its addresses.
pub(super) const ROW: u64 = 20;

/// The same for an elementwise operator, whose kernel computes all elements of a slice as one run.
const ELEMENTWISE_ROW: u64 = 2;

/// The additional cost of computing a row into a scratch value: the kernel is called for as few rows as that holds,
/// perhaps for each row separately.
const SCRATCH_ROW: u64 = 300;

/// The cost of moving rows, in addition to that of their bytes.
const MOVING: u32 = 30;

/// The work of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The number of rows: equal, consecutive pieces in which the output is computed.
    pub rows: u32,
    /// The number of bytes of one row.
    pub row_bytes: u32,
    /// The cost of one row, without [`scratch_cost`](Self::scratch_cost).
    pub row_cost: u32,
    /// The additional cost of a row that is computed into a scratch value and copied to its place. 0 for an operator
    /// whose scratch value is a [`Workspace`](super::Workspace). The sum with `row_cost` fits in 32 bits.
    pub scratch_cost: u32,
    /// The cost of the preparation before the first of every [`period`](Self::period) rows: storing new keys and values
    /// in the cache, or quantizing activations into the workspace. 0 for operators without preparation.
    pub prepare_cost: u32,
    /// The number of rows from one preparation to the next, at least 1. It is `rows` if there is only one preparation.
    pub period: u32,
    /// The nominal number of multiply-accumulates of the whole operator: taps on padding count, other arithmetic does
    /// not.
    pub macs: u64,
}

impl Work {
    /// Rows of `row_bytes` with `row_macs` multiply-accumulates.
    pub(super) const fn new(rows: u64, row_bytes: u64, row_cost: u64, row_macs: u64) -> Result<Self, OpFault> {
        if rows == 0 || row_bytes == 0 {
            return Err(OpFault::Shape { operand: OUTPUT });
        }
        let scratch_cost = SCRATCH_ROW + row_bytes.div_ceil(2);
        let fits = rows <= u32::MAX as u64 && row_bytes <= u32::MAX as u64;
        if !fits || row_cost.saturating_add(scratch_cost) > u32::MAX as u64 {
            return Err(OpFault::TooLarge);
        }
        Ok(Self {
            rows: rows as u32,
            row_bytes: row_bytes as u32,
            row_cost: row_cost as u32,
            scratch_cost: scratch_cost as u32,
            prepare_cost: 0,
            period: rows as u32,
            macs: rows.saturating_mul(row_macs),
        })
    }

    /// Whether `bytes` are those of one or more whole rows, and of no more rows than there are.
    pub(crate) const fn holds_rows(&self, bytes: u32) -> bool {
        match bytes.checked_rem(self.row_bytes) {
            Some(rest) => rest == 0 && bytes > 0 && bytes / self.row_bytes <= self.rows,
            None => false,
        }
    }

    /// The same work with preparation of cost `cost` before the first of every `period` rows.
    pub(super) const fn prepared(mut self, cost: u64, period: u32) -> Result<Self, OpFault> {
        ensure!(cost <= u32::MAX as u64, OpFault::TooLarge);
        self.prepare_cost = cost as u32;
        self.period = period;
        Ok(self)
    }

    /// The work of an operator of a group: before the rows of a pass, the rows of its output that stay are moved to the
    /// start of its memory, unless all rows stay where they are.
    pub(crate) const fn moving(mut self, output: &Value) -> Self {
        if output.len < output.whole_len() {
            // Less than half of the 2^32 bytes.
            self.prepare_cost = MOVING + output.len.div_ceil(2);
        }
        self
    }

    /// Splits `output` into rows of all but its `outer` outermost dimensions. A row costs `fixed`, and `each` for every
    /// element.
    pub(super) const fn split(output: &Value, outer: usize, fixed: u64, each: u64) -> Result<Self, OpFault> {
        let (Some(rows), Some(all)) = (output.shape.product(0, outer), output.shape.elements()) else {
            return Err(OpFault::TooLarge);
        };
        if rows == 0 || all == 0 {
            return Err(OpFault::Shape { operand: OUTPUT });
        }
        let row = (all / rows) as u64;
        Self::new(rows as u64, row * output.dtype.size() as u64, sum(&[fixed, product(&[row, each])]), 0)
    }

    /// The split of elementwise operators: rows of the last two dimensions (of the last one below rank 3).
    pub(super) const fn elementwise(output: &Value, each: u64) -> Result<Self, OpFault> {
        Self::split(output, elementwise_outer(&output.shape), ELEMENTWISE_ROW, each)
    }

    /// The split of operators that go line by line: rows of the last dimension.
    pub(super) const fn last_dimension(output: &Value, fixed: u64, each: u64) -> Result<Self, OpFault> {
        Self::split(output, output.shape.rank().saturating_sub(1), fixed, each)
    }

    /// The split of operators that only move elements. `in_lines` means that each line of the output is contiguous in
    /// the input and copied whole; otherwise elements are moved one by one, by a loop if they have several bytes.
    pub(super) const fn moved(output: &Value, in_lines: bool) -> Result<Self, OpFault> {
        let size = output.dtype.size() as u64;
        let each = if in_lines {
            size.div_ceil(2)
        } else if size == 1 {
            3
        } else {
            14
        };
        Self::last_dimension(output, ROW, each)
    }

    /// The split of elementwise operators on two inputs of these shapes. If the shapes differ, every line of the output
    /// is a separate run, whose position in both inputs is computed.
    pub(super) const fn broadcast(output: &Value, a: &Shape, b: &Shape, each: u64) -> Result<Self, OpFault> {
        let outer = elementwise_outer(&output.shape);
        if a.is(&output.shape) && b.is(&output.shape) {
            return Self::split(output, outer, ELEMENTWISE_ROW, each);
        }
        let Some(row) = output.shape.product(outer, output.shape.rank()) else { return Err(OpFault::TooLarge) };
        let lines = quotient(row as u64, last_long_dimension(&output.shape, u32::MAX) as u64);
        Self::split(output, outer, sum(&[ELEMENTWISE_ROW, product(&[lines, 30])]), each)
    }
}

/// The last dimension longer than 1 among those whose bit in `mask` is set; 1 if there is none.
pub(super) const fn last_long_dimension(shape: &Shape, mask: u32) -> u32 {
    let mut i = shape.rank();
    while i > 0 {
        i -= 1;
        if mask >> i & 1 == 1 && shape.dim(i) > 1 {
            return shape.dim(i);
        }
    }
    1
}

/// The word of the last dimension, out of one word for each dimension; `none` for a scalar.
pub(super) const fn of_last(words: &[i32; MAX_RANK], rank: usize, none: i32) -> i32 {
    let (mut last, mut i) = (none, 0);
    while i < MAX_RANK && i < rank {
        last = words[i];
        i += 1;
    }
    last
}

/// `a / b`, rounded up. `b` is 0 only for operands that are refused; it then counts as 1.
pub(super) const fn quotient(a: u64, b: u64) -> u64 {
    a.div_ceil(if b == 0 { 1 } else { b })
}

/// The cost of a multiply-accumulate with a weight of this type; f16, i8 and int4 are converted first.
pub(super) const fn weight_cost(dtype: DType) -> u64 {
    match dtype {
        DType::F16 => 6,
        DType::I8 => 2,
        DType::I4 => 4,
        _ => 1,
    }
}

/// A saturating sum. No valid cost reaches the maximum.
pub(super) const fn sum(terms: &[u64]) -> u64 {
    let mut sum = 0u64;
    let mut i = 0;
    while i < terms.len() {
        sum = sum.saturating_add(terms[i]);
        i += 1;
    }
    sum
}

/// A saturating product. A factor is 0 only for an output that is refused.
pub(super) const fn product(factors: &[u64]) -> u64 {
    let mut product = 1u64;
    let mut i = 0;
    while i < factors.len() {
        product = product.saturating_mul(factors[i]);
        i += 1;
    }
    product
}
