//! The handlers of panics and faults: each logs what happened and where, and ends the run with failure.
//!
//! The handler of a fault first takes the whole stack, so that it can also report a stack overflow.

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

/// Ends the run with the host; without a host, the core waits for a reset.
pub(crate) fn stop(outcome: Outcome) -> ! {
    #[cfg(all(feature = "semihosting", not(feature = "rtt")))]
    crate::semihosting::exit(outcome);
    #[cfg(any(not(feature = "semihosting"), feature = "rtt"))]
    {
        let _ = outcome;
        loop {
            core::hint::spin_loop();
        }
    }
}

/// Reports the fault and its program counter, or a stack overflow if the stack pointer shows one.
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
