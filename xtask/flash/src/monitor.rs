//! The log of running firmware, over RTT.
//!
//! Before firmware is started, its control block is marked: an old one is wiped, so that it cannot be taken for the new
//! one, and the flags make firmware of Tealight (`tealight_board::rtt`) wait for a reader from its first line on. Other
//! firmware is set to wait when its control block is found.

use crate::Error;
use crate::board::HALT;
use crate::image::Image;
use crate::supervise::{Event, Reporter, Stage};
use probe_rs::rtt::{ChannelMode, Rtt, ScanRegion};
use probe_rs::{Core, CoreStatus, MemoryInterface as _, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tealight_console::error_line;

/// How long firmware may take until its control block is there.
const START: Duration = Duration::from_secs(3);

/// The longest pause between two looks at a channel in which nothing came.
const PAUSE: Duration = Duration::from_millis(50);

/// Where the flags of the first channel are in a control block: after the identifier, two numbers, and five words.
const FLAGS: u64 = 16 + 2 * 4 + 5 * 4;

/// `tealight_board::rtt::BLOCKING_FROM_START`.
const BLOCKING_FROM_START: u32 = 0x7EA1_0002;

/// Resets the board and starts its firmware, with its control block marked.
///
/// # Errors
/// [`Error::Start`], or [`Error::NoLogInImage`].
pub fn start(session: &mut Session, image: &Image) -> Result<(), Error> {
    let block = image.rtt.ok_or(Error::NoLogInImage)?;
    let failed = |error: probe_rs::Error| Error::Start(error_line(&error));
    let mut core = session.core(0).map_err(failed)?;
    core.reset_and_halt(HALT).map_err(failed)?;
    core.write_32(block, &[0; 4]).map_err(failed)?;
    core.write_word_32(block + FLAGS, BLOCKING_FROM_START).map_err(failed)?;
    core.run().map_err(failed)
}

/// Shows the log, decoded by the texts of the image, until the firmware's report ends or `ends` is set. Firmware that
/// goes on after that does not wait for a reader any more.
///
/// # Errors
/// There is no log, it can no longer be read, the core has stopped, or the report ends by an error.
pub fn monitor(
    session: &mut Session,
    image: &Image,
    ends: &Arc<AtomicBool>,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    reporter.report(Event::Stage(Stage::Log));
    let (Some(block), Some(texts)) = (image.rtt, &image.texts) else { return Err(Error::NoLogInImage) };
    let failed = |text: String| Error::Log(text);
    let mut core = session.core(0).map_err(|error| failed(error_line(&error)))?;
    let mut rtt = find(&mut core, block, reporter)?;
    let channel = rtt.up_channels().iter().position(|channel| channel.name() == Some("defmt")).unwrap_or(0);
    let channel = rtt.up_channel(channel).ok_or_else(|| failed("it has no channel".into()))?;
    channel.set_mode(&mut core, ChannelMode::BlockIfFull).map_err(|error| failed(error_line(&error)))?;
    let mut reader = texts.reader();
    let mut piece = [0; 4096];
    let mut pause = Duration::ZERO;
    let mut ended = None;
    while ended.is_none() && !ends.load(Ordering::Relaxed) {
        let count = channel.read(&mut core, &mut piece).map_err(|error| failed(error_line(&error)))?;
        let bytes = piece.get(..count).unwrap_or_default();
        if count > 0 {
            reporter.report(Event::Done(Stage::Log, count as u64));
            ended = reader.push_report(bytes, |line| reporter.report(Event::Line(line.into())));
            pause = Duration::ZERO;
            continue;
        }
        reporter.report(Event::Alive);
        if pause == PAUSE {
            check_running(&mut core)?;
        }
        pause = (2 * pause).clamp(Duration::from_millis(1), PAUSE);
        std::thread::sleep(pause);
    }
    reporter.report(Event::Ended(Stage::Log));
    channel.set_mode(&mut core, ChannelMode::NoBlockSkip).map_err(|error| failed(error_line(&error)))?;
    ended.unwrap_or(Ok(())).map_err(Error::Firmware)
}

/// A core that has stopped logs nothing any more.
fn check_running(core: &mut Core<'_>) -> Result<(), Error> {
    match core.status().map_err(|error| Error::Log(error_line(&error)))? {
        CoreStatus::LockedUp => Err(Error::Lockup),
        CoreStatus::Halted(reason) => Err(Error::Stopped(format!("{reason:?}"))),
        _ => Ok(()),
    }
}

/// Waits for the control block.
fn find(core: &mut Core<'_>, block: u64, reporter: &mut Reporter) -> Result<Rtt, Error> {
    let begun = Instant::now();
    loop {
        match Rtt::attach_region(core, &ScanRegion::Exact(block)) {
            Ok(rtt) => return Ok(rtt),
            Err(probe_rs::rtt::Error::ControlBlockNotFound | probe_rs::rtt::Error::ControlBlockCorrupted(_)) => {}
            Err(error) => return Err(Error::Log(error_line(&error))),
        }
        if core.status().map_err(|error| Error::Log(error_line(&error)))? == CoreStatus::LockedUp {
            return Err(Error::Lockup);
        }
        if begun.elapsed() > START {
            return Err(Error::NoLog(START.as_secs()));
        }
        reporter.report(Event::Alive);
        std::thread::sleep(Duration::from_millis(5));
    }
}
