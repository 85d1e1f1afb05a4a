//! The stack's high-water mark: unused stack is painted, and words that have lost their paint were used.

use crate::Board;

/// Returns the lowest and the highest address (exclusive) of the memory that `memory.x` reserves for the stack.
#[cfg(target_os = "none")]
pub fn bounds() -> (usize, usize) {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    ((&raw const _stack_end) as usize, (&raw const _stack_start) as usize)
}

/// A word that code is unlikely to push by itself.
const PAINT: u32 = 0x7EA1_1687;

/// Bytes left unpainted at the end of the stack, where a HAL may keep a guard word.
const FLOOR: usize = 64;

/// Bytes left unpainted below the painter's own frame.
const MARGIN: usize = 256;

/// The maximum number of bytes to paint, so that a board with megabytes of stack starts fast.
const PAINTED: usize = 64 * 1024;

/// A painted stack.
#[derive(Debug)]
pub struct Meter {
    bottom: usize,
    top: usize,
}

impl Meter {
    /// Paints the unused part of the board's stack, from just below the caller's frame down.
    #[inline(never)]
    pub fn paint<B: Board>(board: &B) -> Self {
        let (low, top) = board.stack();
        let here = core::ptr::from_ref(&low) as usize;
        let end = here.saturating_sub(MARGIN) & !3;
        let bottom = low.saturating_add(FLOOR).max(end.saturating_sub(PAINTED)).saturating_add(3) & !3;
        if bottom >= end {
            return Self { bottom: 0, top: 0 };
        }
        let mut address = bottom;
        while address < end {
            // SAFETY: between the stack's lowest address and this frame less a margin lies only unused, aligned stack.
            unsafe { core::ptr::write_volatile(address as *mut u32, PAINT) };
            address += 4;
        }
        Self { bottom, top }
    }

    /// Returns the bytes from the top of the stack to the deepest word that lost its paint; 0 if there was no room to
    /// paint.
    pub fn high_water(&self) -> usize {
        let mut address = self.bottom;
        while address < self.top {
            // SAFETY: the same aligned stack memory that `paint` wrote, up to the stack's top.
            if unsafe { core::ptr::read_volatile(address as *const u32) } != PAINT {
                break;
            }
            address += 4;
        }
        self.top - address
    }
}
