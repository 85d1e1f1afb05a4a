//! A session of the core with its own memory.

use crate::description::Description;
use crate::engine::CandleEngine;
use crate::error::{Error, Result};
use crate::mapped::{Mapped, aligned};
use self_cell::{MutBorrow, self_cell};
use std::fmt;
use tealight::{Align16, AllOps, Budget, InputRows, Model, Position, Progress, Tensor, TensorError, TensorMut};

/// A session of the core that a [`CandleEngine`] serves.
type Inner<'a> = tealight::Session<'a, AllOps, CandleEngine>;

/// The data that a session borrows.
struct Owner {
    model: Mapped,
    memory: MutBorrow<Vec<Align16>>,
}

self_cell!(
    /// A session together with the data that it borrows.
    struct SessionCell {
        owner: Owner,
        #[covariant]
        dependent: Inner,
    }
);

/// A model with the memory it runs in, like [`tealight::Session`]. For each inference, write the inputs,
/// [`run`](Self::run) or [`poll`](Self::poll) to the end, then read the outputs. [`Mapped::session`] creates one.
pub struct MappedSession(SessionCell);

impl MappedSession {
    pub(crate) fn new(model: Mapped, engine: CandleEngine) -> Result<Self> {
        let memory = aligned(model.model().arena_len())?;
        let owner = Owner { model, memory: MutBorrow::new(memory) };
        let cell = SessionCell::try_new(owner, |owner| {
            let memory = Align16::bytes_mut(owner.memory.borrow_mut());
            tealight::Session::<AllOps>::load(owner.model.model(), memory).map(|session| session.with_engine(engine))
        });
        cell.map(Self).map_err(Error::Load)
    }

    fn session(&self) -> &Inner<'_> {
        self.0.borrow_dependent()
    }

    /// Returns the model.
    pub fn model(&self) -> &Model<'_> {
        self.session().model()
    }

    /// Describes which code computes what, and why.
    pub fn describe(&self) -> Description {
        self.session().engine().describe()
    }

    /// Returns the position of the inference: the start, unless one is in progress.
    pub fn position(&self) -> Position {
        self.session().position()
    }

    /// Cancels an inference in progress and resets the streaming state to its initial value.
    pub fn reset(&mut self) {
        self.0.with_dependent_mut(|_, session| session.reset());
    }

    /// Returns model input `i`, to be written before each inference; `None` past the last.
    pub fn input(&mut self, i: usize) -> Option<TensorMut<'_>> {
        self.0.with_dependent_mut(|_, session| session.input(i))
    }

    /// Returns model output `i`, valid from the end of an inference to the start of the next; `None` past the last.
    pub fn output(&self, i: usize) -> Option<Tensor<'_>> {
        self.session().output(i)
    }

    /// Returns value `index` of the plan as it is in memory; see [`tealight::Session::value`].
    pub fn value(&self, index: usize) -> Tensor<'_> {
        self.session().value(index)
    }

    /// Returns the rows of the input that are to be written next; see [`tealight::Session::input_rows`].
    pub fn input_rows(&mut self) -> Option<InputRows<'_>> {
        self.0.with_dependent_mut(|_, session| session.input_rows())
    }

    /// Returns whether the inference in progress waits for rows of the input.
    pub fn wants_rows(&self) -> bool {
        self.session().wants_rows()
    }

    /// Runs one inference on whole inputs; see [`tealight::Session::run_on`].
    ///
    /// # Errors
    /// An input has another number of bytes, or is missing.
    pub fn run_on(&mut self, inputs: &[&[u8]]) -> std::result::Result<(), TensorError> {
        self.0.with_dependent_mut(|_, session| session.run_on(inputs))
    }

    /// Runs one inference to its end, or the rest of the one in progress.
    pub fn run(&mut self) {
        self.0.with_dependent_mut(|_, session| session.run());
    }

    /// Runs as much of the inference as `budget` allows; see [`tealight::Session::poll`].
    pub fn poll(&mut self, budget: Budget) -> Progress {
        self.0.with_dependent_mut(|_, session| session.poll(budget))
    }
}

impl fmt::Debug for MappedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedSession")
            .field("model", self.model())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
