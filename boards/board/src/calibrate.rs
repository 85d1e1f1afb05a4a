//! Relates clock ticks to instructions: a loop of known length is timed at every start.
//!
//! Under QEMU's `-icount shift=0` one instruction takes one virtual nanosecond, so the measured length of the loop must
//! be right to within a tick. On silicon the same two numbers give the cycles per instruction of a tight loop.

use crate::Board;

/// The length of the calibration loop in instructions.
pub const INSTRUCTIONS: u32 = 1_000_000;

/// Returns the ticks of the calibration loop, without those for reading the clock and calling the loop.
pub fn ticks<B: Board>(board: &mut B) -> u32 {
    let whole = timed(board, INSTRUCTIONS + SHORT);
    whole.wrapping_sub(timed(board, SHORT))
}

/// The length of the shortest loop.
const SHORT: u32 = 2;

/// Returns the ticks around a loop.
#[inline(never)]
fn timed<B: Board>(board: &mut B, instructions: u32) -> u32 {
    let start = board.ticks();
    board.spin(instructions);
    board.ticks().wrapping_sub(start)
}

/// Spins for `instructions` instructions (rounded down to a multiple of two) in a loop of a subtraction and a branch.
#[cfg(target_os = "none")]
#[inline(never)]
pub fn spin(instructions: u32) {
    let rounds = instructions / 2;
    if rounds == 0 {
        return;
    }
    // SAFETY: the loop changes only its own register and the flags.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!(
            "2:",
            "subs {n}, {n}, #1",
            "bne 2b",
            n = inout(reg) rounds => _,
            options(nomem, nostack),
        );
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!(
            "2:",
            "subs {n:w}, {n:w}, #1",
            "b.ne 2b",
            n = inout(reg) rounds => _,
            options(nomem, nostack),
        );
        #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
        core::arch::asm!(
            "2:",
            "addi {n}, {n}, -1",
            "bnez {n}, 2b",
            n = inout(reg) rounds => _,
            options(nomem, nostack),
        );
    }
}
