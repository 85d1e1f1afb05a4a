//! aarch64: no interrupt is enabled, so every entry into a vector is an exception.

use super::fail;
use crate::stack;
use core::arch::{asm, global_asm};
use defmt::intern;

// All vectors are the same: the syndrome register describes the exception. It is reported on a fresh stack.
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

/// The memory map has nothing below the stack.
pub fn guard_stack() {}

/// The maximum number of bytes pushed by one instruction.
const PUSHED: usize = 512;

/// Exception classes as in the Arm Architecture Reference Manual, D19.2.37 (ESR_EL1).
extern "C" fn report(stack_pointer: usize) -> ! {
    let (syndrome, address, pc): (usize, usize, usize);
    // SAFETY: reading them has no effect.
    unsafe {
        asm!("mrs {s}, esr_el1", "mrs {a}, far_el1", "mrs {pc}, elr_el1",
            s = out(reg) syndrome, a = out(reg) address, pc = out(reg) pc, options(nomem, nostack));
    }
    let (class, written) = (syndrome >> 26, syndrome & (1 << 6) != 0);
    let what = match class {
        0x00 | 0x0E => intern!("illegal-instruction"),
        0x20 | 0x21 => intern!("instruction-fault"),
        0x24 | 0x25 if written => intern!("store-fault"),
        0x24 | 0x25 => intern!("load-fault"),
        _ => intern!("trap"),
    };
    // A push that faults leaves the stack pointer unchanged.
    let pushed = class == 0x25 && (1..=PUSHED).contains(&stack::bounds().0.wrapping_sub(address));
    fail(what, if pushed { address } else { stack_pointer }, || pc)
}
