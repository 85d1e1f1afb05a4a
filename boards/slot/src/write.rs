//! The writer of a slot, for a host.

use crate::HEADER;
use crate::header::{self, Header};

/// A model and its inputs are longer than a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes that they need, the header included.
    pub needed: u64,
    /// Bytes of the slot.
    pub length: u64,
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the model and its inputs need a slot of {} bytes, and it has {}", self.needed, self.length)
    }
}

impl std::error::Error for TooLong {}

/// Returns the bytes of a slot from its start to the end of its inputs; a region of `length` bytes must hold them. What is
/// not used is as erased flash is, 0xFF.
///
/// # Errors
/// [`TooLong`].
pub fn contents(model: &[u8], inputs: &[u8], length: u64) -> Result<Vec<u8>, TooLong> {
    let needed = (HEADER + model.len()).next_multiple_of(crate::ALIGN) + inputs.len();
    let too_long = TooLong { needed: needed as u64, length };
    if too_long.needed > length {
        return Err(too_long);
    }
    let bytes = |slice: &[u8]| u32::try_from(slice.len()).map_err(|_| too_long);
    let mut header = Header { model: bytes(model)?, inputs: bytes(inputs)?, checksum: 0 };
    let places = header.places().ok_or(too_long)?;
    let mut slot = vec![0xFF; places.end];
    slot[HEADER..places.model_end].copy_from_slice(model);
    slot[places.inputs..].copy_from_slice(inputs);
    header.checksum = header::checksum(&slot[HEADER..]);
    slot[..header::LENGTH].copy_from_slice(&header.bytes());
    Ok(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contents, SlotError, read};

    const MODEL: &[u8] = b"a model of 29 bytes, and more";
    const INPUTS: &[u8] = b"its inputs";

    fn slot() -> Vec<u8> {
        contents(MODEL, INPUTS, 8192).unwrap()
    }

    #[test]
    fn what_is_written_is_read_whatever_follows_it() {
        for (model, inputs) in [(MODEL, INPUTS), (MODEL, &[][..]), (&[][..], INPUTS), (&MODEL[..16], INPUTS)] {
            let mut slot = contents(model, inputs, 8192).unwrap();
            assert_eq!(read(&slot), Ok(Contents { model, inputs }));
            slot.resize(8192, 0xFF);
            assert_eq!(read(&slot), Ok(Contents { model, inputs }));
        }
    }

    #[test]
    fn a_slot_must_hold_all_of_it() {
        let needed = slot().len() as u64;
        contents(MODEL, INPUTS, needed).unwrap();
        let error = contents(MODEL, INPUTS, needed - 1).unwrap_err();
        assert_eq!(error, TooLong { needed, length: needed - 1 });
    }

    #[test]
    fn every_damaged_bit_is_found() {
        let whole = slot();
        let padding = header::LENGTH..HEADER;
        for bit in 0..8 * whole.len() {
            let mut slot = whole.clone();
            slot[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&slot).is_ok(), padding.contains(&(bit / 8)), "bit {bit}");
        }
    }

    #[test]
    fn a_slot_that_is_cut_off_or_written_in_part_is_refused() {
        let whole = slot();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
            let mut erased = whole.clone();
            erased[length..].fill(0xFF);
            assert!(read(&erased).is_err() || erased == whole, "{length}");
        }
        let mut without_header = whole.clone();
        without_header[..HEADER].fill(0xFF);
        assert_eq!(read(&without_header), Err(SlotError::Empty));
    }

    #[test]
    fn a_header_that_states_too_much_is_refused() {
        for (model, inputs) in [(u32::MAX, u32::MAX), (0, u32::MAX), (5000, 0)] {
            let mut slot = slot();
            slot[..header::LENGTH].copy_from_slice(&Header { model, inputs, checksum: 0 }.bytes());
            assert_eq!(read(&slot), Err(SlotError::Length));
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let mut slot = slot();
        slot[8] = 2;
        let own = header::checksum(&slot[..28]);
        slot[28..32].copy_from_slice(&own.to_le_bytes());
        assert_eq!(read(&slot), Err(SlotError::Version { found: 2 }));
    }

    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(header::checksum(b"123456789"), 0xCBF4_3926);
    }
}
