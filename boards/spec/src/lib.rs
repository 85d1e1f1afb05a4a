//! The parser of `board.toml`, the description of a board.
//!
//! Three programs use it: the build script of the board's firmware, which writes the linker's memory map; `cargo
//! xtask`, which builds the board, emulates it and checks its image; and `tealight inspect`, which checks whether a
//! model fits. They need different parts:
//!
//! | type | reads | refuses |
//! |---|---|---|
//! | [`Board`] | a board that firmware is built for | unknown keys, and all that would go wrong later |
//! | [`LinuxBoard`] | a processor with Linux | unknown keys, and all that would go wrong later |
//! | [`Summary`] | what decides whether a model fits | only a file without a name, a core, a stack, flash or RAM |
//!
//! [`BOARDS`] is the [`Summary`] of each board in Tealight's repository, for a program that runs elsewhere.

mod board;
mod linux;
mod listed;
mod summary;
mod version;

pub use board::{
    Board, Boot, ByProbe, BySerial, ByUf2, ChipEmulator, ChipProgram, Console, ConsoleKind, Flash, ModelSlot, Qemu,
    Region, SlotOperators, StatedSize, Uf2Family,
};
pub use linux::{Emulator, LinuxBoard};
pub use listed::{BOARDS, Listed};
pub use summary::Summary;
pub use version::Version;

use std::path::{Path, PathBuf};

/// The folder of boards with firmware that only need the main workspace.
const FOLDER: &str = "boards";

/// The folders of boards with firmware: that, and those of boards on the HALs of their chips.
const FOLDERS: [&str; 3] = [FOLDER, "boards/hardware", "boards/espressif"];

/// The reason why a description of a board is refused.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, or a key is missing, unknown, or of the wrong type.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// The key `id` and the name of the folder differ.
    #[error("`id = \"{id}\"` must be `{expected}`, the name of the folder")]
    Id {
        /// The identifier in the file.
        id: String,
        /// The identifier that it must have.
        expected: String,
    },
    /// A table of `[memory]` that every board needs is missing.
    #[error("the table `[memory.{0}]` is missing")]
    Region(&'static str),
    /// `window-of` of a region names no region.
    #[error("`window-of = \"{of}\"` of `[memory.{region}]` is not the name of a region")]
    Window {
        /// The region.
        region: String,
        /// The value of its `window-of`.
        of: String,
    },
    /// A word for the compiler contains a space or a comma, at which it would be split.
    #[error("`{0}` is neither a processor nor a single feature")]
    Word(String),
    /// A word of `target-features` has no sign.
    #[error("`{0}` in `target-features` begins with neither `+` nor `-`")]
    Feature(String),
    /// A version of an emulator cannot be read.
    #[error("in `[{table}]`: {reason}")]
    Version {
        /// The table that holds the version.
        table: &'static str,
        /// The reason.
        reason: String,
    },
    /// QEMU has no debugger to read a report over RTT.
    #[error("`kind = \"rtt\"` needs a debugger, which QEMU does not have")]
    Rtt,
    /// The registers that state a flash's size are none, or of another width.
    #[error("`[flash.size]` needs registers of 16 or 32 bits")]
    StatedSize,
    /// The model slot is no part of the flash that leaves room for firmware, or too short for a header.
    #[error(
        "`[model-slot]` must be a part of `[memory.flash]` above its start, begin at a multiple of 4096, and be longer"
    )]
    ModelSlot,
    /// Two tables of `[[flash]]` have the same method.
    #[error("two tables `[[flash]]` have `method = \"{0}\"`")]
    TwoWays(&'static str),
    /// A Linux board names no processor.
    #[error("`cpus` is empty")]
    NoCpu,
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file was refused.
    #[error("in {}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// Why it was refused.
        source: Box<SpecError>,
    },
}

/// Returns the paths `*/board.toml` in `folder`, sorted.
///
/// # Errors
/// [`SpecError::Read`] if the folder cannot be listed.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    let entries = std::fs::read_dir(folder).map_err(|source| SpecError::Read { path: folder.into(), source })?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path().join("board.toml")));
    let mut files: Vec<_> = files.filter(|file| file.is_file()).collect();
    files.sort();
    Ok(files)
}

/// Returns the `board.toml` of each board with firmware in the workspace at `root`: those in `boards` first, each
/// folder sorted. Missing folders are skipped.
pub fn files(root: &Path) -> Vec<PathBuf> {
    FOLDERS.iter().flat_map(|folder| files_in(&root.join(folder)).unwrap_or_default()).collect()
}

/// Calls `parse` with the text of a file and the name of its folder; an error names the file.
fn read<T>(file: &Path, parse: impl FnOnce(&str, &str) -> Result<T, SpecError>) -> Result<T, SpecError> {
    let text = std::fs::read_to_string(file).map_err(|source| SpecError::Read { path: file.into(), source })?;
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    parse(&text, &folder).map_err(|source| SpecError::In { path: file.into(), source: Box::new(source) })
}
