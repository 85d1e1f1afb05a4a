//! Tealight on Arm's MPS3 board with the AN547 image (Cortex-M55).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::systick;
use tealight_board::led::RegisterLed;

/// The register of the user LEDs (its secure alias; Application Note AN547, FPGA system control and I/O). LED 0 is bit
/// 0.
const LEDS: usize = 0x5930_2000;

struct Mps3An547 {
    clock: systick::SysTick,
    led: RegisterLed,
}

impl Machine for Mps3An547 {
    type Led = RegisterLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 32_000_000;

    fn take() -> Self {
        // SAFETY: the core has a SysTick, and nothing else in this image uses it.
        let clock = unsafe { systick::SysTick::start() };
        // SAFETY: the register is the board's, and nothing else in this image uses it.
        let led = unsafe { RegisterLed::new((LEDS, 1), (LEDS, 0)) };
        Self { clock, led }
    }

    fn led(&mut self) -> &mut RegisterLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.clock.ticks()
    }
}

tealight_board::firmware!(Mps3An547);
