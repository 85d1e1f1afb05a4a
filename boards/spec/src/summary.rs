//! The properties of a board that decide whether a model fits.

use crate::{Board, Listed, SpecError, read};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The parts of a board that decide whether a model fits. Lengths in bytes.
///
/// Read from a `board.toml` with fewer keys than a [`Board`] needs, or with more: five keys describe a board of one's
/// own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Identifier.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Processor core.
    pub core: String,
    /// The core's clock in hertz, if it is stated.
    pub clock: Option<u64>,
    /// RAM reserved for the stack.
    pub stack: u64,
    /// Flash, for code and models.
    pub flash: u64,
    /// RAM, including the stack.
    pub ram: u64,
}

/// The keys that a [`Summary`] is read from.
#[derive(Deserialize)]
struct Keys {
    id: String,
    name: String,
    core: String,
    clock: Option<u64>,
    stack: u64,
    memory: BTreeMap<String, Length>,
}

#[derive(Deserialize)]
struct Length {
    length: u64,
}

impl Summary {
    /// Parses the text of a `board.toml`; other keys are ignored.
    ///
    /// # Errors
    /// [`SpecError::Toml`] if the text is not TOML or lacks `id`, `name`, `core` or `stack`; [`SpecError::Region`] if
    /// there is no `[memory.flash]` or `[memory.ram]`.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let Keys { id, name, core, clock, stack, memory } = toml::from_str(text)?;
        let length = |region| memory.get(region).map(|found| found.length).ok_or(SpecError::Region(region));
        Ok(Self { id, name, core, clock, stack, flash: length("flash")?, ram: length("ram")? })
    }

    /// Reads a `board.toml`.
    ///
    /// # Errors
    /// [`SpecError::Read`] if it cannot be read, [`SpecError::In`] with the reason if it is refused.
    pub fn read(file: &Path) -> Result<Self, SpecError> {
        read(file, |text, _| Self::parse(text))
    }
}

impl From<&Board> for Summary {
    fn from(board: &Board) -> Self {
        let Board { id, name, core, clock, .. } = board.clone();
        Self { id, name, core, clock, stack: board.stack, flash: board.length("flash"), ram: board.length("ram") }
    }
}

impl From<&Listed> for Summary {
    fn from(board: &Listed) -> Self {
        let Listed { id, name, core, clock, stack, flash, ram } = *board;
        Self { id: id.into(), name: name.into(), core: core.into(), clock, stack, flash, ram }
    }
}
