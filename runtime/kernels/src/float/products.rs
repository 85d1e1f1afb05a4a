//! The inner loops of the f32 kernels, in plain Rust: products with rows of weights, and depthwise taps.
//!
//! An instruction set may replace them ([`arch`](crate::arch)); the bits are the same.

use super::finish::Finish;
use super::sum::{Sum, Weight, add_products};
use super::weights::Weights;
use super::{at, clamp};
#[cfg(x86_64_vectors)]
use crate::arch::Arranged;
use crate::lines::{run, tail};
use crate::portable::{Steps, Window};
#[cfg(not(x86_64_vectors))]
use core::ops::Range;

/// Rows that are multiplied together, so that each input is loaded once for all of them. Their sums need twice as many
/// registers of four lanes, which cores without vectors do not have.
const ROWS: usize =
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32")) { 4 } else { 1 };

/// Writes to `outputs[r]` the sum of the products of a window of `input` with row `r` of `weights`, in eight lanes.
///
/// A tap of the window is a run of `len` elements, which starts at lane 0. Row `r` of the weights starts at element
/// `r * stride`. If the runs do not lie within both slices, nothing is written.
pub(crate) fn multiply_f32<W: Weight>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
    outputs: &mut [f32],
) {
    if !rows_fit(window, len, [input.len(), weights.len()], stride, outputs.len()) {
        return;
    }
    let mut rows = weights;
    let (groups, rest) = outputs.as_chunks_mut::<ROWS>();
    for group in groups {
        *group = totals(window, len, input, rows, stride);
        rows = tail(rows, ROWS.wrapping_mul(stride));
    }
    for output in rest {
        [*output] = totals(window, len, input, rows, stride);
        rows = tail(rows, stride);
    }
}

/// Whether all runs of a window of `count` rows of weights lie within slices of the lengths `[input, weights]`.
#[inline]
pub(crate) fn rows_fit(window: &Window, len: usize, [input, weights]: [usize; 2], stride: usize, count: usize) -> bool {
    // A saturated product exceeds the length of any slice.
    let last = if window.is_empty() { 0 } else { stride.saturating_mul(count.saturating_sub(1)) };
    weights.checked_sub(last).is_some_and(|weights| window.fits(len, [input, weights]))
}

/// Weights in another order: there are none here.
#[cfg(not(x86_64_vectors))]
#[derive(Clone, Copy)]
pub struct Arranged<'a>(core::convert::Infallible, core::marker::PhantomData<&'a f32>);

#[cfg(not(x86_64_vectors))]
impl Arranged<'_> {
    /// The weights from one of a filter's on.
    pub(crate) fn tail(self, _: usize) -> Self {
        self
    }
}

/// Calls `f` for all filters of a layer, with their weights in another order if there is one.
#[cfg(not(x86_64_vectors))]
#[inline]
pub(crate) fn for_each_block<W>(
    _: &[W],
    _: usize,
    filters: usize,
    _: usize,
    mut f: impl FnMut(Range<usize>, Option<Arranged<'_>>),
) {
    f(0..filters, None);
}

/// Adjacent pixels of a layer whose windows have the same taps.
#[derive(Clone, Copy)]
pub struct Pixels<'a, S: Weights> {
    /// The taps of the first pixel.
    pub(crate) window: Window,
    /// The number of elements of a tap that a sum runs over.
    pub(crate) len: usize,
    pub(crate) input: &'a [f32],
    pub(crate) weights: S,
    /// From a row of the weights to the next.
    pub(crate) stride: usize,
    /// What finishes the sum of each channel.
    pub(crate) finish: &'a [S::Finish],
    /// Minimum and maximum of the outputs.
    pub(crate) activation: [f32; 2],
    /// The number of outputs of a pixel.
    pub(crate) channels: usize,
    pub(crate) steps: Steps,
    /// The weights of these channels from this window's first tap on, if the instruction set has brought them into
    /// another order.
    #[cfg_attr(not(x86_64_vectors), allow(dead_code))] // always none
    pub(crate) arranged: Option<Arranged<'a>>,
}

impl<S: Weights> Pixels<'_, S> {
    /// The length of the input that is left for the window of the first pixel if all others shall lie within it, too;
    /// `None` if there is none, or if the pixels do not lie within `outputs` elements.
    #[inline]
    pub(crate) fn room(&self, outputs: usize) -> Option<usize> {
        // A saturated product exceeds the length of any slice.
        let last = self.steps.count.saturating_sub(1);
        let reach = if self.window.is_empty() { 0 } else { self.steps.input.saturating_mul(last) };
        let end = self.steps.output.saturating_mul(last).saturating_add(self.channels);
        self.input.len().checked_sub(reach).filter(|_| end <= outputs)
    }

    /// The channels from one of them on, whose weights are rows.
    #[cfg(x86_64_vectors)]
    #[inline]
    pub(crate) fn rows_from(&self, channel: usize) -> Self {
        Self {
            weights: self.weights.tail(channel.wrapping_mul(self.stride)),
            finish: tail(self.finish, channel),
            channels: self.channels.saturating_sub(channel),
            arranged: None,
            ..*self
        }
    }

    /// Calls `f` for each pixel, with the input from the first tap on, and the pixel's outputs; then finishes the sums.
    #[inline]
    fn for_each(&self, outputs: &mut [f32], mut f: impl FnMut(&[f32], &mut [f32])) {
        let (mut input, mut outputs) = (self.input, outputs);
        for _ in 0..self.steps.count {
            let Some(pixel) = outputs.get_mut(..self.channels) else { return };
            f(input, pixel);
            S::Finish::finish(pixel, self.finish, self.activation);
            input = tail(input, self.steps.input);
            outputs = outputs.get_mut(self.steps.output..).unwrap_or(&mut []);
        }
    }
}

/// Whether layers compute whole lines of pixels by [`multiply_pixels`] and [`depthwise_pixels`], which takes less time
/// only where vectors do.
#[cfg_attr(x86_64_vectors, allow(dead_code))] // theirs is true
pub(crate) const WHOLE_LINES: bool = false;

/// For each pixel the sums of [`multiply_f32`], finished. If a pixel or a tap does not lie within the
/// slices, nothing is written.
pub(crate) fn multiply_pixels<S: Weights>(pixels: &Pixels<'_, S>, outputs: &mut [f32]) {
    let Pixels { window, len, weights, stride, channels, .. } = *pixels;
    let fits = |room| rows_fit(&window, len, [room, weights.count()], stride, channels);
    if pixels.room(outputs.len()).is_some_and(fits) {
        pixels.for_each(outputs, |input, pixel| weights.multiply(&window, len, input, stride, pixel));
    }
}

/// For each pixel the sums of [`depthwise_f32`], finished. If a pixel or a tap does not lie within the
/// slices, nothing is written.
pub(crate) fn depthwise_pixels<S: Weights>(pixels: &Pixels<'_, S>, outputs: &mut [f32]) {
    let Pixels { window, weights, channels, .. } = *pixels;
    let fits = |room| window.fits(channels, [room, weights.count()]);
    if pixels.room(outputs.len()).is_some_and(fits) {
        pixels.for_each(outputs, |input, pixel| weights.depthwise(&window, input, pixel));
    }
}

/// The totals of `N` rows.
#[inline]
fn totals<W: Weight, const N: usize>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
) -> [f32; N] {
    let mut sums = [Sum::default(); N];
    window.for_each_tap(input, weights, |input, weights| {
        let mut rows = [run(weights, 0, len); N];
        for (r, row) in rows.iter_mut().enumerate().skip(1) {
            *row = run(weights, r.wrapping_mul(stride), len);
        }
        add_products(&mut sums, run(input, 0, len), rows);
    });
    sums.map(Sum::total)
}

/// Writes to `outputs[c]` the sum of the products of element `c` of each tap of `input` and of `weights`, tap by tap.
///
/// If the taps do not lie within both slices, nothing is written.
pub(crate) fn depthwise_f32<W: Weight>(window: &Window, input: &[f32], weights: &[W], outputs: &mut [f32]) {
    if !window.fits(outputs.len(), [input.len(), weights.len()]) {
        return;
    }
    let (mut input, mut weights) = (input, weights);
    let (blocks, rest) = outputs.as_chunks_mut::<8>();
    for block in blocks {
        let mut sums = [0.0; 8];
        window.for_each_tap(input, weights, |input, weights| {
            if let (Some(x), Some(w)) = (input.first_chunk::<8>(), weights.first_chunk::<8>()) {
                for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                    *sum += x * w.to_f32();
                }
            }
        });
        *block = sums;
        (input, weights) = (tail(input, 8), tail(weights, 8));
    }
    rest.fill(0.0);
    window.for_each_tap(input, weights, |input, weights| {
        for ((sum, x), w) in rest.iter_mut().zip(input).zip(weights) {
            *sum += x * w.to_f32();
        }
    });
}

/// Adds the biases to sums, 0 where there are none, and clamps them.
pub(crate) fn add_bias(sums: &mut [f32], bias: &[f32], activation: [f32; 2]) {
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = clamp(*sum + at(bias, i), activation);
    }
}
