//! Vector types that are chosen at run time: groups of as few registers as hold a number of elements.

use core::arch::asm;

/// `vta` and `vma`: neither the tail nor masked elements are kept.
const AGNOSTIC: usize = 0xc0;

/// The number of bytes in a vector register.
#[inline]
pub(super) fn register_bytes() -> usize {
    let bytes;
    // SAFETY: reads a register that does not change.
    unsafe { asm!("csrr {}, vlenb", out(reg) bytes, options(pure, nomem, nostack, preserves_flags)) };
    bytes
}

/// Values of `vtype` for elements and for the sums or products of twice their size, in groups of twice the registers.
#[derive(Clone, Copy)]
pub(super) struct Types {
    pub(super) narrow: usize,
    pub(super) wide: usize,
}

impl Types {
    /// Types for `len` elements of `8 << size` bits, as far as groups of four registers hold them.
    #[inline]
    pub(super) fn new(len: usize, size: usize, register_bytes: usize) -> Self {
        let bytes = len.saturating_mul(1 << size);
        // The base-two logarithm of the number of registers.
        let group = usize::from(bytes > register_bytes) + usize::from(bytes > 2 * register_bytes);
        Self { narrow: AGNOSTIC | size << 3 | group, wide: AGNOSTIC | (size + 1) << 3 | (group + 1) }
    }
}
