//! Tealight on the Raspberry Pi 3, without an operating system (Cortex-A53).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::pmccntr::CycleCounter;

struct Raspi3b {
    cycles: CycleCounter,
}

impl Machine for Raspi3b {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    // An instruction of QEMU's a nanosecond; the chip itself runs at up to 1.2 GHz.
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self { cycles: CycleCounter::start() }
    }

    fn ticks(&mut self) -> u32 {
        self.cycles.ticks()
    }
}

tealight_board::firmware!(Raspi3b);
