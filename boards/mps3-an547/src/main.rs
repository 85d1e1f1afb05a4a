//! Tealight on Arm's MPS3 board with the AN547 image (Cortex-M55).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;

struct Mps3An547(systick::SysTick);

impl Machine for Mps3An547 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 32_000_000;

    fn take() -> Self {
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        Self(unsafe { systick::SysTick::start() })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(Mps3An547);
