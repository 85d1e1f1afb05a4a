//! Tealight on ST's STM32VLDISCOVERY with its STM32F100 (Cortex-M3).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;

struct Stm32vldiscovery(systick::SysTick);

impl Machine for Stm32vldiscovery {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    // As QEMU clocks it; the chip itself starts at 8 MHz.
    const TICKS_PER_SECOND: u32 = 24_000_000;

    fn take() -> Self {
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        Self(unsafe { systick::SysTick::start() })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(Stm32vldiscovery);
