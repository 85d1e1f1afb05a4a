//! Conv2d with int4 weights.

use core::ops::Range;

use super::{Inputs, Int4, Products, UNPACKED, dot_rows_int4, multiply_filters};
use crate::conv2d::{Conv2d, Share, convolve_share};
use crate::lines::{for_each_line, run, tail};
use crate::matrix::Output;
use crate::paths::LinkedPaths;
use crate::quant::Channel;
use crate::window::{Axis, Taps, div_rem, pixel_start};

/// As [`conv2d_in`](crate::conv2d_in), with the same bits, for weights that are packed.
#[inline]
pub fn conv2d_int4_in<P: LinkedPaths>(
    p: &Conv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: Int4<'_>,
    channels: &[Channel],
    output: &mut [i8],
) {
    let groups = p.groups.max(1);
    let filter_len = p.window.kernel[0].wrapping_mul(p.window.kernel[1]).wrapping_mul(p.input[3] / groups);
    // So many filters are unpacked at a time: four or a multiple, which are multiplied together, or fewer if they are large.
    let together = match UNPACKED / filter_len.max(1) {
        0 => return convolve_large(p, rows, input, weights, channels, output),
        few @ ..4 => few,
        many => many / 4 * 4,
    };
    let mut unpacked = [0; UNPACKED];
    for group in 0..groups {
        let outputs = p.output[3] / groups;
        let mut filter = 0;
        while filter < outputs {
            let count = together.min(outputs - filter);
            let first = group * outputs + filter;
            let Some(filters) = unpacked.get_mut(..count * filter_len) else { return };
            weights.tail(first.wrapping_mul(filter_len)).unpack(filters);
            let share = Filters { group, first, count };
            convolve_share::<P, Filters>(p, share, rows.clone(), input, filters, run(channels, first, count), output);
            filter += count;
        }
    }
}

/// Some output channels of one group.
#[derive(Clone, Copy)]
struct Filters {
    group: usize,
    first: usize,
    count: usize,
}

impl Share for Filters {
    #[inline]
    fn groups(self, _: usize) -> Range<usize> {
        self.group..self.group + 1
    }

    #[inline]
    fn outputs(self, _: usize) -> usize {
        self.count
    }

    #[inline]
    fn first(self) -> usize {
        self.first
    }
}

/// Convolves with filters that are too large to be unpacked whole: pixel by pixel, tap by tap.
#[inline(never)]
fn convolve_large(
    p: &Conv2d,
    rows: Range<usize>,
    input: &[i8],
    weights: Int4<'_>,
    channels: &[Channel],
    output: &mut [i8],
) {
    let [_, out_height, out_width, out_channels] = p.output;
    let [vertical, horizontal] = Axis::pair(p.input, &p.window);
    let groups = p.groups.max(1);
    let (inputs, outputs) = (p.input[3] / groups, out_channels / groups);
    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        let y = vertical.clip(y);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            let x = horizontal.clip(x);
            let start = pixel_start(p.input, [image, y.input, x.input]);
            for_each_line(0..groups, outputs, pixel, |group, pixel| {
                let input = tail(input, start.wrapping_add(group * inputs));
                let window = LargeWindow { p, input, inputs, taps: [&y, &x] };
                let first = group * outputs;
                let filters = weights.tail(first.wrapping_mul(window.filter_len()));
                multiply_filters(&window, filters, run(channels, first, outputs), 0, finish, pixel);
            });
        });
    });
}

/// The window of a pixel in a group.
struct LargeWindow<'a> {
    p: &'a Conv2d,
    /// From the first tap inside the input on.
    input: &'a [i8],
    /// The number of channels that a filter reads.
    inputs: usize,
    taps: [&'a Taps; 2],
}

impl Products for LargeWindow<'_> {
    fn filter_len(&self) -> usize {
        let [height, width] = self.p.window.kernel;
        height.wrapping_mul(width).wrapping_mul(self.inputs)
    }

    fn add<const N: usize>(&self, accumulators: &mut [i32; N], filters: Int4<'_>) {
        let ([height, width], [y, x]) = (self.p.window.kernel, self.taps);
        let [_, _, in_width, in_channels] = self.p.input;
        let [vertical, horizontal] = self.p.window.dilation;
        let (mut tap, len) = (filters, self.filter_len());
        for ky in 0..height {
            for kx in 0..width {
                let inputs = if y.taps.contains(&ky) && x.taps.contains(&kx) {
                    let line = (ky - y.taps.start).wrapping_mul(vertical).wrapping_mul(in_width);
                    let column = (kx - x.taps.start).wrapping_mul(horizontal);
                    let from = line.wrapping_add(column).wrapping_mul(in_channels);
                    Inputs::Run(run(self.input, from, self.inputs))
                } else {
                    // A valid zero point is in the range of a byte.
                    Inputs::Same(self.p.input_zero_point as i8, self.inputs)
                };
                dot_rows_int4(accumulators, inputs, tap, len);
                tap = tap.tail(self.inputs);
            }
        }
    }
}
