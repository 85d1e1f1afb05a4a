//! Tealight on the BBC micro:bit (Cortex-M0).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::nrf;
use tealight_board::led::{RegisterLed, prepare};

/// Base of TIMER0, the one with a 32-bit mode (nRF51 Series Reference Manual, chapter 18).
const TIMER0: usize = 0x4000_8000;

/// The nRF51's GPIO (nRF51 Series Reference Manual, chapter 16): its registers to set, to clear and to make outputs.
const OUTSET: usize = 0x5000_0508;
const OUTCLR: usize = 0x5000_050C;
const DIRSET: usize = 0x5000_0518;

/// The LED at the top left of the matrix is on while its row (P0.13) is high and its column (P0.4) is low.
const ROW: u32 = 1 << 13;
const COLUMN: u32 = 1 << 4;

struct Microbit {
    clock: nrf::Timer,
    led: RegisterLed,
}

impl Machine for Microbit {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 16_000_000;

    fn take() -> Self {
        // SAFETY: the address is the chip's TIMER0, and nothing else in this image uses it.
        let clock = unsafe { nrf::Timer::start(TIMER0) };
        // SAFETY: the registers are the port's, and nothing else in this image uses it.
        let led = unsafe {
            prepare(&[(OUTCLR, ROW | COLUMN), (DIRSET, ROW | COLUMN)]);
            RegisterLed::new((OUTSET, ROW), (OUTCLR, ROW))
        };
        Self { clock, led }
    }

    fn led(&mut self) -> &mut RegisterLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.clock.ticks()
    }
}

tealight_board::firmware!(Microbit);
