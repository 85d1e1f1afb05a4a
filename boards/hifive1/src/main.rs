//! Tealight on SiFive's HiFive1 (RV32IMAC).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cycle;
use tealight_board::led::{RegisterLed, prepare};

/// The FE310's GPIO (FE310-G000 Manual, chapter 17).
const OUTPUT_EN: usize = 0x1001_2008;
const OUTPUT_VAL: usize = 0x1001_200C;

/// The green LED is GPIO 19; it is on while the pin is low.
const PIN: u32 = 1 << 19;

struct Hifive1 {
    led: RegisterLed,
}

impl Machine for Hifive1 {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        // SAFETY: the registers are the port's, and nothing else in this image uses it.
        let led = unsafe {
            prepare(&[(OUTPUT_VAL, PIN), (OUTPUT_EN, PIN)]);
            RegisterLed::new((OUTPUT_VAL, 0), (OUTPUT_VAL, PIN))
        };
        Self { led }
    }

    fn led(&mut self) -> &mut RegisterLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

tealight_board::firmware!(Hifive1);
