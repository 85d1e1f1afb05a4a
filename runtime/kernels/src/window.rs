//! Sliding windows: the taps of a kernel that meet the input, along one axis.

use crate::lines::split_line;
use core::ops::Range;
use tealight_types::Window2d;

/// One axis of a sliding window.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad: usize,
}

/// The taps of a window that are inside the input; the others are in the padding.
#[derive(Clone)]
pub(crate) struct Taps {
    /// Indices of the taps in the kernel.
    pub(crate) taps: Range<usize>,
    /// Input coordinate of the first tap.
    pub(crate) input: usize,
}

impl Axis {
    /// The vertical and the horizontal axis of a window over an NHWC input.
    #[inline]
    pub(crate) fn pair([_, height, width, _]: [usize; 4], window: &Window2d) -> [Self; 2] {
        let Window2d { kernel, stride, dilation, pad } = window;
        let axis = |input, kernel, stride, dilation, pad| Self { input, kernel, stride, dilation, pad };
        [
            axis(height, kernel[0], stride[0], dilation[0], pad[0]),
            axis(width, kernel[1], stride[1], dilation[1], pad[1]),
        ]
    }

    /// The window of output coordinate `output`, clipped to the input.
    ///
    /// Tap `k` lies at `output * stride + k * dilation - pad`.
    // Many call it, and the flash of these cores is short.
    #[cfg_attr(any(arm_v6m, arm_v7m, all(arm_dsp, not(arm_mve))), inline(never))]
    #[cfg_attr(not(any(arm_v6m, arm_v7m, all(arm_dsp, not(arm_mve)))), inline)]
    pub(crate) fn clip(self, output: usize) -> Taps {
        let dilation = self.dilation.max(1);
        let origin = output.wrapping_mul(self.stride);
        let ceil_div = |distance: usize| match dilation {
            1 => distance,
            _ => distance.div_ceil(dilation),
        };
        let start = ceil_div(self.pad.saturating_sub(origin));
        let end = self.pad.saturating_add(self.input).saturating_sub(origin);
        let end = ceil_div(end).min(self.kernel);
        let start = start.min(end);
        let input = origin.wrapping_add(start.wrapping_mul(dilation)).saturating_sub(self.pad);
        Taps { taps: start..end, input }
    }

    /// The number of input coordinates from the first tap to the last.
    #[inline]
    pub(crate) fn extent(self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation.max(1)).saturating_add(1)
    }

    /// The output coordinates below `outputs` whose windows have all taps inside the input.
    #[inline]
    pub(crate) fn whole_windows(self, outputs: usize) -> Range<usize> {
        let Some(room) = self.pad.saturating_add(self.input).checked_sub(self.extent()) else { return 0..0 };
        let stride = self.stride.max(1);
        let range = self.pad.div_ceil(stride)..(room / stride).saturating_add(1).min(outputs);
        if range.is_empty() { 0..0 } else { range }
    }
}

impl Taps {
    /// The number of taps that meet the input.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.taps.len()
    }
}

/// The lines of adjacent output pixels in which a layer is computed: rows of its output. Where input, output and kernel
/// are one column wide, the column of an image is one line: its height and width are exchanged.
pub(crate) struct Lines {
    /// The shape of the output, NHWC, of which the lines are rows.
    pub(crate) output: [usize; 4],
    /// Whether height and width are exchanged.
    pub(crate) exchanged: bool,
}

impl Lines {
    /// The lines of a layer, and its input's shape and its window, with the axes exchanged where those of the output are.
    #[inline]
    pub(crate) fn new(input: [usize; 4], output: [usize; 4], window: &Window2d) -> (Self, [usize; 4], Window2d) {
        // Not as arrays: a comparison of twelve bytes is a call of `memcmp`.
        let exchanged = input[2] == 1 && output[2] == 1 && window.kernel[1] == 1 && window.pad[1] == 0;
        if !exchanged {
            return (Self { output, exchanged }, input, *window);
        }
        let swap = |[images, height, width, channels]: [usize; 4]| [images, width, height, channels];
        let Window2d { kernel, stride, dilation, pad } = *window;
        let [kernel, stride, dilation, pad] = [kernel, stride, dilation, pad].map(|[height, width]| [width, height]);
        (Self { output: swap(output), exchanged }, swap(input), Window2d { kernel, stride, dilation, pad })
    }

    /// The rows of an output, NHWC.
    #[inline]
    pub(crate) fn rows(output: [usize; 4]) -> Self {
        Self { output, exchanged: false }
    }

    /// Whether lines are columns of images.
    #[inline]
    pub(crate) fn are_columns(&self) -> bool {
        self.exchanged
    }

    /// Calls `f` for the lines of some rows of the layer's output, with the image and the row of a line, its pixels, and
    /// their elements in `output`, which holds these rows.
    #[inline]
    pub(crate) fn for_each<T>(
        &self,
        mut rows: Range<usize>,
        mut output: &mut [T],
        mut f: impl FnMut([usize; 2], Range<usize>, &mut [T]),
    ) {
        let [_, height, width, channels] = self.output;
        while !rows.is_empty() {
            let (image, y) = div_rem(rows.start, if self.exchanged { width } else { height });
            let (count, at, pixels) = if self.exchanged {
                let count = rows.len().min(width.saturating_sub(y).max(1));
                (count, [image, 0], y..y + count)
            } else {
                (1, [image, y], 0..width)
            };
            let Some((line, later)) = output.split_at_mut_checked(pixels.len() * channels) else { return };
            f(at, pixels, line);
            (rows, output) = (rows.start + count..rows.end, later);
        }
    }
}

/// Calls `inside` for the pixels `xs` of a line, of `channels` elements each in `line`, whose windows are whole, and
/// `border` for those before and after them. The columns in `whole` have such windows.
#[inline]
pub(crate) fn for_each_part<T>(
    whole: &Range<usize>,
    xs: Range<usize>,
    channels: usize,
    line: &mut [T],
    border: impl Fn(Range<usize>, &mut [T]),
    inside: impl Fn(Range<usize>, &mut [T]),
) {
    let start = whole.start.max(xs.start).min(xs.end);
    let end = whole.end.max(start).min(xs.end);
    if start == end {
        return border(xs, line);
    }
    let Some([left, middle, right]) = split_line(line, &(start - xs.start..end - xs.start), channels) else { return };
    border(xs.start..start, left);
    border(end..xs.end, right);
    inside(start..end, middle);
}

/// The first element of a pixel of an NHWC tensor.
#[inline]
pub(crate) fn pixel_start([_, height, width, depth]: [usize; 4], at: [usize; 3]) -> usize {
    let [image, y, x] = at;
    let line = image.wrapping_mul(height).wrapping_add(y);
    line.wrapping_mul(width).wrapping_add(x).wrapping_mul(depth)
}

/// Quotient and remainder; a zero divisor counts as one.
#[inline]
pub(crate) fn div_rem(a: usize, b: usize) -> (usize, usize) {
    let b = b.max(1);
    (a / b, a % b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipped_window_holds_the_taps_that_meet_the_input() {
        for (input, kernel, stride) in [(1, 1, 1), (5, 3, 1), (5, 3, 2), (2, 4, 3), (7, 2, 4)] {
            for (dilation, pad) in [(1, 0), (1, 1), (2, 2), (3, 1), (3, 5)] {
                let axis = Axis { input, kernel, stride, dilation, pad };
                for output in 0..9 {
                    let at = |k: usize| (output * stride + k * dilation) as i64 - pad as i64;
                    let inside: std::vec::Vec<usize> =
                        (0..kernel).filter(|&k| (0..input as i64).contains(&at(k))).collect();
                    let clipped = axis.clip(output);
                    assert_eq!(axis.whole_windows(9).contains(&output), inside.len() == kernel);
                    assert_eq!(clipped.taps.clone().collect::<std::vec::Vec<_>>(), inside);
                    if let Some(&first) = inside.first() {
                        assert_eq!(clipped.input as i64, at(first));
                    }
                }
            }
        }
    }
}
