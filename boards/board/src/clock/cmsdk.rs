//! The APB timer of Arm's Cortex-M System Design Kit, on the MPS2 and MPS3 boards.
//!
//! A 32-bit down counter; registers in the CMSDK Technical Reference Manual (ARM DDI 0479), section 4.3.

use core::ptr::{read_volatile, write_volatile};

const CTRL: usize = 0;
const VALUE: usize = 1;
const RELOAD: usize = 2;
const CTRL_ENABLE: u32 = 1;

/// An APB timer, running freely over the full 32 bits.
#[derive(Debug)]
pub struct Timer {
    registers: *mut u32,
}

impl Timer {
    /// Starts the timer.
    ///
    /// # Safety
    /// `address` must be the base of a CMSDK APB timer that nothing else uses.
    pub unsafe fn start(address: usize) -> Self {
        let timer = Self { registers: address as *mut u32 };
        // SAFETY: the caller guarantees the timer's registers.
        unsafe {
            write_volatile(timer.registers.add(CTRL), 0);
            write_volatile(timer.registers.add(RELOAD), u32::MAX);
            write_volatile(timer.registers.add(VALUE), u32::MAX);
            write_volatile(timer.registers.add(CTRL), CTRL_ENABLE);
        }
        timer
    }

    /// Returns the ticks of the timer's clock since an unspecified moment; wraps at 2³².
    #[inline(always)]
    pub fn ticks(&self) -> u32 {
        // SAFETY: the caller of `start` guarantees the registers; reading VALUE has no effect.
        !unsafe { read_volatile(self.registers.add(VALUE)) }
    }
}
