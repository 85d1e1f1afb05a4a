//! The choice of an engine: Tealight's kernels, or Candle's engine if the program was built with the feature `candle`.

use crate::error::{Error, Result};
use crate::table::bytes;
use tealight::{Align16, AllOps, Model};

/// The kernels that compute the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EngineArg {
    /// Tealight's kernels: the same bits as on a board
    Tealight,
    /// Candle's kernels where they are faster, on all cores; outputs differ in the last bits
    Candle,
}

#[cfg(feature = "candle")]
type Runner = tealight_candle::CandleEngine;
#[cfg(not(feature = "candle"))]
type Runner = tealight::Kernels;

/// A session that an [`EngineArg`] serves.
pub(crate) type Session<'m> = tealight::Session<'m, AllOps, Runner>;

impl EngineArg {
    /// Creates a session for `model` in `memory`, which is resized as needed.
    ///
    /// # Errors
    /// There is not enough memory, or the program was built without the engine.
    pub(crate) fn session<'m>(self, model: &Model<'m>, memory: &'m mut Vec<Align16>) -> Result<Session<'m>> {
        let runner = self.runner()?;
        let count = Align16::count(model.arena_len());
        memory.try_reserve_exact(count).map_err(|error| {
            Error::new(format!("cannot allocate {} for the arena", bytes(model.arena_len() as u64))).cause(error)
        })?;
        memory.resize(count, Align16::ZERO);
        let session = tealight::Session::<AllOps>::load(model, Align16::bytes_mut(memory));
        session.map(|session| session.with_engine(runner)).map_err(|e| Error::new("cannot run the model").cause(e))
    }

    #[cfg(feature = "candle")]
    fn runner(self) -> Result<Runner> {
        Ok(Runner::new(match self {
            Self::Tealight => tealight_candle::EngineChoice::Tealight,
            Self::Candle => tealight_candle::EngineChoice::Candle,
        }))
    }

    #[cfg(not(feature = "candle"))]
    fn runner(self) -> Result<Runner> {
        match self {
            Self::Tealight => Ok(tealight::Kernels),
            Self::Candle => Err(Error::new("this program was built without Candle")
                .help("build it with `cargo build --release --package tealight-cli --features candle`")),
        }
    }
}

/// Describes which code computes which operators in `session`, and why, in a few lines.
pub(crate) fn describe(session: &Session<'_>) -> String {
    #[cfg(feature = "candle")]
    return session.engine().describe().to_string();
    #[cfg(not(feature = "candle"))]
    {
        let _ = session;
        "engine tealight, 1 thread\n  all operators: Tealight (the same bits as on a microcontroller)".into()
    }
}
