//! Faults that are built in on purpose. `cargo xtask faults` proves with them that each kind is reported, and
//! `cargo xtask check-no-panic` that it finds a panic that is linked.
//!
//! One image has them all: the first byte of an input chooses the fault that follows the inference.

use tealight::{Ops, Session};

/// The first byte of the model's first input. It is to be read before the inference, which may overwrite its input.
pub(crate) fn chosen<O: Ops>(session: &mut Session<'_, O>) -> u8 {
    session.input(0).and_then(|mut input| input.as_bytes_mut().first().copied()).unwrap_or(0)
}

/// Causes the fault of this number; another number causes none. Returns a value that depends on `ticks`, so that the
/// compiler keeps the code.
pub(crate) fn cause(fault: u8, ticks: u32) -> u32 {
    match fault {
        1 => index_past_the_end(ticks),
        2 => read_no_memory(ticks),
        3 => overflow_the_stack(ticks),
        4 => hang(),
        _ => ticks,
    }
}

/// Panics.
fn index_past_the_end(ticks: u32) -> u32 {
    let table = [1_u32, 2, 3];
    ticks.wrapping_add(table[(ticks | 3) as usize])
}

/// Reads an address at which no board has memory.
fn read_no_memory(ticks: u32) -> u32 {
    // SAFETY: nothing relies on what is read: the read is there to fault.
    ticks ^ unsafe { core::ptr::read_volatile(0xE800_0000_usize as *const u32) }
}

/// Calls itself until the stack is full.
#[inline(never)]
fn overflow_the_stack(ticks: u32) -> u32 {
    let kept = core::hint::black_box([ticks; 8]);
    if ticks == u32::MAX {
        0
    } else {
        overflow_the_stack(ticks | 1).wrapping_add(core::hint::black_box(kept).iter().fold(0, |all, one| all ^ one))
    }
}

/// Never returns.
fn hang() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
