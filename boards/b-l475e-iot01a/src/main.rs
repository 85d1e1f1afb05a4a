//! Tealight on ST's B-L475E-IOT01A discovery kit with its STM32L475 (Cortex-M4F).
//!
//! Registers in ST's reference manual RM0351.

#![no_std]
#![no_main]

use core::ptr::{read_volatile, write_volatile};
use tealight_board::Machine;
use tealight_board::clock::systick;

/// Access control of the flash; its lowest three bits are the wait states.
const FLASH_ACR: *mut u32 = 0x4002_2000 as *mut u32;
const TWO_WAIT_STATES: u32 = 2;
/// Control of the clocks.
const RCC_CR: *mut u32 = 0x4002_1000 as *mut u32;
/// The multispeed oscillator's range is that of bits 4 to 7.
const MSIRGSEL: u32 = 1 << 3;
const MSIRANGE: u32 = 0xF << 4;
const MSIRANGE_48_MHZ: u32 = 11 << 4;

struct BL475eIot01a(systick::SysTick);

impl Machine for BL475eIot01a {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 48_000_000;

    fn take() -> Self {
        // SAFETY: the chip has these registers, and nothing else in this image uses them. The flash is told to wait before the
        // processor gets faster than the 16 MHz that it keeps up with.
        unsafe {
            write_volatile(FLASH_ACR, read_volatile(FLASH_ACR) | TWO_WAIT_STATES);
            // The new number counts once it can be read.
            read_volatile(FLASH_ACR);
            write_volatile(RCC_CR, read_volatile(RCC_CR) & !MSIRANGE | MSIRANGE_48_MHZ | MSIRGSEL);
        }
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        Self(unsafe { systick::SysTick::start() })
    }

    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

tealight_board::firmware!(BL475eIot01a);
