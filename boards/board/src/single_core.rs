//! Critical sections of a single aarch64 core, for which no published crate has any: its interrupts are masked.

use core::arch::asm;
use critical_section::{Impl, RawRestoreState, set_impl};

struct SingleCore;

set_impl!(SingleCore);

// SAFETY: no interrupt occurs between the two calls, and the other cores are asleep.
unsafe impl Impl for SingleCore {
    unsafe fn acquire() -> RawRestoreState {
        let masked;
        // SAFETY: masking interrupts has no effect on memory; without `nomem`, the compiler moves no access over it.
        unsafe { asm!("mrs {masked}, daif", "msr daifset, #0b1111", masked = out(reg) masked, options(nostack)) };
        masked
    }

    unsafe fn release(masked: RawRestoreState) {
        // SAFETY: restores the mask that `acquire` found.
        unsafe { asm!("msr daif, {masked}", masked = in(reg) masked, options(nostack)) };
    }
}
