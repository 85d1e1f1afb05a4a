//! Convolutions: each input is multiplied with the weights of as many filters as a vector has lanes.
//!
//! A word of adjacent elements of a run is broadcast to all lanes, and lane `i` has the weights of filter `i` for them.
//! So no lanes are added together at the end. The weights, a word of each filter, are brought into this order.

use super::region::{Columns, Geometry, Part, Region};
use super::{Registers, Set, VectorOf, Way};
use crate::Conv2d;
use crate::conv2d::is_pointwise;
use crate::lines::{run, tail};
use crate::matrix::Output;
use crate::quant::Channel;
use crate::window::Lines;
use core::mem::MaybeUninit;
use core::ops::Range;

/// The bytes of the weights that are in order at one time.
const ORDERED: usize = 9 * 1024;

/// The maximum number of filters whose weights are in order at one time.
const FILTERS: usize = 64;

/// The bytes of their constants.
const CONSTANTS: usize = 3328;

/// The minimum number of pixels of a call: for fewer, bringing the weights into order takes longer than it saves.
const FEWEST: usize = 8;

/// The bytes of a vector.
const fn vector_size<S: Set>() -> usize {
    4 * <S::Registers as Registers>::LANES
}

/// Computes `rows` of a convolution. Returns whether it did: not with several groups, too large windows or few pixels.
pub(in super::super) fn convolve<S: Set>(
    p: &Conv2d,
    rows: &Range<usize>,
    [input, weights]: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    let (lines, shape, window, rows) = if is_pointwise(p) {
        // All pixels of all images are one line.
        let [images, height, width, depth] = p.input;
        let pixels = images.saturating_mul(height).saturating_mul(width);
        let lines = Lines { output: [1, 1, pixels, p.output[3]], exchanged: true };
        let at = |row: usize| row.saturating_mul(width);
        (lines, [1, 1, pixels, depth], p.window, at(rows.start)..at(rows.end))
    } else {
        let (lines, shape, window) = Lines::new(p.input, p.output, &p.window);
        (lines, shape, window, rows.clone())
    };
    let Some(geometry) = Geometry::new::<S>(shape, &lines, &window, p.input_zero_point, &rows, input.len()) else {
        return false;
    };
    let [kernel_height, kernel_width] = window.kernel;
    let (run, filters) = (kernel_width.saturating_mul(shape[3]), p.output[3]);
    let len = kernel_height.saturating_mul(run);
    let words = run.div_ceil(S::ELEMENTS);
    let size = kernel_height.saturating_mul(words).saturating_mul(vector_size::<S>());
    let columns = Columns { channel: 0, size: shape[3], phases: 1 };
    let pixels = if lines.exchanged { rows.len() } else { rows.len().saturating_mul(lines.output[2]) };
    let takes = p.groups <= 1
        && (window.dilation[1] <= 1 || kernel_width == 1)
        && size <= ORDERED
        && pixels >= FEWEST
        && geometry.has_room(columns, 1)
        && len.saturating_mul(filters) <= weights.len()
        && filters <= channels.len()
        && pixels.saturating_mul(filters) <= output.len();
    if !takes {
        return false;
    }
    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    let layer = Layer {
        geometry,
        columns,
        shape: Shape { lines: kernel_height, run, words },
        step: window.stride[1] * shape[3] * S::ELEMENT,
        line_step: window.stride[0],
        // With a single line the dilation has no effect; it may be huge.
        line_distance: if kernel_height == 1 { 1 } else { window.dilation[0].max(1) },
        output: finish,
    };
    // SAFETY: the caller has found these instructions; the sizes are checked.
    unsafe { S::convolve(&layer, &rows, [input, weights], channels.get(..filters).unwrap_or(&[]), output) };
    true
}

/// The runs of a filter.
#[derive(Clone, Copy)]
pub(in super::super) struct Shape {
    pub(super) lines: usize,
    /// The number of elements of a run.
    pub(super) run: usize,
    /// The number of words of a run, of which the last may have fewer elements.
    words: usize,
}

/// What all filters of a layer share.
pub(in super::super) struct Layer {
    geometry: Geometry,
    columns: Columns,
    shape: Shape,
    /// The distance of adjacent pixels' windows, in bytes.
    step: usize,
    /// The distance of adjacent rows' windows, in input lines.
    line_step: usize,
    /// The distance of a window's runs, in input lines.
    line_distance: usize,
    output: Output,
}

/// Filters whose weights are in order, and their constants: the blocks of an instruction set.
#[repr(C, align(64))]
pub(in super::super) struct Filters {
    weights: [MaybeUninit<u8>; ORDERED],
    constants: [MaybeUninit<u8>; CONSTANTS],
    /// The number of them.
    count: usize,
    way: Way,
}

impl Layer {
    /// The bytes of a block of filters in order.
    #[inline(always)]
    fn size<S: Set>(&self) -> usize {
        self.shape.lines * self.shape.words * vector_size::<S>()
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
        let lanes = <S::Registers as Registers>::LANES;
        let (len, all) = (self.shape.lines * self.shape.run, channels.len());
        let blocks = (ORDERED / self.size::<S>().max(64)).clamp(1, FILTERS / lanes);
        // Whole tiles, if there is room for one.
        let at_once = lanes * if blocks > 1 { blocks - blocks % 2 } else { 1 };
        let mut filters = Filters {
            weights: [const { MaybeUninit::uninit() }; ORDERED],
            constants: [const { MaybeUninit::uninit() }; CONSTANTS],
            count: 0,
            way: Way::Positive,
        };
        let mut region = Region::new();
        let mut first = 0;
        while first < all {
            filters.count = at_once.min(all - first);
            // SAFETY: guaranteed by the caller; there is room for so many blocks.
            unsafe { S::order_filters(self, &mut filters, tail(weights, first * len), tail(channels, first)) };
            self.geometry.for_each_part(rows, self.columns, |part| {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let pitches = S::fill(&mut region, &self.geometry, input, self.columns, part);
                    let outputs = output.as_mut_ptr().add(part.before * all + first);
                    S::multiply_part(self, &filters, (&region, pitches.line), part, (outputs, all));
                }
            });
            first += filters.count;
        }
    }

    /// Multiplies the pixels of a part with all filters that are in order; `outputs` are from the first filter's on,
    /// and pixels' outputs are so far apart.
    ///
    /// # Safety
    /// As for [`compute`](Self::compute); the region is filled, the filters are in order, all outputs have room.
    #[inline(always)]
    pub(super) unsafe fn multiply<S: Set>(
        &self,
        filters: &Filters,
        (region, pitch): (&Region, usize),
        part: Part,
        (outputs, output_step): (*mut i8, usize),
    ) {
        let lanes = <S::Registers as Registers>::LANES;
        let most = <S::Registers as Registers>::MOST;
        // SAFETY: guaranteed by the caller.
        let clamp = unsafe { S::Registers::clamp(self.output) };
        let mut at = 0;
        while at < filters.count {
            let channels = (filters.count - at).min(2 * lanes);
            let tile: Tile<S> = Tile {
                weights: filters.weights.as_ptr().cast::<u8>().wrapping_add(at / lanes * self.size::<S>()),
                blocks: filters.constants.as_ptr().cast::<BlockOf<S>>().wrapping_add(at / lanes),
                shape: self.shape,
                pitch: pitch * self.line_distance,
                step: self.step,
                channels,
                way: filters.way,
                clamp,
                output_step,
            };
            for row in 0..part.rows {
                let mut inputs = region.start().wrapping_add(row * self.line_step * pitch);
                let mut outputs = outputs.wrapping_add(row * part.count * output_step + at);
                let mut left = part.count;
                while left > 0 {
                    // The last tiles have about the same number of pixels: in small ones sums wait for one another.
                    let pixels = if left > 2 * most {
                        if channels <= lanes { 2 * most } else { most }
                    } else if channels <= lanes && left == 2 * most {
                        left
                    } else {
                        left.div_ceil(left.div_ceil(most).max(1))
                    };
                    // SAFETY: guaranteed by the caller.
                    unsafe {
                        if channels > lanes {
                            S::compute_pixels::<2>(&tile, pixels, inputs, outputs);
                        } else {
                            S::compute_pixels::<1>(&tile, pixels, inputs, outputs);
                        }
                    }
                    inputs = inputs.wrapping_add(pixels * self.step);
                    outputs = outputs.wrapping_add(pixels * output_step);
                    left -= pixels;
                }
            }
            at += channels;
        }
    }
}

impl Filters {
    /// Brings the weights of the first filters into order: of two vectors' filters the words of the first vector's,
    /// then of the others; of the last vector's or fewer, if no more are left, alone.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; the filters are there, and there is room for them.
    #[inline(always)]
    pub(super) unsafe fn order<S: Set>(&mut self, layer: &Layer, weights: &[i8], channels: &[Channel]) {
        let lanes = <S::Registers as Registers>::LANES;
        let (shape, size) = (layer.shape, layer.size::<S>());
        self.way = Way::Positive;
        let mut to = self.weights.as_mut_ptr().cast::<u8>();
        let mut constants = self.constants.as_mut_ptr().cast::<BlockOf<S>>();
        let mut at = 0;
        while at < self.count {
            let rows = (self.count - at).min(lanes);
            let second = at % (2 * lanes) != 0;
            let stride = vector_size::<S>() * if second || self.count - at > lanes { 2 } else { 1 };
            // SAFETY: guaranteed by the caller.
            unsafe {
                let (mut block, own) = S::Registers::block(run(channels, at, rows), layer.output);
                let from = weights.as_ptr().add(at * shape.lines * shape.run);
                let start = if second { to.sub(size).add(vector_size::<S>()) } else { to };
                let sums = S::order(shape, from, rows, weights.as_ptr_range().end, start, stride);
                S::Registers::without(&mut block, sums);
                constants.write(block);
                constants = constants.add(1);
                to = to.add(size);
                self.way = self.way.max(own);
            }
            at += rows;
        }
    }
}

type BlockOf<S> = <<S as Set>::Registers as Registers>::Block;

/// What the tiles of the filters of one or two vectors share.
pub(in super::super) struct Tile<S: Set> {
    weights: *const u8,
    blocks: *const BlockOf<S>,
    shape: Shape,
    /// The distance of a window's runs, in bytes.
    pitch: usize,
    /// The distance of adjacent pixels' windows, in bytes.
    step: usize,
    /// The number of filters.
    channels: usize,
    way: Way,
    clamp: <S::Registers as Registers>::Clamp,
    output_step: usize,
}

impl<S: Set> Tile<S> {
    /// Computes the outputs of `P` pixels and the filters of `N` vectors.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; the windows, the filters and the room for the outputs are there.
    #[inline(always)]
    pub(super) unsafe fn compute<const P: usize, const N: usize>(&self, inputs: *const u8, outputs: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let blocks = &*self.blocks.cast::<[BlockOf<S>; N]>();
            let mut sums: [[VectorOf<S>; N]; P] = [[S::Registers::zero(); N]; P];
            for sums in &mut sums {
                for (sum, block) in sums.iter_mut().zip(blocks) {
                    *sum = S::Registers::bias(block);
                }
            }
            let (mut weights, mut line) = (self.weights, inputs);
            for _ in 0..self.shape.lines {
                let mut x = line;
                for _ in 0..self.shape.words {
                    let mut loaded = [S::Registers::zero(); N];
                    for (n, loaded) in loaded.iter_mut().enumerate() {
                        *loaded = S::Registers::load(weights.wrapping_add(vector_size::<S>() * n));
                    }
                    for (p, sums) in sums.iter_mut().enumerate() {
                        let word = x.wrapping_add(p * self.step).cast::<i32>().read_unaligned();
                        for (sum, weights) in sums.iter_mut().zip(loaded) {
                            *sum = S::multiply(*sum, S::Registers::repeat(word), weights);
                        }
                    }
                    weights = weights.wrapping_add(vector_size::<S>() * N);
                    x = x.wrapping_add(4);
                }
                line = line.wrapping_add(self.pitch);
            }
            match self.way {
                Way::Positive => self.store(sums, blocks, Way::Positive, outputs),
                Way::Signed => self.store(sums, blocks, Way::Signed, outputs),
                Way::General => self.store(sums, blocks, Way::General, outputs),
            }
        }
    }

    /// Requantizes and stores the sums.
    ///
    /// # Safety
    /// As for [`compute`](Self::compute).
    #[inline(always)]
    unsafe fn store<const P: usize, const N: usize>(
        &self,
        mut sums: [[VectorOf<S>; N]; P],
        blocks: &[BlockOf<S>; N],
        way: Way,
        outputs: *mut i8,
    ) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            for sums in &mut sums {
                for (sum, block) in sums.iter_mut().zip(blocks) {
                    *sum = S::Registers::scale(block, *sum, way);
                }
            }
            let mut to = outputs;
            for pixels in sums.chunks(4 / N) {
                let mut four = [S::Registers::zero(); 4];
                for (four, sum) in four.iter_mut().zip(pixels.as_flattened()) {
                    *four = *sum;
                }
                S::Registers::store_pixels::<N>(four, self.clamp, pixels.len(), self.channels, to, self.output_step);
                to = to.wrapping_add(pixels.len() * self.output_step);
            }
        }
    }
}
