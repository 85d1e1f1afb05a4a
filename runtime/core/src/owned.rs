//! Sessions for hosts: they own the model's bytes and the memory that it runs in.

use crate::arena::Align16;
use crate::engine::{Engine, Kernels};
use crate::memory::range;
use crate::session::{Budget, LoadError, Position, Progress, Session, view};
use crate::tensor::{Tensor, TensorMut};
use alloc::vec::Vec;
use core::fmt;
use tealight_format::{ALL_OPS, Checked, Model, ModelError};

/// A copy of a file's bytes at a multiple of 16.
#[derive(Clone, Debug)]
pub struct AlignedBytes {
    blocks: Vec<Align16>,
    len: usize,
}

impl AlignedBytes {
    /// Copies `bytes`.
    ///
    /// # Errors
    /// [`OpenError::Memory`] if there is not enough memory.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, OpenError> {
        let mut blocks = zeros(bytes.len())?;
        crate::tensor::copy(bytes, Align16::bytes_mut(&mut blocks));
        Ok(Self { blocks, len: bytes.len() })
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        Align16::bytes(&self.blocks).get(..self.len).unwrap_or(&[])
    }
}

/// Why a file cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It is not a valid model.
    Model(ModelError),
    /// It cannot run here.
    Load(LoadError),
    /// There is not enough memory for it.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
            Self::Memory { bytes } => write!(f, "there is not enough memory: {bytes} bytes are needed"),
        }
    }
}

impl core::error::Error for OpenError {}

/// A [`Session`] for hosts, which owns what it works on: the bytes of the model file and the memory that it runs in. It has
/// all operators.
///
/// ```
/// use tealight::OwnedSession;
///
/// # let file: &[u8] = include_bytes!("../tests/relu.safetensors");
/// let mut session = OwnedSession::from_bytes(file)?; // in the place of std::fs::read("relu.safetensors")?
/// session.input(0).ok_or("no input")?.copy_from(&[-5i8, 0, 5])?;
/// session.run();
/// assert_eq!(session.output(0).ok_or("no output")?.as_slice::<i8>(), Some(&[0, 0, 5][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `B` holds the file's bytes: a copy, or whatever else has them at a multiple of 16, such as a map of the file; see
/// [`over`](Self::over). `E` may compute operators in place of the kernels, as in [`Session`].
pub struct OwnedSession<B = AlignedBytes, E = Kernels> {
    bytes: B,
    checked: Checked,
    memory: Vec<Align16>,
    position: Position,
    engine: E,
}

impl OwnedSession {
    /// Copies `file`, a whole model file, checks it, and makes the memory that it needs.
    ///
    /// # Errors
    /// [`OpenError`] if it is not a valid model, or there is not enough memory.
    pub fn from_bytes(file: &[u8]) -> Result<Self, OpenError> {
        Self::over(AlignedBytes::copy_of(file)?)
    }
}

impl<B: AsRef<[u8]>> OwnedSession<B> {
    /// Checks a whole model file in place and makes the memory that it needs. The file's bytes stay where they are, at a
    /// multiple of 16, and are not copied.
    ///
    /// `bytes` must be the same bytes each time that they are looked at. That holds for a map of a file as long as nobody
    /// writes to the file:
    ///
    /// ```
    /// use tealight::OwnedSession;
    ///
    /// let file = std::fs::File::open("tests/relu.safetensors")?;
    /// // SAFETY: nobody writes to the file while it is mapped.
    /// let map = unsafe { memmap2::Mmap::map(&file)? };
    /// let mut session = OwnedSession::over(map)?;
    /// session.run();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError`] if it is not a valid model, is not aligned, or there is not enough memory.
    pub fn over(bytes: B) -> Result<Self, OpenError> {
        let model = Model::parse(bytes.as_ref()).map_err(OpenError::Model)?;
        let checked = model.checked();
        let mut memory = zeros(model.arena_len())?;
        // What else could stand in the way of a session, and the state as it is at first.
        Session::<ALL_OPS>::load(&model, Align16::bytes_mut(&mut memory)).map_err(OpenError::Load)?;
        Ok(Self { bytes, checked, memory, position: Position::default(), engine: Kernels })
    }

    /// The same session, reset, with an engine that is asked before the kernels.
    pub fn with_engine<E: Engine>(self, engine: E) -> OwnedSession<B, E> {
        let Self { bytes, checked, memory, position, .. } = self;
        let mut session = OwnedSession { bytes, checked, memory, position, engine };
        session.reset();
        session
    }
}

impl<B: AsRef<[u8]>, E: Engine> OwnedSession<B, E> {
    /// What computes operators in place of the kernels.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// The model.
    pub fn model(&self) -> Model<'_> {
        Model::of_checked(self.bytes.as_ref(), self.checked)
    }

    /// Where the session stands: the start, unless an inference is under way.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Gives up an inference that is under way and puts the streaming state back to what it was at first.
    pub fn reset(&mut self) {
        self.with(|session| {
            session.reset();
        });
    }

    /// Model input `i`, to be written before each inference; `None` past the last.
    pub fn input(&mut self, i: usize) -> Option<TensorMut<'_>> {
        let model = Model::of_checked(self.bytes.as_ref(), self.checked);
        let value = model.input_value(i)?;
        Some(TensorMut { value, bytes: Align16::bytes_mut(&mut self.memory).get_mut(range(&value))? })
    }

    /// Model output `i`, valid after an inference has ended and until the next one starts; `None` past the last.
    pub fn output(&self, i: usize) -> Option<Tensor<'_>> {
        let model = self.model();
        Some(view(&model, Align16::bytes(&self.memory), model.output_value(i)?))
    }

    /// Value `index` of the plan as it stands in memory; see [`Session::value`].
    pub fn value(&self, index: usize) -> Tensor<'_> {
        view(&self.model(), Align16::bytes(&self.memory), self.model().value(index))
    }

    /// Runs one inference to its end, or the rest of the one that is under way.
    pub fn run(&mut self) {
        while self.poll(Budget::unlimited()).is_pending() {}
    }

    /// Does as much of the inference as `budget` allows and returns; see [`Session::poll`].
    pub fn poll(&mut self, budget: Budget) -> Progress {
        self.with(|session| session.poll(budget))
    }

    /// Does `work` with a session that borrows what this one owns.
    fn with<T>(&mut self, work: impl FnOnce(&mut Session<'_, ALL_OPS, &mut E>) -> T) -> T {
        let model = Model::of_checked(self.bytes.as_ref(), self.checked);
        let memory = Align16::bytes_mut(&mut self.memory);
        let mut session = Session::resume(model, memory, self.position, &mut self.engine);
        let result = work(&mut session);
        self.position = session.position();
        result
    }
}

impl<B: AsRef<[u8]>, E: Engine> fmt::Debug for OwnedSession<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSession").field("position", &self.position).finish_non_exhaustive()
    }
}

/// At least `len` bytes of zeros.
fn zeros(len: usize) -> Result<Vec<Align16>, OpenError> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(Align16::count(len)).map_err(|_| OpenError::Memory { bytes: len })?;
    blocks.resize(Align16::count(len), Align16::ZERO);
    Ok(blocks)
}
