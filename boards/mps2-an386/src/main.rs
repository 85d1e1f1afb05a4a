//! Tealight on Arm's MPS2 board with the AN386 image (Cortex-M4F).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cmsdk;

/// Base of CMSDK APB timer 0 (Application Note AN386, table of the APB peripherals).
const TIMER0: usize = 0x4000_0000;

struct Mps2An386(cmsdk::Timer);

impl Machine for Mps2An386 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 25_000_000;

    fn take() -> Self {
        // SAFETY: the address is the board's timer 0, and nothing else in this image uses it.
        Self(unsafe { cmsdk::Timer::start(TIMER0) })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(Mps2An386);
