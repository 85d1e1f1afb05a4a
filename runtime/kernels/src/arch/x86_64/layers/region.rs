//! Regions of an input, copied with their padding in the form that an instruction set multiplies.

use super::Set;
use crate::window::{Lines, div_rem};
use core::mem::MaybeUninit;
use core::ops::Range;
use tealight_types::Window2d;

/// The bytes of a region.
pub(super) const ROOM: usize = 8192;

/// Bytes behind a region that are written, so that whole vectors can be read.
const BEHIND: usize = 64;

/// The largest size or coordinate: sums and products of two do not overflow.
const LARGEST: usize = 1 << 28;

/// A layer's input and its windows, whose sizes are checked.
#[derive(Clone, Copy)]
pub(in super::super) struct Geometry {
    input: [usize; 4],
    /// The output's shape.
    pub(super) output: [usize; 4],
    window: Window2d,
    /// Whether the rows of the layer are the columns of these shapes: see [`Lines`].
    exchanged: bool,
    /// The padding.
    zero_point: i8,
    /// The bytes of an element of a region.
    element: usize,
}

/// Which bytes of each input pixel are copied, and the order of pixels.
#[derive(Clone, Copy)]
pub(in super::super) struct Columns {
    /// The first channel.
    pub(super) channel: usize,
    /// The number of channels.
    pub(super) size: usize,
    /// Pixels `i`, `i + phases`, `i + 2 * phases` and so on are one after another, for each `i` below `phases`.
    pub(super) phases: usize,
}

/// Rows of output pixels whose windows are in one region.
#[derive(Clone, Copy)]
pub(in super::super) struct Part {
    image: usize,
    y: usize,
    x: usize,
    /// The number of rows.
    pub(super) rows: usize,
    /// The number of pixels of each.
    pub(super) count: usize,
    /// The number of output pixels before the first of them.
    pub(super) before: usize,
}

/// The distances in a region, in bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct Pitches {
    /// From one input line to the next.
    pub(super) line: usize,
    /// From the pixels of one phase to those of the next.
    pub(super) phase: usize,
}

impl Geometry {
    /// `None` if a size is 0 or huge, or the rows or the input are not there.
    pub(super) fn new<S: Set>(
        input: [usize; 4],
        lines: &Lines,
        window: &Window2d,
        zero_point: i32,
        rows: &Range<usize>,
        input_len: usize,
    ) -> Option<Self> {
        let output = lines.output;
        let Window2d { kernel, stride, dilation, pad } = *window;
        let dilation = [0, 1].map(|i| if kernel[i] == 1 { 1 } else { dilation[i].max(1) });
        let sizes = input.iter().chain(&output).chain(&kernel).chain(&stride).chain(&dilation);
        if !sizes.chain([&input_len]).all(|size| (1..=LARGEST).contains(size)) || pad.iter().any(|&pad| pad > LARGEST) {
            return None;
        }
        let len = input.iter().fold(1usize, |len, &size| len.saturating_mul(size));
        // Every row of the output is that of an image of the input.
        let per_image = if lines.exchanged { output[2] } else { output[1] };
        let fits = len <= input_len && rows.end <= input[0].saturating_mul(per_image);
        let window = Window2d { kernel, stride, dilation, pad };
        let exchanged = lines.exchanged;
        // A valid zero point is in the range of a byte.
        let zero_point = zero_point as i8;
        fits.then_some(Self { input, output, window, exchanged, zero_point, element: S::ELEMENT })
    }

    /// The number of input lines, or of columns, that the windows of `outputs` adjacent outputs read.
    #[inline]
    fn span(&self, axis: usize, outputs: usize) -> usize {
        let Window2d { kernel, stride, dilation, .. } = self.window;
        (outputs - 1).saturating_mul(stride[axis]) + (kernel[axis] - 1).saturating_mul(dilation[axis]) + 1
    }

    /// The bytes of a line for the windows of so many pixels, and of one phase of it.
    #[inline]
    pub(super) fn pitches(&self, columns: Columns, count: usize) -> Pitches {
        let of_phase = self.span(1, count).div_ceil(columns.phases.max(1));
        let phase = of_phase.saturating_mul(columns.size * self.element);
        Pitches { line: phase.saturating_mul(columns.phases), phase }
    }

    /// Whether there is room for the windows of so many pixels of one row.
    #[inline]
    pub(super) fn has_room(&self, columns: Columns, count: usize) -> bool {
        self.pitches(columns, count).line.saturating_mul(self.span(0, 1)) <= ROOM
    }

    /// Calls `f` for parts of these rows, in order: several rows, or a part of one. There is room for one pixel.
    #[inline]
    pub(super) fn for_each_part(&self, rows: &Range<usize>, columns: Columns, mut f: impl FnMut(Part)) {
        let [_, height, width, _] = self.output;
        let mut row = rows.start;
        while row < rows.end {
            let before = row - rows.start;
            let (image, at) = div_rem(row, if self.exchanged { width } else { height });
            if self.exchanged {
                let count = (rows.end - row).min(width - at);
                self.for_each_piece(image, 0, at..at + count, before, columns, &mut f);
                row += count;
            } else if self.has_room(columns, width) {
                // More rows, as far as their lines have room.
                let lines = ROOM / self.pitches(columns, width).line.max(1) - self.span(0, 1);
                let count = (lines / self.window.stride[0].max(1) + 1).min(rows.end - row).min(height - at);
                f(Part { image, y: at, x: 0, rows: count, count: width, before: before * width });
                row += count;
            } else {
                self.for_each_piece(image, at, 0..width, before * width, columns, &mut f);
                row += 1;
            }
        }
    }

    /// Calls `f` for parts of one row.
    #[inline]
    fn for_each_piece(
        &self,
        image: usize,
        y: usize,
        xs: Range<usize>,
        before: usize,
        columns: Columns,
        f: &mut impl FnMut(Part),
    ) {
        let room =
            (ROOM / self.span(0, 1).max(1) / (columns.size * self.element).max(1)).saturating_sub(columns.phases - 1);
        let most = room.saturating_sub(self.span(1, 1)) / self.window.stride[1].max(1) + 1;
        let mut x = xs.start;
        while x < xs.end {
            let count = most.min(xs.end - x);
            f(Part { image, y, x, rows: 1, count, before: before + (x - xs.start) });
            x += count;
        }
    }
}

/// Room for the copy of a region.
#[repr(C, align(64))]
pub(in super::super) struct Region {
    bytes: [MaybeUninit<u8>; ROOM + BEHIND],
}

impl Region {
    #[inline]
    pub(super) fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; ROOM + BEHIND] }
    }

    /// The copy of a region, from its first byte on.
    #[inline]
    pub(super) fn start(&self) -> *const u8 {
        self.bytes.as_ptr().cast()
    }

    /// Copies the windows of all pixels of a part, and returns the distances in the copy. Up to 64 bytes behind the
    /// last may be read.
    ///
    /// # Safety
    /// The processor has the instructions of `S`, for which `geometry` is one of `input`, which has these channels, and
    /// `part` is one of its parts for these columns.
    #[inline(always)]
    pub(super) unsafe fn fill<S: Set>(
        &mut self,
        geometry: &Geometry,
        input: &[i8],
        columns: Columns,
        part: Part,
    ) -> Pitches {
        let Geometry { input: [_, height, width, channels], window, zero_point, .. } = *geometry;
        let pitches = geometry.pitches(columns, part.count);
        let [lines, across] = [geometry.span(0, part.rows), geometry.span(1, part.count)];
        // Coordinates from the start of the padding on.
        let (top, left) = (part.y * window.stride[0], part.x * window.stride[1]);
        let before = window.pad[1].saturating_sub(left).min(across);
        let from = left.saturating_sub(window.pad[1]);
        let present = width.saturating_sub(from).min(across - before);
        let pixel_size = columns.size * S::ELEMENT;
        let of_phase = across.div_ceil(columns.phases.max(1));
        let mut to = self.bytes.as_mut_ptr().cast::<u8>();
        for line in 0..lines {
            let row = (top + line).checked_sub(window.pad[0]).filter(|&row| row < height && present > 0);
            // All is written in order, because what is behind the padding may be overwritten.
            // SAFETY: the lines of a part have room; the columns that are present are of a row of the input.
            unsafe {
                if let Some(row) = row {
                    let pixel = (part.image * height + row) * width + from;
                    let source = input.as_ptr().add(pixel * channels + columns.channel);
                    if columns.phases == 1 && columns.size == channels {
                        let [start, end] = [before * pixel_size, (before + present) * pixel_size];
                        S::set(to, zero_point, start);
                        S::copy(to.add(start), source, present * channels);
                        S::set(to.add(end), zero_point, pitches.line - end);
                    } else {
                        for phase in 0..columns.phases {
                            let (mut to, mut column) = (to.add(phase * pitches.phase), phase);
                            for _ in 0..of_phase {
                                match column.checked_sub(before).filter(|&column| column < present) {
                                    Some(column) => S::copy(to, source.add(column * channels), columns.size),
                                    None => S::set(to, zero_point, pixel_size),
                                }
                                (to, column) = (to.add(pixel_size), column + columns.phases);
                            }
                        }
                    }
                } else {
                    S::set(to, zero_point, pitches.line);
                }
                to = to.add(pitches.line);
            }
        }
        // SAFETY: behind the room there is room for so many.
        unsafe { S::set(to, zero_point, BEHIND) };
        pitches
    }
}
