//! A language model at work, by one engine or the other.

use crate::error::{Error, Result};
use crate::table::bytes;
use tealight::{ALL_OPS, Block, Model, Session};

/// Whose kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Engine {
    /// Tealight's: the bits that a board gives
    Tealight,
    /// Candle's, on all cores
    Candle,
}

/// A language model that reads one token after another.
pub(super) enum Speaker<'m> {
    Tealight(Session<'m, ALL_OPS>),
}

impl<'m> Speaker<'m> {
    /// The `model`, with nothing read yet. It runs in `memory`, which is made as large as it must be.
    ///
    /// # Errors
    /// There is not enough memory, or the engine is not there.
    pub(super) fn new(engine: Engine, model: &Model<'m>, memory: &'m mut Vec<Block>) -> Result<Self> {
        if engine == Engine::Candle {
            return Err(Error::new("this program was built without Candle").help("build it with `--features candle`"));
        }
        let len = Block::count(model.arena_len());
        memory.try_reserve_exact(len).map_err(|error| {
            Error::new(format!("cannot get {} for the arena", bytes(model.arena_len() as u64))).cause(error)
        })?;
        memory.resize(len, Block::ZERO);
        let session = Session::load(model, Block::bytes_mut(memory));
        session.map(Self::Tealight).map_err(|error| Error::new("cannot run the model").cause(error))
    }

    /// Reads `token`; the scores of the next are there afterwards.
    pub(super) fn read(&mut self, token: u32) {
        match self {
            Self::Tealight(session) => {
                // The input is four bytes: that has been checked.
                session.input(0).as_bytes_mut().copy_from_slice(&token.to_le_bytes());
                session.run();
            }
        }
    }

    /// A score for each token, by what was read so far.
    pub(super) fn scores(&self) -> &[f32] {
        match self {
            Self::Tealight(session) => session.output(0).as_f32(),
        }
    }

    /// Whose kernels compute, and how.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Tealight(_) => "Tealight's, on one thread".into(),
        }
    }
}
