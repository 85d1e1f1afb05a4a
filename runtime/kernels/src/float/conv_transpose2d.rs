//! ConvTranspose2d: transposed convolution, in which each input contributes to a window of the output; NHWC
//! input, OHWI weights.
//!
//! `out[n, y, x, o] = clamp(Σ w[o, ky, kx, i] * in[n, iy, ix, i] + bias[o])` over the taps and inputs with
//! `iy * stride + ky * dilation - pad = y`, and likewise in `x`. Each tap starts at lane 0 of the eight
//! sums.
//!
//! Sources: ONNX operator ConvTranspose; TensorFlow Lite operator TRANSPOSE_CONV.

use core::ops::Range;

use super::clamp;
use super::finish::Finish;
use super::sum::Sum;
use super::weights::Weights;
use crate::lines::{for_each_line, run};
use crate::window::{div_rem, pixel_start};
use tealight_types::Window2d;

/// Parameters of [`conv_transpose2d`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvTranspose2d {
    /// Input shape, NHWC.
    pub input: [usize; 4],
    /// Output shape, NHWC.
    pub output: [usize; 4],
    /// The window. Its padding is the number of output rows above and columns to the left that are cut off.
    pub window: Window2d,
    /// Number of groups: each reads `input[3] / groups` channels and computes `output[3] / groups`.
    pub groups: usize,
    /// Minimum and maximum of the output.
    pub activation: [f32; 2],
}

impl ConvTranspose2d {
    /// The input coordinate that tap `tap` of output coordinate `output` reads along `axis` (0 or 1).
    #[inline]
    fn source(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        let of = |pair: [usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let [_, height, width, _] = self.input;
        let distance =
            output.wrapping_add(of(self.window.pad)).checked_sub(tap.wrapping_mul(of(self.window.dilation)))?;
        let (source, rest) = div_rem(distance, of(self.window.stride));
        (rest == 0 && source < of([height, width])).then_some(source)
    }
}

/// Computes output rows `rows`; a row is one of the `N * OH` lines of `OW * C` elements.
///
/// `weights` is OHWI with `I = input[3] / groups`, `channels` has `output[3]` entries, or none for biases of 0, and
/// `output` holds the lines of `rows` only.
pub fn conv_transpose2d<S: Weights>(
    p: &ConvTranspose2d,
    rows: Range<usize>,
    input: &[f32],
    weights: S,
    channels: &[S::Finish],
    output: &mut [f32],
) {
    let ([kernel_height, kernel_width], groups) = (p.window.kernel, p.groups.max(1));
    let [_, out_height, out_width, out_channels] = p.output;
    let (group_inputs, group_outputs) = (p.input[3] / groups, out_channels / groups);
    for_each_line(rows, out_width * out_channels, output, |row, line| {
        let (image, y) = div_rem(row, out_height);
        for_each_line(0..out_width, out_channels, line, |x, pixel| {
            for (o, output) in pixel.iter_mut().enumerate() {
                let (group, _) = div_rem(o, group_outputs);
                let mut sum = Sum::default();
                for ky in 0..kernel_height {
                    let Some(iy) = p.source(0, y, ky) else { continue };
                    for kx in 0..kernel_width {
                        let Some(ix) = p.source(1, x, kx) else { continue };
                        let from = pixel_start(p.input, [image, iy, ix]) + group * group_inputs;
                        let tap = (o * kernel_height + ky) * kernel_width + kx;
                        weights.tail(tap * group_inputs).add_products(&mut sum, run(input, from, group_inputs));
                    }
                }
                *output = clamp(S::Finish::finish_one(sum.total(), channels, o), p.activation);
            }
        });
    });
}
