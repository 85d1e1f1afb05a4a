//! A model being run: the core's session, with memory of its own.

use crate::description::Description;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::mapped::{Mapped, aligned};
use self_cell::{MutBorrow, self_cell};
use std::fmt;
use tealight::{ALL_OPS, Align16, Budget, Model, Position, Progress, Tensor, TensorMut};

/// A session of the core that an [`Engine`] serves.
type Inner<'a> = tealight::Session<'a, ALL_OPS, Engine>;

/// What a session works on.
struct Owner {
    model: Mapped,
    memory: MutBorrow<Vec<Align16>>,
}

self_cell!(
    /// A session beside what it borrows.
    struct Cell {
        owner: Owner,
        #[covariant]
        dependent: Inner,
    }
);

/// A model with the memory it runs in, as [`tealight::Session`]: for each inference write the inputs, [`run`](Self::run) or
/// [`poll`](Self::poll) to the end, read the outputs. [`Mapped::session`] makes one.
pub struct Session(Cell);

impl Session {
    pub(crate) fn new(model: Mapped, engine: Engine) -> Result<Self> {
        let memory = aligned(model.model().arena_len())?;
        let owner = Owner { model, memory: MutBorrow::new(memory) };
        let cell = Cell::try_new(owner, |owner| {
            let memory = Align16::bytes_mut(owner.memory.borrow_mut());
            tealight::Session::<ALL_OPS>::load(owner.model.model(), memory).map(|session| session.with_engine(engine))
        });
        cell.map(Self).map_err(Error::Load)
    }

    fn session(&self) -> &Inner<'_> {
        self.0.borrow_dependent()
    }

    /// The model.
    pub fn model(&self) -> &Model<'_> {
        self.session().model()
    }

    /// Which code computes what, and why.
    pub fn describe(&self) -> Description {
        self.session().engine().describe()
    }

    /// Where the session stands: the start, unless an inference is under way.
    pub fn position(&self) -> Position {
        self.session().position()
    }

    /// Gives up an inference that is under way and puts the streaming state back to what it was at first.
    pub fn reset(&mut self) {
        self.0.with_dependent_mut(|_, session| session.reset());
    }

    /// Model input `i`, to be written before each inference; `None` past the last.
    pub fn input(&mut self, i: usize) -> Option<TensorMut<'_>> {
        self.0.with_dependent_mut(|_, session| session.input(i))
    }

    /// Model output `i`, valid after an inference has ended and until the next one starts; `None` past the last.
    pub fn output(&self, i: usize) -> Option<Tensor<'_>> {
        self.session().output(i)
    }

    /// Value `index` of the plan as it stands in memory; see [`tealight::Session::value`].
    pub fn value(&self, index: usize) -> Tensor<'_> {
        self.session().value(index)
    }

    /// Runs one inference to its end, or the rest of the one that is under way.
    pub fn run(&mut self) {
        self.0.with_dependent_mut(|_, session| session.run());
    }

    /// Does as much of the inference as `budget` allows and returns; see [`tealight::Session::poll`].
    pub fn poll(&mut self, budget: Budget) -> Progress {
        self.0.with_dependent_mut(|_, session| session.poll(budget))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("model", self.model())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
