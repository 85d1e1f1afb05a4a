//! Where an app's inputs come from, and what can go wrong.

use crate::Board;
use crate::log::fact;
use embedded_io::Read;
#[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
use tealight::{FORMAT_VERSION, ModelError};
use tealight::{Ops, Session};

/// Why an app stopped before its inputs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NoInput,
    NoOutput,
    InputRead,
    InputCut,
    OutputWrite,
    Features,
    NoText,
    #[cfg(feature = "measure-parse")]
    InputLong,
    #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
    Parse(ModelError),
    #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
    Load(tealight::LoadError),
    #[cfg(feature = "compare-arch")]
    Arch,
    #[cfg(feature = "compare-arch")]
    Recorded,
    #[cfg(feature = "compare-arch")]
    OtherType,
}

impl Failure {
    /// Ends the report with it.
    pub(crate) fn say(self) {
        match self {
            Failure::NoInput => fact!("tealight error=input-not-found"),
            Failure::NoOutput => fact!("tealight error=output-not-created"),
            Failure::InputRead => fact!("tealight error=input-not-readable"),
            Failure::InputCut => fact!("tealight error=input-ends-within-an-inference"),
            Failure::OutputWrite => fact!("tealight error=output-not-writable"),
            Failure::Features => fact!("tealight error=model-takes-other-features"),
            Failure::NoText => fact!("tealight error=model-continues-no-text"),
            #[cfg(feature = "measure-parse")]
            Failure::InputLong => fact!("tealight error=input-longer-than-the-memory"),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Parse(ModelError::Version { found }) if found < FORMAT_VERSION => fact!(
                "tealight error=model-refused: compiled for format version {}, which this firmware no longer reads: compile it again with this version's `tealight compile`",
                found
            ),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Parse(ModelError::Version { found }) => fact!(
                "tealight error=model-refused: compiled for format version {}, which is newer than this firmware reads: update the firmware, or compile it with this version's `tealight compile`",
                found
            ),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Parse(error) => fact!("tealight error=model-refused: {}", error),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Load(error) => fact!("tealight error=model-refused: {}", error),
            #[cfg(feature = "compare-arch")]
            Failure::Arch => fact!("tealight error=instruction-set-differs"),
            #[cfg(feature = "compare-arch")]
            Failure::Recorded => fact!("tealight error=kernels-differ-from-the-recorded-bits"),
            #[cfg(feature = "compare-arch")]
            Failure::OtherType => fact!("tealight error=an-input-takes-elements-of-another-type"),
        }
    }
}

/// Brings inputs.
pub(crate) trait Feed {
    /// Fills the model's inputs; false where the inputs have ended.
    fn fill<B: Board, O: Ops>(&mut self, board: &mut B, session: &mut Session<'_, O>) -> Result<bool, Failure>;
}

/// Inputs as they are: built into the image, or from the board.
pub(crate) struct Plain(pub(crate) Option<&'static [u8]>);

impl Feed for Plain {
    fn fill<B: Board, O: Ops>(&mut self, board: &mut B, session: &mut Session<'_, O>) -> Result<bool, Failure> {
        let mut any = false;
        for index in 0..session.model().input_count() {
            let Some(mut tensor) = session.input(index) else { break };
            let bytes = tensor.as_bytes_mut();
            let wanted = bytes.len();
            let read = next(board, &mut self.0, bytes)?;
            if read == 0 && !any {
                return Ok(false);
            }
            if read != wanted {
                return Err(Failure::InputCut);
            }
            any = true;
        }
        Ok(any)
    }
}

/// The next bytes of what is built into the image, or else of the board's input; says how many there were.
pub(crate) fn next<B: Board>(
    board: &mut B,
    embedded: &mut Option<&'static [u8]>,
    bytes: &mut [u8],
) -> Result<usize, Failure> {
    match embedded {
        Some(source) => fill(source, bytes),
        None => fill(board.input().ok_or(Failure::NoInput)?, bytes),
    }
}

/// Reads until `bytes` is full or the source ends; says how many bytes.
fn fill<R: Read>(source: &mut R, bytes: &mut [u8]) -> Result<usize, Failure> {
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..) {
        if rest.is_empty() {
            break;
        }
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(_) => return Err(Failure::InputRead),
        }
    }
    Ok(filled)
}
