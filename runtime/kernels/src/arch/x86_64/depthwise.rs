//! Depthwise convolutions of sixteen channels at a time.
//!
//! `VPMADDWD` multiplies two taps at a time: the elements of two taps are interleaved and widened to 16 bits. The
//! weights of all pairs of taps are stored so once, for all pixels. The sums of a pixel stay in registers over all
//! taps.

use super::requantize::Factors;
use crate::lines::{copy, tail};
use crate::matrix::Output;
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_setzero_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    _mm_unpacklo_epi64, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_setzero_si256,
};
use core::mem::MaybeUninit;

/// The maximum number of pairs of taps.
const PAIRS: usize = 32;

/// The maximum number of channels.
const CHANNELS: usize = 64;

/// Whether [`depthwise`] computes windows of so many taps and channels.
#[inline]
pub(super) fn takes(window: &Window, channels: usize) -> bool {
    window.lines.saturating_mul(window.runs) <= 2 * PAIRS && (8..=CHANNELS).contains(&channels)
}

/// [`composed::depthwise`](crate::composed::depthwise) for operands that fit their slices.
///
/// # Safety
/// The processor has AVX2; `steps.fit` and [`takes`] are true.
#[expect(clippy::too_many_arguments, reason = "the operands of a layer")]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn depthwise(
    initial: &[i32],
    window: &Window,
    steps: &Steps,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) {
    let mut sums = [0; CHANNELS];
    copy(&mut sums, initial);
    let mut places = [MaybeUninit::uninit(); 2 * PAIRS];
    let taps = Taps::new(window, &mut places);
    let (count, mut at) = (channels.len(), 0);
    while at < count {
        let wide = count - at >= 16;
        // Channels that are left are computed together with some that are already computed.
        let from = if wide { at } else { at.min(count - 8) };
        let lanes = if wide { Lanes::Channels } else { Lanes::Pixels };
        let mut stored = [[MaybeUninit::uninit(); 2]; PAIRS];
        let block = Block {
            taps: &taps,
            lanes,
            // SAFETY: guaranteed by the caller; the block's channels lie within the slices.
            weights: unsafe { taps.weights(weights.as_ptr().wrapping_add(from), lanes, &mut stored) },
            initial: lanes.of(|i| load(&sums, from + i)),
            factors: lanes.of(|i| Factors::new(tail(channels, from + i), output)),
        };
        // SAFETY: as above.
        unsafe { block.compute(steps, input.as_ptr().wrapping_add(from), outputs.get_mut(from..).unwrap_or(&mut [])) };
        at = from + if wide { 16 } else { 8 };
    }
}

/// Eight of the sums.
#[inline]
#[target_feature(enable = "avx2")]
fn load(sums: &[i32; CHANNELS], from: usize) -> __m256i {
    match tail(sums, from).first_chunk::<8>() {
        // SAFETY: there are eight.
        Some(eight) => unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) },
        None => _mm256_setzero_si256(),
    }
}

/// What the sixteen lanes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lanes {
    /// Sixteen channels of a pixel.
    Channels,
    /// Eight channels of each of two pixels.
    Pixels,
}

impl Lanes {
    /// The constants of both halves.
    #[inline(always)]
    fn of<T>(self, mut f: impl FnMut(usize) -> T) -> [T; 2] {
        [f(0), f(if self == Self::Channels { 8 } else { 0 })]
    }
}

/// The taps of a window in pairs.
struct Taps<'a> {
    /// The positions of both taps in the input and in the weights. The last tap of an odd number is twice there.
    pairs: &'a [[[usize; 2]; 2]],
    /// Whether the second tap of the last pair is to be ignored.
    odd: bool,
}

impl<'a> Taps<'a> {
    #[inline]
    fn new(window: &Window, places: &'a mut [MaybeUninit<[usize; 2]>; 2 * PAIRS]) -> Self {
        let (mut count, mut last) = (0, [0; 2]);
        let mut add = |place| {
            if let Some(free) = places.get_mut(count) {
                free.write(place);
                count += 1;
            }
        };
        for line in 0..window.lines {
            for run in 0..window.runs {
                // With a single tap these distances may be huge, and the products wrap to 0.
                let at = |k: usize| line.wrapping_mul(window.line[k]).wrapping_add(run.wrapping_mul(window.run[k]));
                last = [at(0), at(1)];
                add(last);
            }
        }
        let odd = window.lines * window.runs % 2 == 1;
        if odd {
            add(last);
        }
        // SAFETY: the first `count` places are written.
        let places = unsafe { core::slice::from_raw_parts(places.as_ptr().cast::<[usize; 2]>(), count) };
        Self { pairs: places.as_chunks().0, odd }
    }

    /// Stores the weights of both halves, for each pair.
    ///
    /// # Safety
    /// As many channels of each tap as the lanes take lie from `weights` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn weights<'b>(
        &self,
        weights: *const i8,
        lanes: Lanes,
        stored: &'b mut [[MaybeUninit<__m256i>; 2]; PAIRS],
    ) -> &'b [[__m256i; 2]] {
        let count = self.pairs.len().min(PAIRS);
        for (i, (stored, &[[_, a], [_, b]])) in stored.iter_mut().zip(self.pairs).enumerate() {
            // SAFETY: guaranteed by the caller.
            let [a, b] = unsafe {
                let load = |at: usize| match lanes {
                    Lanes::Channels => _mm_loadu_si128(weights.wrapping_add(at).cast()),
                    Lanes::Pixels => {
                        let eight = _mm_loadl_epi64(weights.wrapping_add(at).cast());
                        _mm_unpacklo_epi64(eight, eight)
                    }
                };
                [load(a), load(b)]
            };
            let b = if self.odd && i + 1 == count { _mm_setzero_si128() } else { b };
            let [low, high] = interleave(a, b);
            stored[0].write(low);
            stored[1].write(high);
        }
        // SAFETY: the first `count` pairs are written.
        unsafe { core::slice::from_raw_parts(stored.as_ptr().cast::<[__m256i; 2]>(), count) }
    }
}

/// The elements of two vectors in turns, widened to 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(a: __m128i, b: __m128i) -> [__m256i; 2] {
    [_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)), _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b))]
}

/// The channels of a block, with their constants.
struct Block<'a> {
    taps: &'a Taps<'a>,
    lanes: Lanes,
    weights: &'a [[__m256i; 2]],
    initial: [__m256i; 2],
    factors: [Factors; 2],
}

impl Block<'_> {
    /// Computes all pixels; `outputs` is from the block's first channel on.
    ///
    /// # Safety
    /// The pixels' taps lie from `input` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn compute(&self, steps: &Steps, input: *const i8, outputs: &mut [i8]) {
        let (mut input, mut outputs, mut left) = (input, outputs, steps.count);
        while left > 0 {
            let pixels = if self.lanes == Lanes::Channels { 1 } else { left.min(2) };
            // The second half of the lanes lies so far behind the first.
            let half = match self.lanes {
                Lanes::Channels => 8,
                Lanes::Pixels => (pixels - 1) * steps.input,
            };
            // SAFETY: guaranteed by the caller.
            let [low, high] = unsafe {
                if half == 8 {
                    self.sums(|at| _mm_loadu_si128(input.wrapping_add(at).cast()))
                } else {
                    self.sums(|at| {
                        let from = input.wrapping_add(at);
                        _mm_unpacklo_epi64(
                            _mm_loadl_epi64(from.cast()),
                            _mm_loadl_epi64(from.wrapping_add(half).cast()),
                        )
                    })
                }
            };
            let [first, second] = &self.factors;
            first.store_eight(low, outputs);
            let high_at = if self.lanes == Lanes::Channels { 8 } else { steps.output };
            if self.lanes == Lanes::Channels || pixels == 2 {
                second.store_eight(high, outputs.get_mut(high_at..).unwrap_or(&mut []));
            }
            input = input.wrapping_add(pixels * steps.input);
            outputs = outputs.get_mut(pixels * steps.output..).unwrap_or(&mut []);
            left -= pixels;
        }
    }

    /// The sums of all lanes; `load` returns a tap's elements.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sums(&self, load: impl Fn(usize) -> __m128i) -> [__m256i; 2] {
        let [mut low, mut high] = self.initial;
        for (&[[a, _], [b, _]], weights) in self.taps.pairs.iter().zip(self.weights) {
            let inputs = interleave(load(a), load(b));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(inputs[0], weights[0]));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(inputs[1], weights[1]));
        }
        [low, high]
    }
}
