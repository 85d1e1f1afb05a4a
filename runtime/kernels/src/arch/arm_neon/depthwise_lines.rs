//! Rows of depthwise convolutions, each channel of which reads the input channel of the same number.
//!
//! The lines of input that an output row reads are copied with their padding, so that all of its pixels have the same
//! taps. If the buffer is too small for several pixels, those at the border are computed one by one instead, without
//! their taps in the padding.

use super::depthwise::{Initial, Job, Layer, Taps};
use super::finish::Finish;
use crate::DepthwiseConv2d;
use crate::lines::run;
use crate::matrix::Output;
use crate::padded::PaddedLines;
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use crate::window::{self, Axis, Lines, pixel_start};
use core::ops::Range;

/// The minimum number of pixels for which lines are copied, if there are so many.
const FEW: usize = 4;

/// [`composed::depthwise_lines`](crate::composed::depthwise_lines), for at least eight channels, and windows of few taps.
#[inline(never)]
pub(crate) fn depthwise_lines(
    p: &DepthwiseConv2d,
    (lines, rows): (&Lines, &Range<usize>),
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let depth = p.input[3];
    let axes = Axis::pair(p.input, &p.window);
    let taps = axes[0].kernel.saturating_mul(axes[1].kernel);
    let elements = p.input.iter().fold(1usize, |elements, &n| elements.saturating_mul(n));
    let weights = run(weights, 0, taps.saturating_mul(depth));
    let channels = run(channels, 0, depth);
    if p.output[3] != depth || depth < 8 || elements > input.len() || channels.len() < depth {
        return false;
    }
    // A saturated product exceeds the length of any slice.
    if taps == 0 || weights.is_empty() || !Taps::have_room(taps, elements.max(weights.len())) {
        return false;
    }
    let finish = Finish::new(&Output { zero_point: p.output_zero_point, activation: p.activation });
    let (mut taps, mut padded) = (Taps::new(), PaddedLines::new());
    let mut layer = Rows {
        p,
        axes,
        input,
        layer: Layer::new(weights, channels, finish),
        taps: &mut taps,
        taps_line: None,
        whole: axes[1].whole_windows(p.output[2]),
        room: PaddedLines::room(axes, depth),
        padded: &mut padded,
    };
    lines.for_each(rows.clone(), output, |at, xs, line| layer.compute(at, xs, line));
    true
}

/// What the rows of a layer share.
struct Rows<'a> {
    p: &'a DepthwiseConv2d,
    axes: [Axis; 2],
    input: &'a [i8],
    layer: Layer<'a>,
    taps: &'a mut Taps,
    /// If the taps are those of windows without padding: the distance between lines of input that they are for.
    taps_line: Option<usize>,
    /// The output columns whose windows are clipped at neither side.
    whole: Range<usize>,
    /// The number of pixels whose lines there is room for.
    room: usize,
    padded: &'a mut PaddedLines,
}

impl Rows<'_> {
    /// Computes the pixels `xs` of an output row.
    #[inline(always)]
    fn compute(&mut self, [image, y]: [usize; 2], xs: Range<usize>, outputs: &mut [i8]) {
        let ([vertical, horizontal], shape @ [_, _, width, depth]) = (self.axes, self.p.input);
        if outputs.len() < xs.len().saturating_mul(depth) {
            return;
        }
        let taps_y = vertical.clip(y);
        let whole = self.whole.start..self.whole.end.min(xs.end);
        let inside = taps_y.len() == vertical.kernel;
        let copied = self.room >= xs.len().min(FEW);
        let (mut x, mut outputs) = (xs.start, outputs.as_mut_ptr());
        while x < xs.end {
            let left = xs.end - x;
            let count = if inside && whole.contains(&x) && (!copied || whole.end >= xs.end) {
                // In place: with a single kernel row the dilation has no effect; it may be huge, and this may wrap.
                let line = vertical.dilation.wrapping_mul(width).wrapping_mul(depth);
                let count = whole.end - x;
                let first = pixel_start(shape, [image, taps_y.input, horizontal.clip(x).input]);
                self.use_whole_windows(line);
                // SAFETY: all taps of these pixels are inside the input, which has all elements of its shape, and there are
                // as many outputs.
                unsafe { self.run(self.input.as_ptr().wrapping_add(first), count, outputs) };
                count
            } else if copied {
                let count = self.room.min(left);
                self.use_whole_windows(PaddedLines::line(horizontal, depth, count));
                // A valid zero point is in the range of a byte.
                let zero_point = self.p.input_zero_point as i8;
                let lines = self.padded.fill(self.input, shape, zero_point, self.axes, [image, y, x], count);
                let lines = lines.as_ptr();
                // SAFETY: there are the lines of the windows of so many pixels, and as many outputs.
                unsafe { self.run(lines, count, outputs) };
                count
            } else {
                self.use_clipped_window(&taps_y, &horizontal.clip(x));
                let first = pixel_start(shape, [image, taps_y.input, horizontal.clip(x).input]);
                // SAFETY: the taps of this pixel are those inside the input, which has all elements of its shape.
                unsafe { self.run(self.input.as_ptr().wrapping_add(first), 1, outputs) };
                1
            };
            (x, outputs) = (x + count, outputs.wrapping_add(count * depth));
        }
    }

    /// Computes `count` adjacent pixels with these taps, whose first tap is at `input`.
    ///
    /// # Safety
    /// All taps of these pixels lie within the input, and there are as many outputs.
    #[inline(always)]
    unsafe fn run(&self, input: *const i8, count: usize, outputs: *mut i8) {
        let depth = self.p.input[3];
        let job = Job {
            layer: &self.layer,
            initial: Initial::Biases(self.p.input_zero_point as i8),
            inside: self.taps.inside(),
            outside: self.taps.outside(),
            steps: Steps { count, input: self.p.window.stride[1].wrapping_mul(depth), output: depth },
            input,
            outputs,
        };
        // SAFETY: guaranteed by the caller; the weights are those of all taps.
        unsafe { job.compute() };
    }

    /// Makes the taps those of a window without padding, of whose input lines `line` elements lie apart.
    #[inline(always)]
    fn use_whole_windows(&mut self, line: usize) {
        if self.taps_line != Some(line) {
            let [lines, runs] = self.axes.map(|axis| axis.kernel);
            self.taps.set_inside(&self.window([lines, runs], line), 0);
            self.taps_line = Some(line);
        }
    }

    /// Makes the taps those of a window that is clipped to `y` and `x`.
    #[inline(never)]
    fn use_clipped_window(&mut self, y: &window::Taps, x: &window::Taps) {
        let ([vertical, horizontal], [_, _, width, depth]) = (self.axes, self.p.input);
        let line = vertical.dilation.wrapping_mul(width).wrapping_mul(depth);
        let at = |row: usize, column: usize| (row * horizontal.kernel + column) * depth;
        self.taps.set_inside(&self.window([y.len(), x.len()], line), at(y.taps.start, x.taps.start));
        for row in 0..vertical.kernel {
            for column in 0..horizontal.kernel {
                if !(y.taps.contains(&row) && x.taps.contains(&column)) {
                    self.taps.add_outside(at(row, column));
                }
            }
        }
        self.taps_line = None;
    }

    #[inline(always)]
    fn window(&self, [lines, runs]: [usize; 2], line: usize) -> Window {
        let ([_, horizontal], depth) = (self.axes, self.p.input[3]);
        let run = horizontal.dilation.max(1).wrapping_mul(depth);
        Window { lines, runs, line: [line, horizontal.kernel.wrapping_mul(depth)], run: [run, depth] }
    }
}
