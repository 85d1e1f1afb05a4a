//! Tealight on Arm's MPS2 board with the AN385 image (Cortex-M3).

#![no_std]
#![no_main]

use tealight_board::led::Register;
use tealight_board::{Machine, Wire, clock, keep, log, uart};

/// Base of CMSDK APB timer 0 (Application Note AN385, table of the APB peripherals).
const TIMER0: usize = 0x4000_0000;

/// The register of the user LEDs (Application Note AN385, FPGA system control and I/O). LED 0 is bit 0.
const LEDS: usize = 0x4002_8000;

/// Base of CMSDK APB UART 0 (the same table), and the ticks of its 25 MHz in a bit at 115,200 bauds.
const UART0: usize = 0x4000_4000;
const BIT: u32 = 217;

struct Mps2An385 {
    clock: clock::cmsdk::Timer,
    led: Register,
    receiver: uart::cmsdk::Receiver,
}

impl Machine for Mps2An385 {
    type Led = Register;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 25_000_000;

    fn take() -> Self {
        // SAFETY: the address is the board's timer 0, and nothing else in this image uses it.
        let clock = unsafe { clock::cmsdk::Timer::start(TIMER0) };
        // SAFETY: the register is the board's, and nothing else in this image uses it.
        let led = unsafe { Register::new((LEDS, 1), (LEDS, 0)) };
        // SAFETY: the address is the board's UART 0, and nothing else in this image uses it.
        let (sender, receiver) = unsafe { uart::cmsdk::start(UART0, BIT) };
        log::start(keep!(sender => uart::cmsdk::Sender));
        Self { clock, led, receiver }
    }

    fn led(&mut self) -> &mut Register {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.clock.ticks()
    }
}

impl Wire for Mps2An385 {
    type Reader = uart::cmsdk::Receiver;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}

tealight_board::firmware!(wired Mps2An385);
