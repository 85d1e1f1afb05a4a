//! Engines: other code, such as an accelerator's driver, that computes operators in place of the kernels.
//!
//! The session keeps control of plan, memory, order and slicing. It offers rows of an operator to the engine before
//! they are computed. The engine sees what the operator reads, and either writes the bytes of those rows or leaves them
//! to the kernels. The default engine, [`Kernels`], leaves everything to the kernels and is optimized away.

use crate::linked::{Linked, Ops};
use crate::memory::range;
use crate::session::view;
use crate::tensor::Tensor;
use core::ops::Range;
use tealight_format::{Model, Op, Operator, Value};

/// Computes operators in place of the kernels.
pub trait Engine {
    /// Computes the rows of `part` and returns true, or returns false to leave them to the kernels.
    ///
    /// If it returns true, it must have written all of [`Part::output_bytes`]: a byte that it does not write keeps what
    /// was in memory. If it returns false, it must have written nothing.
    ///
    /// The choice may depend on the operator and its operands, but not on the rows or on the contents of the tensors,
    /// because the kernels reuse work of an operator's first rows for its later rows. An operator that writes state
    /// ([`Operator::state_input`]) must be left to the kernels. Operators that run in a group are not offered.
    fn compute(&mut self, part: &mut Part<'_>) -> bool;
}

/// The default engine: the kernels compute everything.
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

/// Offers `rows` of operator `index` to `engine` and returns whether it computed them.
#[inline]
pub(crate) fn offer<O: Ops, E: Engine>(
    engine: &mut E,
    model: &Model<'_>,
    memory: &mut [u8],
    index: usize,
    rows: Range<u32>,
) -> bool {
    let op = &model.op_in::<Linked<O>>(index);
    engine.compute(&mut Part {
        model,
        memory,
        #[cfg(feature = "threads")]
        index,
        op,
        rows: rows.start as usize..rows.end as usize,
    })
}

/// Some rows of one operator.
#[derive(Debug)]
pub struct Part<'s> {
    pub(crate) model: &'s Model<'s>,
    pub(crate) memory: &'s mut [u8],
    /// Index of the operator.
    #[cfg(feature = "threads")]
    pub(crate) index: usize,
    op: &'s Op,
    pub(crate) rows: Range<usize>,
}

impl<'s> Part<'s> {
    /// The operator and its attributes.
    pub const fn operator(&self) -> &'s Operator {
        &self.op.operator
    }

    /// The rows to compute. The output's elements, row-major, are divided evenly into [`row_count`](Self::row_count)
    /// rows.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The number of rows of the whole operator.
    pub const fn row_count(&self) -> usize {
        self.op.rows as usize
    }

    /// Input `k`, in the file or in memory; `None` for an optional input that is absent.
    pub fn input(&self, k: usize) -> Option<Tensor<'_>> {
        Some(view(self.model, self.memory, self.model.value(self.op.input(k)?.into())))
    }

    /// Type, shape and quantization of the operator's output.
    pub const fn output(&self) -> Value {
        self.model.value(self.op.output as usize)
    }

    /// The output bytes of exactly the rows to compute, for writing.
    ///
    /// An operator may work in place, in which case these bytes overlap an input. They can therefore be borrowed only
    /// while no input is borrowed: an engine computes the rows in memory of its own and copies them here. Writing here
    /// may overwrite input that has not been read.
    pub fn output_bytes(&mut self) -> &mut [u8] {
        let range = self.output_range();
        self.memory.get_mut(range).unwrap_or(&mut [])
    }

    /// Where in memory those bytes are.
    pub(crate) fn output_range(&self) -> Range<usize> {
        let output = range(&self.output());
        let row_len = self.model.row_bytes(self.op) as usize;
        let at = |row: usize| output.start.wrapping_add(row.wrapping_mul(row_len));
        at(self.rows.start)..at(self.rows.end)
    }
}
