//! Tealight on ST's B-L475E-IOT01A discovery kit with its STM32L475 (Cortex-M4F).
//!
//! Registers in ST's reference manual RM0351.

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;
use tealight_board::led::{RegisterLed, prepare};

/// Flash access control (RM0351, 3.7.1): caches as after a reset, and two wait states.
const FLASH_ACR: usize = 0x4002_2000;
const FLASH_FOR_48_MHZ: u32 = 0x602;
/// Clock control (6.4.1): the multispeed oscillator on, in the range selected by these bits, 48 MHz.
const RCC_CR: usize = 0x4002_1000;
const MSI_AT_48_MHZ: u32 = 11 << 4 | 1 << 3 | 1;
/// Clocks of the ports (6.4.17): bit 1 is port B.
const RCC_AHB2ENR: usize = 0x4002_104C;
/// Port B: the mode of its pins, and the register that sets and resets pins (8.5). JTAG keeps pins 3 and 4.
const GPIOB_MODER: usize = 0x4800_0400;
const GPIOB_BSRR: usize = 0x4800_0418;
const GPIOB_MODER_AFTER_RESET: u32 = 0xFFFF_FEBF;

/// The green LED, LD2, is PB14.
const PIN: u32 = 14;

struct BL475eIot01a {
    clock: systick::SysTick,
    led: RegisterLed,
}

impl Machine for BL475eIot01a {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 48_000_000;

    fn take() -> Self {
        // SAFETY: the registers are the chip's, and nothing else in this image uses them. The flash's wait states are
        // set before the processor becomes faster.
        unsafe { prepare(&[(FLASH_ACR, FLASH_FOR_48_MHZ), (RCC_CR, MSI_AT_48_MHZ)]) };
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        let clock = unsafe { systick::SysTick::start() };
        // SAFETY: the registers are the port's, and nothing else in this image uses it.
        let led = unsafe {
            let output = GPIOB_MODER_AFTER_RESET & !(0b11 << (2 * PIN)) | 0b01 << (2 * PIN);
            prepare(&[(RCC_AHB2ENR, 1 << 1), (GPIOB_MODER, output)]);
            RegisterLed::new((GPIOB_BSRR, 1 << PIN), (GPIOB_BSRR, 1 << (PIN + 16)))
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

tealight_board::firmware!(BL475eIot01a);
