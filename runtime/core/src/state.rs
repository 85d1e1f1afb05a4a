//! The streaming state of a session: what one inference leaves to the next.

use crate::engine::Engine;
use crate::linked::Ops;
use crate::session::{Position, Session};
use crate::tensor::copy;
use core::fmt;
use tealight_format::Model;

/// Bytes that are not the state of a session's model: their number differs. Nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StateError {
    /// The number of bytes of the model's state.
    pub expected: usize,
    /// The number of bytes that were passed.
    pub found: usize,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the model's state has {} bytes, but {} were given", self.expected, self.found)
    }
}

impl core::error::Error for StateError {}

impl<O: Ops, E: Engine> Session<'_, O, E> {
    /// The streaming state, [`Model::state_len`] bytes; `None` while an inference is in progress, when a part of it may
    /// be old and a part new. With [`set_state`](Self::set_state), another session of the model goes on from it: after
    /// a sleep, or in memory that another model used in between.
    ///
    /// ```
    /// tealight::include_model!(mod one = "../tests/relu.safetensors");
    /// tealight::include_model!(mod other = "../tests/relu.safetensors");
    ///
    /// // One memory for both. The borrow checker refuses two sessions in it at a time.
    /// let mut memory = tealight::Arena::<{ tealight::shared_arena_len(&[one::ARENA_LEN, other::ARENA_LEN]) }>::new();
    /// let mut state = one::INITIAL_STATE;
    /// for turn in 0..3 {
    ///     let mut session = one::Session::new(&mut memory);
    ///     session.write_state(&state);
    ///     session.write_input(&[-5, turn, 5]);
    ///     session.run();
    ///     state = session.read_state().copied().unwrap_or(state);
    ///
    ///     let mut session = other::Session::new(&mut memory);
    ///     session.write_input(&[5, turn, -5]);
    ///     session.run();
    /// }
    /// ```
    pub fn state(&self) -> Option<&[u8]> {
        if self.position() != Position::default() {
            return None;
        }
        self.memory.get(..self.model.state_len())
    }

    /// Abandons an inference in progress and sets the streaming state to what [`state`](Self::state) of a session of
    /// the same model returned. Any bytes are safe: at worst, the outputs mean nothing.
    ///
    /// # Errors
    /// [`StateError`] if they are not [`Model::state_len`] bytes; the session is unchanged in that case.
    pub fn set_state(&mut self, state: &[u8]) -> Result<(), StateError> {
        let expected = self.model.state_len();
        match self.memory.get_mut(..expected) {
            Some(memory) if state.len() == expected => {
                copy(state, memory);
                self.position = Position::default();
                Ok(())
            }
            _ => Err(StateError { expected, found: state.len() }),
        }
    }
}

/// Copies the initial values of the streaming state, where they are not zeros, to the start of `memory`.
pub(crate) const fn copy_initial(model: &Model<'_>, memory: &mut [u8]) {
    let mut i = model.constant_count();
    while i < model.value_count() {
        let value = model.value(i);
        if value.is_state()
            && value.alias.is_none()
            && let Some(init) = value.init
            && let Some((_, state)) = memory.split_at_mut_checked(value.offset as usize)
        {
            copy(model.constant(&model.value(init as usize)), state);
        }
        i += 1;
    }
}

/// The streaming state of a new session, in a program's constants. `N` is the model's [`Model::state_len`].
#[doc(hidden)]
pub const fn initial_state<const N: usize>(model: &Model<'_>) -> [u8; N] {
    let mut state = [0; N];
    copy_initial(model, &mut state);
    state
}

/// The length of an [`Arena`](crate::Arena) that several models use in turn, from their arenas' lengths: the largest of
/// them. The streaming state of each model is kept outside of it, see [`Session::state`].
pub const fn shared_arena_len(lens: &[usize]) -> usize {
    let (mut largest, mut rest) = (0, lens);
    while let Some((&len, others)) = rest.split_first() {
        if len > largest {
            largest = len;
        }
        rest = others;
    }
    largest
}
