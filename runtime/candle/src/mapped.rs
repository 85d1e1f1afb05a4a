//! A checked model file in memory.

use crate::engine::{CandleEngine, EngineChoice};
use crate::error::{Error, Result};
use crate::session::MappedSession;
use memmap2::Mmap;
use self_cell::self_cell;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tealight::{Align16, Model};

/// A model, mapped from its file or held in its own memory. Cheap to clone: clones and sessions share the bytes.
///
/// A mapped file must not change while it is in use: replace a model by renaming a new file over it, never by writing
/// into it. If the file is shortened, the process ends with SIGBUS.
#[derive(Clone)]
pub struct Mapped(Arc<Checked>);

/// The storage of a model's bytes, which start at a multiple of 16 in both cases.
enum Bytes {
    Map(Mmap),
    Own { blocks: Vec<Align16>, len: usize },
}

self_cell!(
    /// Bytes, and the checked view of them.
    struct Checked {
        owner: Bytes,
        #[covariant]
        dependent: Model,
    }
);

impl Mapped {
    /// Maps the file `path` and checks its header and plan. The weights are not read.
    ///
    /// # Errors
    /// If there is no such file, it cannot be mapped, or it is not a valid model.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = |source| Error::Read { path: path.to_path_buf(), source };
        let not_a_file = |what| Err(Error::NotAFile { path: path.to_path_buf(), what });
        let file = File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if metadata.is_dir() {
            return not_a_file("a folder");
        }
        if !metadata.is_file() {
            return not_a_file("not a regular file");
        }
        if metadata.len() == 0 {
            return not_a_file("empty");
        }
        // SAFETY: the map is read-only. Rust asks that the bytes do not change while they are borrowed, which no
        // program can enforce for a file; it is asked of the user, in the docs of this type. What the map is used for
        // stays in bounds whatever the bytes become: every access to a model is checked against the map's length.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        Self::check(Bytes::Map(map))
    }

    /// Copies `bytes`, a whole model file, to aligned memory and checks them.
    ///
    /// # Errors
    /// If there is not enough memory, or they are not a valid model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut blocks = aligned(bytes.len())?;
        Align16::bytes_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
        Self::check(Bytes::Own { blocks, len: bytes.len() })
    }

    fn check(bytes: Bytes) -> Result<Self> {
        let checked = Checked::try_new(bytes, |bytes| Model::parse(bytes.as_slice())).map_err(Error::Model)?;
        Ok(Self(Arc::new(checked)))
    }

    /// Returns the model.
    pub fn model(&self) -> &Model<'_> {
        self.0.borrow_dependent()
    }

    /// Creates a session with its own memory, in its initial state.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn session(&self, choice: EngineChoice) -> Result<MappedSession> {
        MappedSession::new(self.clone(), CandleEngine::new(choice))
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapped").field(self.model()).finish()
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Own { blocks, len } => &Align16::bytes(blocks)[..*len],
        }
    }
}

/// Allocates `len` zero bytes, and up to 15 more, at a multiple of 16.
pub(crate) fn aligned(len: usize) -> Result<Vec<Align16>> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(Align16::count(len)).map_err(|_| Error::Memory { bytes: len })?;
    blocks.resize(Align16::count(len), Align16::ZERO);
    Ok(blocks)
}
