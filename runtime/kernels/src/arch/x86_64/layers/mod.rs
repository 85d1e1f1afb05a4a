//! Whole layers, one source for three instruction sets: AVX-512 with VNNI, AVX-VNNI, and AVX2 alone.
//!
//! The lanes of a vector are the accumulators of adjacent filters or channels. An instruction set multiplies words of
//! four bytes, whose products are added to one accumulator: four unsigned bytes with four signed ones (VNNI), or two
//! numbers of 16 bits with two (AVX2, whose products of bytes saturate). Inputs are copied in this form, the padding
//! written out ([`region`]): with VNNI 128 is added to them. What that adds to a sum, 128 times the sum of a filter's
//! weights, is subtracted from the bias. Weights are brought into the order of the registers once for a call, which
//! then serves all pixels of it.
//!
//! [`Set`] is an instruction set, and [`Registers`] its vectors. The layers are generic functions that are inlined into
//! the functions of [`entries`], which are compiled for the instruction set.

mod addition;
mod avx2;
mod avx512;
mod convolution;
mod depthwise;
mod float;
mod region;
mod requantize;
#[cfg(test)]
mod tests;
mod vector;
mod vector_256;
mod ymm;
mod zmm;

use crate::add::AddSub;
use crate::matrix::Output;
use crate::quant::Channel;
use convolution::{Filters, Shape, Tile};
use core::ops::Range;
use depthwise::Lanes;
use region::{Columns, Geometry, Part, Pitches, Region};
use requantize::Way;

pub(super) use convolution::convolve;
pub(super) use depthwise::depthwise_lines;
pub(crate) use float::Arranged;
pub(super) use float::{arrange, multiply_pixels};
pub(super) use vector::multiply_vector;
pub(super) use vector_256::{can_multiply_vector, multiply_vector as multiply_vector_256};

/// Vector registers and their accumulators of 32 bits.
///
/// # Safety
/// All functions: only where the processor has the instructions.
pub(super) trait Registers: Copy {
    /// A vector of accumulators, or of words that are multiplied.
    type Vector: Copy;
    /// The constants by which the accumulators of a vector become outputs.
    type Block: Copy;
    /// The output's zero point and range.
    type Clamp: Copy;

    /// The number of accumulators in a vector, at most sixteen.
    const LANES: usize;
    /// The maximum number of pixels of a tile with two vectors of filters; with one, twice as many are possible.
    const MOST: usize;

    /// Zeros.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn zero() -> Self::Vector;

    /// Loads a vector.
    ///
    /// # Safety
    /// See [`Registers`]; there are as many bytes from `from` on.
    unsafe fn load(from: *const u8) -> Self::Vector;

    /// One word in all lanes.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn repeat(word: i32) -> Self::Vector;

    /// Loads as many bytes as there are lanes, each as a word.
    ///
    /// # Safety
    /// See [`Registers`]; there are as many from `from` on.
    unsafe fn widen(from: *const i8) -> Self::Vector;

    /// Sums of words.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn added(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Differences of words.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn subtracted(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Words that are shifted to the left by those of `left`, below 32.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn shifted(a: Self::Vector, left: Self::Vector) -> Self::Vector;

    /// The constants of the first of `channels`, as many as there are lanes or fewer, and how they are used. Those that
    /// are missing have factors of 0.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn block(channels: &[Channel], output: Output) -> (Self::Block, Way);

    /// The constants of channels in groups of four lanes, of each the first channel and how many of it there are.
    ///
    /// # Safety
    /// See [`Registers`]; the channels are in the slice.
    unsafe fn block_of_fours(channels: &[Channel], fours: [(usize, usize); 4], output: Output) -> (Self::Block, Way);

    /// Constants that are to be replaced.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn no_block() -> Self::Block;

    /// Subtracts 128 times `sums` from the initial accumulators.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn without(block: &mut Self::Block, sums: Self::Vector);

    /// The initial accumulators.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn bias(block: &Self::Block) -> Self::Vector;

    /// The outputs of accumulators, before the clamp. `way` is that of the block or a later one.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn scale(block: &Self::Block, accumulators: Self::Vector, way: Way) -> Self::Vector;

    /// The outputs of accumulators as [`scale`](Self::scale), for a loop whose constants are the same in each turn. The
    /// compiler would take the extension of multipliers to 64 bits out of it, and in the loop no longer know that it
    /// multiplies 32 bits.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn scale_in_loop(block: &Self::Block, accumulators: Self::Vector, way: Way) -> Self::Vector;

    /// The range of an output.
    ///
    /// # Safety
    /// See [`Registers`].
    unsafe fn clamp(output: Output) -> Self::Clamp;

    /// Stores the bytes of four vectors, one after another.
    ///
    /// # Safety
    /// See [`Registers`]; there is room for them.
    unsafe fn store_ordered(four: [Self::Vector; 4], clamp: Self::Clamp, to: *mut i8);

    /// Stores the bytes of some pixels with `N` vectors each, of at most four, so far apart: of each the first
    /// `channels`.
    ///
    /// # Safety
    /// See [`Registers`]; there is room for them.
    unsafe fn store_pixels<const N: usize>(
        four: [Self::Vector; 4],
        clamp: Self::Clamp,
        pixels: usize,
        channels: usize,
        to: *mut i8,
        step: usize,
    );
}

/// An instruction set.
///
/// # Safety
/// All functions: only where the processor has the instructions.
pub(super) trait Set: Copy {
    /// Its vectors.
    type Registers: Registers;

    /// The bytes of an element of an input that is copied, and of a weight in order: 1, or 2.
    const ELEMENT: usize;
    /// The number of elements of a word.
    const ELEMENTS: usize = 4 / Self::ELEMENT;

    /// Adds to each accumulator the products of the elements of a word.
    ///
    /// # Safety
    /// See [`Set`].
    unsafe fn multiply(sums: VectorOf<Self>, x: VectorOf<Self>, weights: VectorOf<Self>) -> VectorOf<Self>;

    /// Adds to each accumulator the weights of a word, if 128 is added to inputs; else returns 0.
    ///
    /// # Safety
    /// See [`Set`].
    unsafe fn add_weights(sums: VectorOf<Self>, weights: VectorOf<Self>) -> VectorOf<Self>;

    /// Copies `count` elements of an input.
    ///
    /// # Safety
    /// See [`Set`]; they are there, and there is room for them.
    unsafe fn copy(to: *mut u8, from: *const i8, count: usize);

    /// Writes a zero point of an input into `size` bytes, and possibly some behind them, fewer than 64.
    ///
    /// # Safety
    /// See [`Set`]; there is room for them.
    unsafe fn set(to: *mut u8, zero_point: i8, size: usize);

    /// Writes the weights of as many filters as there are lanes, or of fewer, in the order of the registers, so far
    /// apart, and returns the sums of [`add_weights`](Self::add_weights).
    ///
    /// # Safety
    /// See [`Set`]; there are so many filters, at least one, from `from` on, all weights end at `end`, and there is
    /// room.
    unsafe fn order(
        shape: Shape,
        from: *const i8,
        rows: usize,
        end: *const i8,
        to: *mut u8,
        stride: usize,
    ) -> VectorOf<Self>;

    /// The weights of a tap of `size` channels, `times` times: of the vectors that hold them the one of number `part`.
    ///
    /// # Safety
    /// See [`Set`]; so many lie from `from` on; `times` is 1, or the number of lanes of four vectors divided by `size`.
    unsafe fn tap(from: *const i8, size: usize, times: usize, part: usize) -> VectorOf<Self>;

    /// Brings the elements of a word together. The four vectors are those of the word's taps, of each
    /// [`ELEMENT`](Self::ELEMENT) vectors one after another.
    ///
    /// # Safety
    /// See [`Set`].
    unsafe fn together(four: [VectorOf<Self>; 4]) -> [VectorOf<Self>; 4];

    /// The first of the four channels that [`together`](Self::together) puts into the lanes from `4 * four` on of
    /// vector `v`.
    fn lane(v: usize, four: usize) -> usize;

    /// Stores the first `count` of the bytes of such vectors, in the order of channels.
    ///
    /// # Safety
    /// See [`Set`]; there is room for them.
    unsafe fn store_lanes(
        four: [VectorOf<Self>; 4],
        clamp: <Self::Registers as Registers>::Clamp,
        count: usize,
        to: *mut i8,
    );

    /// [`convolution::Layer::compute`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn convolve(
        layer: &convolution::Layer,
        rows: &Range<usize>,
        operands: [&[i8]; 2],
        channels: &[Channel],
        output: &mut [i8],
    );

    /// [`Filters::order`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn order_filters(layer: &convolution::Layer, filters: &mut Filters, weights: &[i8], channels: &[Channel]);

    /// [`convolution::Layer::multiply`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn multiply_part(
        layer: &convolution::Layer,
        filters: &Filters,
        region: (&Region, usize),
        part: Part,
        outputs: (*mut i8, usize),
    );

    /// [`Tile::compute`] of `pixels`, at most [`Registers::MOST`] or twice as many.
    ///
    /// # Safety
    /// As for it.
    unsafe fn compute_pixels<const N: usize>(tile: &Tile<Self>, pixels: usize, inputs: *const u8, outputs: *mut i8);

    /// [`Tile::compute`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn compute_tile<const P: usize, const N: usize>(tile: &Tile<Self>, inputs: *const u8, outputs: *mut i8);

    /// [`Region::fill`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn fill(region: &mut Region, geometry: &Geometry, input: &[i8], columns: Columns, part: Part) -> Pitches;

    /// [`depthwise::Layer::compute`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn depthwise(
        layer: &depthwise::Layer,
        rows: &Range<usize>,
        operands: [&[i8]; 2],
        channels: &[Channel],
        output: &mut [i8],
    );

    /// [`Lanes::set`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn lanes(
        lanes: &mut Lanes<Self>,
        layer: &depthwise::Layer,
        weights: &[i8],
        channels: &[Channel],
        size: usize,
    );

    /// [`depthwise::Layer::multiply`].
    ///
    /// # Safety
    /// As for it.
    unsafe fn depthwise_part(
        layer: &depthwise::Layer,
        lanes: &Lanes<Self>,
        region: &Region,
        columns: (Pitches, Columns),
        part: Part,
        outputs: *mut i8,
    );

    /// Adds the first elements of two slices, and returns their number.
    ///
    /// # Safety
    /// See [`Set`].
    unsafe fn add(p: &AddSub, a: &[i8], b: &[i8], outputs: &mut [i8]) -> usize;
}

/// The vectors of an instruction set.
type VectorOf<S> = <<S as Set>::Registers as Registers>::Vector;

/// The functions of [`Set`] that hold whole parts of layers, compiled for these instructions; the tiles that are not
/// the largest have so many pixels.
macro_rules! entries {
    ($features:tt, $($pixels:literal)*, $most:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn convolve(
            layer: &$crate::arch::x86_64::layers::convolution::Layer,
            rows: &core::ops::Range<usize>,
            operands: [&[i8]; 2],
            channels: &[$crate::quant::Channel],
            output: &mut [i8],
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { layer.compute::<Self>(rows, operands, channels, output) }
        }

        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn order_filters(
            layer: &$crate::arch::x86_64::layers::convolution::Layer,
            filters: &mut $crate::arch::x86_64::layers::convolution::Filters,
            weights: &[i8],
            channels: &[$crate::quant::Channel],
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { filters.order::<Self>(layer, weights, channels) }
        }

        #[target_feature(enable = $features)]
        unsafe fn multiply_part(
            layer: &$crate::arch::x86_64::layers::convolution::Layer,
            filters: &$crate::arch::x86_64::layers::convolution::Filters,
            region: (&$crate::arch::x86_64::layers::region::Region, usize),
            part: $crate::arch::x86_64::layers::region::Part,
            outputs: (*mut i8, usize),
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { layer.multiply::<Self>(filters, region, part, outputs) }
        }

        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn compute_pixels<const N: usize>(
            tile: &$crate::arch::x86_64::layers::convolution::Tile<Self>,
            pixels: usize,
            inputs: *const u8,
            outputs: *mut i8,
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe {
                match pixels {
                    $($pixels => Self::compute_tile::<$pixels, N>(tile, inputs, outputs),)*
                    _ => Self::compute_tile::<$most, N>(tile, inputs, outputs),
                }
            }
        }

        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn compute_tile<const P: usize, const N: usize>(
            tile: &$crate::arch::x86_64::layers::convolution::Tile<Self>,
            inputs: *const u8,
            outputs: *mut i8,
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { tile.compute::<P, N>(inputs, outputs) }
        }

        #[target_feature(enable = $features)]
        unsafe fn fill(
            region: &mut $crate::arch::x86_64::layers::region::Region,
            geometry: &$crate::arch::x86_64::layers::region::Geometry,
            input: &[i8],
            columns: $crate::arch::x86_64::layers::region::Columns,
            part: $crate::arch::x86_64::layers::region::Part,
        ) -> $crate::arch::x86_64::layers::region::Pitches {
            // SAFETY: guaranteed by the caller.
            unsafe { region.fill::<Self>(geometry, input, columns, part) }
        }

        #[target_feature(enable = $features)]
        unsafe fn depthwise(
            layer: &$crate::arch::x86_64::layers::depthwise::Layer,
            rows: &core::ops::Range<usize>,
            operands: [&[i8]; 2],
            channels: &[$crate::quant::Channel],
            output: &mut [i8],
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { layer.compute::<Self>(rows, operands, channels, output) }
        }

        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn lanes(
            lanes: &mut $crate::arch::x86_64::layers::depthwise::Lanes<Self>,
            layer: &$crate::arch::x86_64::layers::depthwise::Layer,
            weights: &[i8],
            channels: &[$crate::quant::Channel],
            size: usize,
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { lanes.set(layer, weights, channels, size) }
        }

        #[target_feature(enable = $features)]
        unsafe fn depthwise_part(
            layer: &$crate::arch::x86_64::layers::depthwise::Layer,
            lanes: &$crate::arch::x86_64::layers::depthwise::Lanes<Self>,
            region: &$crate::arch::x86_64::layers::region::Region,
            columns: (
                $crate::arch::x86_64::layers::region::Pitches,
                $crate::arch::x86_64::layers::region::Columns,
            ),
            part: $crate::arch::x86_64::layers::region::Part,
            outputs: *mut i8,
        ) {
            // SAFETY: guaranteed by the caller.
            unsafe { layer.multiply::<Self>(lanes, region, columns, part, outputs) }
        }

        #[target_feature(enable = $features)]
        unsafe fn add(p: &$crate::add::AddSub, a: &[i8], b: &[i8], outputs: &mut [i8]) -> usize {
            // SAFETY: guaranteed by the caller.
            unsafe { $crate::arch::x86_64::layers::addition::add::<Self::Registers>(p, a, b, outputs) }
        }
    };
}
use entries;
