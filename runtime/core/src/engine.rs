//! The place where other code than the kernels may compute operators.
//!
//! Plan, memory, order and slicing stay the session's. An engine is asked before some rows of an operator are computed, sees
//! what the operator reads, and either writes the bytes of those rows or leaves them to the kernels. [`Kernels`], which
//! sessions have unless another is chosen, leaves everything to them and is gone from the compiled program.

use crate::memory::range;
use crate::session::view;
use crate::tensor::Tensor;
use core::ops::Range;
use tealight_format::{Model, Op, Operator, Value};

/// Computes operators in place of the kernels.
pub trait Engine {
    /// Computes the rows that `part` asks for and returns true, or returns false to leave them to the kernels.
    ///
    /// Where it returns true it must have written all of [`Part::output_bytes`]: every byte that it leaves keeps what was in
    /// memory. Where it returns false it must have written nothing.
    ///
    /// Which of the two may depend on the operator and its operands, but not on the rows or on what is in the tensors: the
    /// kernels carry work from an operator's first rows over to its later ones. An operator that writes state
    /// ([`Operator::state_input`]) must be left to the kernels.
    fn compute(&mut self, part: &mut Part<'_>) -> bool;
}

/// No engine: the kernels compute everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernels;

impl Engine for Kernels {
    #[inline]
    fn compute(&mut self, _: &mut Part<'_>) -> bool {
        false
    }
}

impl<E: Engine> Engine for &mut E {
    #[inline]
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        (**self).compute(part)
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
    engine.compute(&mut Part { model, memory, op, rows: rows.start as usize..rows.end as usize })
}

/// Some rows of one operator.
#[derive(Debug)]
pub struct Part<'s> {
    model: &'s Model<'s>,
    memory: &'s mut [u8],
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
    pub fn input(&self, k: usize) -> Option<Tensor<'_>> {
        Some(view(self.model, self.memory, self.model.value(self.op.input(k)?.into())))
    }

    /// What the operator writes: type, shape, quantization.
    pub const fn output(&self) -> Value {
        self.model.value(self.op.output as usize)
    }

    /// The bytes of the rows to compute, and of no others, to be written.
    ///
    /// An operator may work in place: these bytes may be an input's. So they can be borrowed only when no input is, and an
    /// engine computes elsewhere, then copies; what it has not read before it writes here is gone.
    pub fn output_bytes(&mut self) -> &mut [u8] {
        let output = range(&self.output());
        let row_len = self.model.row_bytes(self.op) as usize;
        let at = |row: usize| output.start.wrapping_add(row.wrapping_mul(row_len));
        self.memory.get_mut(at(self.rows.start)..at(self.rows.end)).unwrap_or(&mut [])
    }
}
