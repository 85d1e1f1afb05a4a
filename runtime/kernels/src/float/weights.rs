//! The forms in which the weights of a layer are stored: a slice of [`Weight`]s, or packed int4.

use super::finish::{Finish, ScaleBias};
use super::products::{self, Pixels};
use super::sum::{Sum, Weight, add_products, add_scaled};
use crate::arch::{self, Arranged};
use crate::int4::Int4;
use crate::lines::{run, tail};
use crate::portable::Window;
use core::ops::Range;

/// The weights of a layer, or those from one of them on: a slice of [`Weight`]s, or [`Int4`].
pub trait Weights: Copy {
    /// What an output channel has besides its weights: a bias; for integers, their scale too.
    type Finish: Finish;

    /// Whether layers compute whole lines of pixels.
    const WHOLE_LINES: bool;

    /// The number of weights.
    fn count(self) -> usize;

    /// The weights from number `from` on; none if there are fewer.
    #[must_use]
    fn tail(self, from: usize) -> Self;

    /// Writes to each output the sum of the products of a window with its row: `products::multiply_f32`.
    fn multiply(self, window: &Window, len: usize, input: &[f32], stride: usize, outputs: &mut [f32]);

    /// Writes to each output the sum of the products of its channel: `products::depthwise_f32`.
    fn depthwise(self, window: &Window, input: &[f32], outputs: &mut [f32]);

    /// For each pixel the sums of [`multiply`](Self::multiply), finished: `products::multiply_pixels`.
    fn multiply_pixels(pixels: &Pixels<'_, Self>, outputs: &mut [f32]);

    /// For each pixel the sums of [`depthwise`](Self::depthwise), finished: `products::depthwise_pixels`.
    fn depthwise_pixels(pixels: &Pixels<'_, Self>, outputs: &mut [f32]);

    /// Calls `f` for all filters of a layer, of `len` weights each, some of them at a time; with their weights in
    /// another order if the instruction set brings them into one, which so many pixels share.
    fn for_each_block(
        self,
        len: usize,
        filters: usize,
        pixels: usize,
        f: impl FnMut(Range<usize>, Option<Arranged<'_>>),
    );

    /// Adds to a sum the products of `x` with the first weights, if there are as many.
    fn add_products(self, sum: &mut Sum, x: &[f32]);

    /// Adds `factor` times its weight to each element of `output`.
    fn add_scaled(self, output: &mut [f32], factor: f32);
}

impl<W: Weight> Weights for &[W] {
    type Finish = W::Finish;

    const WHOLE_LINES: bool = arch::WHOLE_LINES;

    #[inline]
    fn count(self) -> usize {
        <[W]>::len(self)
    }

    #[inline]
    fn tail(self, from: usize) -> Self {
        tail(self, from)
    }

    #[inline]
    fn multiply(self, window: &Window, len: usize, input: &[f32], stride: usize, outputs: &mut [f32]) {
        arch::multiply_f32(window, len, input, self, stride, outputs);
    }

    #[inline]
    fn depthwise(self, window: &Window, input: &[f32], outputs: &mut [f32]) {
        arch::depthwise_f32(window, input, self, outputs);
    }

    #[inline]
    fn multiply_pixels(pixels: &Pixels<'_, Self>, outputs: &mut [f32]) {
        arch::multiply_pixels(pixels, outputs);
    }

    #[inline]
    fn depthwise_pixels(pixels: &Pixels<'_, Self>, outputs: &mut [f32]) {
        arch::depthwise_pixels(pixels, outputs);
    }

    #[inline]
    fn for_each_block(
        self,
        len: usize,
        filters: usize,
        pixels: usize,
        f: impl FnMut(Range<usize>, Option<Arranged<'_>>),
    ) {
        arch::for_each_block(self, len, filters, pixels, f);
    }

    #[inline]
    fn add_products(self, sum: &mut Sum, x: &[f32]) {
        add_products(core::array::from_mut(sum), x, [run(self, 0, x.len())]);
    }

    #[inline]
    fn add_scaled(self, output: &mut [f32], factor: f32) {
        add_scaled(output, factor, self);
    }
}

/// The sums are those of weights of type i8, bit for bit.
impl Weights for Int4<'_> {
    type Finish = ScaleBias;

    const WHOLE_LINES: bool = false;

    #[inline]
    fn count(self) -> usize {
        self.len()
    }

    #[inline]
    fn tail(self, from: usize) -> Self {
        self.tail(from)
    }

    #[inline(never)]
    fn multiply(self, window: &Window, len: usize, input: &[f32], stride: usize, outputs: &mut [f32]) {
        if !products::rows_fit(window, len, [input.len(), self.len()], stride, outputs.len()) {
            return;
        }
        let mut row = self;
        for output in outputs {
            let mut sum = Sum::default();
            window.for_each_start(|from, weight| row.tail(weight).add_products(&mut sum, run(input, from, len)));
            *output = sum.total();
            row = row.tail(stride);
        }
    }

    #[inline(never)]
    fn depthwise(self, window: &Window, input: &[f32], outputs: &mut [f32]) {
        if !window.fits(outputs.len(), [input.len(), self.len()]) {
            return;
        }
        for (i, outputs) in outputs.chunks_mut(8).enumerate() {
            let channel = i.wrapping_mul(8);
            let mut sums = [0.0; 8];
            window.for_each_start(|from, weight| {
                let codes = self.eight(weight.wrapping_add(channel)).codes();
                for ((sum, x), code) in sums.iter_mut().zip(tail(input, from.wrapping_add(channel))).zip(codes) {
                    *sum += x * code as f32;
                }
            });
            crate::lines::copy(outputs, &sums);
        }
    }

    fn multiply_pixels(pixels: &Pixels<'_, Self>, outputs: &mut [f32]) {
        products::multiply_pixels(pixels, outputs);
    }

    fn depthwise_pixels(pixels: &Pixels<'_, Self>, outputs: &mut [f32]) {
        products::depthwise_pixels(pixels, outputs);
    }

    #[inline]
    fn for_each_block(self, _: usize, filters: usize, _: usize, mut f: impl FnMut(Range<usize>, Option<Arranged<'_>>)) {
        f(0..filters, None);
    }

    #[inline]
    fn add_products(self, sum: &mut Sum, x: &[f32]) {
        for (i, x) in x.chunks(8).enumerate() {
            sum.add_codes(x, self.eight(i.wrapping_mul(8)));
        }
    }

    #[inline]
    fn add_scaled(self, output: &mut [f32], factor: f32) {
        for (i, output) in output.chunks_mut(8).enumerate() {
            for (output, code) in output.iter_mut().zip(self.eight(i.wrapping_mul(8)).codes()) {
                *output += factor * code as f32;
            }
        }
    }
}
