//! The f32 loops on vector registers, which hold the eight lanes of a sum.
//!
//! Eight rows of weights are multiplied with the same inputs, so that each input is loaded once for all of them, and no
//! sum waits for the one before it. What is loaded behind the end of a run is 0 in both operands: a lane starts at +0,
//! no sum of its terms is -0, and so adding `0 * 0` does not change a bit of it.
//!
//! The bits are those of [`products`](crate::float::products).

#[cfg(arm_neon)]
use super::arm_neon::float::Lanes;
#[cfg(x86_64_vectors)]
use super::x86_64::float::Lanes;
use crate::float::products::Pixels;
use crate::float::{Finish, Weight};
use crate::lines::tail;
use crate::portable::Window;
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

/// The sums of `N` rows.
///
/// # Safety
/// As for [`multiply`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
unsafe fn sums<W: Element, const N: usize>(
    window: &Window,
    len: usize,
    input: *const f32,
    weights: *const W,
    stride: usize,
) -> [Lanes; N] {
    let (whole, rest) = (len - len % 8, len % 8);
    // SAFETY: guaranteed by the caller; `i` and the elements after it are within the run.
    unsafe {
        let mut sums = [Lanes::zero(); N];
        for_each_tap(window, input, weights, |input, weights| {
            let mut i = 0;
            while i < whole {
                let x = f32::load(input.wrapping_add(i));
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add_product(x, W::load(weights.wrapping_add(r * stride + i)));
                }
                i += 8;
            }
            if rest > 0 {
                let x = f32::load_some(input.wrapping_add(i), rest);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add_product(x, W::load_some(weights.wrapping_add(r * stride + i), rest));
                }
            }
        });
        sums
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
    // SAFETY: guaranteed by the caller.
    let sums: [Lanes; N] = unsafe { sums(window, len, input, weights, stride) };
    let mut eight = [Lanes::zero(); 8];
    for (lanes, sum) in eight.iter_mut().zip(sums) {
        *lanes = sum;
    }
    Lanes::totals(eight)
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

/// [`products::multiply_pixels`](crate::float::products::multiply_pixels) for operands that fit: eight channels of all
/// pixels, then the next eight.
///
/// # Safety
/// All taps of all pixels and rows lie within the slices, and the pixels within `outputs`; the processor has the
/// instructions of [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
pub(super) unsafe fn multiply_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    let Pixels { stride, channels, .. } = *pixels;
    let mut channel = 0;
    while channel < channels {
        let row = pixels.weights.as_ptr().wrapping_add(channel.wrapping_mul(stride));
        // SAFETY: guaranteed by the caller: so many rows are left.
        channel += unsafe {
            match channels - channel {
                8.. => rows::<W, 8>(pixels, channel, row, outputs),
                4.. => rows::<W, 4>(pixels, channel, row, outputs),
                _ => rows::<W, 1>(pixels, channel, row, outputs),
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

/// Writes to `count` channels of each pixel, from `channel` on, the first of the lanes of `V` vectors that `sums` returns,
/// finished.
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
fn for_each_pixel<W: Weight, const V: usize>(
    pixels: &Pixels<'_, &[W]>,
    channel: usize,
    count: usize,
    outputs: &mut [f32],
    sums: impl Fn(*const f32) -> [Lanes; V],
) {
    let [mut scales, mut biases] = [[Lanes::zero(); V]; 2];
    let mut given = tail(pixels.finish, channel);
    for (scale, bias) in scales.iter_mut().zip(&mut biases) {
        let [eight_scales, eight_biases] = W::Finish::first_eight(given);
        (*scale, *bias) = (Lanes::of(&eight_scales), Lanes::of(&eight_biases));
        given = tail(given, 8);
    }
    let mut outputs = outputs.get_mut(channel..).unwrap_or(&mut []);
    let mut input = pixels.input.as_ptr();
    for _ in 0..pixels.steps.count {
        let Some(pixel) = outputs.get_mut(..count) else { return };
        let (eights, rest) = pixel.as_chunks_mut::<8>();
        let mut eights = eights.iter_mut();
        for (sum, (scale, bias)) in sums(input).into_iter().zip(scales.into_iter().zip(biases)) {
            let sum = if W::Finish::SCALED { bias.add_product(sum, scale) } else { sum.add(bias) };
            let elements = sum.clamp(pixels.activation).elements();
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

/// [`products::depthwise_pixels`](crate::float::products::depthwise_pixels) for operands that fit: 32 or eight channels
/// of all pixels, then the next.
///
/// # Safety
/// All taps of all pixels lie within the slices, and the pixels within `outputs`; the processor has the instructions of
/// [`Lanes`].
#[cfg_attr(x86_64_vectors, inline, target_feature(enable = "avx2,f16c"))]
#[cfg_attr(arm_neon, inline(always))]
pub(super) unsafe fn depthwise_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    let Pixels { window, weights, channels, .. } = *pixels;
    let mut channel = 0;
    while channel < channels {
        let weights = weights.as_ptr().wrapping_add(channel);
        let at = |input: *const f32| input.wrapping_add(channel);
        let count = match channels - channel {
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
