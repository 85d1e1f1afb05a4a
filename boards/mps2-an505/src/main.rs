//! Tealight on Arm's MPS2+ board with the AN505 image (Cortex-M33).

#![no_std]
#![no_main]

use tealight_mps2::{Image, Mps2};

struct Mps2An505;

// SAFETY: the addresses are those of Application Note AN505.
unsafe impl Image for Mps2An505 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    /// Of the secure alias; table of the APB peripherals.
    const TIMER0: usize = 0x5000_0000;
    /// Of the secure alias; FPGA system control and I/O.
    const LEDS: usize = 0x5030_2000;
    const HERTZ: u32 = 20_000_000;
}

tealight_board::firmware!(Mps2<Mps2An505>);
