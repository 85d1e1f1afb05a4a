//! Bytes that are written one after the other, and read as far as they are written: room on the stack that costs no time.

use core::mem::MaybeUninit;

/// Room for `N` elements, of which the first are written.
pub(crate) struct Buffer<const N: usize> {
    bytes: MaybeUninit<[i8; N]>,
    len: usize,
}

impl<const N: usize> Buffer<N> {
    #[inline]
    pub(crate) fn new() -> Self {
        // Of a constant value the compiler writes all bytes, and not only the length.
        Self { bytes: MaybeUninit::uninit(), len: core::hint::black_box(0) }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds elements, none if there is no room for all.
    #[inline]
    pub(crate) fn push(&mut self, elements: &[i8]) {
        if elements.len() <= N - self.len {
            // SAFETY: there is room for so many behind the written ones, and a slice does not overlap with it.
            unsafe {
                copy_elements(self.bytes.as_mut_ptr().cast::<i8>().add(self.len), elements.as_ptr(), elements.len());
            }
            self.len += elements.len();
        }
    }

    /// Adds `count` times the same element, or as often as there is room.
    #[inline]
    pub(crate) fn push_repeated(&mut self, element: i8, count: usize) {
        let count = count.min(N - self.len);
        // SAFETY: there is room for so many behind the written ones.
        unsafe { fill_elements(self.bytes.as_mut_ptr().cast::<i8>().add(self.len), element, count) };
        self.len += count;
    }

    /// The elements that are written.
    #[inline]
    pub(crate) fn elements(&self) -> &[i8] {
        // SAFETY: so many are written.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len) }
    }
}

/// The number of bytes of room for the rows of an operator whose output shares memory with its input, besides what is
/// planned for them: 0 where kernels gain little from more rows at a time, or the stack is short.
pub const ROOM_FOR_ROWS: usize = if cfg!(x86_64_vectors) {
    8192
} else if cfg!(arm_neon) {
    3072
} else {
    0
};

/// Calls `f` with `len` bytes on the stack, or [`ROOM_FOR_ROWS`] if that is less. All are zero.
#[cfg(not(any(arm_neon, x86_64_vectors)))]
#[inline]
pub fn with_room_for_rows(_: usize, f: impl FnOnce(&mut [u8])) {
    f(&mut []);
}

/// Calls `f` with `len` bytes on the stack, or [`ROOM_FOR_ROWS`] if that is less. All are zero.
#[cfg(any(arm_neon, x86_64_vectors))]
#[inline(never)]
pub fn with_room_for_rows(len: usize, f: impl FnOnce(&mut [u8])) {
    let mut bytes = MaybeUninit::<[u8; ROOM_FOR_ROWS]>::uninit();
    let (start, len) = (bytes.as_mut_ptr().cast::<u8>(), len.min(ROOM_FOR_ROWS));
    // SAFETY: so many bytes have room, and all are written before they are read.
    f(unsafe {
        fill_elements(start.cast(), 0, len);
        core::slice::from_raw_parts_mut(start, len)
    });
}

#[cfg(arm_neon)]
use super::arm_neon::{copy_elements, fill_elements};

/// # Safety
/// As of [`core::ptr::copy_nonoverlapping`].
#[cfg(not(arm_neon))]
#[inline]
unsafe fn copy_elements(to: *mut i8, from: *const i8, count: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe { core::ptr::copy_nonoverlapping(from, to, count) };
}

/// # Safety
/// So many elements may be written.
#[cfg(not(arm_neon))]
#[inline]
unsafe fn fill_elements(to: *mut i8, element: i8, count: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe { to.write_bytes(element.cast_unsigned(), count) };
}
