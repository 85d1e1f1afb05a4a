//! A model slot: a region of a board's flash that holds a compiled model, and inputs to try it on, apart from the firmware
//! that runs it. So a model is replaced in seconds, without rebuilding or touching the firmware.
//!
//! | bytes | contents |
//! |---|---|
//! | 0 to 31 | the header: what follows, and checksums |
//! | to [`HEADER`] | nothing (erased) |
//! | from [`HEADER`] | the model's file |
//! | from the next multiple of [`ALIGN`] | the inputs |
//!
//! The header, little-endian:
//!
//! | bytes | contents |
//! |---|---|
//! | 0 to 7 | `TEALSLOT` |
//! | 8 to 11 | version of this layout: 1 |
//! | 12 to 15 | bytes of the model |
//! | 16 to 19 | bytes of the inputs |
//! | 20 to 23 | CRC-32 (ISO-HDLC, as zlib has it) of all bytes from [`HEADER`] to the end of the inputs |
//! | 24 to 27 | 0 |
//! | 28 to 31 | CRC-32 of the bytes 0 to 27 |
//!
//! A writer erases the header first and writes it last. Whenever the power goes in between, [`read`] refuses the slot. The
//! checksums find what was written in part or has decayed. They are no protection against a forged model, and need not be:
//! the runtime validates every model that it opens.
//!
//! The header has [`HEADER`] bytes to itself, because the memory of some chips cannot be programmed twice without being
//! erased, and is programmed in pages of up to that size.
//!
//! ```
//! let slot = tealight_slot::contents(b"a model", b"inputs", 8192)?;
//! let found = tealight_slot::read(&slot)?;
//! assert_eq!((found.model, found.inputs), (&b"a model"[..], &b"inputs"[..]));
//!
//! let erased = [0xFF; 8192];
//! assert_eq!(tealight_slot::read(&erased), Err(tealight_slot::SlotError::Empty));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(feature = "std"), no_std)]

mod error;
mod header;
#[cfg(feature = "std")]
mod write;

pub use error::SlotError;
#[cfg(feature = "std")]
pub use write::{TooLong, contents};

use header::Header;

/// Bytes from the start of a slot to its model.
pub const HEADER: usize = 4096;

/// The model and the inputs begin at multiples of this many bytes from the start of the slot, which itself must be aligned
/// to it.
pub const ALIGN: usize = 16;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents<'a> {
    /// A compiled model's file. Nothing about it is checked here but that it is as it was written.
    pub model: &'a [u8],
    /// The inputs of any number of inferences, one after another; may be empty.
    pub inputs: &'a [u8],
}

/// Reads a slot: all bytes of its region.
///
/// # Errors
/// A [`SlotError`] if it is not as a writer left it.
pub fn read(slot: &[u8]) -> Result<Contents<'_>, SlotError> {
    let header = Header::read(slot)?;
    let places = header.places().filter(|places| places.end <= slot.len()).ok_or(SlotError::Length)?;
    let bytes = |range| slot.get(range).ok_or(SlotError::Length);
    if header::checksum(bytes(HEADER..places.end)?) != header.checksum {
        return Err(SlotError::Damaged);
    }
    Ok(Contents { model: bytes(HEADER..places.model_end)?, inputs: bytes(places.inputs..places.end)? })
}
