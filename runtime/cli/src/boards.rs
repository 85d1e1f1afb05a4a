//! Boards, as far as their memory decides whether a model fits: from `board.toml` files.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is read of a `board.toml`; it says more than that.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Board {
    /// Short name: the board's folder.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Processor core.
    pub core: String,
    /// Bytes of RAM that it keeps for the stack.
    stack: u64,
    /// Memory regions by name; `flash` and `ram` are needed.
    memory: BTreeMap<String, Region>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Region {
    length: u64,
}

/// Whether a model fits a board. Bytes everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fit {
    /// Short name of the board.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its processor core.
    pub core: String,
    /// Flash that the model file needs. The program comes on top.
    pub flash_needed: u64,
    /// Flash that the board has.
    pub flash: u64,
    /// RAM needed: the arena, and what the board keeps for the stack.
    pub ram_needed: u64,
    /// RAM that the board has.
    pub ram: u64,
    /// Whether both suffice.
    pub fits: bool,
}

impl Board {
    /// Reads a `board.toml`.
    ///
    /// # Errors
    /// The file cannot be read, or lacks something.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let failed = || Error::new(format!("cannot read the board `{}`", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| failed().cause(error).help("give the path of a board.toml"))?;
        let board: Self = toml::from_str(&text).map_err(|error| {
            failed()
                .cause(error)
                .help("a board.toml has id, name, core, stack, [memory.flash] and [memory.ram] with length")
        })?;
        for region in ["flash", "ram"] {
            if !board.memory.contains_key(region) {
                return Err(failed()
                    .cause(format!("there is no [memory.{region}]"))
                    .help(format!("add [memory.{region}] with origin and length")));
            }
        }
        Ok(board)
    }

    /// Whether a file and an arena of these lengths fit.
    pub(crate) fn fit(&self, file_len: u64, arena_len: u64) -> Fit {
        let length = |region: &str| self.memory.get(region).map_or(0, |region| region.length);
        let (flash, ram) = (length("flash"), length("ram"));
        let ram_needed = arena_len.saturating_add(self.stack);
        Fit {
            id: self.id.clone(),
            name: self.name.clone(),
            core: self.core.clone(),
            flash_needed: file_len,
            flash,
            ram_needed,
            ram,
            fits: file_len <= flash && ram_needed <= ram,
        }
    }
}

/// The `boards/*/board.toml` of the nearest folder, from `start` upward, that has any; sorted.
pub(crate) fn find(start: &Path) -> Vec<PathBuf> {
    for folder in start.ancestors() {
        let Ok(entries) = std::fs::read_dir(folder.join("boards")) else { continue };
        let files = entries.flatten().map(|entry| entry.path().join("board.toml"));
        let mut found: Vec<_> = files.filter(|file| file.is_file()).collect();
        if !found.is_empty() {
            found.sort();
            return found;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "id = 'small'\nname = 'A small board'\ncore = 'Cortex-M0+'\ntarget = 'x'\nstack = 4096\n\
                         [memory.flash]\norigin = 0\nlength = 0x1_0000\n[memory.ram]\norigin = 1\nlength = 16384\n";

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("boards/small/board.toml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, SMALL).unwrap();
        (folder, file)
    }

    #[test]
    fn a_model_fits_up_to_the_last_byte() {
        let (_folder, file) = folder();
        let board = Board::read(&file).unwrap();
        assert!(board.fit(0x1_0000, 16384 - 4096).fits);
        assert!(!board.fit(0x1_0001, 0).fits);
        assert!(!board.fit(0, 16384 - 4096 + 1).fits);
    }

    #[test]
    fn boards_are_found_from_folders_below() {
        let (folder, file) = folder();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(find(&below), [file]);
    }

    #[test]
    fn a_board_without_a_region_is_refused_by_name() {
        let (folder, _) = folder();
        let file = folder.path().join("x.toml");
        std::fs::write(&file, SMALL.replace("memory.ram", "memory.sram")).unwrap();
        assert!(Board::read(&file).unwrap_err().to_string().contains("no [memory.ram]"));
        std::fs::write(&file, "id = 3").unwrap();
        assert!(Board::read(&file).unwrap_err().to_string().contains("x.toml"));
        assert!(Board::read(&folder.path().join("none.toml")).is_err());
    }
}
