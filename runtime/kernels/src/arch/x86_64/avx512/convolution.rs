//! Convolutions: each input is multiplied with the weights of sixteen filters at a time.
//!
//! Four adjacent elements of a run are broadcast to all lanes, and lane `i` has the weights of filter `i` for them. So
//! no lanes are added together at the end. The weights of sixteen filters, four bytes of each, are brought into this
//! order.

use super::region::{Columns, Geometry, Part, Region};
use super::requantize::{Block, Clamp, Way};
use crate::Conv2d;
use crate::conv2d::is_pointwise;
use crate::lines::{run, tail};
use crate::matrix::Output;
use crate::quant::Channel;
use crate::window::Lines;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm_storeu_si128, _mm256_castsi256_si128,
    _mm256_mask_storeu_epi8, _mm256_permute2x128_si256, _mm256_storeu_si256, _mm512_castsi128_si512,
    _mm512_castsi512_si256, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_inserti32x4, _mm512_load_si512,
    _mm512_permutexvar_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_si512,
    _mm512_store_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use core::mem::MaybeUninit;
use core::ops::Range;

/// The bytes of the weights that are in order at one time.
const ORDERED: usize = 9 * 1024;

/// The maximum number of blocks of sixteen filters whose weights are in order at one time.
const BLOCKS: usize = 4;

/// The minimum number of pixels of a call: for fewer, bringing the weights into order takes longer than it saves.
const FEWEST: usize = 8;

/// Computes `rows` of a convolution. Returns whether it did: not with several groups, too large windows or few pixels.
pub(in super::super) fn convolve(
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
    let Some(geometry) = Geometry::new(shape, &lines, &window, p.input_zero_point, &rows, input.len()) else {
        return false;
    };
    let [kernel_height, kernel_width] = window.kernel;
    let (run, filters) = (kernel_width.saturating_mul(shape[3]), p.output[3]);
    let len = kernel_height.saturating_mul(run);
    let size = kernel_height.saturating_mul(run.div_ceil(4)).saturating_mul(64);
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
        shape: Shape { lines: kernel_height, run, quads: run.div_ceil(4) },
        step: window.stride[1] * shape[3],
        line_step: window.stride[0],
        // With a single line the dilation has no effect; it may be huge.
        line_distance: if kernel_height == 1 { 1 } else { window.dilation[0].max(1) },
        output: finish,
    };
    // SAFETY: the caller has found these instructions; the sizes are checked.
    unsafe { layer.compute(&rows, input, weights, channels.get(..filters).unwrap_or(&[]), output) };
    true
}

/// The runs of a filter.
#[derive(Clone, Copy)]
struct Shape {
    lines: usize,
    run: usize,
    /// The number of four weights, or less at the end, in a run.
    quads: usize,
}

/// What all filters of a layer share.
struct Layer {
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

/// Filters whose weights are in order.
#[repr(C, align(64))]
struct Filters {
    weights: [MaybeUninit<u8>; ORDERED],
    blocks: [MaybeUninit<Block>; BLOCKS],
}

impl Layer {
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
        let Shape { lines, run, quads } = self.shape;
        let (len, size, all) = (lines * run, lines * quads * 64, channels.len());
        let at_once = 16 * (ORDERED / size.max(64)).clamp(1, BLOCKS);
        let mut filters = Filters {
            weights: [const { MaybeUninit::uninit() }; ORDERED],
            blocks: [const { MaybeUninit::uninit() }; BLOCKS],
        };
        let mut region = Region::new();
        let mut first = 0;
        while first < all {
            let count = at_once.min(all - first);
            // SAFETY: guaranteed by the caller; there is room for so many blocks.
            let way = unsafe {
                filters.order(self.shape, tail(weights, first * len), tail(channels, first), count, self.output)
            };
            self.geometry.for_each_part(rows, self.columns, |part| {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let pitches = region.fill(&self.geometry, input, self.columns, part);
                    let outputs = output.as_mut_ptr().add(part.before * all + first);
                    self.multiply(&filters, count, way, (&region, pitches.line), part, (outputs, all));
                }
            });
            first += count;
        }
    }

    /// Multiplies the pixels of a part with `count` filters; `outputs` are from the first filter's on, and pixels'
    /// outputs are so far apart.
    ///
    /// # Safety
    /// As for [`compute`](Self::compute); the region is filled, the filters are in order, all outputs have room.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn multiply(
        &self,
        filters: &Filters,
        count: usize,
        way: Way,
        (region, pitch): (&Region, usize),
        part: Part,
        (outputs, output_step): (*mut i8, usize),
    ) {
        let size = self.shape.lines * self.shape.quads * 64;
        let clamp = Clamp::new(self.output);
        let mut at = 0;
        while at < count {
            let channels = (count - at).min(32);
            let tile = Tile {
                weights: filters.weights.as_ptr().cast::<u8>().wrapping_add(at / 16 * size),
                blocks: filters.blocks.as_ptr().cast::<Block>().wrapping_add(at / 16),
                shape: self.shape,
                pitch: pitch * self.line_distance,
                step: self.step,
                mask: (u64::MAX >> (64 - channels)) as u32,
                way,
                clamp,
                output_step,
            };
            for row in 0..part.rows {
                let mut inputs = region.start().wrapping_add(row * self.line_step * pitch);
                let mut outputs = outputs.wrapping_add(row * part.count * output_step + at);
                let mut left = part.count;
                while left > 0 {
                    let pixels = if channels <= 16 && left >= 16 { 16 } else { left.min(MOST) };
                    // SAFETY: guaranteed by the caller.
                    unsafe {
                        if channels > 16 {
                            tile.compute_some::<2>(pixels, inputs, outputs);
                        } else {
                            tile.compute_some::<1>(pixels, inputs, outputs);
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
    /// Brings the weights of the first `count` filters into order: of each 32 filters four weights of the first
    /// sixteen, then of the others; of the last sixteen or fewer, if no more are left, alone. Returns how all are
    /// requantized.
    ///
    /// # Safety
    /// The filters are there, and there is room for them.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn order(
        &mut self,
        shape: Shape,
        weights: &[i8],
        channels: &[Channel],
        count: usize,
        output: Output,
    ) -> Way {
        let size = shape.lines * shape.quads * 64;
        let mut way = Way::Positive;
        let mut to = self.weights.as_mut_ptr().cast::<u8>();
        let mut at = 0;
        for block in &mut self.blocks {
            let rows = count.saturating_sub(at).min(16);
            if rows == 0 {
                break;
            }
            let second = at % 32 != 0;
            let stride = if second || count - at > 16 { 128 } else { 64 };
            let (mut constants, own) = Block::new(run(channels, at, rows), output);
            // SAFETY: guaranteed by the caller.
            unsafe {
                let from = weights.as_ptr().add(at * shape.lines * shape.run);
                let start = if second { to.sub(size).add(64) } else { to };
                constants.without(order(shape, from, rows, start, stride));
                to = to.add(size);
            }
            block.write(constants);
            way = way.max(own);
            at += rows;
        }
        way
    }
}

/// Writes the weights of sixteen filters, or of fewer, in the order of the registers, so far apart, and returns their
/// sums.
///
/// # Safety
/// So many filters, at least one, lie from `from` on, and there is room.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn order(shape: Shape, from: *const i8, rows: usize, to: *mut u8, stride: usize) -> __m512i {
    let len = shape.lines * shape.run;
    // Each fourth row, and the distances of those after it; the last one stands for those that are missing.
    let row = |r: usize| r.min(rows - 1);
    let starts = [0, 4, 8, 12].map(|r| from.wrapping_add(row(r) * len));
    let distances = [0, 1, 2, 3].map(|r| r * len);
    let whole = rows == 16;
    let mut sums = _mm512_setzero_si512();
    let (mut at, mut to) = (0, to);
    for _ in 0..shape.lines {
        let mut left = shape.run;
        while left > 0 {
            let now = left.min(16);
            // SAFETY: guaranteed by the caller.
            let quads = unsafe {
                let mask = (u32::MAX >> (32 - now)) as u16;
                match (whole, now) {
                    (true, 16) => turned(|r| _mm_loadu_si128(starts[r / 4].wrapping_add(distances[r % 4] + at).cast())),
                    (true, _) => {
                        turned(|r| _mm_maskz_loadu_epi8(mask, starts[r / 4].wrapping_add(distances[r % 4] + at)))
                    }
                    _ => turned(|r| _mm_maskz_loadu_epi8(mask, from.wrapping_add(row(r) * len + at))),
                }
            };
            for quad in quads.into_iter().take(now.div_ceil(4)) {
                sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), quad);
                // SAFETY: guaranteed by the caller.
                unsafe {
                    _mm512_store_si512(to.cast(), quad);
                    to = to.add(stride);
                }
            }
            (at, left) = (at + now, left - now);
        }
    }
    sums
}

/// Of sixteen rows of four words, the columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn turned(load: impl Fn(usize) -> __m128i) -> [__m512i; 4] {
    let rows = |i: usize| {
        let one = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(load(i)), load(i + 4));
        _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(one, load(i + 8)), load(i + 12))
    };
    let [a, b, c, d] = [rows(0), rows(1), rows(2), rows(3)];
    let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (low_2, high_2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(low, low_2),
        _mm512_unpackhi_epi64(low, low_2),
        _mm512_unpacklo_epi64(high, high_2),
        _mm512_unpackhi_epi64(high, high_2),
    ]
}

/// The maximum number of pixels of a tile of 32 filters, which together have sixteen sums; of sixteen filters, twice
/// as many are possible.
const MOST: usize = 8;

/// What the tiles of 16 or 32 filters share.
struct Tile {
    weights: *const u8,
    blocks: *const Block,
    shape: Shape,
    /// The distance of a window's runs, in bytes.
    pitch: usize,
    /// The distance of adjacent pixels' windows, in bytes.
    step: usize,
    /// Which of the filters there are.
    mask: u32,
    way: Way,
    clamp: Clamp,
    output_step: usize,
}

impl Tile {
    /// Computes the outputs of up to [`MOST`] pixels and `N` times sixteen filters.
    ///
    /// # Safety
    /// The windows, the filters and the room for the outputs are there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn compute_some<const N: usize>(&self, pixels: usize, inputs: *const u8, outputs: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            match pixels {
                1 => self.compute::<1, N>(inputs, outputs),
                2 => self.compute::<2, N>(inputs, outputs),
                3 => self.compute::<3, N>(inputs, outputs),
                4 => self.compute::<4, N>(inputs, outputs),
                5 => self.compute::<5, N>(inputs, outputs),
                6 => self.compute::<6, N>(inputs, outputs),
                7 => self.compute::<7, N>(inputs, outputs),
                16 => self.compute::<16, N>(inputs, outputs),
                _ => self.compute::<8, N>(inputs, outputs),
            }
        }
    }

    /// # Safety
    /// As for [`compute_some`](Self::compute_some).
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn compute<const P: usize, const N: usize>(&self, inputs: *const u8, outputs: *mut i8) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let blocks = &*self.blocks.cast::<[Block; N]>();
            let mut sums = [[_mm512_setzero_si512(); N]; P];
            for sums in &mut sums {
                for (sum, block) in sums.iter_mut().zip(blocks) {
                    *sum = block.bias();
                }
            }
            let (mut weights, mut line) = (self.weights, inputs);
            for _ in 0..self.shape.lines {
                let mut x = line;
                for _ in 0..self.shape.quads {
                    let mut loaded = [_mm512_setzero_si512(); N];
                    for (n, loaded) in loaded.iter_mut().enumerate() {
                        *loaded = _mm512_load_si512(weights.wrapping_add(64 * n).cast());
                    }
                    for (p, sums) in sums.iter_mut().enumerate() {
                        let four = x.wrapping_add(p * self.step).cast::<i32>().read_unaligned();
                        for (sum, weights) in sums.iter_mut().zip(loaded) {
                            *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi32(four), weights);
                        }
                    }
                    weights = weights.wrapping_add(64 * N);
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
    /// The room for the outputs is there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn store<const P: usize, const N: usize>(
        &self,
        mut sums: [[__m512i; N]; P],
        blocks: &[Block; N],
        way: Way,
        outputs: *mut i8,
    ) {
        // The quarters in the order of the four vectors.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for sums in &mut sums {
            for (sum, block) in sums.iter_mut().zip(blocks) {
                *sum = block.scale(*sum, way);
            }
        }
        let mut to = outputs;
        for pixels in sums.chunks(4 / N) {
            let mut four = [_mm512_setzero_si512(); 4];
            for (four, sum) in four.iter_mut().zip(pixels.as_flattened()) {
                *four = *sum;
            }
            let bytes = _mm512_permutexvar_epi32(order, self.clamp.bytes(four));
            let halves = [_mm512_castsi512_si256(bytes), _mm512_extracti64x4_epi64::<1>(bytes)];
            for i in 0..pixels.len() {
                let half = match (N, i) {
                    (2, _) => halves[i],
                    (_, 0 | 2) => halves[i / 2],
                    _ => _mm256_permute2x128_si256::<0x11>(halves[i / 2], halves[i / 2]),
                };
                // SAFETY: guaranteed by the caller: there is room for the filters of the mask.
                unsafe {
                    match (N, self.mask) {
                        (2, u32::MAX) => _mm256_storeu_si256(to.cast(), half),
                        (1, 0xffff) => _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(half)),
                        _ => _mm256_mask_storeu_epi8(to, self.mask, half),
                    }
                }
                to = to.wrapping_add(self.output_step);
            }
        }
    }
}
