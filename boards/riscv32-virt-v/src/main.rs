//! Tealight on QEMU's RISC-V virt machine (RV32IMAC with Zve32x).

#![no_std]
#![no_main]

use tealight_riscv_virt::{Image, Virt};

struct Riscv32VirtV;

impl Image for Riscv32VirtV {
    const ID: &'static str = env!("TEALIGHT_BOARD");
}

tealight_riscv_virt::reset!();
tealight_board::firmware!(Virt<Riscv32VirtV>);
