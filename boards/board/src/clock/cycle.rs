//! `mcycle`, the cycle counter of RISC-V cores. Under QEMU's `-icount` it counts instructions one by one.

use core::arch::asm;

/// The lower half of `mcycle`.
#[inline(always)]
pub fn ticks() -> u32 {
    let count: usize;
    // SAFETY: every core in machine mode may read it; reading has no effect.
    unsafe { asm!("csrr {count}, mcycle", count = out(reg) count, options(nomem, nostack)) };
    count as u32
}
