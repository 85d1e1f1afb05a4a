//! Tealight on Arm's MPS2 board with the AN385 image (Cortex-M3).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cmsdk;
use tealight_board::led::Register;

/// Base of CMSDK APB timer 0 (Application Note AN385, table of the APB peripherals).
const TIMER0: usize = 0x4000_0000;

/// The register of the user LEDs (Application Note AN385, FPGA system control and I/O). LED 0 is bit 0.
const LEDS: usize = 0x4002_8000;

struct Mps2An385 {
    clock: cmsdk::Timer,
    led: Register,
}

impl Machine for Mps2An385 {
    type Led = Register;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 25_000_000;

    fn take() -> Self {
        // SAFETY: the address is the board's timer 0, and nothing else in this image uses it.
        let clock = unsafe { cmsdk::Timer::start(TIMER0) };
        // SAFETY: the register is the board's, and nothing else in this image uses it.
        let led = unsafe { Register::new((LEDS, 1), (LEDS, 0)) };
        Self { clock, led }
    }

    fn led(&mut self) -> &mut Register {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.clock.ticks()
    }
}

tealight_board::firmware!(Mps2An385);
