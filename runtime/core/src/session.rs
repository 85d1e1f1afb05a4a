//! Sessions: a model, the memory that it runs in, and how far the current inference has come.

use crate::arena::{Align16, Arena};
use crate::embedded::Embedded;
use crate::engine::{Engine, Kernels, offer};
use crate::execute::execute;
use crate::group::{execute_in_group, in_group, next, rows_left, starts_pass};
use crate::infer::Infer;
use crate::linked::{AllOps, Ops, paths_of_op};
use crate::memory::range;
use crate::rows::{InputRows, next_rows, rows_of_input, wants_rows};
use crate::state::copy_initial;
use crate::tensor::{Tensor, TensorError, TensorMut};
use core::fmt;
use core::marker::PhantomData;
use tealight_format::ops::{CALL_COST, FullyConnectedBlock};
use tealight_format::{BlockType, Model, OpCode, OpRecord, Value};
use tealight_kernels::Paths;

/// How much one call of [`Session::poll`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    cost: u64,
    layer: bool,
}

impl Budget {
    /// Work of cost `n`: about `n` multiply-accumulates, or other work of the same cost. The call stops before the row
    /// that would exceed it, but computes at least one row. See [`Work`](tealight_format::Work) for what counts.
    pub const fn macs(n: u64) -> Self {
        Self { cost: n, layer: false }
    }

    /// Whether work of this cost is within the budget.
    #[cfg(feature = "threads")]
    pub(crate) const fn allows(self, cost: u64) -> bool {
        self.cost >= cost
    }

    /// Work up to the end of the current operator, or, in a [group](tealight_format::Group), of its rows in this pass.
    pub const fn layer() -> Self {
        Self { cost: u64::MAX, layer: true }
    }

    /// Work up to the end of the inference.
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
    /// The inference waits for rows of the input: write what [`Session::input_rows`] returns, and poll again. Only for a
    /// model whose input comes in rows.
    Rows,
    /// The outputs are complete.
    Done,
}

impl Progress {
    /// Whether there is more to do, with what is there.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Pending)
    }

    /// Whether rows of the input are missing.
    pub const fn wants_rows(self) -> bool {
        matches!(self, Self::Rows)
    }

    /// Whether the outputs are complete.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Done)
    }
}

/// The position of a session in the inference: the next operator, and the next of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    /// Index of the operator.
    pub op: usize,
    /// Row of the operator's output, from 0.
    pub row: u32,
    /// The pass of the operator's [group](tealight_format::Group), from 0; 0 for an operator outside of groups.
    pub pass: u32,
}

/// The reason why a model cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LoadError {
    /// The memory is smaller than the model's arena.
    ArenaTooSmall {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that the memory has.
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
    /// The model has block-quantized weights of a type that this session does not support.
    MissingBlockType {
        /// The type.
        block: BlockType,
    },
    /// The model has weights stored as f16, which this session does not support.
    MissingF16,
    /// The model has f32 layers with weights stored as i8, which this session does not support.
    MissingI8Weights,
    /// The model has layers with weights stored as int4, which this session does not support.
    MissingI4Weights,
    /// The model has fully connected layers with weights in pairs, which this session does not support.
    MissingPairedWeights,
    /// The model has operators that run in groups, which this session does not support.
    MissingGroups,
    /// The model's input comes in rows, which this session does not support.
    MissingRowInput,
    /// An inference costs more than the limit allows.
    CostTooHigh {
        /// Its cost: [`Model::cost`].
        found: u64,
        /// What the limit allows.
        allowed: u64,
    },
    /// A call of [`Session::poll`] may have to do more than the limit allows.
    RowTooLong {
        /// The cost of the longest row: [`Model::longest_row`].
        found: u64,
        /// What the limit allows.
        allowed: u64,
    },
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
            Self::MissingI8Weights => {
                f.write_str("the model has f32 layers with i8 weights, which this program was built without")
            }
            Self::MissingI4Weights => f.write_str("the model has int4 weights, which this program was built without"),
            Self::MissingPairedWeights => f.write_str(
                "the model was compiled with --target: it has weights in pairs, which this program was built without",
            ),
            Self::MissingGroups => f.write_str(
                "the model was compiled with --patch: it has groups of operators, which this program was built without",
            ),
            Self::MissingRowInput => f.write_str(
                "the model was compiled with --input-rows: its input comes in rows, which this program was built without",
            ),
            Self::CostTooHigh { found, allowed } => {
                write!(f, "an inference of the model costs {found} units, and the limit is {allowed}")
            }
            Self::RowTooLong { found, allowed } => {
                write!(f, "the model's longest row costs {found} units, and the limit is {allowed}")
            }
        }
    }
}

impl core::error::Error for LoadError {}

/// The work that a model may need at most, for [`Session::load_within`]. With it, a control loop refuses a model from
/// an untrusted sender that would make it miss its period.
///
/// ```
/// use tealight::Limit;
///
/// const LIMIT: Limit = Limit::none().cost(5_000_000).longest_row(50_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    cost: u64,
    longest_row: u64,
}

impl Limit {
    /// No limit: any model is accepted.
    pub const fn none() -> Self {
        Self { cost: u64::MAX, longest_row: u64::MAX }
    }

    /// The same limit, with a maximum for the cost of one inference: [`Model::cost`].
    pub const fn cost(self, max: u64) -> Self {
        Self { cost: max, ..self }
    }

    /// The same limit, with a maximum for the cost of the longest row: [`Model::longest_row`]. No call of
    /// [`Session::poll`] then does more than the larger of this and its budget.
    pub const fn longest_row(self, max: u64) -> Self {
        Self { longest_row: max, ..self }
    }

    const fn check(self, model: &Model<'_>) -> Result<(), LoadError> {
        let (cost, longest_row) = (model.cost(), model.longest_row());
        if cost > self.cost {
            return Err(LoadError::CostTooHigh { found: cost, allowed: self.cost });
        }
        if longest_row > self.longest_row {
            return Err(LoadError::RowTooLong { found: longest_row, allowed: self.longest_row });
        }
        Ok(())
    }
}

/// A model with the memory that it runs in. `O` is the set of kernels that are linked: see [`Ops`].
///
/// A session is created from an [`Embedded`] model with [`new`](Self::new), which cannot fail, or from a model loaded
/// at run time with [`load`](Self::load) or [`load_within`](Self::load_within). Then, for each inference: write all the
/// inputs (their memory is reused while the model runs), [`run`](Self::run) or [`poll`](Self::poll) to the end, read
/// the outputs. Streaming state is kept from one inference to the next until [`reset`](Self::reset).
///
/// `E` may compute operators in place of the kernels: see [`with_engine`](Self::with_engine).
pub struct Session<'m, O = AllOps, E = Kernels> {
    pub(crate) model: Model<'m>,
    pub(crate) memory: &'m mut [u8],
    pub(crate) position: Position,
    engine: E,
    ops: PhantomData<fn() -> O>,
}

impl<'m, O: Ops> Session<'m, O> {
    /// Creates a session for a model that is part of the program. An arena that is too small is a compile error.
    pub fn new<const ARENA: usize, const N: usize>(
        model: &'static Embedded<ARENA, O>,
        arena: &'m mut Arena<N>,
    ) -> Self {
        const { assert!(N >= ARENA, "the arena is smaller than the model needs: give it the model's arena_len()") }
        Self::start(model.model(), arena.bytes_mut())
    }

    /// Creates a session for a model that was loaded at run time. `O` names the kernels that such a model may need:
    /// [`AllOps`], or a smaller set of a type that implements [`Ops`].
    ///
    /// # Errors
    /// [`LoadError`] if memory or model are not aligned to 16, the memory is smaller than
    /// [`Model::arena_len`], or the model needs an operator or a type of weights outside `O`.
    pub fn load(model: &Model<'m>, memory: &'m mut [u8]) -> Result<Self, LoadError> {
        let missing = model.op_set().without(O::SET);
        for &operator in OpCode::ALL {
            if missing.has(operator) {
                return Err(LoadError::MissingOperator { operator });
            }
        }
        for &block in BlockType::ALL {
            if missing.has_block(block) {
                return Err(LoadError::MissingBlockType { block });
            }
        }
        if missing.has_f16() {
            return Err(LoadError::MissingF16);
        }
        if missing.has_i8_weights() {
            return Err(LoadError::MissingI8Weights);
        }
        if missing.has_i4_weights() {
            return Err(LoadError::MissingI4Weights);
        }
        if missing.has_paired_weights() {
            return Err(LoadError::MissingPairedWeights);
        }
        if missing.has_groups() {
            return Err(LoadError::MissingGroups);
        }
        if missing.has_row_input() {
            return Err(LoadError::MissingRowInput);
        }
        if const { !Paths::ALL.are_in(O::PATHS) } {
            // The kernels of another model, which may lack what this model's layers need.
            for i in 0..model.op_count() {
                let op = model.op(i);
                if !paths_of_op(model, &op).are_in(O::PATHS) {
                    return Err(LoadError::MissingOperator { operator: op.operator.code() });
                }
            }
        }
        if !model.bytes().as_ptr().cast::<Align16>().is_aligned() {
            return Err(LoadError::MisalignedModel);
        }
        if !memory.as_ptr().cast::<Align16>().is_aligned() {
            return Err(LoadError::MisalignedMemory);
        }
        if memory.len() < model.arena_len() {
            return Err(LoadError::ArenaTooSmall { needed: model.arena_len(), given: memory.len() });
        }
        Ok(Self::start(model, memory))
    }

    /// As [`load`](Self::load), but refuses a model that needs more work than `limit` allows, before any of it runs.
    ///
    /// ```
    /// use tealight::{AllOps, Arena, Budget, Limit, LoadError, Model, Session};
    ///
    /// # tealight::include_model!(static RELU = "../tests/relu.safetensors");
    /// # let received: &[u8] = RELU.model().bytes();
    /// /// What the loop can spare in a period.
    /// const BUDGET: u64 = 50_000;
    /// const LIMIT: Limit = Limit::none().cost(100 * BUDGET).longest_row(BUDGET);
    ///
    /// let model = Model::parse(received)?;
    /// let mut arena = Arena::<1024>::new();
    /// let mut session = Session::<AllOps>::load_within(&model, arena.bytes_mut(), LIMIT)?;
    /// // No call does more than the budget, and an inference takes about a hundred calls at most.
    /// while session.poll(Budget::macs(BUDGET)).is_pending() {}
    ///
    /// let strict = Limit::none().longest_row(1);
    /// let refused = Session::<AllOps>::load_within(&model, arena.bytes_mut(), strict);
    /// assert!(matches!(refused, Err(LoadError::RowTooLong { allowed: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`LoadError::CostTooHigh`] or [`LoadError::RowTooLong`].
    pub fn load_within(model: &Model<'m>, memory: &'m mut [u8], limit: Limit) -> Result<Self, LoadError> {
        limit.check(model)?;
        Self::load(model, memory)
    }

    fn start(model: &Model<'m>, memory: &'m mut [u8]) -> Self {
        // Cleared so that the model cannot read what the memory held before.
        memory.fill(0);
        let mut session =
            Self { model: *model, memory, position: Position::default(), engine: Kernels, ops: PhantomData };
        session.reset();
        session
    }

    /// The same session, reset, with an engine that is offered each operator before the kernels compute it.
    pub fn with_engine<E: Engine>(self, engine: E) -> Session<'m, O, E> {
        let mut session =
            Session { model: self.model, memory: self.memory, position: self.position, engine, ops: PhantomData };
        session.reset();
        session
    }
}

impl<'m, O: Ops, E: Engine> Session<'m, O, E> {
    /// Continues an inference where another session left it, without a check and without a change of the memory. It is for
    /// code that cannot keep a session, because something else owns what the session borrows, such as a program in C.
    ///
    /// `model` and `memory` must be those of a session that [`load`](Session::load) created for the same `O`, and
    /// `position` what its [`position`](Self::position) returned last. With others, outputs have no meaning; nothing is
    /// read or written outside of `memory` and the model.
    ///
    /// ```
    /// use tealight::{AllOps, Arena, Budget, Kernels, Session};
    ///
    /// # tealight::include_model!(static RELU = "../tests/relu.safetensors");
    /// # let model = RELU.model();
    /// let mut arena = Arena::<1024>::new();
    /// let mut session = Session::<AllOps>::load(model, arena.bytes_mut())?;
    /// session.input(0).ok_or("no input")?.copy_from(&[-5i8, 0, 5])?;
    /// let mut position = session.position(); // the session ends here, and the arena is free again
    /// loop {
    ///     let mut session = Session::<AllOps>::resume(*model, arena.bytes_mut(), position, Kernels);
    ///     if session.poll(Budget::macs(1)).is_done() {
    ///         assert_eq!(session.output(0).ok_or("no output")?.as_slice::<i8>(), Some(&[0, 0, 5][..]));
    ///         break;
    ///     }
    ///     position = session.position();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(model: Model<'m>, memory: &'m mut [u8], position: Position, engine: E) -> Self {
        Self { model, memory, position, engine, ops: PhantomData }
    }

    /// The engine that may compute operators in place of the kernels.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// The model.
    pub const fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// The position in the inference: the start, unless an inference is in progress.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Abandons an inference in progress and sets the streaming state to its initial values.
    pub fn reset(&mut self) {
        self.position = Position::default();
        if let Some(state) = self.memory.get_mut(..self.model.state_len()) {
            state.fill(0);
        }
        copy_initial(&self.model, self.memory);
    }

    /// Returns model input `i`, to be written before each inference; `None` past the last input, and for an input that comes
    /// in rows, of which [`input_rows`](Self::input_rows) returns some at a time.
    pub fn input(&mut self, i: usize) -> Option<TensorMut<'_>> {
        let value = self.model.input_value(i)?;
        if const { O::SET.has_row_input() } && value.rows.is_some() {
            return None;
        }
        Some(TensorMut { value, bytes: self.memory.get_mut(range(&value))? })
    }

    /// Returns model output `i`, valid from the end of an inference to the start of the next; `None` past the last
    /// output.
    pub fn output(&self, i: usize) -> Option<Tensor<'_>> {
        Some(view(&self.model, self.memory, self.model.output_value(i)?))
    }

    /// Value `index` of the plan, with its present content. An activation is valid from the operator that writes it to
    /// the last operator that reads it; [`Budget::layer`] stops between operators to look at it.
    pub fn value(&self, index: usize) -> Tensor<'_> {
        view(&self.model, self.memory, self.model.value(index))
    }

    /// The rows of the input that are to be written next, and where: before an inference, and whenever [`poll`](Self::poll)
    /// returns [`Progress::Rows`]. `None` at any other time, and for a model whose input does not come in rows.
    ///
    /// `tealight compile --input-rows` makes a model of which only some rows of the input are in memory at a time, such as a
    /// camera delivers them. The first call after `Progress::Rows` moves the rows that are still needed; until then, the
    /// inference goes no further. All rows that are returned must be written before the next `poll`, or they hold what was
    /// there before.
    ///
    /// ```
    /// use tealight::{Budget, Progress};
    ///
    /// tealight::include_model!(
    ///     /// An image of 8 × 4 bytes in, of which at most 3 rows are in memory; 4 × 2 out.
    ///     mod small = "../tests/rows.safetensors"
    /// );
    ///
    /// let mut camera = (0..8).map(|row| [row; 4]);
    /// let mut arena = small::Arena::new();
    /// let mut net = small::Session::new(&mut arena);
    /// loop {
    ///     if let Some(mut rows) = net.input_rows() {
    ///         for row in rows.tensor.as_slice_mut::<i8>().ok_or("not int8")?.chunks_exact_mut(4) {
    ///             row.copy_from_slice(&camera.next().ok_or("no more rows")?);
    ///         }
    ///     }
    ///     match net.poll(Budget::macs(100)) {
    ///         Progress::Rows | Progress::Pending => { /* one turn of the control loop */ }
    ///         Progress::Done => break,
    ///     }
    /// }
    /// assert_eq!(camera.next(), None);
    /// assert_eq!(net.read_output().len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn input_rows(&mut self) -> Option<InputRows<'_>> {
        if const { !O::SET.has_row_input() } {
            return None;
        }
        self.position = next_rows::<O>(&self.model, self.memory, self.position);
        rows_of_input::<O>(&self.model, self.memory, self.position)
    }

    /// Whether the inference in progress waits for rows of the input: after [`run`](Self::run) or [`infer`](Self::infer) of a
    /// model whose input comes in rows.
    pub fn wants_rows(&self) -> bool {
        (const { O::SET.has_row_input() }) && wants_rows::<O>(&self.model, self.position)
    }

    /// Runs one inference on whole inputs: their bytes, in the model's types, one for each input. An input that comes in rows
    /// is written as its rows are wanted. An inference in progress is abandoned; streaming state is kept.
    ///
    /// # Errors
    /// [`TensorError::Bytes`] if an input has another number of bytes, and where it is missing; nothing has run then.
    pub fn run_on(&mut self, inputs: &[&[u8]]) -> Result<(), TensorError> {
        self.position = Position::default();
        for i in 0..self.model.input_count() {
            let bytes = inputs.get(i).copied().unwrap_or(&[]);
            if let Some(mut input) = self.input(i) {
                input.copy_from_bytes(bytes)?;
            } else if let Some(value) = self.model.input_value(i) {
                let expected = value.whole_len() as usize;
                if bytes.len() != expected {
                    return Err(TensorError::Bytes { expected, found: bytes.len() });
                }
            }
        }
        loop {
            if let Some(mut rows) = self.input_rows() {
                rows.copy_from_whole(inputs.first().copied().unwrap_or(&[]))?;
            }
            if self.poll(Budget::unlimited()).is_done() {
                return Ok(());
            }
        }
    }

    /// Runs one inference to its end, or the rest of the one in progress. One of a model whose input comes in rows ends where
    /// rows are missing: see [`wants_rows`](Self::wants_rows).
    pub fn run(&mut self) {
        while self.poll(Budget::unlimited()).is_pending() {}
    }

    /// The inference, or the rest of the one in progress, as a future: it polls with `budget` and yields to the
    /// executor's other tasks between the slices. See [`Infer`].
    ///
    /// ```
    /// use core::future::Future;
    /// use core::pin::pin;
    /// use core::task::{Context, Waker};
    /// use tealight::Budget;
    ///
    /// tealight::include_model!(mod relu = "../tests/relu.safetensors");
    ///
    /// async fn task(net: &mut relu::Session<'_>) {
    ///     net.write_input(&[-5, 0, 5]);
    ///     net.infer(Budget::macs(1)).await;
    ///     assert_eq!(net.read_output(), &[0, 0, 5]);
    /// }
    ///
    /// let mut arena = relu::Arena::new();
    /// let mut net = relu::Session::new(&mut arena);
    /// // What an executor does:
    /// let mut task = pin!(task(&mut net));
    /// while task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() { /* other tasks */ }
    /// ```
    #[inline]
    pub const fn infer(&mut self, budget: Budget) -> Infer<'_, Self> {
        Infer::new(self, budget)
    }

    /// Does as much of the inference as `budget` allows and returns; starts a new inference after the last has ended.
    /// The output bits do not depend on how the work is sliced.
    ///
    /// The work done costs at most the budget. If one row alone exceeds the budget, the call computes that row, which
    /// costs at most [`Model::longest_row`]. The cost includes entering each operator ([`CALL_COST`]), preparing a row
    /// ([`Op::prepare_cost`](tealight_format::Op::prepare_cost)), and the row itself
    /// ([`Op::row_cost`](tealight_format::Op::row_cost)). On a Cortex-M4, a unit is two to four instructions in common
    /// networks and never more than [`INSTRUCTIONS_PER_UNIT`](tealight_format::ops::INSTRUCTIONS_PER_UNIT); `cargo xtask
    /// cost` measures it. Work outside of `poll` is not included: [`reset`](Self::reset) takes time in proportion to the
    /// state, loading in proportion to the memory.
    // Out of line, so that its size is not counted as that of the program around it.
    #[inline(never)]
    pub fn poll(&mut self, budget: Budget) -> Progress {
        let mut left = budget.cost;
        let mut must_work = true;
        loop {
            let position = self.position;
            let Position { op: index, row, pass } = position;
            if index >= self.model.op_count() {
                self.position = Position::default();
                return Progress::Done;
            }
            let op = self.model.record_of_op(index);
            let rows_left = rows_left::<O>(&self.model, op, position);
            if in_group::<O>(op) && rows_left == 0 {
                if const { O::SET.has_row_input() } && wants_rows::<O>(&self.model, position) {
                    return Progress::Rows;
                }
                // Complete before the group's last pass.
                self.position = next::<O>(&self.model, op, position);
                continue;
            }
            let mut slice =
                affordable::<O>(&self.model, op, position, rows_left, left.saturating_sub(CALL_COST.into()));
            if slice.rows == 0 && rows_left > 0 {
                if !must_work {
                    return Progress::Pending;
                }
                slice = Slice { rows: 1, cost: left };
            }
            let rows = slice.rows;
            let range = row..row.saturating_add(rows);
            if in_group::<O>(op) {
                if let Some(code) = op.code() {
                    execute_in_group::<O>(&self.model, self.memory, op, code, range, pass);
                }
            } else if !offer::<O, E>(&mut self.engine, &self.model, self.memory, index, range.clone())
                && let Some(code) = op.code()
            {
                execute::<O>(&self.model, self.memory, op, code, range);
            }
            must_work = false;
            left = left.saturating_sub(slice.cost).saturating_sub(CALL_COST.into());
            if rows < rows_left {
                self.position.row = row.saturating_add(rows);
            } else {
                if const { O::SET.has_row_input() } && in_group::<O>(op) {
                    self.position.row = row.saturating_add(rows);
                    if wants_rows::<O>(&self.model, self.position) {
                        return Progress::Rows;
                    }
                }
                self.position = next::<O>(&self.model, op, position);
                if budget.layer && self.position.op < self.model.op_count() {
                    return Progress::Pending;
                }
            }
        }
    }
}

impl<O, E> fmt::Debug for Session<'_, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("position", &self.position).finish_non_exhaustive()
    }
}

/// A value of a plan, in the file or in memory.
#[inline]
pub(crate) fn view<'s>(model: &Model<'s>, memory: &'s [u8], value: Value) -> Tensor<'s> {
    let bytes = if value.is_constant() { model.constant(&value) } else { memory.get(range(&value)).unwrap_or(&[]) };
    Tensor { value, bytes }
}

/// A number of rows of an operator, and their cost.
#[derive(Clone, Copy)]
struct Slice {
    rows: u32,
    cost: u64,
}

/// The largest number of rows up to `most` that cost at most `left`, by bisection, because the compiler's division of 64
/// bits takes 900 bytes of a board's flash.
#[inline(never)]
const fn affordable_rows(left: u64, row_cost: u32, most: u32) -> u32 {
    let (mut rows, mut most) = (0, most);
    while rows < most {
        let middle = most - (most - rows) / 2;
        if row_cost as u64 * middle as u64 <= left {
            rows = middle;
        } else {
            most = middle - 1;
        }
    }
    rows
}

/// The number of rows of `op` from one preparation to the next: [`Model::period`].
fn period(model: &Model<'_>, op: OpRecord<'_>) -> u32 {
    let rows = match (op.code(), op.input(1)) {
        // The rows of one batch: as many as the weights have.
        (Some(OpCode::FullyConnectedBlock), Some(weights)) if !FullyConnectedBlock::is_together(op) => {
            model.record_of_value(weights.into()).dim(0)
        }
        _ => op.rows(),
    };
    rows.max(1)
}

/// The largest number of the `rows_left` rows of `op`, from `position` on, that cost at most `left`, including their
/// preparation.
fn affordable<O: Ops>(model: &Model<'_>, op: OpRecord<'_>, position: Position, rows_left: u32, left: u64) -> Slice {
    let row = position.row;
    let row_cost = u64::from(op.row_cost()).max(1);
    if in_group::<O>(op) {
        let before = if starts_pass::<O>(model, op, position) { op.prepare_cost() } else { 0 };
        let rows = affordable_rows(left.saturating_sub(before.into()), op.row_cost().max(1), rows_left);
        return Slice { rows, cost: row_cost.saturating_mul(rows.into()).saturating_add(before.into()) };
    }
    if const { !O::SET.prepares() } || op.prepare_cost() == 0 {
        let all = row_cost.saturating_mul(rows_left.into());
        if all <= left {
            return Slice { rows: rows_left, cost: all };
        }
        let rows = affordable_rows(left, op.row_cost().max(1), rows_left);
        return Slice { rows, cost: row_cost.saturating_mul(rows.into()) };
    }
    let (period, prepare_cost) = (period(model, op), u64::from(op.prepare_cost()));
    let mut slice = Slice { rows: 0, cost: 0 };
    // One iteration for each period. Preparing a period costs more than the iteration itself.
    while slice.rows < rows_left {
        let into = row.wrapping_add(slice.rows).checked_rem(period).unwrap_or(0);
        let before = if into == 0 { prepare_cost } else { 0 };
        let spare = left.saturating_sub(slice.cost).saturating_sub(before);
        let rows = period.wrapping_sub(into).min(rows_left.wrapping_sub(slice.rows));
        let rows = affordable_rows(spare, op.row_cost().max(1), rows);
        if rows == 0 {
            break;
        }
        slice.rows = slice.rows.wrapping_add(rows);
        slice.cost = slice.cost.saturating_add(before).saturating_add(row_cost.saturating_mul(rows.into()));
        if rows < period.wrapping_sub(into) {
            break;
        }
    }
    slice
}

#[cfg(test)]
mod tests {
    use super::affordable_rows;

    #[test]
    fn affordable_rows_are_those_of_a_division() {
        let numbers = [0, 1, 2, 3, 7, 1000, 0xffff, 0x1_0000, 0xffff_fffe, 0xffff_ffff];
        for left in numbers.into_iter().chain([0x1_0000_0000, 0x1234_5678_9abc, u64::MAX]) {
            for row_cost in numbers.into_iter().filter(|&number| number > 0) {
                for most in numbers {
                    let rows = affordable_rows(left, row_cost as u32, most as u32);
                    assert_eq!(u64::from(rows), (left / row_cost).min(most), "{left} / {row_cost}, at most {most}");
                }
            }
        }
    }
}
