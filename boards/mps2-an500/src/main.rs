//! Tealight on Arm's MPS2 board with the AN500 image (Cortex-M7).

#![no_std]
#![no_main]

use tealight_mps2::{Image, Mps2};

struct Mps2An500;

// SAFETY: the addresses are those of Application Note AN500.
unsafe impl Image for Mps2An500 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    /// Table of the APB peripherals.
    const TIMER0: usize = 0x4000_0000;
    /// FPGA system control and I/O.
    const LEDS: usize = 0x4002_8000;
    const HERTZ: u32 = 25_000_000;
}

tealight_board::firmware!(Mps2<Mps2An500>);
