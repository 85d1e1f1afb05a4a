//! SysTick, the 24-bit counter in most Cortex-M cores, extended to 32 bits: its interrupt counts the overflows.
//!
//! Registers in the Arm v7-M Architecture Reference Manual, B3.3.

use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU32, Ordering};

const CSR: *mut u32 = 0xE000_E010 as *mut u32;
const RVR: *mut u32 = 0xE000_E014 as *mut u32;
const CVR: *mut u32 = 0xE000_E018 as *mut u32;
/// Processor clock, interrupt on, counter on.
const CSR_RUN: u32 = 0b111;
/// The ticks of a period, which is as long as the counter allows unless the app needs another.
pub(crate) const LAP: u32 = 1 << 24;

/// The count of all completed periods.
static LAPS: AtomicU32 = AtomicU32::new(0);

/// SysTick at the processor's clock.
#[derive(Debug)]
pub struct SysTick(());

impl SysTick {
    /// Starts it.
    ///
    /// # Safety
    /// The core must have a SysTick, and nothing else may use it.
    pub unsafe fn start() -> Self {
        Self::restart(LAP);
        Self(())
    }

    /// Starts it with a period of `ticks`.
    pub(crate) fn restart(ticks: u32) {
        // SAFETY: every SysTick has these registers.
        unsafe {
            write_volatile(RVR, ticks.wrapping_sub(1));
            write_volatile(CVR, 0);
            write_volatile(CSR, CSR_RUN);
        }
    }

    /// Stops it.
    #[cfg(feature = "measure-interrupts")]
    pub(crate) fn stop() {
        // SAFETY: every SysTick has this register.
        unsafe { write_volatile(CSR, 0) };
    }

    /// Returns the ticks since the start; wraps at 2³².
    #[inline(always)]
    pub fn ticks(&self) -> u32 {
        loop {
            let laps = LAPS.load(Ordering::Relaxed);
            let down = count_down();
            if laps == LAPS.load(Ordering::Relaxed) {
                return laps.wrapping_add((lap() - 1).wrapping_sub(down));
            }
        }
    }
}

/// Returns the counter, which counts down.
#[inline(always)]
pub(crate) fn count_down() -> u32 {
    // SAFETY: every SysTick has the register; reading has no effect on the count.
    unsafe { read_volatile(CVR) }
}

/// The ticks of a period.
#[cfg(not(feature = "measure-interrupts"))]
const fn lap() -> u32 {
    LAP
}

/// The ticks of a period.
#[cfg(feature = "measure-interrupts")]
fn lap() -> u32 {
    crate::alarm::PERIOD.load(Ordering::Relaxed)
}

#[cortex_m_rt::exception]
fn SysTick() {
    #[cfg(feature = "measure-interrupts")]
    let late = crate::alarm::late();
    // No other code writes it, so a load and a store are enough; the smallest cores have no atomic addition.
    LAPS.store(LAPS.load(Ordering::Relaxed).wrapping_add(lap()), Ordering::Relaxed);
    #[cfg(feature = "measure-interrupts")]
    crate::alarm::rang(late);
}
