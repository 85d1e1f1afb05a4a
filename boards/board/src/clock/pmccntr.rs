//! PMCCNTR, the cycle counter of aarch64 cores. Under QEMU's `-icount` it counts instructions one by one.
//!
//! Registers in the Arm Architecture Reference Manual for A-profile (DDI 0487), D19.5.

use core::arch::asm;

/// The cycle counter, running.
#[derive(Debug)]
pub struct CycleCounter(());

impl CycleCounter {
    /// Starts it: all counters on, this one enabled, at every level.
    pub fn start() -> Self {
        // SAFETY: EL1 may write these registers, which only affect the counters.
        unsafe {
            asm!(
                "msr pmccfiltr_el0, xzr",
                "mrs {x}, pmcr_el0",
                "orr {x}, {x}, #1",
                "orr {x}, {x}, #64",
                "msr pmcr_el0, {x}",
                "mov {x}, #0x80000000",
                "msr pmcntenset_el0, {x}",
                "isb",
                x = out(reg) _,
                options(nomem, nostack),
            );
        }
        Self(())
    }

    /// Returns the cycles since an unspecified moment; wraps at 2³².
    #[inline(always)]
    pub fn ticks(&self) -> u32 {
        let count: u64;
        // SAFETY: reading has no effect.
        unsafe { asm!("isb", "mrs {count}, pmccntr_el0", count = out(reg) count, options(nomem, nostack)) };
        count as u32
    }
}
