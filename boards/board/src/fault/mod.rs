//! What ends a run that went wrong: each says in the log what and where, and ends with failure.
//!
//! A fault's handler first takes the whole stack for itself, so that it can report a stack that ran over too.

#[cfg(all(feature = "faults", target_arch = "aarch64"))]
mod aarch64;
#[cfg(all(feature = "faults", target_arch = "arm"))]
mod cortex_m;
#[cfg(all(feature = "faults", any(target_arch = "riscv32", target_arch = "riscv64")))]
mod riscv;

use crate::{Outcome, log};
use defmt::println;

#[cfg(all(feature = "faults", target_arch = "aarch64"))]
pub use aarch64::guard_stack;
#[cfg(all(feature = "faults", target_arch = "arm"))]
pub use cortex_m::guard_stack;
#[cfg(all(feature = "faults", any(target_arch = "riscv32", target_arch = "riscv64")))]
pub use riscv::guard_stack;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    log::rescue();
    match info.location() {
        Some(place) => println!("tealight error=panic at {=str}:{=u32}", place.file(), place.line()),
        None => println!("tealight error=panic"),
    }
    stop(Outcome::Failure)
}

/// Ends the run: the host takes the outcome, or nobody does and the core waits for a reset.
pub(crate) fn stop(outcome: Outcome) -> ! {
    #[cfg(feature = "semihosting")]
    crate::semihosting::exit(outcome);
    #[cfg(not(feature = "semihosting"))]
    {
        let _ = outcome;
        loop {
            core::hint::spin_loop();
        }
    }
}

/// Says what fault there was, and where the program counter stood; or that the stack ran over, if its pointer did.
#[cfg(feature = "faults")]
fn fail(what: defmt::Str, stack_pointer: usize, pc: impl FnOnce() -> usize) -> ! {
    log::rescue();
    // A core with a limit register leaves the pointer at the limit.
    if stack_pointer <= crate::stack::bounds().0 {
        println!("tealight error=stack-overflow at sp:{=u32:#010x}", stack_pointer as u32);
    } else {
        println!("tealight error={=istr} at pc:{=u32:#010x}", what, pc() as u32);
    }
    stop(Outcome::Failure)
}
