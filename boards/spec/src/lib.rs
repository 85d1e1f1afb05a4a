//! The one reader of `board.toml`, the file that says what a board is.
//!
//! Three programs read it: the build script of the board's firmware, which writes the linker's memory map; `cargo xtask`, which
//! builds the board, emulates it and checks its image; and `tealight inspect`, which says whether a model fits. They differ in
//! what they need:
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

pub use board::{Board, Boot, Console, ConsoleKind, Qemu, Region};
pub use linux::{Emulator, LinuxBoard};
pub use listed::{BOARDS, Listed};
pub use summary::Summary;
pub use version::Version;

use std::path::{Path, PathBuf};

/// Where boards with firmware are: those that need nothing but the main workspace, and those on the HALs of their chips.
const FOLDERS: [&str; 3] = ["boards", "boards/hardware", "boards/espressif"];

/// Why a description of a board was refused.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, or a key is missing, unknown, or of the wrong type.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// The key `id` and the folder do not match.
    #[error("`id = \"{id}\"` is not `{expected}`, as the folder has it")]
    Id {
        /// What the file says.
        id: String,
        /// What it should say.
        expected: String,
    },
    /// A table of `[memory]` that every board has is missing.
    #[error("the table `[memory.{0}]` is missing")]
    Region(&'static str),
    /// `window-of` of a region names no region.
    #[error("`window-of = \"{of}\"` of `[memory.{region}]` names no region")]
    Window {
        /// The region.
        region: String,
        /// What its `window-of` says.
        of: String,
    },
    /// A word for the compiler has a blank or a comma, at which it would be split.
    #[error("`{0}` names no processor and no single feature")]
    Word(String),
    /// A word of `target-features` has no sign.
    #[error("`{0}` in `target-features` begins with neither `+` nor `-`")]
    Feature(String),
    /// A version of an emulator cannot be read.
    #[error("in `[{table}]`: {reason}")]
    Version {
        /// The table that holds the version.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// QEMU has no debugger that would read the report over RTT.
    #[error("`kind = \"rtt\"` needs a debugger that reads it, and in QEMU there is none")]
    Rtt,
    /// A Linux board names no processor.
    #[error("`cpus` names no processor")]
    NoCpu,
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
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

/// The paths `*/board.toml` in `folder`, sorted.
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

/// The `board.toml` of each board with firmware in the workspace at `root`: those in `boards` first, each folder sorted.
/// Folders that are not there have none.
pub fn files(root: &Path) -> Vec<PathBuf> {
    FOLDERS.iter().flat_map(|folder| files_in(&root.join(folder)).unwrap_or_default()).collect()
}

/// What `parse` makes of the text of a file and the name of its folder; an error names the file.
fn read<T>(file: &Path, parse: impl FnOnce(&str, &str) -> Result<T, SpecError>) -> Result<T, SpecError> {
    let text = std::fs::read_to_string(file).map_err(|source| SpecError::Read { path: file.into(), source })?;
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    parse(&text, &folder).map_err(|source| SpecError::In { path: file.into(), source: Box::new(source) })
}
