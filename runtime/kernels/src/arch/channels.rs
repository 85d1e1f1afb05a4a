//! Depthwise convolutions by blocks of channels, whose sums are in registers while the products of all taps are added.

use crate::lines::{copy, tail};
use crate::matrix::Output;
use crate::portable::{self, Steps, Window};
use crate::quant::Channel;

/// A window's taps as an instruction set adds them up, of `N` channels at a time.
pub(super) trait Taps<const N: usize> {
    /// Adds the products of every tap of `N` channels, from `at` on, to their sums.
    ///
    /// # Safety
    /// The window must be that of these taps, and `N` elements from `at` on of each tap must lie within both slices.
    unsafe fn add(&self, window: &Window, sums: &mut [i32; N], input: &[i8], weights: &[i8], at: usize);
}

/// Computes `channels.len()` channels of adjacent pixels of a depthwise convolution as [`crate::composed::depthwise`]
/// does.
///
/// # Safety
/// The operands must fit their slices ([`Steps::fit`]), and the taps must be those of the window.
#[expect(clippy::too_many_arguments, reason = "the operands of a layer")]
#[inline(always)]
pub(super) unsafe fn depthwise<const N: usize>(
    initial: &[i32],
    window: &Window,
    steps: &Steps,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
    taps: &impl Taps<N>,
) {
    let (mut input, mut outputs) = (input, outputs);
    for _ in 0..steps.count {
        let (initial, initial_rest) = initial.as_chunks::<N>();
        let (blocks, channels_rest) = channels.as_chunks::<N>();
        let mut at = 0;
        for (initial, channels) in initial.iter().zip(blocks) {
            let mut sums = *initial;
            // SAFETY: all channels of the window's taps lie within the slices.
            unsafe { taps.add(window, &mut sums, input, weights, at) };
            let Some(pixel) = outputs.get_mut(at..) else { return };
            output.store(&sums, channels, pixel);
            at += N;
        }
        if !channels_rest.is_empty() {
            let mut sums = [0; N];
            let Some(sums) = sums.get_mut(..channels_rest.len()) else { return };
            copy(sums, initial_rest);
            portable::multiply_taps(sums, window, tail(input, at), tail(weights, at));
            let Some(pixel) = outputs.get_mut(at..) else { return };
            output.store(sums, channels_rest, pixel);
        }
        input = tail(input, steps.input);
        outputs = outputs.get_mut(steps.output..).unwrap_or(&mut []);
    }
}

/// [`portable::multiply_taps`].
///
/// # Safety
/// The taps must be those of the window.
#[inline(always)]
pub(super) unsafe fn multiply_taps<const N: usize>(
    accumulators: &mut [i32],
    window: &Window,
    input: &[i8],
    weights: &[i8],
    taps: &impl Taps<N>,
) {
    if window.is_empty() || !window.fits(accumulators.len(), [input.len(), weights.len()]) {
        return;
    }
    let mut at = 0;
    let (blocks, rest) = accumulators.as_chunks_mut::<N>();
    for sums in blocks {
        // SAFETY: all channels of the window's taps lie within the slices.
        unsafe { taps.add(window, sums, input, weights, at) };
        at += N;
    }
    if !rest.is_empty() {
        portable::multiply_taps(rest, window, tail(input, at), tail(weights, at));
    }
}
