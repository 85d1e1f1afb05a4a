//! Rows of convolutions whose windows have several taps, for cores with `SDOT`.
//!
//! The windows of several rows are multiplied together: a tile has the pixels of two rows or more where they are short,
//! and the filters are arranged for all of them once. If windows reach into the padding, the lines of input that the rows
//! read are copied with it. Windows whose lines are short are copied, too, so that each is one line.

use super::arranged::{BEHIND, FEWEST, Products, Room, Shape};
use super::gather::copy_elements;
use crate::Conv2d;
use crate::arch::PADDED;
use crate::lines::{run, tail};
use crate::matrix::{Filters, Output};
use crate::padded::PaddedLines;
use crate::quant::Channel;
use crate::window::{Axis, pixel_start};
use core::arch::aarch64::{vdupq_n_s8, vld1q_s8, vst1q_s8};
use core::ops::Range;

/// [`composed::convolve`](crate::composed::convolve) for one image, at least four filters, and lines of windows that are one
/// run of input.
///
/// # Safety
/// The core must have the instruction.
#[inline(never)]
pub(super) unsafe fn convolve(
    p: &Conv2d,
    rows: &Range<usize>,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let ([images, height, width, depth], [_, _, columns, filters]) = (p.input, p.output);
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let elements = images.saturating_mul(height).saturating_mul(width).saturating_mul(depth);
    let run_len = horizontal.kernel.saturating_mul(depth);
    let len = vertical.kernel.saturating_mul(run_len);
    let channels = run(channels, 0, filters);
    if images != 1 || p.groups > 1 || filters < 4 || channels.is_empty() || len == 0 || columns == 0 {
        return false;
    }
    let weights = run(weights, 0, len.saturating_mul(filters));
    if weights.is_empty() || elements > input.len() || rows.is_empty() || rows.end > p.output[1] {
        return false;
    }
    if horizontal.kernel > 1 && horizontal.dilation > 1 {
        return false;
    }
    let pixels = columns.saturating_mul(rows.len());
    if output.len() < pixels.saturating_mul(filters) {
        return false;
    }
    let extent = |axis: Axis, outputs: usize| {
        axis.stride.saturating_mul(outputs.saturating_sub(1)).saturating_add(axis.extent())
    };
    let fits = |axis: Axis, outputs: usize| axis.pad == 0 && extent(axis, outputs) <= axis.input;
    let in_place = fits(vertical, rows.end) && fits(horizontal, columns);
    // The distance between lines of the input or its copy, and the number of rows whose lines there is room for.
    let (line, room) = if in_place {
        (width.saturating_mul(depth), rows.len())
    } else {
        let line = PaddedLines::line(horizontal, depth, columns);
        let lines = PADDED.checked_div(line).unwrap_or(0);
        let more = lines.checked_sub(vertical.extent());
        (line, more.map_or(0, |more| (more / vertical.stride.max(1)).saturating_add(1)))
    };
    // The last rows may be so few that some are computed again.
    let most = room.min(rows.len());
    let fewest = FEWEST.div_ceil(columns);
    if most < fewest {
        return false;
    }
    let line_of_window = vertical.dilation.max(1).saturating_mul(line);
    let is_copied = run_len < 16 && (vertical.kernel > 1 || run_len != 8);
    let (lines, run_of_shape) = if is_copied { (1, len) } else { (vertical.kernel, run_len) };
    let Some(shape) = Shape::new(lines, line_of_window, run_of_shape) else { return false };
    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    let filters = Filters { weights, channels, len, offset: 0, output: finish };
    let copied = if is_copied { len } else { 0 };
    let Some(products) = Products::new(&filters, shape, channels.len(), copied) else { return false };
    let layer = Layer {
        products,
        columns,
        steps: [vertical.stride.saturating_mul(line), horizontal.stride.saturating_mul(depth)],
        windows: Windows { lines: vertical.kernel, line: line_of_window, run: run_len },
        is_copied,
    };
    let (mut room, mut padded) = (Room::new(), PaddedLines::new());
    let mut next = rows.start;
    while next < rows.end {
        let together = most.min(rows.end - next).max(fewest);
        let row = next.min(rows.end - together);
        next = row + together;
        let outputs = output.as_mut_ptr().wrapping_add((row - rows.start) * columns * channels.len());
        let source = if in_place {
            tail(input, pixel_start(p.input, [0, row.wrapping_mul(vertical.stride), 0]))
        } else {
            let lines = Axis { kernel: extent(vertical, together), dilation: 1, ..vertical };
            // A valid zero point is in the range of a byte.
            let zero_point = p.input_zero_point as i8;
            padded.fill(input, p.input, zero_point, [lines, horizontal], [0, row, 0], columns)
        };
        // SAFETY: guaranteed by the caller; there are as many outputs, and filters of this shape.
        unsafe { layer.compute(source, together, room.as_mut_ptr(), outputs) };
    }
    true
}

/// The lines of a window.
#[derive(Clone, Copy)]
struct Windows {
    lines: usize,
    /// The distance from one to the next.
    line: usize,
    run: usize,
}

/// What blocks of rows share.
struct Layer<'a> {
    products: Products<'a>,
    /// The number of pixels in a row.
    columns: usize,
    /// The distances from the window of a pixel to those of the pixel below and of the next one.
    steps: [usize; 2],
    windows: Windows,
    /// Whether windows are copied.
    is_copied: bool,
}

impl Layer<'_> {
    /// Computes `rows` rows of pixels, at least [`FEWEST`] of them. The first window begins with the source.
    ///
    /// # Safety
    /// The core must have the instruction. There must be as many outputs, at least four filters of the windows' elements,
    /// and `room` must be a [`Room`].
    #[inline(always)]
    unsafe fn compute(&self, source: &[i8], rows: usize, room: *mut i8, outputs: *mut i8) {
        let [row_step, step] = self.steps;
        let last = row_step.saturating_mul(rows - 1).saturating_add(step.saturating_mul(self.columns - 1));
        // A saturated sum exceeds the length of any slice.
        if last.saturating_add(self.windows.len()) > source.len() {
            return;
        }
        let (mut row, mut next, mut column) = (source.as_ptr(), source.as_ptr(), 0);
        let (mut left, mut outputs) = (rows * self.columns, outputs);
        while left > 0 {
            let count = self.products.together(left);
            left -= count;
            let (mut start, mut missing) = (self.products.starts(room), count);
            while missing > 0 {
                let pixels = missing.min(self.columns - column);
                for _ in 0..pixels {
                    // SAFETY: the room has a place for so many starts.
                    unsafe { start.write(next) };
                    (start, next) = (start.wrapping_add(1), next.wrapping_add(step));
                }
                (missing, column) = (missing - pixels, column + pixels);
                if column == self.columns {
                    row = row.wrapping_add(row_step);
                    (next, column) = (row, 0);
                }
            }
            // SAFETY: all windows lie within the source; the rest is guaranteed by the caller.
            unsafe {
                if self.is_copied {
                    let starts = core::slice::from_raw_parts_mut(self.products.starts(room), count);
                    let to = self.products.copies(room);
                    match self.windows.lines {
                        3 => self.windows.copy::<3>(starts, source, to),
                        _ => self.windows.copy::<0>(starts, source, to),
                    }
                }
                self.products.compute(count, room, outputs);
            }
            outputs = outputs.wrapping_add(count * self.products.output_step());
        }
    }
}

impl Windows {
    /// The number of elements from the first to the last.
    #[inline(always)]
    fn len(&self) -> usize {
        self.line.saturating_mul(self.lines - 1).saturating_add(self.run)
    }

    /// Copies the windows that begin at `starts`, of lines of fewer than sixteen elements, without gaps, and writes where
    /// the copies begin. They have `LINES` lines, or any number if that is 0.
    ///
    /// # Safety
    /// All windows must lie within the source, and the copies and [`BEHIND`] more elements must have room.
    #[inline(always)]
    unsafe fn copy<const LINES: usize>(&self, starts: &mut [*const i8], source: &[i8], to: *mut i8) {
        let lines = if LINES > 0 { LINES } else { self.lines };
        // The last window whose lines are all followed by as many elements as a load takes.
        let room = source.len().checked_sub(self.len() - self.run + BEHIND);
        let (first, mut to) = (source.as_ptr().addr(), to);
        for start in starts {
            let mut from = *start;
            *start = to;
            let is_whole = room.is_some_and(|room| from.addr().wrapping_sub(first) <= room);
            for _ in 0..lines {
                // What is written behind a line is written again.
                // SAFETY: guaranteed by the caller.
                unsafe {
                    if is_whole {
                        vst1q_s8(to, vld1q_s8(from));
                    } else {
                        copy_elements(to, from, self.run);
                    }
                }
                (to, from) = (to.wrapping_add(self.run), from.wrapping_add(self.line));
            }
        }
        // A load of a short window reads so many.
        // SAFETY: guaranteed by the caller.
        unsafe { vst1q_s8(to, vdupq_n_s8(0)) };
    }
}
