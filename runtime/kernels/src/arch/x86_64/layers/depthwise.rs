//! Depthwise convolutions of as many outputs at a time as four vectors have lanes.
//!
//! The elements of the taps of a word are brought together for each channel, and multiplied at a time. The outputs are
//! those of adjacent channels, or, where an input has few channels, of adjacent pixels too: their elements are one
//! after another in a region whose pixels are sorted by the stride's phase.

use super::region::{Columns, Geometry, Part, Pitches, Region};
use super::{Registers, Set, VectorOf, Way};
use crate::DepthwiseConv2d;
use crate::lines::tail;
use crate::matrix::Output;
use crate::quant::Channel;
use crate::window::Lines;
use core::mem::MaybeUninit;
use core::ops::Range;

/// The maximum number of taps.
const TAPS: usize = 64;

/// The maximum number of steps, each of four loads of elements of the taps of a word.
const STEPS: usize = TAPS / 2;

/// The bytes of the weights of all taps, in the order of the lanes.
const ORDERED: usize = 4096;

/// The number of outputs that are computed at a time.
const fn at_a_time<S: Set>() -> usize {
    4 * <S::Registers as Registers>::LANES
}

/// Computes `rows` of a depthwise convolution. Returns whether it did: not with several outputs for a channel, or with
/// many taps.
pub(in super::super) fn depthwise_lines<S: Set>(
    p: &DepthwiseConv2d,
    (lines, rows): (&Lines, &Range<usize>),
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let Some(geometry) = Geometry::new::<S>(p.input, lines, &p.window, p.input_zero_point, rows, input.len()) else {
        return false;
    };
    let lanes = at_a_time::<S>();
    let (depth, stride) = (p.input[3], p.window.stride[1]);
    // Few channels that divide the lanes: adjacent pixels fill them.
    let together = (4..lanes).contains(&depth) && lanes.is_multiple_of(depth);
    let layer = Layer {
        geometry,
        kernel: p.window.kernel,
        // With a single tap the dilation has no effect.
        dilation: [0, 1].map(|i| if p.window.kernel[i] == 1 { 1 } else { p.window.dilation[i].max(1) }),
        stride: p.window.stride,
        depth,
        at_once: if together { lanes / depth } else { 1 },
        phases: if together { stride } else { 1 },
        output: Output { zero_point: p.output_zero_point, activation: p.activation },
    };
    let taps = p.window.kernel[0].saturating_mul(p.window.kernel[1]);
    let columns = layer.columns(0, depth.min(lanes));
    let pixels = if lines.exchanged { rows.len() } else { rows.len().saturating_mul(lines.output[2]) };
    let takes = p.output[3] == depth
        && taps <= TAPS
        && stride <= 8
        && geometry.has_room(columns, 1)
        && taps.saturating_mul(depth) <= weights.len()
        && depth <= channels.len()
        && pixels.saturating_mul(depth) <= output.len();
    if takes {
        // SAFETY: the caller has found these instructions; the sizes are checked.
        unsafe { S::depthwise(&layer, rows, [input, weights], channels, output) };
    }
    takes
}

/// What all channels of a layer share.
pub(in super::super) struct Layer {
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

/// The constants of the channels of four vectors, in the order of the lanes.
pub(in super::super) struct Lanes<S: Set> {
    weights: Weights,
    blocks: [BlockOf<S>; 4],
    way: Way,
}

type BlockOf<S> = <<S as Set>::Registers as Registers>::Block;

/// For each step, the weights of four vectors.
#[repr(C, align(64))]
struct Weights([MaybeUninit<u8>; ORDERED]);

impl Layer {
    fn columns(&self, channel: usize, size: usize) -> Columns {
        Columns { channel, size, phases: self.phases }
    }

    /// # Safety
    /// The processor has the instructions of `S`; the operands are as large as the layer says.
    #[inline(always)]
    pub(super) unsafe fn compute<S: Set>(
        &self,
        rows: &Range<usize>,
        [input, weights]: [&[i8]; 2],
        channels: &[Channel],
        output: &mut [i8],
    ) {
        let mut region = Region::new();
        // SAFETY: guaranteed by the caller.
        let blocks = [unsafe { S::Registers::no_block() }; 4];
        let weights_in_order = Weights([const { MaybeUninit::uninit() }; ORDERED]);
        let mut lanes: Lanes<S> = Lanes { weights: weights_in_order, blocks, way: Way::Positive };
        let mut channel = 0;
        while channel < self.depth {
            let size = (self.depth - channel).min(at_a_time::<S>());
            let columns = self.columns(channel, size);
            // SAFETY: guaranteed by the caller.
            unsafe { S::lanes(&mut lanes, self, tail(weights, channel), tail(channels, channel), size) };
            self.geometry.for_each_part(rows, columns, |part| {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let pitches = S::fill(&mut region, &self.geometry, input, columns, part);
                    let outputs = output.as_mut_ptr().add(part.before * self.depth + channel);
                    S::depthwise_part(self, &lanes, &region, (pitches, columns), part, outputs);
                }
            });
            channel += size;
        }
    }

    /// The number of taps.
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The tap whose elements are load `i` of a step, and how many vectors behind the first of them this one is.
    #[inline(always)]
    fn load_of<S: Set>(step: usize, i: usize) -> (usize, usize) {
        (S::ELEMENTS * step + i / S::ELEMENT, i % S::ELEMENT)
    }

    /// Computes the pixels of a part, whose outputs are from `outputs` on.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; the region is filled; there is room for the outputs.
    #[inline(always)]
    pub(super) unsafe fn multiply<S: Set>(
        &self,
        lanes: &Lanes<S>,
        region: &Region,
        (pitches, columns): (Pitches, Columns),
        part: Part,
        outputs: *mut i8,
    ) {
        let steps = self.taps().div_ceil(S::ELEMENTS);
        let pixel = columns.size * S::ELEMENT;
        // What is loaded in a step begins so far behind the elements of the first tap; a tap that is missing has
        // weights of 0.
        let mut places = [[0; 4]; STEPS];
        for (step, places) in places.iter_mut().enumerate().take(steps) {
            for (i, place) in places.iter_mut().enumerate() {
                let (tap, part) = Self::load_of::<S>(step, i);
                let tap = if tap < self.taps() { tap } else { 0 };
                let (y, x) =
                    (tap / self.kernel[1].max(1) * self.dilation[0], tap % self.kernel[1].max(1) * self.dilation[1]);
                let phases = self.phases.max(1);
                let vectors = part * 4 * <S::Registers as Registers>::LANES;
                *place = y * pitches.line + x % phases * pitches.phase + x / phases * pixel + vectors;
            }
        }
        // SAFETY: so many are written.
        let weights =
            unsafe { core::slice::from_raw_parts(lanes.weights.0.as_ptr().cast::<[VectorOf<S>; 4]>(), steps) };
        let line = self.stride[0] * pitches.line;
        let step = pixel * if self.phases == 1 && self.at_once == 1 { self.stride[1] } else { 1 };
        // SAFETY: guaranteed by the caller.
        let clamp = unsafe { S::Registers::clamp(self.output) };
        let rows = Rows { weights, places: &places, lanes, clamp };
        for row in 0..part.rows {
            let mut inputs = region.start().wrapping_add(row * line);
            let mut outputs = outputs.wrapping_add(row * part.count * self.depth);
            let mut left = part.count;
            while left > 0 {
                let pixels = left.min(self.at_once);
                // SAFETY: guaranteed by the caller.
                unsafe { rows.compute(inputs, pixels * columns.size, outputs) };
                inputs = inputs.wrapping_add(pixels * step);
                outputs = outputs.wrapping_add(pixels * self.depth);
                left -= pixels;
            }
        }
    }
}

impl<S: Set> Lanes<S> {
    /// Writes the constants of `size` channels.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; the weights are there.
    #[inline(always)]
    pub(super) unsafe fn set(&mut self, layer: &Layer, weights: &[i8], channels: &[Channel], size: usize) {
        self.way = Way::Positive;
        // SAFETY: guaranteed by the caller; there is room for the weights of all steps.
        unsafe {
            for (v, block) in self.blocks.iter_mut().enumerate() {
                // The first channels of each four lanes, and how many there are.
                let mut fours = [(0, 0); 4];
                for (j, four) in fours.iter_mut().enumerate() {
                    let lane = S::lane(v, j);
                    let channel = if layer.at_once > 1 { lane % size.max(1) } else { lane };
                    *four = (channel, size.min(channels.len()).saturating_sub(channel).min(4));
                }
                let own;
                (*block, own) = S::Registers::block_of_fours(channels, fours, layer.output);
                self.way = self.way.max(own);
            }
            let mut to = self.weights.0.as_mut_ptr().cast::<[VectorOf<S>; 4]>();
            let mut sums = [S::Registers::zero(); 4];
            for step in 0..layer.taps().div_ceil(S::ELEMENTS) {
                let mut four = [S::Registers::zero(); 4];
                for (i, vector) in four.iter_mut().enumerate() {
                    let (tap, part) = Layer::load_of::<S>(step, i);
                    if tap < layer.taps() {
                        *vector = S::tap(weights.as_ptr().add(tap * layer.depth), size, layer.at_once, part);
                    }
                }
                let four = S::together(four);
                for (sum, weights) in sums.iter_mut().zip(four) {
                    *sum = S::add_weights(*sum, weights);
                }
                to.write(four);
                to = to.add(1);
            }
            for (block, sums) in self.blocks.iter_mut().zip(sums) {
                S::Registers::without(block, sums);
            }
        }
    }
}

/// What the pixels of a part share.
struct Rows<'a, S: Set> {
    weights: &'a [[VectorOf<S>; 4]],
    places: &'a [[usize; 4]; STEPS],
    lanes: &'a Lanes<S>,
    clamp: <S::Registers as Registers>::Clamp,
}

impl<S: Set> Rows<'_, S> {
    /// Computes the first `count` outputs.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; the taps are in a region, from `inputs` on; there is room for the
    /// outputs.
    #[inline(always)]
    unsafe fn compute(&self, inputs: *const u8, count: usize, outputs: *mut i8) {
        let blocks = &self.lanes.blocks;
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut sums = [S::Registers::zero(); 4];
            for (sum, block) in sums.iter_mut().zip(blocks) {
                *sum = S::Registers::bias(block);
            }
            for (weights, places) in self.weights.iter().zip(self.places) {
                let mut four = [S::Registers::zero(); 4];
                for (vector, &place) in four.iter_mut().zip(places) {
                    *vector = S::Registers::load(inputs.wrapping_add(place));
                }
                for ((sum, x), &weights) in sums.iter_mut().zip(S::together(four)).zip(weights) {
                    *sum = S::multiply(*sum, x, weights);
                }
            }
            match self.lanes.way {
                Way::Positive => self.store(sums, Way::Positive, count, outputs),
                Way::Signed => self.store(sums, Way::Signed, count, outputs),
                Way::General => self.store(sums, Way::General, count, outputs),
            }
        }
    }

    /// # Safety
    /// As for [`compute`](Self::compute).
    #[inline(always)]
    unsafe fn store(&self, mut sums: [VectorOf<S>; 4], way: Way, count: usize, outputs: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            for (sum, block) in sums.iter_mut().zip(&self.lanes.blocks) {
                *sum = S::Registers::scale(block, *sum, way);
            }
            S::store_lanes(sums, self.clamp, count, outputs);
        }
    }
}
