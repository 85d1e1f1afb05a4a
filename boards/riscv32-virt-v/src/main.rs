//! Tealight on riscv32-virt-v (RV32IMAC).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cycle;

struct Riscv32VirtV;

impl Machine for Riscv32VirtV {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

tealight_board::firmware!(Riscv32VirtV);
