//! Tealight on the Raspberry Pi 3, without an operating system (Cortex-A53).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::pmccntr::CycleCounter;
use tealight_board::led::{RegisterLed, prepare};

/// The modes of pins 20 to 29, three bits each, and the registers that set and clear pins (BCM2835 ARM Peripherals,
/// 6.1).
const GPFSEL2: usize = 0x3F20_0008;
const GPSET0: usize = 0x3F20_001C;
const GPCLR0: usize = 0x3F20_0028;

/// An external LED at GPIO 21, pin 40 of the header: the board's own LED is behind a port expander that belongs to the
/// graphics processor.
const PIN: u32 = 21;

struct Raspi3b {
    cycles: CycleCounter,
    led: RegisterLed,
}

impl Machine for Raspi3b {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    // The clock in QEMU; the chip itself runs at up to 1.2 GHz.
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        // SAFETY: the registers are the pins', and nothing else in this image uses them.
        let led = unsafe {
            prepare(&[(GPFSEL2, 1 << (3 * (PIN - 20)))]);
            RegisterLed::new((GPSET0, 1 << PIN), (GPCLR0, 1 << PIN))
        };
        Self { cycles: CycleCounter::start(), led }
    }

    fn led(&mut self) -> &mut RegisterLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.cycles.ticks()
    }
}

tealight_board::firmware!(Raspi3b);
