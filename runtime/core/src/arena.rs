//! The memory that a session works in.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `N` bytes for one model's state, activations and scratch, aligned to 16. `N` is the model's
/// [`arena_len`](tealight_format::Model::arena_len); an arena that is too small for an embedded model does not compile.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Arena<const N: usize>([u8; N]);

impl<const N: usize> Arena<N> {
    /// An arena of zeros.
    pub const fn new() -> Self {
        Self([0; N])
    }

    /// The bytes, for [`Session::load`](crate::Session::load).
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// 16 bytes aligned to 16: the unit of aligned buffers whose size is known only at run time. The bytes of a slice of
/// blocks are aligned, whatever allocated it.
///
/// ```
/// use tealight::Align16;
/// let mut memory = vec![Align16::ZERO; Align16::count(100)];
/// assert_eq!(Align16::bytes_mut(&mut memory).len(), 112);
/// ```
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(16))]
pub struct Align16([u8; 16]);

impl Align16 {
    /// 16 zeros.
    pub const ZERO: Self = Self([0; 16]);

    /// The number of blocks needed to hold `bytes` bytes.
    pub const fn count(bytes: usize) -> usize {
        bytes.div_ceil(16)
    }

    /// The blocks as bytes.
    pub fn bytes(blocks: &[Self]) -> &[u8] {
        blocks.as_bytes()
    }

    /// The blocks as bytes for writing.
    pub fn bytes_mut(blocks: &mut [Self]) -> &mut [u8] {
        blocks.as_mut_bytes()
    }
}
