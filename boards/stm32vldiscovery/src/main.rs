//! Tealight on ST's STM32VLDISCOVERY with its STM32F100 (Cortex-M3).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;
use tealight_board::led::{RegisterLed, prepare};

/// Clocks of the ports: bit 4 is port C (STM32F100 Reference Manual RM0041, 6.3.7).
const APB2ENR: usize = 0x4002_1018;
/// Port C: configuration of its pins 8 to 15, and the register that sets and resets pins (RM0041, 7.2).
const GPIOC_CRH: usize = 0x4001_1004;
const GPIOC_BSRR: usize = 0x4001_1010;

/// The green LED, LD3, is PC9.
const PIN: u32 = 9;

struct Stm32vldiscovery {
    clock: systick::SysTick,
    led: RegisterLed,
}

impl Machine for Stm32vldiscovery {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    // The clock in QEMU; the chip itself starts at 8 MHz.
    const TICKS_PER_SECOND: u32 = 24_000_000;

    fn take() -> Self {
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        let clock = unsafe { systick::SysTick::start() };
        // SAFETY: the registers are the port's, and nothing else in this image uses it.
        let led = unsafe {
            prepare(&[(APB2ENR, 1 << 4), (GPIOC_CRH, 0x4444_4424)]);
            RegisterLed::new((GPIOC_BSRR, 1 << PIN), (GPIOC_BSRR, 1 << (PIN + 16)))
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

tealight_board::firmware!(Stm32vldiscovery);
