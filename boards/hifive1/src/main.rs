//! Tealight on SiFive's HiFive1 (RV32IMAC).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cycle;

struct Hifive1;

impl Machine for Hifive1 {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

tealight_board::firmware!(Hifive1);
