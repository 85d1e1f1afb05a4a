//! Lines of an input with its padding written out, so that no window of an output row is clipped.

use crate::arch::{Buffer, PADDED};
use crate::window::{Axis, pixel_start};

/// The lines of an input that the windows of adjacent output pixels read, from the first pixel's window to the last's:
/// one line for each kernel row, without gaps.
pub(crate) struct PaddedLines {
    buffer: Buffer<PADDED>,
}

impl PaddedLines {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { buffer: Buffer::new() }
    }

    /// The number of elements in a line for the windows of `count` output pixels.
    #[inline]
    pub(crate) fn line(horizontal: Axis, channels: usize, count: usize) -> usize {
        let steps = horizontal.stride.saturating_mul(count.saturating_sub(1));
        steps.saturating_add(horizontal.extent()).saturating_mul(channels)
    }

    /// The maximum number of adjacent pixels whose lines there is room for.
    #[inline]
    pub(crate) fn room([vertical, horizontal]: [Axis; 2], channels: usize) -> usize {
        // Without padding, lines are used in place.
        if PADDED == 0 || (vertical.pad == 0 && horizontal.pad == 0) {
            return 0;
        }
        let line = PADDED.checked_div(vertical.kernel).unwrap_or(0);
        let columns = line.checked_div(channels).unwrap_or(0);
        let more = columns.checked_sub(horizontal.extent());
        more.map_or(0, |more| more / horizontal.stride.max(1) + 1)
    }

    /// Writes the lines of `count` pixels of output row `y`, from pixel `x` on, and returns them.
    pub(crate) fn fill(
        &mut self,
        input: &[i8],
        shape: [usize; 4],
        zero_point: i8,
        axes: [Axis; 2],
        [image, y, x]: [usize; 3],
        count: usize,
    ) -> &[i8] {
        let ([vertical, horizontal], [_, height, width, channels]) = (axes, shape);
        let len = Self::line(horizontal, channels, count);
        // Coordinates from the start of the padding on.
        let (top, left) = (y.wrapping_mul(vertical.stride), x.wrapping_mul(horizontal.stride));
        let before = horizontal.pad.saturating_sub(left).saturating_mul(channels).min(len);
        let from = left.saturating_sub(horizontal.pad);
        let present = width.saturating_sub(from).saturating_mul(channels).min(len - before);
        self.buffer.clear();
        for k in 0..vertical.kernel {
            let row = top.wrapping_add(k.wrapping_mul(vertical.dilation.max(1))).checked_sub(vertical.pad);
            let Some(row) = row.filter(|&row| row < height) else {
                self.buffer.push_repeated(zero_point, len);
                continue;
            };
            self.buffer.push_repeated(zero_point, before);
            self.buffer.push(crate::lines::run(input, pixel_start(shape, [image, row, from]), present));
            self.buffer.push_repeated(zero_point, len - before - present);
        }
        self.buffer.elements()
    }
}
