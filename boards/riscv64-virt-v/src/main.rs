//! Tealight on QEMU's RISC-V virt machine (RV64GCV).

#![no_std]
#![no_main]

use tealight_riscv_virt::{Image, Virt};

struct Riscv64VirtV;

impl Image for Riscv64VirtV {
    const ID: &'static str = env!("TEALIGHT_BOARD");
}

tealight_riscv_virt::reset!();
tealight_board::firmware!(Virt<Riscv64VirtV>);
