//! Tealight on QEMU's RISC-V virt machine (RV64GC).

#![no_std]
#![no_main]

use tealight_riscv_virt::{Image, Virt};

struct Riscv64Virt;

impl Image for Riscv64Virt {
    const ID: &'static str = env!("TEALIGHT_BOARD");
}

tealight_riscv_virt::reset!();
tealight_board::firmware!(Virt<Riscv64Virt>);
