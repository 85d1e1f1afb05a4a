//! Tealight on the BBC micro:bit (Cortex-M0).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::nrf;

/// Base of TIMER0, the one with a 32-bit mode (nRF51 Series Reference Manual, chapter 18).
const TIMER0: usize = 0x4000_8000;

struct Microbit(nrf::Timer);

impl Machine for Microbit {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 16_000_000;

    fn take() -> Self {
        // SAFETY: the address is the chip's TIMER0, and nothing else in this image uses it.
        Self(unsafe { nrf::Timer::start(TIMER0) })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(Microbit);
