//! A model and its memory on the host.

use tealight::{ALL_OPS, Align16, Model, ModelError, Session};

/// A model file in aligned memory, with an arena for it.
pub struct Host {
    file: Vec<Align16>,
    len: usize,
    arena: Vec<Align16>,
}

impl Host {
    /// Copies `file` to aligned memory and gives it an arena.
    ///
    /// # Errors
    /// If the file is not a valid model.
    pub fn new(file: &[u8]) -> Result<Self, ModelError> {
        let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
        Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(file);
        let arena_len = Model::parse(file)?.arena_len();
        Ok(Self { file: blocks, len: file.len(), arena: vec![Align16::ZERO; Align16::count(arena_len)] })
    }

    /// A new session: state as at first.
    ///
    /// # Panics
    /// Never: the model was checked, and its memory is of its size.
    pub fn session(&mut self) -> Session<'_, ALL_OPS> {
        let model = Model::parse(&Align16::bytes_mut(&mut self.file)[..self.len]).expect("checked before");
        Session::load(&model, Align16::bytes_mut(&mut self.arena)).expect("memory was made for it")
    }
}
