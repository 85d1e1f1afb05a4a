//! A processor with Linux.

use crate::{SpecError, Version, files_in, read};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Contents of a Linux board's `board.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LinuxBoard {
    /// Identifier: `linux-` and the name of the folder.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Rust target triple.
    pub target: String,
    /// The linker of its programs: `rust-lld`, or the C compiler of a cross toolchain.
    pub linker: String,
    /// The emulator.
    pub emulator: Emulator,
}

/// A QEMU in user mode.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Emulator {
    /// Program, such as `qemu-aarch64`.
    pub binary: String,
    /// Minimum version.
    pub version: String,
    /// The processors to emulate, as named by its option `-cpu`; at least one.
    pub cpus: Vec<String>,
}

impl Emulator {
    /// Returns the minimum version as a number.
    ///
    /// # Errors
    /// [`SpecError::Version`]; never for a [`LinuxBoard`] that was parsed.
    pub fn min_version(&self) -> Result<Version, SpecError> {
        self.version.parse().map_err(|reason| SpecError::Version { table: "emulator", reason })
    }
}

impl LinuxBoard {
    /// Parses the text of a `board.toml` in the folder `folder`.
    ///
    /// # Errors
    /// [`SpecError`] for a text that is not TOML, a key that is missing, unknown or of another type, an invalid
    /// version, or an emulator without processors.
    pub fn parse(text: &str, folder: &str) -> Result<Self, SpecError> {
        let board: Self = toml::from_str(text)?;
        let expected = format!("linux-{folder}");
        if board.id != expected {
            return Err(SpecError::Id { id: board.id, expected });
        }
        board.emulator.min_version()?;
        if board.emulator.cpus.is_empty() {
            return Err(SpecError::NoCpu);
        }
        Ok(board)
    }

    /// Returns every Linux board of the workspace at `root`, sorted by identifier.
    ///
    /// # Errors
    /// [`SpecError::Read`] if there is no folder `boards/linux`, and the error of the first file that is refused.
    pub fn all(root: &Path) -> Result<Vec<Self>, SpecError> {
        files_in(&root.join("boards").join("linux"))?.iter().map(|file| read(file, Self::parse)).collect()
    }

    /// Returns the Linux board called `id`, if there is one.
    ///
    /// # Errors
    /// As for [`LinuxBoard::all`].
    pub fn find(root: &Path, id: &str) -> Result<Option<Self>, SpecError> {
        Ok(Self::all(root)?.into_iter().find(|board| board.id == id))
    }
}
