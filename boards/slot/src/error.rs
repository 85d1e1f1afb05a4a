//! Why a slot is refused.

use core::fmt;

/// Why a slot is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError {
    /// It has no header: nothing was written to it, or writing it was interrupted.
    Empty,
    /// Its header is not as it was written.
    Header,
    /// It is laid out in another version.
    Version {
        /// The version that its header states.
        found: u32,
    },
    /// Its contents are longer than its region.
    Length,
    /// Its contents are not as they were written.
    Damaged,
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the slot is empty"),
            Self::Header => f.write_str("the slot's header is damaged"),
            Self::Version { found } => write!(f, "the slot has layout version {found}, and this reads 1"),
            Self::Length => f.write_str("the slot's contents are longer than the slot"),
            Self::Damaged => f.write_str("the slot's contents are damaged: their checksum is another"),
        }
    }
}

impl core::error::Error for SlotError {}
