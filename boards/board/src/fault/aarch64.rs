//! aarch64: no interrupt is enabled, so every entry into a vector is an exception.

use super::ran_over;
use crate::semihosting;
use core::arch::{asm, global_asm};

// One vector is like another: what happened stands in the syndrome. It reports from a fresh stack.
global_asm!(
    ".section .text._fault_vectors, \"ax\"",
    ".balign 2048",
    ".global _fault_vectors",
    "_fault_vectors:",
    ".rept 16",
    ".balign 128",
    "mov x0, sp",
    "adrp x1, _stack_start",
    "add x1, x1, :lo12:_stack_start",
    "mov sp, x1",
    "b {report}",
    ".endr",
    report = sym report,
);

/// A store that moves the stack pointer by at most this leaves it as it was if it faults.
const NEAR: usize = 512;

unsafe extern "C" {
    static _stack_end: u32;
}

/// The map of the memory has nothing below the stack.
pub(crate) fn guard_stack() {}

extern "C" fn report(stack_pointer: usize) -> ! {
    let (syndrome, address, pc): (usize, usize, usize);
    // SAFETY: reading them has no effect.
    unsafe {
        asm!("mrs {s}, esr_el1", "mrs {a}, far_el1", "mrs {pc}, elr_el1",
            s = out(reg) syndrome, a = out(reg) address, pc = out(reg) pc, options(nomem, nostack));
    }
    // The class and the direction of the access (Arm Architecture Reference Manual, D19.2.37, ESR_EL1).
    let (class, written) = (syndrome >> 26, syndrome & (1 << 6) != 0);
    let stack_end = (&raw const _stack_end) as usize;
    let pushed = class == 0x25 && ran_over(address) && stack_end - address <= NEAR;
    if ran_over(stack_pointer) || pushed {
        semihosting::fail("stack-overflow", "sp", stack_pointer as u32);
    }
    let what = match class {
        0x00 | 0x0E => "illegal-instruction",
        0x20 | 0x21 => "instruction-fault",
        0x24 | 0x25 if written => "store-fault",
        0x24 | 0x25 => "load-fault",
        _ => "trap",
    };
    semihosting::fail(what, "pc", pc as u32)
}
