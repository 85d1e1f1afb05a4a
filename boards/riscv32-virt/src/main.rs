//! Tealight on QEMU's RISC-V virt machine (RV32IMAC).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cycle;

struct Riscv32Virt;

impl Machine for Riscv32Virt {
    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

tealight_board::firmware!(Riscv32Virt);
