//! Digests of Tealight's own f32 outputs: `tests/golden/f32.json`.
//!
//! The f32 kernels compute the same bits on every target. The digests are generated on the host (with
//! `TEALIGHT_BLESS=1`); tests compare them there, and `cargo xtask conformance` on a board.

use crate::root;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// SHA-256 of the output bytes of each case.
pub type Cases = BTreeMap<String, String>;

/// All digests.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of whole networks, by id.
    pub models: BTreeMap<String, Cases>,
    /// Of single operators, by the name of their file of goldens.
    pub operators: BTreeMap<String, Cases>,
}

impl Digests {
    /// Reads them.
    ///
    /// # Errors
    /// If the file cannot be read or is not as [`write`](Self::write) writes it.
    pub fn read() -> std::io::Result<Self> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path())?)?)
    }

    /// Writes them.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self) -> std::io::Result<()> {
        std::fs::write(path(), serde_json::to_string_pretty(self)? + "\n")
    }
}

fn path() -> PathBuf {
    root().join("tests/golden/f32.json")
}
