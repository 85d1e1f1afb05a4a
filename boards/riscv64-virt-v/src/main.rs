//! Tealight on QEMU's RISC-V virt machine (RV64GCV).

#![no_std]
#![no_main]

use tealight_board::Machine;
use tealight_board::clock::cycle;
use tealight_board::led::NoLed;

// At the address at which QEMU starts the machine (`[memory.reset]` in board.toml).
core::arch::global_asm!(".section .reset, \"ax\"", "tail _start");

struct Riscv64VirtV {
    led: NoLed,
}

impl Machine for Riscv64VirtV {
    type Led = NoLed;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000_000;

    fn take() -> Self {
        Self { led: NoLed }
    }

    fn led(&mut self) -> &mut NoLed {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

tealight_board::firmware!(Riscv64VirtV);
