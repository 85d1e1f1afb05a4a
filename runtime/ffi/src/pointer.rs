//! Pointers from C, checked as far as a pointer can be.

use crate::status::TealightStatus;
use core::ptr::NonNull;
use core::slice;

/// Bytes at a pointer from C, not borrowed yet.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    pub(crate) start: NonNull<u8>,
    pub(crate) len: usize,
}

impl Region {
    /// `len` bytes at `start`, which must not be null and must not reach past the end of the address space.
    pub(crate) fn new(start: *const u8, len: usize) -> Result<Self, TealightStatus> {
        let start = NonNull::new(start.cast_mut()).ok_or(TealightStatus::NullPointer)?;
        let possible = isize::try_from(len).is_ok() && start.addr().get().checked_add(len).is_some();
        if possible { Ok(Self { start, len }) } else { Err(TealightStatus::BadLength) }
    }

    /// Whether any byte is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let (a, b) = (self.start.addr().get(), other.start.addr().get());
        a < b.wrapping_add(other.len) && b < a.wrapping_add(self.len)
    }

    /// The bytes.
    ///
    /// # Safety
    /// They must be readable, and nothing may write to them during `'b`.
    pub(crate) unsafe fn bytes<'b>(self) -> &'b [u8] {
        // SAFETY: the pointer is not null and the length is possible, as `new` has checked; the rest is the caller's.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes for writing.
    ///
    /// # Safety
    /// They must be readable and writable, and nothing else may read or write them during `'b`.
    pub(crate) unsafe fn bytes_mut<'b>(self) -> &'b mut [u8] {
        // SAFETY: as for `bytes`.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// Where a function writes a result.
pub(crate) struct Target<T>(NonNull<T>);

impl<T> Target<T> {
    /// A pointer that must not be null.
    pub(crate) fn new(pointer: *mut T) -> Result<Self, TealightStatus> {
        NonNull::new(pointer).map(Self).ok_or(TealightStatus::NullPointer)
    }

    /// Writes the result.
    ///
    /// # Safety
    /// The pointer must be valid for writing a `T`.
    pub(crate) unsafe fn write(self, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.0.write(value) }
    }
}

/// The status of a result without a value.
pub(crate) fn status(result: Result<(), TealightStatus>) -> TealightStatus {
    match result {
        Ok(()) => TealightStatus::Ok,
        Err(status) => status,
    }
}
