//! Replaces the model of firmware that has a slot for it (`tealight-slot`), and nothing else.
//!
//! The header is erased first and written last, each sector of it by itself, so that whenever the power or the wire goes
//! the firmware finds no valid model, or the whole one. The firmware is compared with its image before, so that it is
//! known to have the slot, and after, so that it is known to be as it was.

use crate::Error;
use crate::board::{Sectors, States, commit, pass_on};
use crate::image::{Image, Segment};
use crate::supervise::{Event, Reporter, Stage, State};
use probe_rs::flashing::{self, FlashProgress};
use probe_rs::{MemoryInterface as _, Session};
use std::path::{Path, PathBuf};
use tealight_console::error_line;
use tealight_slot::HEADER;

/// Bytes that are compared at a time.
const PIECE: usize = 4096;

/// The contents of a model slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents(Vec<u8>);

impl Contents {
    /// Reads a file as `tealight_slot::contents` makes it.
    ///
    /// # Errors
    /// [`Error::Slot`] if there is none, or what is in it is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error::Slot { path: PathBuf::from(path), reason };
        let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        tealight_slot::read(&bytes).map_err(|error| refused(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Returns the number of bytes, the header included.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Returns whether there are none; never of contents that were read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Puts contents into the slot of the firmware that is in flash, of which `image` is the image.
///
/// # Errors
/// The firmware in flash is another, or what went wrong. The state of the board was reported.
pub fn program(
    session: &mut Session,
    image: &Image,
    contents: &Contents,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    let slot = image.slot_for(contents.len())?;
    if let Some(place) = difference(session, image, reporter)? {
        return Err(Error::OtherFirmware(place));
    }
    let (header, body) = contents.0.split_at(HEADER.min(contents.0.len()));
    let after_header = slot.start + HEADER as u64;
    reporter.state(State::NoModel);
    let mut alive = FlashProgress::new(|_| reporter.report(Event::Alive));
    // Only sectors that are within the header; where a sector has more, programming the rest erases it.
    flashing::erase(session, &mut alive, slot.start, after_header, false)
        .map_err(|error| Error::Write(error_line(&error)))?;
    drop(alive);
    let states = States { before: State::NoModel, changing: State::NoModel, unverified: State::NoModel };
    let progress = FlashProgress::new(|event| pass_on(reporter, &event, states));
    commit(session, [(after_header, body)].into_iter(), Sectors::Erase, progress)?;
    reporter.report(Event::Stage(Stage::Header));
    reporter.state(State::ModelUnverified);
    let alive = FlashProgress::new(|_| reporter.report(Event::Alive));
    commit(session, [(slot.start, header)].into_iter(), Sectors::AreErased, alive)?;
    reporter.report(Event::Ended(Stage::Header));
    reporter.state(State::ModelFlashed);
    match difference(session, image, reporter)? {
        Some(place) => Err(Error::FirmwareChanged(place)),
        None => Ok(()),
    }
}

/// Returns the first address at which the flash differs from the image's firmware, if there is one.
fn difference(session: &mut Session, image: &Image, reporter: &mut Reporter) -> Result<Option<u64>, Error> {
    let failed = |error: probe_rs::Error| Error::Compare(error_line(&error));
    reporter.report(Event::Stage(Stage::Compare));
    let total: u64 = image.firmware().map(|segment| segment.bytes.len() as u64).sum();
    reporter.report(Event::Total(Stage::Compare, total));
    let mut core = session.core(0).map_err(failed)?;
    for Segment { address, bytes } in image.firmware() {
        let mut at = *address;
        for expected in bytes.chunks(PIECE) {
            let mut found = vec![0; expected.len()];
            core.read(at, &mut found).map_err(failed)?;
            if let Some(place) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
                return Ok(Some(at + place as u64));
            }
            at += expected.len() as u64;
            reporter.report(Event::Done(Stage::Compare, expected.len() as u64));
        }
    }
    reporter.report(Event::Ended(Stage::Compare));
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board;
    use probe_rs_target::FlashProperties;
    use tealight_board_spec::Board;

    /// The sector that an address is in: its first address, and its bytes.
    fn sector(flash: &FlashProperties, address: u64) -> (u64, u64) {
        let offset = address - flash.address_range.start;
        let run = flash.sectors.iter().rfind(|run| run.address <= offset).unwrap();
        (address - (offset - run.address) % run.size, run.size)
    }

    #[test]
    fn slots_are_whole_sectors_and_headers_whole_pages_of_their_chips() {
        let mut checked = 0;
        for board in Board::all(&board::root()).unwrap() {
            let (Some(slot), Some(by)) = (board.model_slot, board.by_probe()) else { continue };
            let chip = match &by.description {
                Some(file) => {
                    crate::chip::described(&by.chip, &board::root().join(&board.folder).join(file), None).unwrap()
                }
                None => crate::chip::find(&by.chip).unwrap(),
            };
            let algorithms = chip.flash_algorithms.iter().map(|algorithm| &algorithm.flash_properties);
            let mut holding = algorithms.filter(|flash| flash.address_range.contains(&slot.origin)).peekable();
            assert!(holding.peek().is_some(), "{}", board.id);
            for flash in holding {
                assert_eq!(sector(flash, slot.origin).0, slot.origin, "{}", board.id);
                let (last, length) = sector(flash, slot.end() - 1);
                assert_eq!(last + length, slot.end(), "{}", board.id);
                assert!(flash.page_size as usize <= HEADER, "{}: pages of {}", board.id, flash.page_size);
            }
            checked += 1;
        }
        assert!(checked >= 8, "{checked}");
    }

    #[test]
    fn what_is_no_contents_of_a_slot_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.slot");
        let refusal = |file: &Path| Contents::read(file).unwrap_err().to_string();
        assert!(refusal(&file).contains("x.slot"));
        std::fs::write(&file, [0xFF; 5000]).unwrap();
        assert!(refusal(&file).contains("the slot is empty"));
        let contents = tealight_slot::contents(b"model", b"", 8192).unwrap();
        std::fs::write(&file, &contents).unwrap();
        assert_eq!(Contents::read(&file).unwrap().len(), contents.len() as u64);
    }
}
