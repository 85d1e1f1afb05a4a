//! Tealight on the Netduino Plus 2 with its STM32F405 (Cortex-M4F).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;

struct Netduinoplus2(systick::SysTick);

impl Machine for Netduinoplus2 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    // As QEMU clocks it; the chip itself starts at 16 MHz.
    const TICKS_PER_SECOND: u32 = 168_000_000;

    fn take() -> Self {
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        Self(unsafe { systick::SysTick::start() })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(Netduinoplus2);
