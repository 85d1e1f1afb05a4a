//! Cortex-M: every fault is a hard fault, because no other is enabled.

use super::fail;
use core::arch::naked_asm;
use defmt::intern;

/// Replaces the runtime crate's handler, and reports on a fresh stack.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn HardFault() -> ! {
    naked_asm!(
        "mrs r0, msp",
        "ldr r1, =_stack_start",
        "msr msp, r1",
        "ldr r1, ={report}",
        "bx r1",
        ".pool",
        report = sym report,
    )
}

/// The program counter in the frame that the core pushes at a fault (Arm v7-M Architecture Reference Manual, B1.5.6).
const PC: usize = 24;

extern "C" fn report(frame: usize) -> ! {
    // SAFETY: unless the stack overflowed, the frame is on it, where the core pushed it.
    fail(intern!("hard-fault"), frame, || unsafe { core::ptr::read_volatile((frame + PC) as *const usize) })
}

/// Denies access to the 256 bytes below the stack, so that a stack overflow is a fault even if memory lies below it:
/// region 0 of the memory protection unit, if the core has one (Arm v6-M and v7-M Architecture Reference Manuals, B3.5).
#[cfg(not(armv8m))]
pub fn guard_stack() {
    use core::ptr::{read_volatile, write_volatile};

    unsafe extern "C" {
        static _stack_end: u32;
    }
    const TYPE: *const u32 = 0xE000_ED90 as *const u32;
    const CTRL: *mut u32 = 0xE000_ED94 as *mut u32;
    const RBAR: *mut u32 = 0xE000_ED9C as *mut u32;
    const RASR: *mut u32 = 0xE000_EDA0 as *mut u32;
    const REGIONS: u32 = 0xFF00;
    const VALID: u32 = 1 << 4;
    // No access at all, 2⁸ bytes.
    const FORBIDDEN: u32 = (7 << 1) | 1;
    // All other memory keeps its default attributes; the unit is off while a fault is handled.
    const ON: u32 = (1 << 2) | 1;
    let below = ((&raw const _stack_end) as u32).wrapping_sub(256);
    // SAFETY: every v6-M and v7-M core has the first of these registers, and those with regions the others; nothing of the
    // image is below the stack's end.
    unsafe {
        if read_volatile(TYPE) & REGIONS != 0 {
            write_volatile(RBAR, below | VALID);
            write_volatile(RASR, FORBIDDEN);
            write_volatile(CTRL, ON);
        }
    }
    barrier();
}

/// The settings apply from the next instruction on.
#[cfg(not(armv8m))]
fn barrier() {
    // SAFETY: barriers have no effect on memory.
    unsafe { core::arch::asm!("dsb", "isb", options(nostack, preserves_flags)) };
}

/// Sets the stack limit; a push below it faults (Armv8-M Architecture Reference Manual, MSPLIM).
#[cfg(armv8m)]
pub fn guard_stack() {
    unsafe extern "C" {
        static _stack_end: u32;
    }
    let end = &raw const _stack_end;
    // SAFETY: the stack is above its end now, and must stay there.
    unsafe { core::arch::asm!("msr msplim, {end}", end = in(reg) end, options(nostack, preserves_flags)) };
}
