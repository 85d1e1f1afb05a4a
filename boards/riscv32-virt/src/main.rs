//! Tealight on QEMU's RISC-V virt machine (RV32IMAC).

#![no_std]
#![no_main]

use tealight_riscv_virt::{Image, Virt};

struct Riscv32Virt;

impl Image for Riscv32Virt {
    const ID: &'static str = env!("TEALIGHT_BOARD");
}

tealight_riscv_virt::reset!();
tealight_board::firmware!(Virt<Riscv32Virt>);
