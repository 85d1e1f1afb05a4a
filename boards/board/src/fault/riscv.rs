//! RISC-V: no interrupt is enabled, so every trap is an exception.

use super::fail;
use core::arch::{asm, global_asm};
use defmt::intern;

// Replaces the runtime crate's trap entry, and reports on a fresh stack.
global_asm!(
    ".section .trap.start, \"ax\"",
    ".balign 4",
    ".global _start_trap",
    "_start_trap:",
    "mv a0, sp",
    "csrr a1, mepc",
    "csrr a2, mcause",
    "la sp, _stack_start",
    "j {report}",
    report = sym report,
);

/// Called by the runtime crate before `main`. The default has a path to a panic.
///
/// It also enables the vector unit, if there is one: without one, the field VS of `mstatus` (Privileged Architecture,
/// 3.1.6.6) has no effect.
#[unsafe(export_name = "_setup_interrupts")]
fn setup_traps(_hart: usize) {
    unsafe extern "C" {
        fn _start_trap();
    }
    // SAFETY: the entry above is aligned as `mtvec` requires, which leaves the trap vector in direct mode.
    unsafe {
        asm!(
            "csrw mtvec, {entry}",
            "csrs mstatus, {vs}",
            entry = in(reg) _start_trap as *const (),
            vs = in(reg) 0x600,
            options(nostack)
        );
    }
}

unsafe extern "C" {
    static _stack_end: u32;
}

/// Denies access to the 64 bytes below the stack, so that a stack overflow is a fault even if other memory lies below
/// it: entry 0 of the physical memory protection, locked, so that it also applies to machine mode (Privileged
/// Architecture, 3.7).
pub fn guard_stack() {
    let below = (&raw const _stack_end) as usize - 64;
    // A naturally aligned power of two: the number of trailing ones encodes the size.
    let (address, configuration) = ((below >> 2) | 0b111, 0x98);
    // SAFETY: nothing of the image is below the stack's end; the registers have no other effect.
    unsafe {
        asm!("csrw pmpaddr0, {a}", "csrw pmpcfg0, {c}", a = in(reg) address, c = in(reg) configuration, options(nostack));
    }
}

/// `cause` is `mcause`, numbered as in the RISC-V Privileged Architecture (3.1.15).
extern "C" fn report(stack_pointer: usize, pc: usize, cause: usize) -> ! {
    let what = match cause {
        0 | 1 => intern!("instruction-fault"),
        2 => intern!("illegal-instruction"),
        4 | 5 => intern!("load-fault"),
        6 | 7 => intern!("store-fault"),
        _ => intern!("trap"),
    };
    fail(what, stack_pointer, || pc)
}
