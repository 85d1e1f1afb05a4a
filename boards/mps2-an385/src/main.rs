//! Tealight on Arm's MPS2 board with the AN385 image (Cortex-M3).

#![no_std]
#![no_main]

use tealight_mps2::{Image, Uart, WiredMps2};

struct Mps2An385;

// SAFETY: the addresses are those of Application Note AN385.
unsafe impl Image for Mps2An385 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    /// Table of the APB peripherals.
    const TIMER0: usize = 0x4000_0000;
    /// FPGA system control and I/O.
    const LEDS: usize = 0x4002_8000;
    const HERTZ: u32 = 25_000_000;
}

// SAFETY: the address is that of Application Note AN385.
unsafe impl Uart for Mps2An385 {
    /// Table of the APB peripherals.
    const UART0: usize = 0x4000_4000;
    /// 25 MHz divided by 115,200 baud.
    const BIT: u32 = 217;
}

tealight_board::firmware!(wired WiredMps2<Mps2An385>);
