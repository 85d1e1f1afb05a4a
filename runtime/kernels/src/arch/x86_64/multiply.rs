//! Products of a matrix of weights with the windows of adjacent pixels, in tiles of four rows and two or three pixels.
//!
//! The windows of some pixels are stored without gaps, padded with zeros to whole steps. So rows of weights may be read
//! beyond their ends: what is read there is multiplied by zero. The sums of a tile stay in registers; the eight lanes of eight sums are added together in registers, and requantized there.

use super::dot::Dot;
use super::requantize::Factors;
use crate::lines::{copy, run, tail};
use crate::matrix::{Filters, Inputs};
use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_hadd_epi32, _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setzero_si256,
};
use core::mem::MaybeUninit;

/// The bytes of the stored windows.
const STORED: usize = 8192;

/// The room behind the windows that the last of them may be written into.
const BEHIND: usize = 64;

/// The maximum number of windows that are stored together.
const WINDOWS: usize = 48;

/// The number of elements of the longest step.
const LONGEST_STEP: usize = 32;

/// The bytes of a step of stored inputs.
const STEP_SIZE: usize = 32;

/// Windows of adjacent pixels, each in `size` bytes.
#[repr(align(64))]
struct Windows {
    bytes: [MaybeUninit<u8>; STORED + BEHIND],
    /// What is added to every sum of a window's products.
    corrections: [i32; WINDOWS],
}

/// The bytes of a stored window of `len` elements.
#[inline]
fn window_size<D: Dot>(len: usize) -> usize {
    len.div_ceil(D::STEP) * STEP_SIZE
}

/// Whether a window of `len` elements can be stored.
#[inline]
pub(super) fn can_store<D: Dot>(len: usize) -> bool {
    len <= STORED / STEP_SIZE * D::STEP
}

/// [`composed::multiply`](crate::composed::multiply) for operands that fit their slices, and windows that can be stored.
///
/// # Safety
/// The processor has the instructions of `D`; `inputs.fit` and [`can_store`] are true.
#[inline(always)]
pub(super) unsafe fn multiply<D: Dot>(
    filters: &Filters<'_>,
    inputs: &Inputs<'_>,
    output_step: usize,
    outputs: &mut [i8],
) {
    let size = window_size::<D>(filters.len);
    let at_once = STORED.checked_div(size).unwrap_or(WINDOWS).clamp(1, WINDOWS);
    // Whole tiles, if there is room for one.
    let at_once = if at_once > D::WINDOWS { at_once - at_once % D::WINDOWS } else { at_once };
    let mut windows = Windows { bytes: [MaybeUninit::uninit(); STORED + BEHIND], corrections: [0; WINDOWS] };
    let mut first = 0;
    while first < inputs.count {
        let count = at_once.min(inputs.count - first);
        for i in 0..count {
            // SAFETY: guaranteed by the caller; there is room for `at_once` windows of `size` bytes.
            unsafe { windows.store::<D>(i, size, inputs, first + i) };
        }
        let outputs = outputs.get_mut(first * output_step..).unwrap_or(&mut []);
        // SAFETY: guaranteed by the caller; `count` windows are stored.
        unsafe { windows.multiply::<D>(count, size, filters, output_step, outputs) };
        first += count;
    }
}

impl Windows {
    /// Stores the window of input `input` as window `i`.
    ///
    /// # Safety
    /// The processor has the instructions of `D`; the window of `size` bytes lies within the buffer.
    #[inline(always)]
    unsafe fn store<D: Dot>(&mut self, i: usize, size: usize, inputs: &Inputs<'_>, input: usize) {
        let (start, values) = (input * inputs.step, inputs.values);
        // SAFETY: the window lies within the buffer.
        let (window, end) = unsafe {
            let window = self.bytes.as_mut_ptr().cast::<u8>().add(i * size);
            (window, window.add(size))
        };
        let mut to = window;
        // What is written beyond the run is overwritten, by the next one or by zeros.
        for line in 0..inputs.lines {
            let run = run(values, start + line * inputs.line, inputs.run);
            let (sixteens, rest) = run.as_chunks::<16>();
            // SAFETY: there are sixteen elements each time, and they are stored in at most 32 bytes, of which the first
            // lies in the window.
            unsafe {
                for sixteen in sixteens {
                    D::store_16(sixteen.as_ptr(), to);
                    to = to.add(16 * (STEP_SIZE / D::STEP));
                }
                if !rest.is_empty() {
                    let from = start + line * inputs.line + 16 * sixteens.len();
                    match tail(values, from).first_chunk::<16>() {
                        Some(sixteen) => D::store_16(sixteen.as_ptr(), to),
                        None => D::store_16(first_of(rest).as_ptr(), to),
                    }
                    to = to.add(rest.len() * (STEP_SIZE / D::STEP));
                }
            }
        }
        if to < end {
            // SAFETY: less than a step is missing, and behind the windows there is room for one.
            unsafe { to.write_bytes(0, STEP_SIZE) };
        }
        if D::EXCESS != 0 {
            // SAFETY: guaranteed by the caller; the window is aligned and has whole steps.
            let sum = unsafe { D::sum(window, size / STEP_SIZE) };
            if let Some(correction) = self.corrections.get_mut(i) {
                *correction = sum.wrapping_mul(-D::EXCESS);
            }
        }
    }

    /// Multiplies `count` stored windows with all filters.
    ///
    /// # Safety
    /// The processor has the instructions of `D`; the windows are stored, with as many elements as a filter.
    #[inline(always)]
    unsafe fn multiply<D: Dot>(
        &self,
        count: usize,
        size: usize,
        filters: &Filters<'_>,
        output_step: usize,
        outputs: &mut [i8],
    ) {
        let mut copied = [0; 8 * LONGEST_STEP];
        let (mut weights, mut channels, mut outputs) = (filters.weights, filters.channels, outputs);
        while !channels.is_empty() {
            let rows = channels.len().min(8);
            // SAFETY: every processor with the instructions of some `D` has AVX2.
            let factors = unsafe { Factors::new(channels, filters.output).plus(filters.offset) };
            let rows_of_block = Rows::new::<D>(weights, filters.len, rows, &mut copied);
            let block = Block { rows: rows_of_block, factors, count: rows, output_step };
            let mut i = 0;
            while i < count {
                let windows = Tile {
                    inputs: self.bytes.as_ptr().cast::<u8>().wrapping_add(i * size),
                    size,
                    corrections: self.corrections.get(i..).unwrap_or(&[]),
                };
                let outputs = outputs.get_mut(i * output_step..).unwrap_or(&mut []);
                // SAFETY: guaranteed by the caller.
                i += unsafe {
                    match count - i {
                        1 => block.multiply::<D, 1>(&windows, outputs),
                        3 | 5.. if D::WINDOWS == 3 => block.multiply::<D, 3>(&windows, outputs),
                        _ => block.multiply::<D, 2>(&windows, outputs),
                    }
                };
            }
            weights = tail(weights, rows * filters.len);
            channels = channels.get(rows..).unwrap_or(&[]);
            outputs = outputs.get_mut(rows..).unwrap_or(&mut []);
        }
    }
}

/// The first sixteen elements, with zeros if there are fewer.
fn first_of(values: &[i8]) -> [i8; 16] {
    let mut sixteen = [0; 16];
    copy(&mut sixteen, values);
    sixteen
}

/// Some stored windows.
struct Tile<'a> {
    inputs: *const u8,
    size: usize,
    corrections: &'a [i32],
}

/// At most eight rows of weights, which are read in whole steps. The last row stands for those that are missing.
struct Rows {
    /// The number of whole steps of a row.
    steps: usize,
    starts: [*const i8; 8],
    /// What follows the whole steps of each row, if anything does.
    rests: Option<[*const i8; 8]>,
}

impl Rows {
    /// The first `count` rows of `weights`. If reading whole steps would go beyond the slice, what follows the whole
    /// steps is copied first.
    #[inline(always)]
    fn new<D: Dot>(weights: &[i8], len: usize, count: usize, copied: &mut [i8; 8 * LONGEST_STEP]) -> Self {
        let (steps, last) = (len / D::STEP, count.saturating_sub(1));
        let whole = steps * D::STEP;
        let start = weights.as_ptr();
        let rests = if whole == len {
            None
        } else if last * len + whole + D::STEP <= weights.len() {
            Some(eight(start.wrapping_add(whole), len, last))
        } else {
            for (r, copied) in copied.as_chunks_mut::<LONGEST_STEP>().0.iter_mut().enumerate() {
                copy(copied, run(weights, r * len + whole, len - whole));
            }
            Some(eight(copied.as_ptr(), LONGEST_STEP, last))
        };
        Self { steps, starts: eight(start, len, last), rests }
    }
}

/// The starts of rows that are `stride` elements apart.
#[inline(always)]
fn eight(start: *const i8, stride: usize, last: usize) -> [*const i8; 8] {
    let mut rows = [start; 8];
    for r in 1..8 {
        rows[r] = if r <= last { rows[r - 1].wrapping_add(stride) } else { rows[r - 1] };
    }
    rows
}

/// Some rows of weights, and where their products go.
struct Block {
    rows: Rows,
    factors: Factors,
    /// The number of rows.
    count: usize,
    output_step: usize,
}

impl Block {
    /// Computes the outputs of all rows and of the first `P` windows, and returns `P`.
    ///
    /// # Safety
    /// The processor has the instructions of `D`; there are `P` windows.
    #[inline(always)]
    unsafe fn multiply<D: Dot, const P: usize>(&self, tile: &Tile<'_>, outputs: &mut [i8]) -> usize {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let low = self.sums::<D, P>(0, tile);
            let high = if self.count > 4 { self.sums::<D, P>(4, tile) } else { low };
            let mut outputs = outputs;
            for p in 0..P {
                let (low, high) = (low[p], high[p]);
                let halves =
                    [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)];
                let mut sums = _mm256_add_epi32(_mm256_add_epi32(halves[0], halves[1]), self.factors.bias);
                if D::EXCESS != 0 {
                    let correction = tile.corrections.get(p).copied().unwrap_or(0);
                    sums = _mm256_add_epi32(sums, _mm256_set1_epi32(correction));
                }
                let room = self.count.min(outputs.len());
                self.factors.store(sums, outputs.get_mut(..room).unwrap_or(&mut []));
                outputs = outputs.get_mut(self.output_step..).unwrap_or(&mut []);
            }
        }
        P
    }

    /// The sums of the rows `from..from + 4`, each half in the low and half in the high 128 bits, for each window.
    ///
    /// # Safety
    /// As for [`multiply`](Self::multiply).
    #[inline(always)]
    unsafe fn sums<D: Dot, const P: usize>(&self, from: usize, tile: &Tile<'_>) -> [__m256i; P] {
        let steps = self.rows.steps;
        // SAFETY: the rows have whole steps of weights, the windows as many of inputs and one for the rest.
        unsafe {
            let mut sums = [[_mm256_setzero_si256(); 4]; P];
            let rows = four(&self.rows.starts, from);
            for step in 0..steps {
                add::<D, P>(&mut sums, rows, step * D::STEP, tile.inputs.wrapping_add(step * STEP_SIZE), tile.size);
            }
            if let Some(rests) = &self.rows.rests {
                let inputs = tile.inputs.wrapping_add(steps * STEP_SIZE);
                add::<D, P>(&mut sums, four(rests, from), 0, inputs, tile.size);
            }
            let mut halves = [_mm256_setzero_si256(); P];
            for (half, [a, b, c, d]) in halves.iter_mut().zip(sums) {
                *half = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            }
            halves
        }
    }
}

/// Four of the rows.
#[inline(always)]
fn four(rows: &[*const i8; 8], from: usize) -> [*const i8; 4] {
    let [a, b, c, d, e, f, g, h] = *rows;
    if from == 0 { [a, b, c, d] } else { [e, f, g, h] }
}

/// Adds the products of a step of four rows, from element `at` on, with one of `P` windows.
///
/// # Safety
/// The processor has the instructions of `D`; there is a step of weights in each row, and of inputs in each window.
#[inline(always)]
unsafe fn add<D: Dot, const P: usize>(
    sums: &mut [[__m256i; 4]; P],
    rows: [*const i8; 4],
    at: usize,
    inputs: *const u8,
    size: usize,
) {
    for (r, row) in rows.into_iter().enumerate() {
        // SAFETY: guaranteed by the caller.
        let weights = unsafe { D::weights(row.wrapping_add(at)) };
        for (p, sums) in sums.iter_mut().enumerate() {
            // SAFETY: guaranteed by the caller.
            sums[r] = unsafe { D::add(sums[r], weights, inputs.wrapping_add(p * size)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::x86_64::detect::{Vectors, vectors};
    use crate::arch::x86_64::dot::{Avx2, Emulated};
    use crate::matrix::Output;
    use crate::quant::Channel;
    use tealight_types::ActivationRange;

    /// Compares the products of random operands with those of the composed loops.
    fn compare<D: Dot>(lens: &[usize]) {
        if vectors() == Vectors::Portable {
            return;
        }
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        for &len in lens {
            for (count, rows) in [(1, 1), (2, 3), (3, 8), (4, 9), (5, 21), (7, 4), (100, 13)] {
                let step = len + random() as usize % 3;
                let values: std::vec::Vec<i8> = (0..step * count).map(|_| random() as i8).collect();
                let weights: std::vec::Vec<i8> = (0..len * rows).map(|_| random() as i8).collect();
                let channel = || Channel { bias: random() as i32 >> 12, multiplier: 1 << 30, shift: -10 };
                let channels: std::vec::Vec<Channel> = std::iter::repeat_with(channel).take(rows).collect();
                let output = Output { zero_point: -3, activation: ActivationRange::FULL };
                let filters = Filters { weights: &weights, channels: &channels, len, offset: 77, output };
                let inputs = Inputs { values: &values, count, step, lines: 1, line: 0, run: len };
                let (mut a, mut b) = (std::vec![7; count * (rows + 1)], std::vec![7; count * (rows + 1)]);
                // SAFETY: the processor has AVX2, and the operands fit.
                unsafe { multiply::<D>(&filters, &inputs, rows + 1, &mut a) };
                crate::composed::multiply(&filters, &inputs, rows + 1, &mut b);
                assert_eq!(a, b, "{len} elements, {count} inputs, {rows} rows");
            }
        }
    }

    #[test]
    fn products_of_widened_bytes_equal_the_composed_ones() {
        compare::<Avx2>(&[1, 8, 15, 16, 17, 27, 40, 64, 100, 576, 4096]);
    }

    #[test]
    fn products_of_unsigned_weights_equal_the_composed_ones() {
        compare::<Emulated>(&[1, 8, 31, 32, 33, 40, 64, 100, 576, 8192]);
    }
}
