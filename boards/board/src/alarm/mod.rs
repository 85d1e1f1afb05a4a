//! A periodic interrupt of the board's timer, whose handler notes how late it began, in ticks of the board's clock, and
//! then works as long as a control would.
//!
//! On Cortex-M it is SysTick's, which every emulated one has (of chips, Nordic's nRF51 has none); on RISC-V the
//! machine timer's.

#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
mod mtimer;
#[cfg(target_arch = "arm")]
mod systick;

use crate::calibrate;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
use mtimer as timer;
#[cfg(target_arch = "arm")]
use systick as timer;

#[cfg(target_arch = "arm")]
pub(crate) use systick::{PERIOD, late, rang};

/// The turns whose lateness is noted.
pub(crate) const TURNS: usize = 1_000;

/// By how many ticks each turn was late. No other code than the handler writes this and the number of turns, so loads and
/// stores are enough; the smallest cores have no atomic addition.
static LATE: [AtomicU32; TURNS] = [const { AtomicU32::new(0) }; TURNS];

/// The turns so far.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What the control of a turn takes, in instructions.
static CONTROL: AtomicU32 = AtomicU32::new(0);

/// Starts the interrupt: the first is due in `period` ticks of a clock of `per_second`. Its handler takes `control`
/// instructions. Returns the period as the timer has it.
pub(crate) fn start(period: u32, per_second: u32, control: u32) -> u32 {
    CONTROL.store(control, Ordering::Relaxed);
    timer::start(period, per_second)
}

/// Stops it.
pub(crate) fn stop() {
    timer::stop();
}

/// Returns the turns so far.
pub(crate) fn turns() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// Returns by how many ticks each of the first turns was late.
pub(crate) fn lateness() -> impl Iterator<Item = u32> {
    LATE.iter().take(turns()).map(|late| late.load(Ordering::Relaxed))
}

/// A turn of the control, called by the handler, which began `late` ticks after the turn was due.
fn turn(late: u32) {
    let count = turns();
    if let Some(place) = LATE.get(count) {
        place.store(late, Ordering::Relaxed);
    }
    COUNT.store(count.wrapping_add(1), Ordering::Relaxed);
    calibrate::spin(CONTROL.load(Ordering::Relaxed));
}
