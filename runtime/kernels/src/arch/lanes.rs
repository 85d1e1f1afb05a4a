//! The f32 loops on vector registers, which hold the eight lanes of a sum.
//!
//! Two pixels are multiplied with four rows of weights, so that each input is loaded once for four sums and each weight
//! for two; of a single pixel, eight rows. No sum waits for the one before it, and eight are reduced to their totals
//! together. Of short windows the channels lie in the lanes instead, and each lane of a sum is a vector of its own.
//!
//! What is loaded behind the end of a run is 0 in both operands: a lane starts at +0, no sum of its terms is -0, and so
//! adding `0 * 0` does not change a bit of it. Where sums are finished here, a lane may start with its first product
//! instead: it then differs in the sign of zero at most, and so does the total, which is made +0 by a bias that is not
//! -0.
//!
//! The bits are those of [`products`](crate::float::products).

#[cfg(arm_neon)]
use super::arm_neon::float::Lanes;
#[cfg(x86_64_vectors)]
use super::x86_64::float::Lanes;
use crate::float::products::Pixels;
use crate::float::{Finish, Weight};
use crate::lines::tail;
use crate::portable::{Steps, Window};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;
use half::f16;

/// A type of weights.
pub trait Element: Copy {
    /// Loads eight elements.
    ///
    /// # Safety
    /// There are eight from `from` on; the processor has the instructions of [`Lanes`].
    unsafe fn load(from: *const Self) -> Lanes;

    /// Loads fewer than eight elements, and 0 behind them.
    ///
    /// # Safety
    /// There are `count` from `from` on; the processor has the instructions of [`Lanes`].
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes;

    /// The products of the eight elements from each of two pixels on with those from each of four rows on: those of the
    /// first pixel, then those of the second. Moves the pointers behind them.
    ///
    /// # Safety
    /// There are eight from each pointer on; the processor has the instructions of [`Lanes`].
    unsafe fn multiply_block(x: &mut [*const f32; 2], w: &mut [*const Self; 4]) -> [Lanes; 8];

    /// Adds such products to the sums of `blocks` times eight elements, at least of one block. Moves the pointers
    /// behind them.
    ///
    /// # Safety
    /// There are as many from each pointer on; the processor has the instructions of [`Lanes`].
    unsafe fn add_blocks(sums: &mut [Lanes; 8], blocks: usize, x: &mut [*const f32; 2], w: &mut [*const Self; 4]);

    /// Adds to the sums of eight rows the products of `blocks` times eight elements, at least of one block. Row `r`
    /// starts `r * stride` elements behind `w`.
    ///
    /// # Safety
    /// There are as many from `x` and from the start of each row on; the processor has the instructions of [`Lanes`].
    unsafe fn add_rows(sums: &mut [Lanes; 8], blocks: usize, x: *const f32, w: *const Self, stride: usize);
}

/// The bits of fewer than eight halves, four in each word, and 0 behind them.
///
/// # Safety
/// There are `count` from `from` on.
#[inline(always)]
pub(super) unsafe fn some_halves(from: *const f16, count: usize) -> [u64; 2] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let fewer_than_four = |from: *const f16, count| match count {
            0 => 0,
            1 => from.cast::<u16>().read_unaligned().into(),
            2 => from.cast::<u32>().read_unaligned().into(),
            _ => {
                let last = u64::from(from.wrapping_add(2).cast::<u16>().read_unaligned());
                u64::from(from.cast::<u32>().read_unaligned()) | last << 32
            }
        };
        match count.checked_sub(4) {
            Some(more) => [from.cast::<u64>().read_unaligned(), fewer_than_four(from.wrapping_add(4), more)],
            None => [fewer_than_four(from, count), 0],
        }
    }
}

/// Fewer than eight bytes, from the lowest on, and 0 behind them.
///
/// # Safety
/// There are `count` from `from` on.
#[inline(always)]
pub(super) unsafe fn some_bytes(from: *const i8, count: usize) -> u64 {
    let (mut bytes, mut from, mut shift) = (0, from, 0);
    // SAFETY: guaranteed by the caller: the parts are those of `count`, one after another.
    unsafe {
        if count & 4 != 0 {
            bytes = u64::from(from.cast::<u32>().read_unaligned());
            (from, shift) = (from.wrapping_add(4), 32);
        }
        if count & 2 != 0 {
            bytes |= u64::from(from.cast::<u16>().read_unaligned()) << shift;
            (from, shift) = (from.wrapping_add(2), shift + 16);
        }
        if count & 1 != 0 {
            bytes |= u64::from(from.cast::<u8>().read()) << shift;
        }
    }
    bytes
}

/// The positions of the taps of a window, as pointers to their first elements.
///
/// # Safety
/// `f` may use as many elements of each tap as lie within the slices that the pointers point into.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn for_each_tap<W>(
    window: &Window,
    input: *const f32,
    weights: *const W,
    mut f: impl FnMut(*const f32, *const W),
) {
    let (mut input_line, mut weights_line) = (input, weights);
    for _ in 0..window.lines {
        let (mut input, mut weights) = (input_line, weights_line);
        for _ in 0..window.runs {
            f(input, weights);
            (input, weights) = (input.wrapping_add(window.run[0]), weights.wrapping_add(window.run[1]));
        }
        input_line = input_line.wrapping_add(window.line[0]);
        weights_line = weights_line.wrapping_add(window.line[1]);
    }
}

/// The totals of `N` rows, of which there are at most eight, in the first lanes.
///
/// # Safety
/// As for [`multiply`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(never))] // inlined, its sums would not stay in registers
unsafe fn totals<W: Element, const N: usize>(
    window: &Window,
    len: usize,
    input: *const f32,
    weights: *const W,
    stride: usize,
) -> Lanes {
    let (blocks, rest) = (len / 8, len % 8);
    let mut sums = [Lanes::zero(); 8];
    // SAFETY: guaranteed by the caller; `i` and the elements after it are within the run.
    unsafe {
        for_each_tap(window, input, weights, |input, weights| {
            let mut i = 0;
            if N == 8 && blocks > 0 {
                W::add_rows(&mut sums, blocks, input, weights, stride);
                i = 8 * blocks;
            }
            while i < 8 * blocks {
                let x = f32::load(input.wrapping_add(i));
                for (r, sum) in sums.iter_mut().enumerate().take(N) {
                    *sum = sum.add_product(x, W::load(weights.wrapping_add(r * stride + i)));
                }
                i += 8;
            }
            if rest > 0 {
                let x = f32::load_some(input.wrapping_add(i), rest);
                for (r, sum) in sums.iter_mut().enumerate().take(N) {
                    *sum = sum.add_product(x, W::load_some(weights.wrapping_add(r * stride + i), rest));
                }
            }
        });
    }
    Lanes::totals(sums)
}

/// [`products::multiply_f32`](crate::float::products::multiply_f32) for operands that fit.
///
/// # Safety
/// All taps of as many rows as there are outputs lie from the pointers on; the processor has the instructions of
/// [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
pub(super) unsafe fn multiply<W: Element>(
    window: &Window,
    len: usize,
    input: *const f32,
    weights: *const W,
    stride: usize,
    outputs: &mut [f32],
) {
    let mut row = weights;
    let (eights, rest) = outputs.as_chunks_mut::<8>();
    let (fours, rest) = rest.as_chunks_mut::<4>();
    for outputs in eights {
        // SAFETY: guaranteed by the caller.
        *outputs = unsafe { totals::<W, 8>(window, len, input, row, stride) }.elements();
        row = row.wrapping_add(stride.wrapping_mul(8));
    }
    for outputs in fours {
        // SAFETY: as above.
        let totals = unsafe { totals::<W, 4>(window, len, input, row, stride) };
        outputs.copy_from_slice(totals.elements().first_chunk::<4>().unwrap_or(&[0.0; 4]));
        row = row.wrapping_add(stride.wrapping_mul(4));
    }
    for output in rest {
        // SAFETY: as above.
        [*output, ..] = unsafe { totals::<W, 1>(window, len, input, row, stride) }.elements();
        row = row.wrapping_add(stride);
    }
}

/// The sums over all taps of `N` vectors of channels.
///
/// # Safety
/// As for [`depthwise`]: so many channels are there.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn whole_channels<W: Element, const N: usize>(
    window: &Window,
    input: *const f32,
    weights: *const W,
) -> [Lanes; N] {
    let mut sums = [Lanes::zero(); N];
    // SAFETY: guaranteed by the caller.
    unsafe {
        for_each_tap(window, input, weights, |input, weights| {
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = f32::load(input.wrapping_add(8 * i));
                *sum = sum.add_product(x, W::load(weights.wrapping_add(8 * i)));
            }
        });
    }
    sums
}

/// The sums over all taps of fewer than eight channels; the other lanes are 0.
///
/// # Safety
/// As for [`depthwise`]: so many channels are there.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn some_channels<W: Element>(window: &Window, input: *const f32, weights: *const W, count: usize) -> Lanes {
    let mut sum = Lanes::zero();
    // SAFETY: guaranteed by the caller.
    unsafe {
        for_each_tap(window, input, weights, |input, weights| {
            sum = sum.add_product(f32::load_some(input, count), W::load_some(weights, count));
        });
    }
    sum
}

/// [`products::depthwise_f32`](crate::float::products::depthwise_f32) for operands that fit: 32 channels at a time,
/// then eight.
///
/// # Safety
/// As many elements of each tap as there are outputs lie from the pointers on; the processor has the instructions of
/// [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
pub(super) unsafe fn depthwise<W: Element>(window: &Window, input: *const f32, weights: *const W, outputs: &mut [f32]) {
    let (mut input, mut weights) = (input, weights);
    let (blocks, rest) = outputs.as_chunks_mut::<32>();
    let (eights, rest) = rest.as_chunks_mut::<8>();
    // SAFETY: guaranteed by the caller.
    unsafe {
        for block in blocks {
            let sums: [Lanes; 4] = whole_channels(window, input, weights);
            for (outputs, sum) in block.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                *outputs = sum.elements();
            }
            (input, weights) = (input.wrapping_add(32), weights.wrapping_add(32));
        }
        for outputs in eights {
            let [sum] = whole_channels(window, input, weights);
            *outputs = sum.elements();
            (input, weights) = (input.wrapping_add(8), weights.wrapping_add(8));
        }
        if !rest.is_empty() {
            let sums = some_channels(window, input, weights, rest.len());
            for (output, sum) in rest.iter_mut().zip(sums.elements()) {
                *output = sum;
            }
        }
    }
}

/// What finishes the sums of a vector of channels.
struct Last<F> {
    scale: Lanes,
    bias: Lanes,
    activation: [f32; 2],
    /// Whether [`Lanes::clamp_in_order`] does.
    in_order: bool,
    finish: PhantomData<F>,
}

impl<F: Finish> Last<F> {
    /// Of the first eight channels, or of the first four twice.
    #[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
    #[cfg_attr(arm_neon, inline(always))]
    fn new(channels: &[F], twice: bool, activation: [f32; 2]) -> Self {
        let [mut scales, mut biases] = F::first_eight(channels);
        if twice {
            for numbers in [&mut scales, &mut biases] {
                let [a, b, c, d, ..] = *numbers;
                *numbers = [a, b, c, d, a, b, c, d];
            }
        }
        let bias = Lanes::of(&biases);
        // -0 becomes +0; so does the product with the scale, which may be -0, only where this is not done.
        let bias = if F::SCALED { bias } else { bias.add(Lanes::zero()) };
        let in_order = Lanes::are_in_order(activation, F::SCALED);
        Self { scale: Lanes::of(&scales), bias, activation, in_order, finish: PhantomData }
    }

    /// The finished totals of sums that start with their first products.
    #[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
    #[cfg_attr(arm_neon, inline(always))]
    fn finish(&self, totals: Lanes) -> Lanes {
        let sums = if F::SCALED {
            self.bias.add_product(totals.add(Lanes::zero()), self.scale)
        } else {
            totals.add(self.bias)
        };
        if self.in_order { sums.clamp_in_order(self.activation) } else { sums.clamp(self.activation) }
    }
}

/// The most taps of a window of which several pixels are computed together.
const TAPS: usize = 64;

/// The positions of the taps of a window, in the input and in the weights.
struct Taps {
    starts: [MaybeUninit<[usize; 2]>; TAPS],
    count: usize,
}

impl Taps {
    /// The taps of a window; none if there are too many.
    #[inline]
    fn new(window: &Window) -> Self {
        let mut taps = Self { starts: [const { MaybeUninit::uninit() }; TAPS], count: 0 };
        let count = window.lines.saturating_mul(window.runs);
        if count <= TAPS {
            let mut starts = taps.starts.iter_mut();
            window.for_each_start(|input, weights| {
                if let Some(start) = starts.next() {
                    start.write([input, weights]);
                }
            });
            taps.count = count;
        }
        taps
    }

    /// The taps behind the first, which starts at 0.
    #[inline]
    fn others(&self) -> &[[usize; 2]] {
        let starts = self.starts.get(1..self.count).unwrap_or(&[]);
        // SAFETY: so many have been written.
        unsafe { starts.assume_init_ref() }
    }
}

/// The most elements of a window whose channels lie in lanes.
const SHORT: usize = 96;

/// [`products::multiply_pixels`](crate::float::products::multiply_pixels) for operands that fit: four or eight
/// channels of all pixels, then the next.
///
/// # Safety
/// All taps of all pixels and rows lie within the slices, and the pixels within `outputs`; the processor has the
/// instructions of [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
pub(super) unsafe fn multiply_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    let Pixels { window, len, stride, channels, steps, .. } = *pixels;
    let row_of = |channel: usize| pixels.weights.as_ptr().wrapping_add(channel.wrapping_mul(stride));
    let mut channel = 0;
    let (mut first, mut paired) = (0, 0);
    if steps.count >= 2 && channels >= 4 {
        let taps = Taps::new(&window);
        // SAFETY: guaranteed by the caller: so many channels are left, so many pixels, and all lie within `outputs`.
        unsafe {
            if taps.count > 0 && len >= 8 && len.is_multiple_of(4) {
                paired = steps.count - steps.count % 2;
                while channels - channel >= 4 {
                    pairs(pixels, &taps, channel, row_of(channel), outputs.as_mut_ptr());
                    channel += 4;
                }
            } else if steps.count >= 4 && (1..=SHORT).contains(&len.saturating_mul(taps.count)) {
                while channels - channel >= 8 {
                    short_windows(pixels, &taps, channel, row_of(channel), outputs.as_mut_ptr());
                    channel += 8;
                }
                first = channel;
            }
        }
    }
    // SAFETY: as above: the channels left of all pixels, and those of the last pixel.
    unsafe {
        rows_from(pixels, channel..channels, 0..steps.count, outputs);
        rows_from(pixels, first..channel, paired..steps.count, outputs);
    }
}

/// Writes four channels of each pair of pixels, from `channel` on, whose first row of weights is `row`.
///
/// # Safety
/// As for [`multiply_pixels`]; there are so many channels; the window has a tap, of at least eight elements, a
/// multiple of four.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn pairs<W: Weight>(pixels: &Pixels<'_, &[W]>, taps: &Taps, channel: usize, row: *const W, outputs: *mut f32) {
    let Pixels { len, stride, steps, .. } = *pixels;
    let last = Last::<W::Finish>::new(tail(pixels.finish, channel), true, pixels.activation);
    let (mut input, mut output) = (pixels.input.as_ptr(), outputs.wrapping_add(channel));
    for _ in 0..steps.count / 2 {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let sums = tile(taps.others(), len, [input, input.wrapping_add(steps.input)], row, stride);
            let next = output.wrapping_add(steps.output);
            last.finish(Lanes::totals(sums)).store_halves([output, next]);
            output = next.wrapping_add(steps.output);
        }
        input = input.wrapping_add(2 * steps.input);
    }
}

/// The sums of two pixels with four rows. They start with their first products.
///
/// # Safety
/// The first tap and the others of the pixels and rows lie from the pointers on; a tap has `len` elements, at least
/// eight and a multiple of four; the processor has the instructions of [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn tile<W: Element>(
    others: &[[usize; 2]],
    len: usize,
    input: [*const f32; 2],
    weights: *const W,
    stride: usize,
) -> [Lanes; 8] {
    let rows_of = |first: *const W| {
        let second = first.wrapping_add(stride);
        let third = second.wrapping_add(stride);
        [first, second, third, third.wrapping_add(stride)]
    };
    let (mut x, mut w, mut blocks) = (input, rows_of(weights), len / 8 - 1);
    let mut others = others.iter();
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = W::multiply_block(&mut x, &mut w);
        loop {
            if blocks > 0 {
                W::add_blocks(&mut sums, blocks, &mut x, &mut w);
            }
            if !len.is_multiple_of(8) {
                let [a, b, c, d, e, f, g, h] = &mut sums;
                let x = [f32::load_some(x[0], 4), f32::load_some(x[1], 4)];
                add_four([a, e], x, w[0]);
                add_four([b, f], x, w[1]);
                add_four([c, g], x, w[2]);
                add_four([d, h], x, w[3]);
            }
            let Some(&[at_x, at_w]) = others.next() else { return sums };
            x = [input[0].wrapping_add(at_x), input[1].wrapping_add(at_x)];
            (w, blocks) = (rows_of(weights.wrapping_add(at_w)), len / 8);
        }
    }
}

/// Adds to the sums of two pixels the products of four elements.
///
/// # Safety
/// There are four weights; the processor has the instructions of [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn add_four<W: Element>([first, second]: [&mut Lanes; 2], x: [Lanes; 2], w: *const W) {
    // SAFETY: guaranteed by the caller.
    let w = unsafe { W::load_some(w, 4) };
    *first = first.add_product(x[0], w);
    *second = second.add_product(x[1], w);
}

/// Writes eight channels of each pixel, from `channel` on, whose first row of weights is `row`: the channels lie in
/// lanes.
///
/// # Safety
/// As for [`multiply_pixels`]; there are so many channels, and a window has at least one element and at most [`SHORT`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn short_windows<W: Weight>(
    pixels: &Pixels<'_, &[W]>,
    taps: &Taps,
    channel: usize,
    row: *const W,
    outputs: *mut f32,
) {
    let Pixels { window, len, stride, .. } = *pixels;
    let mut weights = [const { MaybeUninit::uninit() }; SHORT];
    let mut columns = weights.iter_mut();
    window.for_each_start(|_, tap| {
        for i in 0..len {
            let Some(column) = columns.next() else { return };
            let mut eight = [0.0; 8];
            for (r, weight) in eight.iter_mut().enumerate() {
                let at = row.wrapping_add(r.wrapping_mul(stride).wrapping_add(tap.wrapping_add(i)));
                // SAFETY: guaranteed by the caller.
                *weight = unsafe { *at }.to_f32();
            }
            column.write(eight);
        }
    });
    let short = Short {
        last: Last::<W::Finish>::new(tail(pixels.finish, channel), false, pixels.activation),
        others: taps.others(),
        len,
        weights: weights.as_ptr().cast(),
        steps: pixels.steps,
    };
    let (input, output) = (pixels.input.as_ptr(), outputs.wrapping_add(channel));
    // SAFETY: guaranteed by the caller.
    unsafe {
        match len {
            1 => short.pixels::<1, 2>(input, output),
            2 => short.pixels::<2, 2>(input, output),
            3 => short.pixels::<3, 2>(input, output),
            4 => short.pixels::<4, 2>(input, output),
            _ => short.pixels::<8, 1>(input, output),
        }
    }
}

/// Pixels of short windows, of eight channels.
struct Short<'a, F> {
    last: Last<F>,
    /// The taps behind the first.
    others: &'a [[usize; 2]],
    len: usize,
    /// The weights of the channels, for each element of the window.
    weights: *const [f32; 8],
    steps: Steps,
}

impl<F: Finish> Short<'_, F> {
    /// Writes the pixels, `P` together, whose sums have `L` lanes that are not 0.
    ///
    /// # Safety
    /// All taps of all pixels lie from `input` on, and the pixels from `output` on; `L` is `len`, or else eight; the
    /// processor has the instructions of [`Lanes`].
    #[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
    #[cfg_attr(arm_neon, inline(always))]
    unsafe fn pixels<const L: usize, const P: usize>(&self, input: *const f32, output: *mut f32) {
        let (mut input, mut output, mut left) = (input, output, self.steps.count);
        // SAFETY: guaranteed by the caller.
        unsafe {
            while left > 0 {
                // An odd last pixel is computed twice.
                let step = if left >= P { self.steps.input } else { 0 };
                for lanes in self.lanes_apart::<L, P>(input, step) {
                    let total = match *lanes.as_slice() {
                        [a] => a,
                        [a, b] => a.add(b),
                        [a, b, c] => a.add(c).add(b),
                        [a, b, c, d] => a.add(c).add(b.add(d)),
                        [a, b, c, d, e, f, g, h] => a.add(e).add(c.add(g)).add(b.add(f).add(d.add(h))),
                        _ => return,
                    };
                    self.last.finish(total).store(output);
                    if left > 1 {
                        output = output.wrapping_add(self.steps.output);
                    }
                    left = left.saturating_sub(1);
                }
                input = input.wrapping_add(P * self.steps.input);
            }
        }
    }

    /// The lanes of the sums of `P` pixels, `step` elements apart. They start with their first products.
    ///
    /// # Safety
    /// All taps of the pixels lie from `input` on; `L` is as for [`pixels`](Self::pixels).
    #[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
    #[cfg_attr(arm_neon, inline(always))]
    unsafe fn lanes_apart<const L: usize, const P: usize>(&self, input: *const f32, step: usize) -> [[Lanes; L]; P] {
        let mut sums = [[Lanes::zero(); L]; P];
        let mut column = self.weights;
        let mut others = self.others.iter();
        let (mut x, mut left) = (input, self.len);
        // SAFETY: guaranteed by the caller.
        unsafe {
            for i in 0..L {
                if L < 8 || i < left {
                    let w = Lanes::of(&*column.wrapping_add(i));
                    for (p, sums) in sums.iter_mut().enumerate() {
                        if let Some(sum) = sums.get_mut(i) {
                            *sum = w.scaled(*x.wrapping_add(p * step + i));
                        }
                    }
                }
            }
            loop {
                column = column.wrapping_add(left.min(L));
                left = left.saturating_sub(L);
                if L < 8 || left == 0 {
                    let Some(&[at, _]) = others.next() else { return sums };
                    (x, left) = (input.wrapping_add(at), self.len);
                } else {
                    x = x.wrapping_add(L);
                }
                for i in 0..L {
                    if L < 8 || i < left {
                        let w = Lanes::of(&*column.wrapping_add(i));
                        for (p, sums) in sums.iter_mut().enumerate() {
                            if let Some(sum) = sums.get_mut(i) {
                                *sum = sum.add_scaled(w, *x.wrapping_add(p * step + i));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes some channels of some pixels, eight channels of them, then the next.
///
/// # Safety
/// As for [`multiply_pixels`]; there are such channels and pixels.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn rows_from<W: Weight>(
    pixels: &Pixels<'_, &[W]>,
    channels: Range<usize>,
    columns: Range<usize>,
    outputs: &mut [f32],
) {
    let steps = Steps { count: columns.end.saturating_sub(columns.start), ..pixels.steps };
    let input = tail(pixels.input, columns.start.wrapping_mul(steps.input));
    let pixels = Pixels { input, steps, ..*pixels };
    let outputs = outputs.get_mut(columns.start.wrapping_mul(steps.output)..).unwrap_or(&mut []);
    let mut channel = channels.start;
    while channel < channels.end && steps.count > 0 {
        let row = pixels.weights.as_ptr().wrapping_add(channel.wrapping_mul(pixels.stride));
        // SAFETY: guaranteed by the caller: so many rows are left.
        channel += unsafe {
            match channels.end - channel {
                8.. => rows::<W, 8>(&pixels, channel, row, outputs),
                4.. => rows::<W, 4>(&pixels, channel, row, outputs),
                _ => rows::<W, 1>(&pixels, channel, row, outputs),
            }
        };
    }
}

/// Writes `N` channels of each pixel, from `channel` on, whose first row of weights is `row`. Returns `N`.
///
/// # Safety
/// As for [`multiply_pixels`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn rows<W: Weight, const N: usize>(
    pixels: &Pixels<'_, &[W]>,
    channel: usize,
    row: *const W,
    outputs: &mut [f32],
) -> usize {
    let Pixels { window, len, stride, .. } = *pixels;
    // SAFETY: guaranteed by the caller.
    let sums = |input| [unsafe { totals::<W, N>(&window, len, input, row, stride) }];
    for_each_pixel(pixels, channel, N, outputs, sums);
    N
}

/// Writes to `count` channels of each pixel, from `channel` on, the first of the lanes of `V` vectors that `sums`
/// returns, finished.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
fn for_each_pixel<W: Weight, const V: usize>(
    pixels: &Pixels<'_, &[W]>,
    channel: usize,
    count: usize,
    outputs: &mut [f32],
    sums: impl Fn(*const f32) -> [Lanes; V],
) {
    let mut given = tail(pixels.finish, channel);
    // Not by `map` or `from_fn`: what a function without these instructions calls is not inlined there.
    let mut lasts = [const { None }; V];
    for last in &mut lasts {
        *last = Some(Last::<W::Finish>::new(given, false, pixels.activation));
        given = tail(given, 8);
    }
    let mut outputs = outputs.get_mut(channel..).unwrap_or(&mut []);
    let mut input = pixels.input.as_ptr();
    for _ in 0..pixels.steps.count {
        let Some(pixel) = outputs.get_mut(..count) else { return };
        let (eights, rest) = pixel.as_chunks_mut::<8>();
        let mut eights = eights.iter_mut();
        for (sum, last) in sums(input).into_iter().zip(&lasts) {
            let Some(last) = last else { return };
            let elements = last.finish(sum).elements();
            if let Some(eight) = eights.next() {
                *eight = elements;
            } else {
                rest.iter_mut().zip(elements).for_each(|(output, element)| *output = element);
            }
        }
        input = input.wrapping_add(pixels.steps.input);
        outputs = outputs.get_mut(pixels.steps.output..).unwrap_or(&mut []);
    }
}

/// [`products::depthwise_pixels`](crate::float::products::depthwise_pixels) for operands that fit: eight channels of
/// all pixels, four at a time, then the next; of fewer pixels 32 channels.
///
/// # Safety
/// All taps of all pixels lie within the slices, and the pixels within `outputs`; the processor has the instructions of
/// [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
pub(super) unsafe fn depthwise_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    let Pixels { window, channels, steps, .. } = *pixels;
    let (mut channel, mut together) = (0, 0);
    if steps.count >= 4 && channels >= 8 {
        let taps = Taps::new(&window);
        if taps.count > 0 {
            together = steps.count - steps.count % 4;
            while channels - channel >= 8 {
                // SAFETY: guaranteed by the caller: so many channels are left, and so many pixels.
                unsafe { channels_of_fours(pixels, taps.others(), channel, outputs.as_mut_ptr()) };
                channel += 8;
            }
        }
    }
    // SAFETY: as above: the channels left of all pixels, and those of the last pixels.
    unsafe {
        channels_from(pixels, channel..channels, 0..steps.count, outputs);
        channels_from(pixels, 0..channel, together..steps.count, outputs);
    }
}

/// Writes eight channels, from `channel` on, of the pixels, four at a time. Those left are not written.
///
/// # Safety
/// As for [`depthwise_pixels`]; there are so many channels; the window has a tap, and `others` are those behind the
/// first.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn channels_of_fours<W: Weight>(
    pixels: &Pixels<'_, &[W]>,
    others: &[[usize; 2]],
    channel: usize,
    outputs: *mut f32,
) {
    let Pixels { weights, steps, .. } = *pixels;
    let last = Last::<W::Finish>::new(tail(pixels.finish, channel), false, pixels.activation);
    let weights = weights.as_ptr().wrapping_add(channel);
    let (mut input, mut output) = (pixels.input.as_ptr().wrapping_add(channel), outputs.wrapping_add(channel));
    for _ in 0..steps.count / 4 {
        // SAFETY: guaranteed by the caller.
        unsafe {
            for sum in channels_of_four(others, input, steps.input, weights) {
                last.finish(sum).store(output);
                output = output.wrapping_add(steps.output);
            }
        }
        input = input.wrapping_add(4 * steps.input);
    }
}

/// The sums over all taps of eight channels of four pixels, `step` elements apart. They start with their first
/// products.
///
/// # Safety
/// As for [`channels_of_fours`]: the first tap and the others of the pixels lie from the pointers on.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn channels_of_four<W: Element>(
    others: &[[usize; 2]],
    input: *const f32,
    step: usize,
    weights: *const W,
) -> [Lanes; 4] {
    let (second, third) = (input.wrapping_add(step), input.wrapping_add(2 * step));
    let inputs = [input, second, third, third.wrapping_add(step)];
    let mut sums = [Lanes::zero(); 4];
    // SAFETY: guaranteed by the caller.
    unsafe {
        let w = W::load(weights);
        for (sum, input) in sums.iter_mut().zip(inputs) {
            *sum = w.multiply(f32::load(input));
        }
        for &[at_x, at_w] in others {
            let w = W::load(weights.wrapping_add(at_w));
            for (sum, input) in sums.iter_mut().zip(inputs) {
                *sum = sum.add_product(f32::load(input.wrapping_add(at_x)), w);
            }
        }
    }
    sums
}

/// Writes some channels of some pixels, 32 or eight channels of them, then the next.
///
/// # Safety
/// As for [`depthwise_pixels`]; there are such channels and pixels.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn channels_from<W: Weight>(
    pixels: &Pixels<'_, &[W]>,
    channels: Range<usize>,
    columns: Range<usize>,
    outputs: &mut [f32],
) {
    let steps = Steps { count: columns.end.saturating_sub(columns.start), ..pixels.steps };
    let input = tail(pixels.input, columns.start.wrapping_mul(steps.input));
    let pixels = &Pixels { input, steps, ..*pixels };
    let outputs = outputs.get_mut(columns.start.wrapping_mul(steps.output)..).unwrap_or(&mut []);
    let window = pixels.window;
    let mut channel = channels.start;
    while channel < channels.end && steps.count > 0 {
        let weights = pixels.weights.as_ptr().wrapping_add(channel);
        let at = |input: *const f32| input.wrapping_add(channel);
        let count = match channels.end - channel {
            32.. => {
                // SAFETY: guaranteed by the caller: so many channels are left.
                let sums = |input| unsafe { whole_channels::<W, 4>(&window, at(input), weights) };
                for_each_pixel(pixels, channel, 32, outputs, sums);
                32
            }
            8.. => {
                // SAFETY: as above.
                let sums = |input| unsafe { whole_channels::<W, 1>(&window, at(input), weights) };
                for_each_pixel(pixels, channel, 8, outputs, sums);
                8
            }
            left => {
                // SAFETY: as above.
                let sums = |input| [unsafe { some_channels(&window, at(input), weights, left) }];
                for_each_pixel(pixels, channel, left, outputs, sums);
                left
            }
        };
        channel += count;
    }
}
