//! Tealight on Arm's MPS2 board with the AN385 image, in code for ARMv6-M (Cortex-M0+).

#![no_std]
#![no_main]

use tealight_mps2::{Image, Mps2};

struct Mps2An385V6m;

// SAFETY: the addresses are those of Application Note AN385.
unsafe impl Image for Mps2An385V6m {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    /// Table of the APB peripherals.
    const TIMER0: usize = 0x4000_0000;
    /// FPGA system control and I/O.
    const LEDS: usize = 0x4002_8000;
    const HERTZ: u32 = 25_000_000;
}

tealight_board::firmware!(Mps2<Mps2An385V6m>);
