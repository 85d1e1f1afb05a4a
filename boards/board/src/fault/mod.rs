//! What ends a run that went wrong: each says on the console what and where, and exits with failure.
//!
//! A fault's handler first takes the whole stack for itself, so that it can report a stack that ran over too.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
mod riscv;

use crate::semihosting;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::guard_stack;
#[cfg(target_arch = "arm")]
pub(crate) use cortex_m::guard_stack;
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
pub(crate) use riscv::guard_stack;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    match info.location() {
        Some(place) => semihosting::fail("panic", place.file(), place.line()),
        None => semihosting::fail("panic", "unknown", 0),
    }
}

unsafe extern "C" {
    static _stack_end: u32;
}

/// Whether a stack pointer lies below the memory kept for the stack.
fn ran_over(stack_pointer: usize) -> bool {
    stack_pointer < (&raw const _stack_end) as usize
}
