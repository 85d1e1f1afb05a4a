//! A board behind a probe: attached to, compared with its description, programmed, verified and reset.

use crate::Error;
use crate::image::Image;
use crate::supervise::{Event, Reporter, Stage, State};
use probe_rs::architecture::arm::ArmError;
use probe_rs::flashing::{self, DownloadOptions, FlashError, FlashProgress, ProgressEvent, ProgressOperation};
use probe_rs::probe::Probe;
use probe_rs::{MemoryInterface as _, Permissions, Session, Target};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tealight_board_spec::{Board, ByProbe, StatedSize};
use tealight_console::error_line;

/// How long a core may take to stop.
pub(crate) const HALT: Duration = Duration::from_millis(500);

/// A Cortex-M's identification register.
const CPUID: u64 = 0xE000_ED00;

/// The cores by the part numbers in their identification, with bits 15 to 4 of the register (each core's Technical
/// Reference Manual, CPUID).
const CORES: &[(u32, &str)] = &[
    (0xC20, "Cortex-M0"),
    (0xC21, "Cortex-M1"),
    (0xC60, "Cortex-M0+"),
    (0xC23, "Cortex-M3"),
    (0xC24, "Cortex-M4"),
    (0xC27, "Cortex-M7"),
    (0xD20, "Cortex-M23"),
    (0xD21, "Cortex-M33"),
    (0xD22, "Cortex-M55"),
    (0xD23, "Cortex-M85"),
];

/// The root of the workspace that this crate belongs to.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).into()
}

/// The board called `id`, and what a probe needs of it.
///
/// # Errors
/// There is none, or it is not flashed by a probe.
pub fn find(root: &Path, id: &str) -> Result<(Board, ByProbe), Error> {
    let boards = Board::all(root)?;
    let known: Vec<&str> =
        boards.iter().filter(|board| !board.flash.is_empty()).map(|board| board.id.as_str()).collect();
    let known = known.join(", ");
    let board = boards.into_iter().find(|board| board.id == id);
    let board = board.ok_or_else(|| Error::NoBoard { id: id.into(), known })?;
    let by = board.by_probe().cloned().ok_or_else(|| Error::NotFlashable(id.into()))?;
    Ok((board, by))
}

/// The board called `id` and its chip, however it is flashed; `algorithm` is as for [`chip`].
///
/// # Errors
/// There is no such board, it cannot be flashed, or its chip is not known.
pub fn described(root: &Path, id: &str, algorithm: Option<&Path>) -> Result<(Board, Target), Error> {
    match find(root, id) {
        Ok((board, by)) => {
            let target = chip(root, &board, &by, algorithm)?;
            Ok((board, target))
        }
        Err(Error::NotFlashable(_)) => {
            let board = Board::all(root)?.into_iter().find(|board| board.id == id);
            let way = board.as_ref().and_then(|board| Some((board, board.flash.first()?)));
            let (board, way) = way.ok_or_else(|| Error::NotFlashable(id.into()))?;
            let target = match way.chip() {
                (name, Some(file)) => crate::chip::described(name, &root.join(&board.folder).join(file), None)?,
                (name, None) => crate::chip::find(name)?,
            };
            Ok((board.clone(), target))
        }
        Err(error) => Err(error),
    }
}

/// The chip of a board; `algorithm` is the ELF file of its flash algorithm, if that is not in probe-rs's database.
///
/// # Errors
/// [`Error::Chip`], or [`Error::NoAlgorithm`].
pub fn chip(root: &Path, board: &Board, by: &ByProbe, algorithm: Option<&Path>) -> Result<Target, Error> {
    if by.algorithm.is_some() && algorithm.is_none() {
        return Err(Error::NoAlgorithm(board.id.clone()));
    }
    match &by.description {
        Some(file) => crate::chip::described(&by.chip, &root.join(&board.folder).join(file), algorithm),
        None => crate::chip::find(&by.chip),
    }
}

/// Attaches to the chip.
///
/// # Errors
/// It does not answer, or is locked.
pub fn attach(probe: Probe, target: Target) -> Result<Session, Error> {
    probe.attach(target, Permissions::default()).map_err(|error| {
        let text = error_line(&error);
        match &error {
            probe_rs::Error::MissingPermissions(_) => Error::Locked(text),
            probe_rs::Error::Arm(arm) if is_refused(arm) => Error::Locked(text),
            // All that an attached debugger waits for is that the core stops.
            probe_rs::Error::Timeout | probe_rs::Error::Arm(ArmError::Timeout) => Error::Halt(text),
            _ => Error::Attach(text),
        }
    })
}

/// Whether an access port was found, and refused an access to memory.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.contains("FAULT response") || text.contains("DeviceEn") {
            return true;
        }
        next = error.source();
    }
    false
}

/// Compares the chip with the board: its core, and its flash if it states the size of that.
///
/// # Errors
/// It is another chip.
pub fn compare(session: &mut Session, board: &Board, by: &ByProbe) -> Result<(), Error> {
    let mut core = session.core(0).map_err(|error| Error::Attach(error_line(&error)))?;
    let read = |error: probe_rs::Error| match is_refused(&error) {
        true => Error::Locked(error_line(&error)),
        false => Error::Attach(error_line(&error)),
    };
    if board.core.starts_with("Cortex-M") {
        let part = core.read_word_32(CPUID).map_err(read)? >> 4 & 0xFFF;
        let found = CORES.iter().find(|(number, _)| *number == part).map(|(_, name)| *name);
        // A board's core is named with its floating-point unit.
        if found != Some(board.core.trim_end_matches('F')) {
            let found = found.map_or_else(|| format!("an unknown one (part {part:#05x})"), String::from);
            return Err(Error::WrongCore { board: board.id.clone(), expected: board.core.clone(), found });
        }
    }
    if let Some(StatedSize { registers, bits, unit }) = &by.size {
        let mut size = *unit;
        for &register in registers {
            let stated = match bits {
                16 => core.read_word_16(register).map(u64::from),
                _ => core.read_word_32(register).map(u64::from),
            };
            size = size.saturating_mul(stated.map_err(read)?);
        }
        let expected = board.length("flash");
        if size < expected {
            return Err(Error::FlashTooSmall { board: board.id.clone(), expected, found: size });
        }
    }
    Ok(())
}

/// The core stops, so flashing can begin; nothing in flash is changed by this.
///
/// # Errors
/// [`Error::Halt`].
pub fn halt(session: &mut Session) -> Result<(), Error> {
    let mut core = session.core(0).map_err(|error| Error::Halt(error_line(&error)))?;
    core.halt(HALT).map(drop).map_err(|error| Error::Halt(error_line(&error)))
}

/// Erases what the image needs, programs it and verifies it.
///
/// # Errors
/// What went wrong. The state of the board was reported.
pub fn program(session: &mut Session, image: &Image, reporter: &mut Reporter) -> Result<(), Error> {
    let segments = image.segments.iter().map(|segment| (segment.address, &segment.bytes[..]));
    let progress = FlashProgress::new(|event| pass_on(reporter, &event, States::IMAGE));
    commit(session, segments, Sectors::Erase, progress)?;
    reporter.state(State::Flashed);
    Ok(())
}

/// Whether sectors are erased before they are programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sectors {
    /// They are.
    Erase,
    /// They are erased already.
    AreErased,
}

/// Programs bytes at addresses of flash, and verifies them.
pub(crate) fn commit<'a>(
    session: &mut Session,
    segments: impl Iterator<Item = (u64, &'a [u8])>,
    sectors: Sectors,
    progress: FlashProgress<'_>,
) -> Result<(), Error> {
    let mut loader = session.target().flash_loader();
    for (address, bytes) in segments {
        loader.add_data(address, bytes).map_err(|error| Error::Write(error_line(&error)))?;
    }
    let mut options = DownloadOptions::default();
    options.verify = true;
    options.skip_erase = sectors == Sectors::AreErased;
    options.progress = progress;
    loader.commit(session, options).map_err(|error| match error {
        FlashError::Verify => Error::Verify,
        FlashError::ResetAndHalt(source) => Error::Halt(error_line(&source)),
        other => Error::Write(error_line(&other)),
    })
}

/// Erases all of the chip's flash.
///
/// # Errors
/// [`Error::Write`].
pub fn erase(session: &mut Session, reporter: &mut Reporter) -> Result<(), Error> {
    reporter.report(Event::Stage(Stage::Erase));
    reporter.state(State::Erasing);
    let mut progress = FlashProgress::new(|_| reporter.report(Event::Alive));
    flashing::erase_all(session, &mut progress, false).map_err(|error| Error::Write(error_line(&error)))?;
    drop(progress);
    reporter.report(Event::Ended(Stage::Erase));
    Ok(())
}

/// Resets the board; its firmware then runs.
///
/// # Errors
/// [`Error::Start`].
pub fn reset(session: &mut Session) -> Result<(), Error> {
    let mut core = session.core(0).map_err(|error| Error::Start(error_line(&error)))?;
    core.reset().map_err(|error| Error::Start(error_line(&error)))
}

/// The states that a board is in while flash is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct States {
    /// Before anything is erased.
    pub(crate) before: State,
    /// While it is erased and programmed.
    pub(crate) changing: State,
    /// While it is verified.
    pub(crate) unverified: State,
}

impl States {
    const IMAGE: Self = Self { before: State::Untouched, changing: State::Partial, unverified: State::Unverified };
}

/// Passes progress on, and keeps the state of the board.
pub(crate) fn pass_on(reporter: &mut Reporter, event: &ProgressEvent, states: States) {
    let stage = |operation: &ProgressOperation| match operation {
        ProgressOperation::Fill | ProgressOperation::Erase => Stage::Erase,
        ProgressOperation::Program => Stage::Program,
        ProgressOperation::Verify => Stage::Verify,
    };
    match event {
        ProgressEvent::AddProgressBar { operation, total: Some(total) } => {
            reporter.report(Event::Total(stage(operation), *total));
        }
        ProgressEvent::Started(operation) => {
            reporter.report(Event::Stage(stage(operation)));
            reporter.state(match operation {
                ProgressOperation::Fill => states.before,
                ProgressOperation::Erase | ProgressOperation::Program => states.changing,
                ProgressOperation::Verify => states.unverified,
            });
        }
        ProgressEvent::Progress { operation, size, .. } => reporter.report(Event::Done(stage(operation), *size)),
        ProgressEvent::Finished(operation) => reporter.report(Event::Ended(stage(operation))),
        ProgressEvent::DiagnosticMessage { message } => reporter.report(Event::Fact(message.clone())),
        _ => {}
    }
}
