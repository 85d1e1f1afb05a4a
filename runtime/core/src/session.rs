//! A model being run.

use crate::arena::{Arena, Block};
use crate::embedded::Embedded;
use crate::engine::{Engine, Kernels, offer};
use crate::execute::execute;
use crate::memory::range;
use crate::tensor::{Tensor, TensorMut, copy};
use core::fmt;
use tealight_format::{BlockType, F16_WEIGHTS, Model, Op, OpCode, OpSet, block_set_has, op_set_has};

/// How much one call of [`Session::poll`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    cost: u64,
    layer: bool,
}

impl Budget {
    /// About `n` multiply-accumulates; other work counts at about its weight. The call stops before the row that would
    /// exceed it, but does at least one row.
    pub const fn macs(n: u64) -> Self {
        Self { cost: n, layer: false }
    }

    /// To the end of the current operator.
    pub const fn layer() -> Self {
        Self { cost: u64::MAX, layer: true }
    }

    /// To the end of the inference.
    pub const fn unlimited() -> Self {
        Self { cost: u64::MAX, layer: false }
    }
}

/// Whether an inference has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// There is more to do: poll again.
    Pending,
    /// The outputs are there.
    Done,
}

impl Progress {
    /// Whether there is more to do.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Pending)
    }

    /// Whether the outputs are there.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Done)
    }
}

/// Where a session stands: the next operator, and the next of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    /// Index of the operator.
    pub op: usize,
    /// Row of its output, from 0.
    pub row: u32,
}

/// Why a model cannot run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LoadError {
    /// The memory is smaller than the model's arena.
    ArenaTooSmall {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that were given.
        given: usize,
    },
    /// The memory does not start on a multiple of 16 bytes.
    MisalignedMemory,
    /// The model's bytes do not start on a multiple of 16 bytes.
    MisalignedModel,
    /// The model needs an operator that this session does not have.
    MissingOperator {
        /// The operator's code; its name is [`OpCode::name`].
        operator: OpCode,
    },
    /// The model has weights in blocks of a type that this session does not have.
    MissingBlockType {
        /// The type.
        block: BlockType,
    },
    /// The model has weights stored as f16, which this session does not have.
    MissingF16,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArenaTooSmall { needed, given } => {
                write!(f, "the model needs {needed} bytes of memory, but has {given}")
            }
            Self::MisalignedMemory => f.write_str("the memory is not aligned to 16 bytes"),
            Self::MisalignedModel => f.write_str("the model's bytes are not aligned to 16 bytes"),
            Self::MissingOperator { operator } => {
                write!(f, "the model needs the operator {}, which this program was built without", operator.name())
            }
            Self::MissingBlockType { block } => {
                write!(f, "the model has {} weights, which this program was built without", block.name())
            }
            Self::MissingF16 => f.write_str("the model has f16 weights, which this program was built without"),
        }
    }
}

impl core::error::Error for LoadError {}

/// A model with the memory it runs in. `OPS` is the set of kernels that are linked.
///
/// A session is made from an [`Embedded`] model with [`new`](Self::new), which cannot fail, or from one loaded at run
/// time with [`load`](Self::load). Then, for each inference: write the inputs (all of them: their memory is used again
/// while the model runs), [`run`](Self::run) or [`poll`](Self::poll) to the end, read the outputs. Streaming state is
/// kept from one inference to the next until [`reset`](Self::reset).
///
/// `E` may compute operators in place of the kernels: see [`with_engine`](Self::with_engine).
#[derive(Debug)]
pub struct Session<'m, const OPS: OpSet, E = Kernels> {
    model: Model<'m>,
    memory: &'m mut [u8],
    position: Position,
    engine: E,
}

impl<'m, const OPS: OpSet> Session<'m, OPS> {
    /// A session for a model that is part of the program. An arena smaller than the model's is a compile error.
    pub fn new<const ARENA: usize, const N: usize>(
        model: &'static Embedded<ARENA, OPS>,
        arena: &'m mut Arena<N>,
    ) -> Self {
        const { assert!(N >= ARENA, "the arena is smaller than the model needs: give it the model's arena_len()") }
        Self::start(model.model(), arena.bytes_mut())
    }

    /// A session for a model that was loaded at run time. Name the kernels that such a model may need:
    /// [`ALL_OPS`](crate::ALL_OPS), or an [`op_set`](crate::op_set), joined by `|` with a
    /// [`block_set`](crate::block_set) and [`F16_WEIGHTS`](crate::F16_WEIGHTS) for models with such weights.
    ///
    /// # Errors
    /// [`LoadError`] if memory or model are not aligned to 16, the memory is smaller than
    /// [`Model::arena_len`], or the model needs an operator or a type of weights outside `OPS`.
    pub fn load(model: &Model<'m>, memory: &'m mut [u8]) -> Result<Self, LoadError> {
        let missing = model.op_set() & !OPS;
        for &operator in OpCode::ALL {
            if op_set_has(missing, operator) {
                return Err(LoadError::MissingOperator { operator });
            }
        }
        for &block in BlockType::ALL {
            if block_set_has(missing, block) {
                return Err(LoadError::MissingBlockType { block });
            }
        }
        if missing & F16_WEIGHTS != 0 {
            return Err(LoadError::MissingF16);
        }
        if !model.bytes().as_ptr().cast::<Block>().is_aligned() {
            return Err(LoadError::MisalignedModel);
        }
        if !memory.as_ptr().cast::<Block>().is_aligned() {
            return Err(LoadError::MisalignedMemory);
        }
        if memory.len() < model.arena_len() {
            return Err(LoadError::ArenaTooSmall { needed: model.arena_len(), given: memory.len() });
        }
        Ok(Self::start(model, memory))
    }

    fn start(model: &Model<'m>, memory: &'m mut [u8]) -> Self {
        // Nothing of what the memory held before can be seen through the model.
        memory.fill(0);
        let mut session = Self { model: *model, memory, position: Position::default(), engine: Kernels };
        session.reset();
        session
    }

    /// The same session, reset, with an engine that is asked before the kernels.
    pub fn with_engine<E: Engine>(self, engine: E) -> Session<'m, OPS, E> {
        let mut session = Session { model: self.model, memory: self.memory, position: self.position, engine };
        session.reset();
        session
    }
}

impl<'m, const OPS: OpSet, E: Engine> Session<'m, OPS, E> {
    /// What computes operators in place of the kernels.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// The model.
    pub const fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Where the session stands: the start, unless an inference is under way.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Gives up an inference that is under way and puts the streaming state back to what it was at first.
    pub fn reset(&mut self) {
        self.position = Position::default();
        for i in self.model.constant_count()..self.model.value_count() {
            let value = self.model.value(i);
            if !value.is_state() || value.alias.is_some() {
                continue;
            }
            let Some(state) = self.memory.get_mut(range(&value)) else { continue };
            match value.init {
                Some(init) => copy(self.model.constant(&self.model.value(init.into())), state),
                None => state.fill(0),
            }
        }
    }

    /// Model input `i`, to be written before each inference. An index past the last gives an empty tensor.
    pub fn input(&mut self, i: usize) -> TensorMut<'_> {
        let value = self.model.value(self.model.input(i));
        TensorMut { value, bytes: self.memory.get_mut(range(&value)).unwrap_or(&mut []) }
    }

    /// Model output `i`, valid after an inference has ended and until the next one starts. An index past the last gives
    /// an empty tensor.
    pub fn output(&self, i: usize) -> Tensor<'_> {
        self.value(self.model.output(i))
    }

    /// Value `index` of the plan as it stands in memory. An activation is valid from the operator that writes it to the
    /// last that reads it; use [`Budget::layer`] to look between.
    pub fn value(&self, index: usize) -> Tensor<'_> {
        let value = self.model.value(index);
        let bytes = if value.is_constant() {
            self.model.constant(&value)
        } else {
            self.memory.get(range(&value)).unwrap_or(&[])
        };
        Tensor { value, bytes }
    }

    /// Runs one inference to its end, or the rest of the one that is under way.
    pub fn run(&mut self) {
        while self.poll(Budget::unlimited()).is_pending() {}
    }

    /// Does as much of the inference as `budget` allows and returns; starts a new one after the last has ended. Any
    /// slicing gives the same bits.
    ///
    /// The work done is at most the budget, or one row if the first row alone exceeds it. An operator's row count and
    /// row cost are in its record: [`Op::rows`], [`Op::row_cost`].
    pub fn poll(&mut self, budget: Budget) -> Progress {
        let mut left = budget.cost;
        let mut must_work = true;
        loop {
            let Position { op: index, row } = self.position;
            if index >= self.model.op_count() {
                self.position = Position::default();
                return Progress::Done;
            }
            let op: Op = self.model.op(index);
            let rows_left = op.rows.saturating_sub(row);
            let affordable = left.checked_div(op.row_cost.into()).unwrap_or(u64::MAX);
            let mut rows = u64::from(rows_left).min(affordable) as u32;
            if rows == 0 && rows_left > 0 {
                if !must_work {
                    return Progress::Pending;
                }
                rows = 1;
            }
            let range = row..row.saturating_add(rows);
            if !offer(&mut self.engine, &self.model, self.memory, &op, range.clone()) {
                execute::<OPS>(&self.model, self.memory, &op, range);
            }
            must_work = false;
            left = left.saturating_sub(u64::from(rows).saturating_mul(op.row_cost.into()));
            if rows < rows_left {
                self.position.row = row.saturating_add(rows);
            } else {
                self.position = Position { op: index.saturating_add(1), row: 0 };
                if budget.layer && self.position.op < self.model.op_count() {
                    return Progress::Pending;
                }
            }
        }
    }
}
