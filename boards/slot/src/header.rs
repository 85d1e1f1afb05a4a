//! The header of a slot.

use crate::{ALIGN, HEADER, SlotError};
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The first bytes of a header.
const MAGIC: [u8; 8] = *b"TEALSLOT";

/// The version of the layout.
const VERSION: u32 = 1;

/// Bytes of a header.
pub(crate) const LENGTH: usize = 32;

/// What a header states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of the model.
    pub(crate) model: u32,
    /// Bytes of the inputs.
    pub(crate) inputs: u32,
    /// The checksum of what follows the header.
    pub(crate) checksum: u32,
}

/// Where in a slot its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The end of the model, exclusive.
    pub(crate) model_end: usize,
    /// The first of the inputs.
    pub(crate) inputs: usize,
    /// The end of the inputs, exclusive.
    pub(crate) end: usize,
}

impl Header {
    /// Reads the header of a slot.
    pub(crate) fn read(slot: &[u8]) -> Result<Self, SlotError> {
        let header: &[u8; LENGTH] = slot.first_chunk().ok_or(SlotError::Length)?;
        if !header.starts_with(&MAGIC) {
            return Err(SlotError::Empty);
        }
        let (words, _) = header.as_chunks::<4>();
        let [_, _, version, model, inputs, checksum_of_all, _, own] = words else { return Err(SlotError::Length) };
        let (stated, rest) = (u32::from_le_bytes(*own), header.first_chunk::<28>().ok_or(SlotError::Length)?);
        if checksum(rest) != stated {
            return Err(SlotError::Header);
        }
        match u32::from_le_bytes(*version) {
            VERSION => {}
            found => return Err(SlotError::Version { found }),
        }
        Ok(Self {
            model: u32::from_le_bytes(*model),
            inputs: u32::from_le_bytes(*inputs),
            checksum: u32::from_le_bytes(*checksum_of_all),
        })
    }

    /// Returns where the parts of the slot are, unless that is more than can be addressed.
    pub(crate) fn places(&self) -> Option<Places> {
        let model_end = HEADER.checked_add(usize::try_from(self.model).ok()?)?;
        let inputs = model_end.checked_next_multiple_of(ALIGN)?;
        let end = inputs.checked_add(usize::try_from(self.inputs).ok()?)?;
        Some(Places { model_end, inputs, end })
    }

    /// Returns the bytes of the header.
    #[cfg(feature = "std")]
    pub(crate) fn bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let words = [VERSION, self.model, self.inputs, self.checksum, 0].map(u32::to_le_bytes);
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..28].copy_from_slice(words.as_flattened());
        let own = checksum(&bytes[..28]);
        bytes[28..].copy_from_slice(&own.to_le_bytes());
        bytes
    }
}

/// Returns the CRC-32 of bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}
