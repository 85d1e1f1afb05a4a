//! Copies: runs of elements, and windows whose lines are so short that their products would take longer than the copy.

use crate::matrix::{Filters, Inputs};
use core::arch::aarch64::{vdupq_n_s8, vld1q_s8, vst1q_s8};
use core::arch::asm;
use core::mem::MaybeUninit;

/// The minimum number of elements of a line that is read in place.
pub(super) const SHORTEST_LINE: usize = 16;

/// The bytes of the copied windows.
const STORED: usize = 1536;

/// The room behind them that an input's loads may reach into.
const BEHIND: usize = 32;

/// [`lines::copy`](crate::lines::copy).
#[inline]
pub(crate) fn copy_run(output: &mut [i8], input: &[i8]) {
    // SAFETY: both have so many elements, and do not overlap.
    unsafe { copy_elements(output.as_mut_ptr(), input.as_ptr(), output.len().min(input.len())) };
}

/// Copies 32 elements at a time, and what is left in registers that overlap.
///
/// # Safety
/// As of [`core::ptr::copy_nonoverlapping`].
#[inline(never)]
pub(crate) unsafe fn copy_elements(to: *mut i8, from: *const i8, count: usize) {
    let end = |size: usize| (to.wrapping_add(count - size), from.wrapping_add(count - size));
    // SAFETY: guaranteed by the caller.
    unsafe {
        match count {
            16.. => {
                let (mut to, mut from, mut left) = (to, from, count);
                while left > 32 {
                    asm!(
                        "ldp {a:q}, {b:q}, [{from}], #32",
                        "stp {a:q}, {b:q}, [{to}], #32",
                        from = inout(reg) from, to = inout(reg) to, a = out(vreg) _, b = out(vreg) _,
                        options(nostack, preserves_flags),
                    );
                    left -= 32;
                }
                if left > 16 {
                    vst1q_s8(to, vld1q_s8(from));
                }
                let (to, from) = (to.wrapping_add(left - 16), from.wrapping_add(left - 16));
                vst1q_s8(to, vld1q_s8(from));
            }
            8.. => copy_ends::<u64>(to, from, end(8)),
            4.. => copy_ends::<u32>(to, from, end(4)),
            2.. => copy_ends::<u16>(to, from, end(2)),
            1 => to.write(from.read()),
            _ => {}
        }
    }
}

/// Writes the same element `count` times: 32 at once, and what is left in registers that overlap.
///
/// # Safety
/// So many elements may be written.
#[inline(never)]
pub(crate) unsafe fn fill_elements(to: *mut i8, element: i8, count: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if count < 16 {
            // Not a loop that the compiler would replace by a call of a function.
            let (mut to, mut left) = (to, count);
            while left > 0 {
                asm!(
                    "strb {element:w}, [{to}], #1",
                    to = inout(reg) to, element = in(reg) i32::from(element),
                    options(nostack, preserves_flags),
                );
                left -= 1;
            }
            return;
        }
        let (elements, mut to, mut left) = (vdupq_n_s8(element), to, count);
        while left > 32 {
            asm!(
                "stp {elements:q}, {elements:q}, [{to}], #32",
                to = inout(reg) to, elements = in(vreg) elements,
                options(nostack, preserves_flags),
            );
            left -= 32;
        }
        if left > 16 {
            vst1q_s8(to, elements);
        }
        vst1q_s8(to.wrapping_add(left - 16), elements);
    }
}

/// Copies a word at the start and one at the end.
///
/// # Safety
/// The words must be there.
#[inline(always)]
unsafe fn copy_ends<T: Copy>(to: *mut i8, from: *const i8, (to_end, from_end): (*mut i8, *const i8)) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let (start, end) = (from.cast::<T>().read_unaligned(), from_end.cast::<T>().read_unaligned());
        to.cast::<T>().write_unaligned(start);
        to_end.cast::<T>().write_unaligned(end);
    }
}

/// Whether windows are copied by [`multiply_copied`]: their lines are short, and one has room.
#[inline(always)]
pub(super) fn are_copied(inputs: &Inputs<'_>) -> bool {
    inputs.lines > 1 && inputs.run < SHORTEST_LINE && inputs.run > 0 && inputs.lines * inputs.run <= STORED
}

/// [`multiply`](super::multiply) for operands that fit, and windows that [are copied](are_copied).
#[inline(never)]
pub(super) fn multiply_copied(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let len = filters.len;
    let together = (STORED / len.max(1)).max(1);
    let together = if together > 4 { together & !3 } else { together };
    let mut stored = MaybeUninit::<[i8; STORED + BEHIND]>::uninit();
    let mut first = 0;
    while first < inputs.count {
        let count = together.min(inputs.count - first);
        let values = stored.as_mut_ptr().cast::<i8>();
        // SAFETY: so many windows have room. All of their elements are written, and so many behind them.
        let values = unsafe {
            match inputs.lines {
                3 => store::<3>(inputs, first..first + count, values),
                _ => store::<0>(inputs, first..first + count, values),
            }
            let (behind, zeros) = (values.wrapping_add(count * len), vdupq_n_s8(0));
            vst1q_s8(behind, zeros);
            vst1q_s8(behind.wrapping_add(16), zeros);
            core::slice::from_raw_parts(values, count * len + BEHIND)
        };
        let windows = Inputs { values, count, step: len, lines: 1, line: 0, run: len };
        super::multiply(filters, &windows, output_step, outputs.get_mut(first * output_step..).unwrap_or(&mut []));
        first += count;
    }
}

/// Copies the windows of some inputs without gaps. They have `LINES` lines, or any number if that is 0.
///
/// # Safety
/// The inputs fit their values, a line has at most sixteen elements, and so many elements and sixteen more lie from `to`
/// on.
#[inline(always)]
unsafe fn store<const LINES: usize>(inputs: &Inputs<'_>, range: core::ops::Range<usize>, to: *mut i8) {
    let Inputs { values, step, line, run, .. } = *inputs;
    let lines = if LINES > 0 { LINES } else { inputs.lines };
    // The inputs whose last line is followed by as many elements as a load takes.
    let whole = match values.len().checked_sub(line.wrapping_mul(lines - 1).wrapping_add(16)) {
        Some(room) => room.checked_div(step).map_or(range.end, |last| range.end.min(last + 1)),
        None => 0,
    };
    let mut window = values.as_ptr().wrapping_add(range.start * step);
    let mut to = to;
    for input in range {
        let mut from = window;
        for _ in 0..lines {
            // What is written behind the line is written again.
            // SAFETY: guaranteed by the caller.
            unsafe {
                if input < whole {
                    vst1q_s8(to, vld1q_s8(from));
                } else {
                    copy_elements(to, from, run);
                }
            }
            (to, from) = (to.wrapping_add(run), from.wrapping_add(line));
        }
        window = window.wrapping_add(step);
    }
}
