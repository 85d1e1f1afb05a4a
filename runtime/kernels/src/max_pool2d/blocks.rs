//! Blocks of adjacent channels, which keep their maxima in registers over all taps.
//!
//! The last block of a pixel ends with its channels and may overlap the one before.

use super::{Window, pool_each};
use crate::arch::{Maxima4, Maxima8, Maxima16, rolled};
use crate::lines::tail;

/// Maxima of bytes, one by one in `N` places.
pub(crate) trait Maxima<const N: usize> {
    /// Maxima of `low` and all that follows.
    fn at_least(low: i8) -> Self;
    /// Raises each maximum to the byte of its place, if that is greater.
    fn raise(&mut self, bytes: &[i8; N]);
    /// The maxima, or `high` where they are greater.
    fn at_most(self, high: i8) -> [i8; N];
}

/// [`Maxima`] for the compiler's vectors, of bytes or what they are extended to when they are loaded.
impl<const N: usize, T: Copy + Ord + From<i8> + Into<i32>> Maxima<N> for [T; N] {
    #[inline]
    fn at_least(low: i8) -> Self {
        [low.into(); N]
    }

    #[inline]
    fn raise(&mut self, bytes: &[i8; N]) {
        for (maximum, &byte) in self.iter_mut().zip(bytes) {
            *maximum = (*maximum).max(byte.into());
        }
    }

    #[inline]
    fn at_most(self, high: i8) -> [i8; N] {
        self.map(|maximum| maximum.min(high.into()).into() as i8)
    }
}

/// Computes pixels; `input` starts at the first tap of the first window.
#[inline]
pub(super) fn pool(window: &Window, input: &[i8], outputs: &mut [i8]) {
    match window.pixel {
        16.. => pool_by::<16, Maxima16>(window, input, outputs),
        8.. => pool_by::<8, Maxima8>(window, input, outputs),
        4.. => pool_by::<4, Maxima4>(window, input, outputs),
        _ => pool_each(window, input, outputs),
    }
}

/// Computes pixels of at least `N` channels.
// Cores with few registers have none for the callers' values beside the maxima.
#[cfg_attr(target_arch = "arm", inline(never))]
#[cfg_attr(not(target_arch = "arm"), inline)]
fn pool_by<const N: usize, M: Maxima<N>>(window: &Window, mut input: &[i8], outputs: &mut [i8]) {
    let last = window.pixel.saturating_sub(N);
    for pixel in outputs.chunks_exact_mut(window.pixel.max(1)) {
        let mut from = 0;
        loop {
            if let Some(output) = pixel.get_mut(from..).and_then(<[_]>::first_chunk_mut) {
                *output = maxima::<N, M>(window, tail(input, from));
            }
            if from >= last {
                break;
            }
            from = from.wrapping_add(N).min(last);
        }
        input = tail(input, window.step);
    }
}

/// The maxima of `N` channels; `input` starts at the first of them under the window's first tap.
#[inline]
fn maxima<const N: usize, M: Maxima<N>>(window: &Window, input: &[i8]) -> [i8; N] {
    let [low, high] = window.activation.bounds();
    let mut maxima = M::at_least(low as i8);
    let [lines, pixels] = window.taps;
    let mut line = 0usize;
    for _ in 0..lines {
        let mut at = line;
        for _ in 0..pixels {
            let Some(inputs) = input.get(at..).and_then(<[_]>::first_chunk) else { break };
            rolled();
            maxima.raise(inputs);
            at = at.wrapping_add(window.pixel);
        }
        line = line.wrapping_add(window.line);
    }
    maxima.at_most(high as i8)
}
