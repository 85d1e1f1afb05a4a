//! Sessions for hosts, which own the model's bytes and the memory that it runs in.

use crate::arena::Align16;
use crate::engine::{Engine, Kernels};
use crate::infer::Infer;
use crate::linked::AllOps;
use crate::memory::range;
use crate::rows::{InputRows, next_rows, rows_of_input, wants_rows};
use crate::session::{Budget, LoadError, Position, Progress, Session, view};
use crate::tensor::{Tensor, TensorError, TensorMut};
#[cfg(feature = "threads")]
use crate::threads::{Team, Threads};
use alloc::vec::Vec;
use core::fmt;
use tealight_format::{Checked, Model, ModelError};

/// A copy of a file's bytes, aligned to 16.
#[derive(Clone, Debug)]
pub struct AlignedBytes {
    blocks: Vec<Align16>,
    len: usize,
}

impl AlignedBytes {
    /// Copies `bytes`.
    ///
    /// # Errors
    /// [`OpenError::Memory`] if there is not enough memory.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, OpenError> {
        let mut blocks = zeros(bytes.len())?;
        crate::tensor::copy(bytes, Align16::bytes_mut(&mut blocks));
        Ok(Self { blocks, len: bytes.len() })
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        Align16::bytes(&self.blocks).get(..self.len).unwrap_or(&[])
    }
}

/// The reason why a file cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The file is not a valid model.
    Model(ModelError),
    /// The model cannot be loaded.
    Load(LoadError),
    /// There is not enough memory for it.
    Memory {
        /// The number of bytes requested.
        bytes: usize,
    },
    /// The system starts no more threads.
    Threads {
        /// The number of threads requested.
        count: usize,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
            Self::Memory { bytes } => write!(f, "there is not enough memory: {bytes} bytes are needed"),
            Self::Threads { count } => write!(f, "cannot start {count} threads"),
        }
    }
}

impl core::error::Error for OpenError {}

/// A [`Session`] for hosts that owns the bytes of the model file and the memory that it runs in. It supports all
/// operators.
///
/// ```
/// use tealight::OwnedSession;
///
/// # let file: &[u8] = include_bytes!("../tests/relu.safetensors");
/// let mut session = OwnedSession::from_bytes(file)?; // in the place of std::fs::read("relu.safetensors")?
/// session.input(0).ok_or("no input")?.copy_from(&[-5i8, 0, 5])?;
/// session.run();
/// assert_eq!(session.output(0).ok_or("no output")?.as_slice::<i8>(), Some(&[0, 0, 5][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `B` holds the file's bytes, aligned to 16: a copy, or for example a memory map of the file; see
/// [`over`](Self::over). `E` may compute operators in place of the kernels, as in [`Session`].
pub struct OwnedSession<B = AlignedBytes, E = Kernels> {
    bytes: B,
    /// The plan that is selected.
    checked: Checked,
    /// Which one it is.
    plan: Plan,
    /// The other plan, if the session has both.
    other: Option<Checked>,
    memory: Vec<Align16>,
    position: Position,
    engine: E,
    #[cfg(feature = "threads")]
    team: Option<(Team, PollOnThreads<B, E>)>,
}

/// One of the plans of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The first, which every file has.
    First,
    /// The plan that reads several elements of a sequence at a time: [`Model::batch`].
    Batch,
}

/// [`OwnedSession::poll`] on the threads of a team. It exists for what can be sent to another thread only.
#[cfg(feature = "threads")]
type PollOnThreads<B, E> = fn(&mut OwnedSession<B, E>, &mut Team, Budget) -> Progress;

impl OwnedSession {
    /// Copies `file`, a whole model file, checks it, and allocates the memory that it needs.
    ///
    /// # Errors
    /// [`OpenError`] if it is not a valid model, or there is not enough memory.
    pub fn from_bytes(file: &[u8]) -> Result<Self, OpenError> {
        Self::over(AlignedBytes::copy_of(file)?)
    }
}

impl<B: AsRef<[u8]>> OwnedSession<B> {
    /// Checks a whole model file in place and allocates the memory that it needs. The file's bytes must be aligned to
    /// 16; they are not copied.
    ///
    /// `bytes` must return the same bytes each time. A memory map of a file does, as long as nothing writes to the
    /// file:
    ///
    /// ```
    /// use tealight::OwnedSession;
    ///
    /// let file = std::fs::File::open("tests/relu.safetensors")?;
    /// // SAFETY: nobody writes to the file while it is mapped.
    /// let map = unsafe { memmap2::Mmap::map(&file)? };
    /// let mut session = OwnedSession::over(map)?;
    /// session.run();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError`] if it is not a valid model, is not aligned, or there is not enough memory.
    pub fn over(bytes: B) -> Result<Self, OpenError> {
        let model = Model::parse(bytes.as_ref()).map_err(OpenError::Model)?;
        let checked = model.checked();
        let mut memory = zeros(model.arena_len())?;
        // Makes the remaining checks, and initializes the state.
        Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).map_err(OpenError::Load)?;
        Ok(Self::assemble(bytes, checked, memory, Kernels))
    }

    /// The same session, reset, on one thread, with an engine that is offered each operator before the kernels compute
    /// it.
    pub fn with_engine<E: Engine>(self, engine: E) -> OwnedSession<B, E> {
        let Self { bytes, checked, plan, other, memory, .. } = self;
        let mut session = OwnedSession { plan, other, ..OwnedSession::assemble(bytes, checked, memory, engine) };
        session.reset();
        session
    }
}

impl<B: AsRef<[u8]>, E: Engine> OwnedSession<B, E> {
    /// A session on one thread, at the start of an inference.
    fn assemble(bytes: B, checked: Checked, memory: Vec<Align16>, engine: E) -> Self {
        Self {
            bytes,
            checked,
            plan: Plan::First,
            other: None,
            memory,
            position: Position::default(),
            engine,
            #[cfg(feature = "threads")]
            team: None,
        }
    }

    /// The same session, reset, on one thread, with the file's second plan, if it has one ([`Model::batch`]). Its memory
    /// is then that of the plan that needs more. [`select`](Self::select) selects the plan that runs.
    ///
    /// # Errors
    /// [`OpenError`] if the second plan is not valid, or there is not enough memory.
    pub fn with_batch(self) -> Result<Self, OpenError> {
        let Self { bytes, checked, plan, other, engine, .. } = self;
        let checked = if plan == Plan::First { checked } else { other.unwrap_or(checked) };
        let first = Model::of_checked(bytes.as_ref(), checked);
        let batch = first.batch().map_err(OpenError::Model)?;
        let mut memory = zeros(batch.map_or(0, |batch| batch.arena_len()).max(first.arena_len()))?;
        if let Some(batch) = batch {
            Session::<AllOps>::load(&batch, Align16::bytes_mut(&mut memory)).map_err(OpenError::Load)?;
        }
        let other = batch.map(|batch| batch.checked());
        let mut session = Self { other, ..Self::assemble(bytes, checked, memory, engine) };
        session.reset();
        Ok(session)
    }

    /// The same session, with threads that share the rows of each large operator. The output bits are the same for any
    /// number of threads.
    ///
    /// The threads wait, without work, between the calls of [`run`](Self::run) and [`poll`](Self::poll), and end with
    /// the session. None are started for one thread, or for a model whose whole cost is below
    /// [`Threads::min_cost`]; a `poll` with a budget below it uses the calling thread alone. Besides the model's arena,
    /// threads need room for the largest output that lies over its own inputs.
    ///
    /// An engine set by [`with_engine`](OwnedSession::with_engine) beforehand is kept; it is called on one thread at a
    /// time.
    ///
    /// ```
    /// use tealight::{OwnedSession, Threads};
    ///
    /// # let file: &[u8] = include_bytes!("../tests/relu.safetensors");
    /// let mut session = OwnedSession::from_bytes(file)?.with_threads(Threads::new(2))?;
    /// session.input(0).ok_or("no input")?.copy_from(&[-5i8, 0, 5])?;
    /// session.run();
    /// assert_eq!(session.output(0).ok_or("no output")?.as_slice::<i8>(), Some(&[0, 0, 5][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError::Memory`] if there is not enough memory, [`OpenError::Threads`] if the system starts no more threads.
    #[cfg(feature = "threads")]
    pub fn with_threads(mut self, threads: Threads) -> Result<Self, OpenError>
    where
        B: Send,
        E: Send,
    {
        self.team = None;
        if threads.count() > 1 && self.model().cost() >= threads.min_cost {
            let other = self.other.map(|other| Model::of_checked(self.bytes.as_ref(), other));
            let team = Team::start(threads, &[Some(self.model()), other])?;
            self.team = Some((team, poll_on_threads));
        }
        Ok(self)
    }

    /// The engine that may compute operators in place of the kernels.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// Selects the plan that [`model`](Self::model), inputs, outputs and inferences are those of from now on. It continues
    /// with the state that the other has left. Returns false, and changes nothing, if the session does not have the plan
    /// ([`with_batch`](Self::with_batch)), or while an inference is in progress.
    pub const fn select(&mut self, plan: Plan) -> bool {
        if plan as u8 == self.plan as u8 {
            return true;
        }
        let Position { op: 0, row: 0, pass: 0 } = self.position else { return false };
        let Some(other) = self.other else { return false };
        self.other = Some(self.checked);
        self.checked = other;
        self.plan = plan;
        true
    }

    /// The model, as the selected plan states it.
    pub fn model(&self) -> Model<'_> {
        Model::of_checked(self.bytes.as_ref(), self.checked)
    }

    /// The position in the inference: the start, unless an inference is in progress.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Abandons an inference in progress and sets the streaming state to its initial values.
    pub fn reset(&mut self) {
        self.with(|session| {
            session.reset();
        });
    }

    /// Returns model input `i`, to be written before each inference; `None` past the last input, and for an input that comes
    /// in rows: [`input_rows`](Self::input_rows).
    pub fn input(&mut self, i: usize) -> Option<TensorMut<'_>> {
        let model = Model::of_checked(self.bytes.as_ref(), self.checked);
        let value = model.input_value(i).filter(|value| value.rows.is_none())?;
        Some(TensorMut { value, bytes: Align16::bytes_mut(&mut self.memory).get_mut(range(&value))? })
    }

    /// Returns model output `i`, valid from the end of an inference to the start of the next; `None` past the last
    /// output.
    pub fn output(&self, i: usize) -> Option<Tensor<'_>> {
        let model = self.model();
        Some(view(&model, Align16::bytes(&self.memory), model.output_value(i)?))
    }

    /// Value `index` of the plan, with its present content; see [`Session::value`].
    pub fn value(&self, index: usize) -> Tensor<'_> {
        view(&self.model(), Align16::bytes(&self.memory), self.model().value(index))
    }

    /// The rows of the input that are to be written next; see [`Session::input_rows`].
    pub fn input_rows(&mut self) -> Option<InputRows<'_>> {
        let model = Model::of_checked(self.bytes.as_ref(), self.checked);
        let memory = Align16::bytes_mut(&mut self.memory);
        self.position = next_rows::<AllOps>(&model, memory, self.position);
        rows_of_input::<AllOps>(&model, memory, self.position)
    }

    /// Whether the inference in progress waits for rows of the input; see [`Session::wants_rows`].
    pub fn wants_rows(&self) -> bool {
        wants_rows::<AllOps>(&self.model(), self.position)
    }

    /// Runs one inference on whole inputs; see [`Session::run_on`].
    ///
    /// # Errors
    /// [`TensorError::Bytes`] if an input has another number of bytes, and where it is missing; nothing has run then.
    pub fn run_on(&mut self, inputs: &[&[u8]]) -> Result<(), TensorError> {
        self.with(|session| session.run_on(inputs))
    }

    /// Runs one inference to its end, or the rest of the one in progress; see [`Session::run`].
    pub fn run(&mut self) {
        while self.poll(Budget::unlimited()).is_pending() {}
    }

    /// The inference, or the rest of the one in progress, as a future; see [`Session::infer`].
    pub const fn infer(&mut self, budget: Budget) -> Infer<'_, Self> {
        Infer::new(self, budget)
    }

    /// Does as much of the inference as `budget` allows and returns; see [`Session::poll`].
    pub fn poll(&mut self, budget: Budget) -> Progress {
        #[cfg(feature = "threads")]
        if let Some((mut team, poll)) = self.team.take_if(|(team, _)| budget.allows(team.threads.min_cost)) {
            let progress = poll(self, &mut team, budget);
            self.team = Some((team, poll));
            return progress;
        }
        self.with(|session| session.poll(budget))
    }

    /// Calls `work` with a session that borrows what this one owns.
    fn with<T>(&mut self, work: impl FnOnce(&mut Session<'_, AllOps, &mut E>) -> T) -> T {
        let model = Model::of_checked(self.bytes.as_ref(), self.checked);
        let memory = Align16::bytes_mut(&mut self.memory);
        let mut session = Session::resume(model, memory, self.position, &mut self.engine);
        let result = work(&mut session);
        self.position = session.position();
        result
    }
}

impl<B: AsRef<[u8]>, E: Engine> fmt::Debug for OwnedSession<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSession").field("position", &self.position).finish_non_exhaustive()
    }
}

/// Does as much of the inference as `budget` allows, on the threads of `team`.
#[cfg(feature = "threads")]
fn poll_on_threads<B, E>(session: &mut OwnedSession<B, E>, team: &mut Team, budget: Budget) -> Progress
where
    B: AsRef<[u8]> + Send,
    E: Engine + Send,
{
    let OwnedSession { bytes, checked, memory, position, engine, .. } = session;
    team.run(engine, move |engine| {
        let model = Model::of_checked(bytes.as_ref(), *checked);
        let mut session = Session::<AllOps, _>::resume(model, Align16::bytes_mut(memory), *position, engine);
        let progress = session.poll(budget);
        *position = session.position();
        progress
    })
}

/// At least `len` bytes of zeros.
pub(crate) fn zeros(len: usize) -> Result<Vec<Align16>, OpenError> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(Align16::count(len)).map_err(|_| OpenError::Memory { bytes: len })?;
    blocks.resize(Align16::count(len), Align16::ZERO);
    Ok(blocks)
}
