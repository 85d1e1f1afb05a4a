//! SysTick at the processor's clock, which is that of the board's.

use super::turn;
use crate::clock::systick::{SysTick, count_down};
use core::sync::atomic::{AtomicU32, Ordering};

/// The ticks from one interrupt to the next.
pub(crate) static PERIOD: AtomicU32 = AtomicU32::new(crate::clock::systick::LAP);

/// Starts it. SysTick counts 24 bits, which is more than the app lets a period have.
pub(super) fn start(period: u32, _: u32) -> u32 {
    PERIOD.store(period, Ordering::Relaxed);
    SysTick::restart(period);
    period
}

pub(super) fn stop() {
    SysTick::stop();
}

/// Returns the ticks since the interrupt was due, which is when the counter is 0.
#[inline(always)]
pub(crate) fn late() -> u32 {
    match count_down() {
        0 => 0,
        down => PERIOD.load(Ordering::Relaxed).wrapping_sub(down),
    }
}

/// Called by the handler, which began `late` ticks after it was due.
pub(crate) fn rang(late: u32) {
    turn(late);
}
