//! The TIMER of Nordic's nRF51 and nRF52 series, as a free-running 32-bit counter of 16 MHz.
//!
//! Registers in the nRF51 Series Reference Manual, chapter 18.

use core::ptr::{read_volatile, write_volatile};

const TASKS_START: usize = 0x000;
const TASKS_CLEAR: usize = 0x00C;
const TASKS_CAPTURE0: usize = 0x040;
const BITMODE: usize = 0x508;
const PRESCALER: usize = 0x510;
const CC0: usize = 0x540;
const BITMODE_32: u32 = 3;

/// A timer that supports the 32-bit mode.
#[derive(Debug)]
pub struct Timer {
    base: usize,
}

impl Timer {
    /// Starts the timer.
    ///
    /// # Safety
    /// `base` must be that of an nRF TIMER with a 32-bit mode that nothing else uses.
    pub unsafe fn start(base: usize) -> Self {
        for (register, value) in [(BITMODE, BITMODE_32), (PRESCALER, 0), (TASKS_CLEAR, 1), (TASKS_START, 1)] {
            // SAFETY: the caller guarantees the timer's registers.
            unsafe { write_volatile((base + register) as *mut u32, value) };
        }
        Self { base }
    }

    /// Returns the ticks since the start; wraps at 2³².
    #[inline(always)]
    pub fn ticks(&self) -> u32 {
        // SAFETY: the caller of `start` guarantees the registers; a capture changes only CC0.
        unsafe {
            write_volatile((self.base + TASKS_CAPTURE0) as *mut u32, 1);
            read_volatile((self.base + CC0) as *const u32)
        }
    }
}
