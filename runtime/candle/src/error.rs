//! What can go wrong before a model runs.

use std::io;
use std::path::PathBuf;
use tealight::{LoadError, ModelError};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the model `{}`: check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is something else than a file with content.
    #[error("cannot map the model `{}`: it is {what}; give a .safetensors file that `tealight compile` made", path.display())]
    NotAFile {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The bytes are not a valid model.
    #[error("not a valid model: make it with `tealight compile`")]
    Model(#[source] ModelError),
    /// The model cannot run here.
    #[error("cannot run the model")]
    Load(#[source] LoadError),
    /// There is not enough memory.
    #[error("cannot get {bytes} bytes of memory: free some, or take a smaller model")]
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
    },
}
