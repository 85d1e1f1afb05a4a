//! Depthwise convolutions of 64 outputs at a time.
//!
//! The elements of four taps are brought together for each channel, so that `VPDPBUSD` multiplies four taps at a time.
//! The 64 outputs are those of adjacent channels, or, where an input has few channels, of adjacent pixels too: their
//! elements are one after another in a region whose pixels are sorted by the stride's phase.

use super::region::{Columns, Geometry, Part, Pitches, Region};
use super::requantize::{Block, Clamp, Way, first};
use crate::DepthwiseConv2d;
use crate::lines::tail;
use crate::matrix::Output;
use crate::quant::Channel;
use crate::window::Lines;
use core::arch::x86_64::{
    __m512i, _mm_cvtsi128_si64, _mm512_broadcast_i32x4, _mm512_broadcast_i64x4, _mm512_castsi512_si128,
    _mm512_castsi512_si256, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_mask_loadu_epi32, _mm512_mask_storeu_epi8,
    _mm512_maskz_loadu_epi8, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
};
use core::mem::MaybeUninit;
use core::ops::Range;

/// The maximum number of fours of taps.
const FOURS: usize = 8;

/// Computes `rows` of a depthwise convolution. Returns whether it did: not with several outputs for a channel, or with
/// more than 32 taps.
pub(in super::super) fn depthwise_lines(
    p: &DepthwiseConv2d,
    (lines, rows): (&Lines, &Range<usize>),
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let Some(geometry) = Geometry::new(p.input, lines, &p.window, p.input_zero_point, rows, input.len()) else {
        return false;
    };
    let (depth, stride) = (p.input[3], p.window.stride[1]);
    // Few channels that divide the lanes: adjacent pixels fill them.
    let together = (4..64).contains(&depth) && 64 % depth == 0;
    let layer = Layer {
        geometry,
        kernel: p.window.kernel,
        // With a single tap the dilation has no effect.
        dilation: [0, 1].map(|i| if p.window.kernel[i] == 1 { 1 } else { p.window.dilation[i].max(1) }),
        stride: p.window.stride,
        depth,
        at_once: if together { 64 / depth } else { 1 },
        phases: if together { stride } else { 1 },
        output: Output { zero_point: p.output_zero_point, activation: p.activation },
    };
    let taps = p.window.kernel[0].saturating_mul(p.window.kernel[1]);
    let columns = layer.columns(0, depth.min(64));
    let pixels = if lines.exchanged { rows.len() } else { rows.len().saturating_mul(lines.output[2]) };
    let takes = p.output[3] == depth
        && taps <= 4 * FOURS
        && stride <= 8
        && geometry.has_room(columns, 1)
        && taps.saturating_mul(depth) <= weights.len()
        && depth <= channels.len()
        && pixels.saturating_mul(depth) <= output.len();
    if takes {
        // SAFETY: the caller has found these instructions; the sizes are checked.
        unsafe { layer.compute(rows, input, weights, channels, output) };
    }
    takes
}

/// What all channels of a layer share.
struct Layer {
    geometry: Geometry,
    kernel: [usize; 2],
    dilation: [usize; 2],
    stride: [usize; 2],
    depth: usize,
    /// The number of adjacent pixels in the lanes.
    at_once: usize,
    phases: usize,
    output: Output,
}

/// The constants of up to 64 channels, in the order of the lanes.
struct Lanes {
    /// For each four taps.
    weights: [MaybeUninit<[__m512i; 4]>; FOURS],
    blocks: [Block; 4],
    way: Way,
}

impl Layer {
    fn columns(&self, channel: usize, size: usize) -> Columns {
        Columns { channel, size, phases: self.phases }
    }

    /// # Safety
    /// The processor has the instructions; the operands are as large as the layer says.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn compute(
        &self,
        rows: &Range<usize>,
        input: &[i8],
        weights: &[i8],
        channels: &[Channel],
        output: &mut [i8],
    ) {
        let mut region = Region::new();
        let mut channel = 0;
        while channel < self.depth {
            let size = (self.depth - channel).min(64);
            let columns = self.columns(channel, size);
            // SAFETY: guaranteed by the caller.
            let lanes = unsafe { self.lanes(tail(weights, channel), tail(channels, channel), size) };
            self.geometry.for_each_part(rows, columns, |part| {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let pitches = region.fill(&self.geometry, input, columns, part);
                    let outputs = output.as_mut_ptr().add(part.before * self.depth + channel);
                    self.multiply(&lanes, &region, (pitches, columns), part, outputs);
                }
            });
            channel += size;
        }
    }

    /// The number of taps.
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The constants of `size` channels.
    ///
    /// # Safety
    /// The weights are there.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn lanes(&self, weights: &[i8], channels: &[Channel], size: usize) -> Lanes {
        let mut way = Way::Positive;
        let mut blocks = [0, 1, 2, 3].map(|v| {
            // Lane `4 j + i` of vector `v` has channel `16 j + 4 v + i`, modulo the number of channels.
            let four = |j: usize| {
                let channel = if self.at_once > 1 { (16 * j + 4 * v) % size.max(1) } else { 16 * j + 4 * v };
                let there = size.saturating_sub(channel).min(4).min(channels.len().saturating_sub(channel));
                (channels.as_ptr().cast::<i32>().wrapping_add(3 * channel), there)
            };
            // Of 48 words, vector `w` has `16 w..16 w + 16`: the last ones of four channels, and the first ones of the
            // next.
            let words = [0, 1, 2].map(|w| {
                [w, w + 1].into_iter().fold(_mm512_setzero_si512(), |words, j| {
                    let (start, there) = four(j);
                    let mask = first(3 * there) << (12 * j) >> (16 * w);
                    let start = start.wrapping_add(16 * w).wrapping_sub(12 * j);
                    // SAFETY: a channel is three words; no others are read.
                    unsafe { _mm512_mask_loadu_epi32(words, mask as u16, start) }
                })
            });
            let (block, own) = Block::of_words(words, self.output);
            way = way.max(own);
            block
        });
        let taps = self.taps();
        let mut stored = [const { MaybeUninit::uninit() }; FOURS];
        let mut sums = [_mm512_setzero_si512(); 4];
        for (four, stored) in stored.iter_mut().enumerate().take(taps.div_ceil(4)) {
            let four = [0, 1, 2, 3].map(|i| {
                let tap = 4 * four + i;
                if tap < taps {
                    // SAFETY: guaranteed by the caller.
                    unsafe { repeated(weights.as_ptr().add(tap * self.depth), size, self.at_once) }
                } else {
                    _mm512_setzero_si512()
                }
            });
            let four = together(four);
            for (sum, weights) in sums.iter_mut().zip(four) {
                *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi8(1), weights);
            }
            stored.write(four);
        }
        for (block, sums) in blocks.iter_mut().zip(sums) {
            block.without(sums);
        }
        Lanes { weights: stored, blocks, way }
    }

    /// Computes the pixels of a part, whose outputs are from `outputs` on.
    ///
    /// # Safety
    /// The region is filled; there is room for the outputs.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn multiply(
        &self,
        lanes: &Lanes,
        region: &Region,
        (pitches, columns): (Pitches, Columns),
        part: Part,
        outputs: *mut i8,
    ) {
        // The elements of tap `i` begin so far behind those of the first; a tap that is missing has weights of 0.
        let mut places = [[0; 4]; FOURS];
        for (tap, place) in places.as_flattened_mut().iter_mut().enumerate().take(self.taps()) {
            let (y, x) =
                (tap / self.kernel[1].max(1) * self.dilation[0], tap % self.kernel[1].max(1) * self.dilation[1]);
            let phases = self.phases.max(1);
            *place = y * pitches.line + x % phases * pitches.phase + x / phases * columns.size;
        }
        // SAFETY: so many are written.
        let weights = unsafe {
            core::slice::from_raw_parts(lanes.weights.as_ptr().cast::<[__m512i; 4]>(), self.taps().div_ceil(4))
        };
        let line = self.stride[0] * pitches.line;
        let step = columns.size * if self.phases == 1 { self.stride[1] } else { 1 };
        let step = if self.at_once > 1 { columns.size } else { step };
        let rows = Rows { weights, places: &places, lanes, step, clamp: Clamp::new(self.output) };
        for row in 0..part.rows {
            let mut inputs = region.start().wrapping_add(row * line);
            let mut outputs = outputs.wrapping_add(row * part.count * self.depth);
            let mut left = part.count;
            while left > 0 {
                let pixels = left.min(self.at_once);
                let mask = u64::MAX >> (64 - pixels * columns.size);
                // SAFETY: guaranteed by the caller.
                unsafe { rows.compute(inputs, mask, outputs) };
                inputs = inputs.wrapping_add(pixels * rows.step);
                outputs = outputs.wrapping_add(pixels * self.depth);
                left -= pixels;
            }
        }
    }
}

/// What the pixels of a part share.
struct Rows<'a> {
    weights: &'a [[__m512i; 4]],
    places: &'a [[usize; 4]; FOURS],
    lanes: &'a Lanes,
    step: usize,
    clamp: Clamp,
}

impl Rows<'_> {
    /// Computes the outputs of `mask`, of 64.
    ///
    /// # Safety
    /// The taps are in a region, from `inputs` on; there is room for the outputs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn compute(&self, inputs: *const u8, mask: u64, outputs: *mut i8) {
        let blocks = &self.lanes.blocks;
        let mut sums = [blocks[0].bias(), blocks[1].bias(), blocks[2].bias(), blocks[3].bias()];
        for (weights, places) in self.weights.iter().zip(self.places) {
            // SAFETY: guaranteed by the caller.
            let four = places.map(|place| unsafe { _mm512_loadu_si512(inputs.wrapping_add(place).cast()) });
            for ((sum, x), &weights) in sums.iter_mut().zip(together(four)).zip(weights) {
                *sum = _mm512_dpbusd_epi32(*sum, x, weights);
            }
        }
        // SAFETY: guaranteed by the caller.
        unsafe {
            match self.lanes.way {
                Way::Positive => self.store(sums, Way::Positive, mask, outputs),
                Way::Signed => self.store(sums, Way::Signed, mask, outputs),
                Way::General => self.store(sums, Way::General, mask, outputs),
            }
        }
    }

    /// # Safety
    /// There is room for the outputs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn store(&self, sums: [__m512i; 4], way: Way, mask: u64, outputs: *mut i8) {
        let blocks = &self.lanes.blocks;
        let [a, b, c, d] = sums;
        let scaled =
            [blocks[0].scale(a, way), blocks[1].scale(b, way), blocks[2].scale(c, way), blocks[3].scale(d, way)];
        // SAFETY: guaranteed by the caller.
        unsafe {
            let bytes = self.clamp.bytes(scaled);
            if mask == u64::MAX {
                _mm512_storeu_si512(outputs.cast(), bytes);
            } else {
                _mm512_mask_storeu_epi8(outputs, mask, bytes);
            }
        }
    }
}

/// The elements of four vectors in turns. Four vectors hold those of the lanes `16 j + 4 v..16 j + 4 v + 4` in quarter
/// `j` of vector `v`, so that packing puts sums of them back into order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn together([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
    let (low_2, high_2) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
    [
        _mm512_unpacklo_epi16(low, low_2),
        _mm512_unpackhi_epi16(low, low_2),
        _mm512_unpacklo_epi16(high, high_2),
        _mm512_unpackhi_epi16(high, high_2),
    ]
}

/// `size` weights, `times` times.
///
/// # Safety
/// So many lie from `from` on; `times` is 1, or 64 divided by `size`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn repeated(from: *const i8, size: usize, times: usize) -> __m512i {
    // SAFETY: guaranteed by the caller.
    let once = unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> (64 - size), from) };
    let low = _mm512_castsi512_si128(once);
    let word = _mm_cvtsi128_si64(low);
    match times {
        2 => _mm512_broadcast_i64x4(_mm512_castsi512_si256(once)),
        4 => _mm512_broadcast_i32x4(low),
        8 => _mm512_set1_epi64(word),
        16 => _mm512_set1_epi32(word as i32),
        _ => once,
    }
}
