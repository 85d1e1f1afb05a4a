//! Tealight on Arm's MPS2+ board with the AN505 image (Cortex-M33).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cmsdk;

/// Base of CMSDK APB timer 0 (its secure alias; Application Note AN505).
const TIMER0: usize = 0x5000_0000;

struct Mps2An505(cmsdk::Timer);

impl Machine for Mps2An505 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 20_000_000;

    fn take() -> Self {
        // SAFETY: the address is the board's timer 0, and nothing else in this image uses it.
        Self(unsafe { cmsdk::Timer::start(TIMER0) })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(Mps2An505);
