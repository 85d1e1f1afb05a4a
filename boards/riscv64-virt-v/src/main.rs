//! Tealight on riscv64-virt-v (RV64GC).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cycle;

struct Riscv64VirtV;

impl Machine for Riscv64VirtV {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

tealight_board::firmware!(Riscv64VirtV);
