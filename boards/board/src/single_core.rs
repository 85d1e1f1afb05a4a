//! Critical sections of one aarch64 core, for which no crate of the field has any: its interrupts are masked.

use core::arch::asm;
use critical_section::{Impl, RawRestoreState, set_impl};

struct SingleCore;

set_impl!(SingleCore);

// SAFETY: no interrupt comes between the two calls, and the other cores sleep.
unsafe impl Impl for SingleCore {
    unsafe fn acquire() -> RawRestoreState {
        let masked;
        // SAFETY: masking interrupts has no effect on memory; no access is moved over it, for the compiler knows no better.
        unsafe { asm!("mrs {masked}, daif", "msr daifset, #0b1111", masked = out(reg) masked, options(nostack)) };
        masked
    }

    unsafe fn release(masked: RawRestoreState) {
        // SAFETY: they are as `acquire` found them.
        unsafe { asm!("msr daif, {masked}", masked = in(reg) masked, options(nostack)) };
    }
}
