//! Tealight on the Netduino Plus 2 with its STM32F405 (Cortex-M4F).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;
use tealight_board::led::{RegisterLed, prepare};

/// Clocks of the ports: bit 0 is port A (STM32F405 Reference Manual RM0090, 7.3.10).
const AHB1ENR: usize = 0x4002_3830;
/// Port A: the mode of its pins, and the register that sets and resets pins (RM0090, 8.4). JTAG keeps pins 13 to 15.
const GPIOA_MODER: usize = 0x4002_0000;
const GPIOA_BSRR: usize = 0x4002_0018;

/// The blue LED is PA10.
const PIN: u32 = 10;

struct Netduinoplus2 {
    clock: systick::SysTick,
    led: RegisterLed,
}

impl Machine for Netduinoplus2 {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    // The clock in QEMU; the chip itself starts at 16 MHz.
    const TICKS_PER_SECOND: u32 = 168_000_000;

    fn take() -> Self {
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        let clock = unsafe { systick::SysTick::start() };
        // SAFETY: the registers are the port's, and nothing else in this image uses it.
        let led = unsafe {
            prepare(&[(AHB1ENR, 1), (GPIOA_MODER, 0xA800_0000 | (1 << (2 * PIN)))]);
            RegisterLed::new((GPIOA_BSRR, 1 << PIN), (GPIOA_BSRR, 1 << (PIN + 16)))
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

tealight_board::firmware!(Netduinoplus2);
