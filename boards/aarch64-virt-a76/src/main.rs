//! Tealight on QEMU's Arm virt machine (Cortex-A76).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::pmccntr::CycleCounter;
use tealight_board::led::NoLed;

struct Aarch64VirtA76 {
    cycles: CycleCounter,
    led: NoLed,
}

impl Machine for Aarch64VirtA76 {
    type Led = NoLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self { cycles: CycleCounter::start(), led: NoLed }
    }

    fn led(&mut self) -> &mut NoLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        self.cycles.ticks()
    }
}

tealight_board::firmware!(Aarch64VirtA76);
