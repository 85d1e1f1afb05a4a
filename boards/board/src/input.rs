//! The sources of an app's inputs, and the reasons why an app stops.

use crate::Board;
use crate::bytes::fill;
use crate::log::emit;
#[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
use tealight::{FORMAT_VERSION, ModelError};
use tealight::{Ops, Session};
#[cfg(feature = "balance")]
use tealight_balance::wire::WireError;
#[cfg(feature = "model-slot")]
use tealight_slot::SlotError;

/// The reason why an app stopped before its inputs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NoInput,
    NoOutput,
    InputRead,
    InputTruncated,
    OutputWrite,
    Features,
    NoText,
    #[cfg(all(feature = "balance", not(feature = "balance-wire")))]
    Scenario,
    #[cfg(feature = "balance")]
    Device,
    #[cfg(feature = "balance")]
    Wire(WireError),
    #[cfg(feature = "measure-interrupts")]
    Period,
    #[cfg(any(feature = "measure-parse", feature = "measure-polls"))]
    InputTooLong,
    #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
    Parse(ModelError),
    #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
    Load(tealight::LoadError),
    #[cfg(feature = "model-slot")]
    Slot(SlotError),
    #[cfg(all(feature = "compare-arch", target_os = "none", target_arch = "arm"))]
    Memory,
    #[cfg(feature = "compare-arch")]
    Arch,
    #[cfg(feature = "compare-arch")]
    RecordedBits,
    #[cfg(feature = "compare-arch")]
    OtherType,
}

impl Failure {
    /// Writes it as the last line of the report.
    pub(crate) fn report(self) {
        match self {
            Failure::NoInput => emit!("tealight error=input-not-found"),
            Failure::NoOutput => emit!("tealight error=output-not-created"),
            Failure::InputRead => emit!("tealight error=input-not-readable"),
            Failure::InputTruncated => emit!("tealight error=input-ends-within-an-inference"),
            Failure::OutputWrite => emit!("tealight error=output-not-writable"),
            Failure::Features => emit!("tealight error=model-takes-other-features"),
            Failure::NoText => emit!("tealight error=model-continues-no-text"),
            #[cfg(all(feature = "balance", not(feature = "balance-wire")))]
            Failure::Scenario => emit!("tealight error=input-is-no-scenario"),
            #[cfg(feature = "balance")]
            Failure::Device => emit!("tealight error=a-simulated-device-does-not-answer"),
            #[cfg(feature = "balance")]
            Failure::Wire(WireError::Ended) => emit!("tealight error=the-wire-ended-before-the-run"),
            #[cfg(feature = "balance")]
            Failure::Wire(WireError::Damaged) => emit!("tealight error=a-record-on-the-wire-is-damaged"),
            #[cfg(feature = "balance")]
            Failure::Wire(WireError::TooLong) => emit!("tealight error=a-record-on-the-wire-is-too-long"),
            #[cfg(feature = "balance")]
            Failure::Wire(WireError::Unexpected { .. } | WireError::Version { .. }) => {
                emit!("tealight error=a-record-on-the-wire-has-no-place-there");
            }
            #[cfg(feature = "measure-interrupts")]
            Failure::Period => emit!("tealight error=the-period-is-none-that-the-timer-counts"),
            #[cfg(any(feature = "measure-parse", feature = "measure-polls"))]
            Failure::InputTooLong => emit!("tealight error=input-longer-than-the-memory"),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Parse(ModelError::Version { found }) if found < FORMAT_VERSION => emit!(
                "tealight error=model-refused: compiled for format version {}, which this firmware no longer reads: compile it again with this version's `tealight compile`",
                found
            ),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Parse(ModelError::Version { found }) => emit!(
                "tealight error=model-refused: compiled for format version {}, which is newer than this firmware reads: update the firmware, or compile it with this version's `tealight compile`",
                found
            ),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Parse(error) => emit!("tealight error=model-refused: {}", error),
            #[cfg(all(feature = "loadable", not(feature = "measure-parse")))]
            Failure::Load(error) => emit!("tealight error=model-refused: {}", error),
            #[cfg(feature = "model-slot")]
            Failure::Slot(SlotError::Empty) => {
                emit!("tealight error=no-model: the model slot is empty, or writing it was interrupted");
            }
            #[cfg(feature = "model-slot")]
            Failure::Slot(SlotError::Version { found }) => {
                emit!(
                    "tealight error=no-model: the model slot is laid out in version {}, which this firmware does not read",
                    found
                );
            }
            #[cfg(feature = "model-slot")]
            Failure::Slot(_) => emit!("tealight error=model-damaged: the model slot's checksum is another"),
            #[cfg(all(feature = "compare-arch", target_os = "none", target_arch = "arm"))]
            Failure::Memory => emit!("tealight error=memory-functions-differ"),
            #[cfg(feature = "compare-arch")]
            Failure::Arch => emit!("tealight error=instruction-set-differs"),
            #[cfg(feature = "compare-arch")]
            Failure::RecordedBits => emit!("tealight error=kernels-differ-from-the-recorded-bits"),
            #[cfg(feature = "compare-arch")]
            Failure::OtherType => emit!("tealight error=an-input-takes-elements-of-another-type"),
        }
    }
}

/// A source of inputs.
pub(crate) trait InputSource {
    /// Fills the model's inputs, or the rows of its input that an inference wants next; returns false if there are no more.
    fn fill<B: Board, O: Ops>(&mut self, board: &mut B, session: &mut Session<'_, O>) -> Result<bool, Failure>;
}

/// Inputs without conversion: built into the image, or from the board.
pub(crate) struct RawInput(pub(crate) Option<&'static [u8]>);

impl InputSource for RawInput {
    fn fill<B: Board, O: Ops>(&mut self, board: &mut B, session: &mut Session<'_, O>) -> Result<bool, Failure> {
        let mut any = false;
        if let Some(mut rows) = session.input_rows() {
            let bytes = rows.tensor.as_bytes_mut();
            let read = next(board, &mut self.0, bytes)?;
            return if read == 0 || read == bytes.len() { Ok(read > 0) } else { Err(Failure::InputTruncated) };
        }
        for index in 0..session.model().input_count() {
            let Some(mut tensor) = session.input(index) else { break };
            let bytes = tensor.as_bytes_mut();
            let wanted = bytes.len();
            let read = next(board, &mut self.0, bytes)?;
            if read == 0 && !any {
                return Ok(false);
            }
            if read != wanted {
                return Err(Failure::InputTruncated);
            }
            any = true;
        }
        Ok(any)
    }
}

/// Reads the next bytes of the embedded input, or of the board's input if there is none; returns their number.
pub(crate) fn next<B: Board>(
    board: &mut B,
    embedded: &mut Option<&'static [u8]>,
    bytes: &mut [u8],
) -> Result<usize, Failure> {
    match embedded {
        Some(source) => fill(source, bytes).map_err(|_| Failure::InputRead),
        None => fill(board.input().ok_or(Failure::NoInput)?, bytes).map_err(|_| Failure::InputRead),
    }
}
