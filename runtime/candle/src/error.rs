//! Errors before a model runs.

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
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path is not a regular file with content.
    #[error("cannot map the model `{}`: it is {what}; give a .safetensors file that `tealight compile` made", path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The bytes are not a valid model.
    #[error("not a valid model: compile it again with `tealight compile`")]
    Model(#[source] ModelError),
    /// The model cannot run here.
    #[error("cannot run the model")]
    Load(#[source] LoadError),
    /// There is not enough memory.
    #[error("cannot allocate {bytes} bytes: free some memory, or use a smaller model")]
    Memory {
        /// The number of bytes that were requested.
        bytes: usize,
    },
}
