//! The place where other code than the kernels may compute operators.
//!
//! Plan, memory, order and slicing stay the session's. An engine is asked before some rows of an operator are computed, sees
//! what the operator reads, and either gives the bytes of those rows or leaves them to the kernels. [`Kernels`], which
//! sessions have unless told otherwise, leaves everything to them and is gone from the compiled program.

use crate::memory::range;
use crate::tensor::{Tensor, copy};
use core::ops::Range;
use tealight_format::{Model, Op, Operator, Value};

/// Computes operators in place of the kernels.
pub trait Engine {
    /// The bytes of the output rows that `part` asks for, in order, or `None` to leave them to the kernels.
    ///
    /// Which of the two may depend on the operator and its operands, but not on the rows or on what is in the tensors: the
    /// kernels carry work from an operator's first rows over to its later ones. An operator that writes state
    /// ([`Operator::state_input`]) must be left to the kernels. Bytes too many are ignored; rows past the last byte keep
    /// what was in memory.
    fn run(&mut self, part: &Part<'_>) -> Option<&[u8]>;
}

/// No engine: the kernels compute everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernels;

impl Engine for Kernels {
    #[inline]
    fn run(&mut self, _: &Part<'_>) -> Option<&[u8]> {
        None
    }
}

/// Offers `rows` of `op` to `engine`; whether it computed them.
#[inline]
pub(crate) fn offer<E: Engine>(
    engine: &mut E,
    model: &Model<'_>,
    memory: &mut [u8],
    op: &Op,
    rows: Range<u32>,
) -> bool {
    let rows = rows.start as usize..rows.end as usize;
    let Some(computed) = engine.run(&Part { model, memory, op, rows: rows.clone() }) else { return false };
    let output = range(&model.value(op.output.into()));
    let row_len = model.row_bytes(op) as usize;
    let at = |row: usize| output.start.wrapping_add(row.wrapping_mul(row_len));
    copy(computed, memory.get_mut(at(rows.start)..at(rows.end)).unwrap_or(&mut []));
    true
}

/// Some rows of one operator.
#[derive(Debug)]
pub struct Part<'s> {
    model: &'s Model<'s>,
    memory: &'s [u8],
    op: &'s Op,
    rows: Range<usize>,
}

impl<'s> Part<'s> {
    /// The operator with its attributes.
    pub const fn operator(&self) -> &'s Operator {
        &self.op.operator
    }

    /// The rows to compute, of [`row_count`](Self::row_count): the output's elements, row-major, divided evenly.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Rows of the whole operator.
    pub const fn row_count(&self) -> usize {
        self.op.rows as usize
    }

    /// Input `k`, in the file or in memory; `None` for one left out.
    pub fn input(&self, k: usize) -> Option<Tensor<'s>> {
        let value = self.model.value(self.op.input(k)?.into());
        let bytes = if value.is_constant() {
            self.model.constant(&value)
        } else {
            self.memory.get(range(&value)).unwrap_or(&[])
        };
        Some(Tensor { value, bytes })
    }

    /// What the operator writes: type, shape, quantization.
    pub const fn output(&self) -> Value {
        self.model.value(self.op.output as usize)
    }
}
