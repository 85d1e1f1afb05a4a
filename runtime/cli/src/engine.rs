//! The choice of an engine: Tealight's kernels, or Candle's engine if the program was built with the feature `candle`.

use crate::error::{Error, Result};
use crate::table::counted;
use tealight::{Model, OwnedSession, Threads};

/// The kernels that compute the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EngineArg {
    /// Tealight's kernels: the same bits as on a board
    Tealight,
    /// Candle's kernels where they are faster, on all cores; outputs differ in the last bits
    Candle,
}

/// The kernels, and the threads that they run on.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// The kernels that compute the operators
    ///
    /// With candle, standard error lists which kernels compute which operators on this processor, and why. The model
    /// file is mapped into memory and read in place, so it must not change meanwhile: if it is shortened, this program
    /// ends with SIGBUS; if it is modified, the results are undefined.
    #[arg(long, value_enum, default_value_t = EngineArg::Tealight)]
    engine: EngineArg,
    /// The number of threads that share the work of Tealight's kernels; the outputs are the same for any number
    ///
    /// Candle's kernels run on as many threads as the environment variable RAYON_NUM_THREADS says.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=MAX_THREADS))]
    threads: u16,
}

/// The maximum of `--threads`: more than the cores of any computer that this program is for.
const MAX_THREADS: i64 = 256;

#[cfg(feature = "candle")]
type Runner = tealight_candle::CandleEngine;
#[cfg(not(feature = "candle"))]
type Runner = tealight::Kernels;

/// A session that [`EngineArgs`] describe.
pub(crate) type Session<'m> = OwnedSession<&'m [u8], Runner>;

impl EngineArgs {
    /// Whether Candle's kernels compute operators.
    pub(crate) fn is_candle(self) -> bool {
        self.engine == EngineArg::Candle
    }

    /// Creates a session for `model`, with the plan for batches if its file has one.
    ///
    /// # Errors
    /// There is not enough memory, the program was built without the engine, or the threads cannot be started.
    pub(crate) fn session<'m>(self, model: &Model<'m>) -> Result<Session<'m>> {
        let threads = usize::from(self.threads);
        if self.is_candle() && threads > 1 {
            return Err(Error::new("--threads does not apply to Candle's kernels")
                .help("leave it out, and set the environment variable RAYON_NUM_THREADS"));
        }
        let runner = self.engine.runner()?;
        let session = OwnedSession::over(model.bytes()).map(|session| session.with_engine(runner));
        let session = session.and_then(OwnedSession::with_batch);
        let session = session.and_then(|session| session.with_threads(Threads::new(threads)));
        session.map_err(|error| Error::new("cannot run the model").cause(error))
    }

    /// Describes which code computes which operators in `session`, and why, in a few lines.
    pub(crate) fn describe(self, session: &Session<'_>) -> String {
        #[cfg(feature = "candle")]
        if self.is_candle() {
            return session.engine().describe().to_string();
        }
        let _ = session;
        let threads = counted(self.threads.into(), "thread");
        format!("engine tealight, {threads}\n  all operators: Tealight (the same bits as on a microcontroller)")
    }
}

impl EngineArg {
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
