//! Adjacent f32 pixels, multiplied with the weights of sixteen filters at a time.
//!
//! An input is broadcast to all lanes, and lane `i` has the weight of filter `i` for it. Each of the eight lanes of a sum
//! is therefore a register of its own for sixteen filters, and its total takes seven additions and no shuffle. The weights
//! are brought into this order once for all pixels, as f32 whatever their type.
//!
//! Product and sum are two instructions, as in [`lanes`](crate::arch::lanes). Sums start with their first products, as
//! there.

use super::super::float::Lanes;
use crate::float::products::Pixels;
use crate::float::{Finish, Weight};
use crate::lines::tail;
use crate::portable::{Steps, Window};
use core::arch::x86_64::{
    __m512, _CMP_GT_OQ, _CMP_LT_OQ, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps256_ps512,
    _mm512_cmp_ps_mask, _mm512_insertf32x8, _mm512_load_ps, _mm512_mask_mov_ps, _mm512_max_ps, _mm512_min_ps,
    _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_store_ps, _mm512_storeu_ps,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// The maximum number of elements of a window.
const ELEMENTS: usize = 324;

/// The minimum number of pixels: for fewer, bringing the weights into order takes longer than it saves.
const FEWEST: usize = 8;

/// The weights of sixteen filters for each element of a window.
#[repr(C, align(64))]
struct Filters([MaybeUninit<[f32; 16]>; ELEMENTS]);

/// Writes the first channels of each pixel, sixteen at a time. Returns how many: all but the last ones that are fewer, or
/// none with too large windows or few pixels.
///
/// # Safety
/// All taps of all pixels and rows lie within the slices, and the pixels within `outputs`; the processor has the
/// instructions.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(in super::super) unsafe fn multiply_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) -> usize {
    let Pixels { window, len, stride, channels, steps, .. } = *pixels;
    let elements = window.lines.saturating_mul(window.runs).saturating_mul(len);
    if steps.count < FEWEST || !(1..=ELEMENTS).contains(&elements) {
        return 0;
    }
    let mut filters = Filters([const { MaybeUninit::uninit() }; ELEMENTS]);
    let mut channel = 0;
    while channels - channel >= 16 {
        let row = pixels.weights.as_ptr().wrapping_add(channel.wrapping_mul(stride));
        let last = Last::<W::Finish>::new(tail(pixels.finish, channel), pixels.activation);
        // SAFETY: guaranteed by the caller: so many channels and pixels are left; there is room for so many elements.
        unsafe {
            arrange(&window, len, row, stride, filters.0.as_mut_ptr().cast());
            let tile = Tile { window, len, steps, weights: filters.0.as_ptr().cast(), last };
            let (input, output) = (pixels.input.as_ptr(), outputs.as_mut_ptr().wrapping_add(channel));
            match len {
                1 => tile.pixels::<1, 8>(input, output),
                2 => tile.pixels::<2, 8>(input, output),
                3 => tile.pixels::<3, 8>(input, output),
                4 => tile.pixels::<4, 6>(input, output),
                _ => tile.pixels::<8, 3>(input, output),
            }
        }
        channel += 16;
    }
    channel
}

/// Writes the weights of sixteen rows, those of an element together.
///
/// # Safety
/// All taps of the rows lie from `row` on, and there is room, aligned to 64 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn arrange<W: Weight>(window: &Window, len: usize, row: *const W, stride: usize, to: *mut f32) {
    let mut to = to;
    window.for_each_start(|_, tap| {
        let (mut from, mut left) = (row.wrapping_add(tap), len);
        while left > 0 {
            let count = left.min(8);
            // SAFETY: guaranteed by the caller.
            let columns = unsafe {
                if count == 8 {
                    turned(|r| W::load(from.wrapping_add(r * stride)))
                } else {
                    turned(|r| W::load_some(from.wrapping_add(r * stride), count))
                }
            };
            for column in columns.into_iter().take(count) {
                // SAFETY: as above.
                unsafe { _mm512_store_ps(to, column) };
                to = to.wrapping_add(16);
            }
            (from, left) = (from.wrapping_add(count), left - count);
        }
    });
}

/// Two vectors of eight.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sixteen(first: Lanes, last: Lanes) -> __m512 {
    _mm512_insertf32x8::<1>(_mm512_castps256_ps512(first.register()), last.register())
}

/// Of sixteen rows of eight elements, the columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn turned(load: impl Fn(usize) -> Lanes) -> [__m512; 8] {
    let pair = |r: usize| sixteen(load(r), load(r + 4));
    let rows = |i: usize| {
        let (first, last) = (pair(i), pair(i + 8));
        // Four elements of rows i, i + 4, i + 8 and i + 12.
        [_mm512_shuffle_f32x4::<0b10_00_10_00>(first, last), _mm512_shuffle_f32x4::<0b11_01_11_01>(first, last)]
    };
    let ([a, e], [b, f], [c, g], [d, h]) = (rows(0), rows(1), rows(2), rows(3));
    let columns = |a, b, c, d| {
        let low = [_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpacklo_ps(c, d))];
        let high = [_mm512_castps_pd(_mm512_unpackhi_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(c, d))];
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1])),
            _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1])),
            _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1])),
            _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1])),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (columns(a, b, c, d), columns(e, f, g, h));
    [a, b, c, d, e, f, g, h]
}

/// What finishes the sums of sixteen channels.
struct Last<F> {
    scale: __m512,
    bias: __m512,
    min: __m512,
    max: __m512,
    /// Whether the minimum and the maximum of two numbers clamp as `clamp` does.
    in_order: bool,
    finish: PhantomData<F>,
}

impl<F: Finish> Last<F> {
    /// Of the first sixteen channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn new(channels: &[F], activation: [f32; 2]) -> Self {
        let ([scales, biases], [scales_2, biases_2]) = (F::first_eight(channels), F::first_eight(tail(channels, 8)));
        let bias = sixteen(Lanes::of(&biases), Lanes::of(&biases_2));
        // -0 becomes +0; so does the product with the scale, which may be -0, only where this is not done.
        let bias = if F::SCALED { bias } else { _mm512_add_ps(bias, _mm512_setzero_ps()) };
        let in_order = Lanes::are_in_order(activation, F::SCALED);
        Self {
            scale: sixteen(Lanes::of(&scales), Lanes::of(&scales_2)),
            bias,
            min: _mm512_set1_ps(activation[0]),
            max: _mm512_set1_ps(activation[1]),
            in_order,
            finish: PhantomData,
        }
    }

    /// The finished totals of sums that start with their first products.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn finish(&self, totals: __m512) -> __m512 {
        let sums = if F::SCALED {
            _mm512_add_ps(self.bias, _mm512_mul_ps(_mm512_add_ps(totals, _mm512_setzero_ps()), self.scale))
        } else {
            _mm512_add_ps(totals, self.bias)
        };
        let Self { min, max, .. } = *self;
        if self.in_order {
            return _mm512_max_ps(min, _mm512_min_ps(max, sums));
        }
        let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(sums, min);
        let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(sums, max);
        _mm512_mask_mov_ps(_mm512_mask_mov_ps(sums, above, max), below, min)
    }
}

/// What the tiles of sixteen filters share.
struct Tile<F> {
    window: Window,
    len: usize,
    steps: Steps,
    /// The weights of the filters for each element of the window.
    weights: *const f32,
    last: Last<F>,
}

impl<F: Finish> Tile<F> {
    /// Writes the pixels, `P` together, whose sums have `L` lanes that are not 0. If fewer than `P` are left, some are
    /// computed twice.
    ///
    /// # Safety
    /// There are at least `P` pixels. All taps of all pixels lie from `input` on, and the pixels from `output` on; `L` is
    /// the length of a run, or else eight; the weights are in order.
    #[inline(never)] // inlined, the addresses of its arguments would not stay in registers
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn pixels<const L: usize, const P: usize>(&self, input: *const f32, output: *mut f32) {
        let Steps { count, input: step, output: output_step } = self.steps;
        let mut first = 0;
        while first < count {
            first = first.min(count.saturating_sub(P));
            let mut to = output.wrapping_add(first.wrapping_mul(output_step));
            // SAFETY: guaranteed by the caller.
            unsafe {
                for lanes in self.sums::<L, P>(input.wrapping_add(first.wrapping_mul(step))) {
                    _mm512_storeu_ps(to, self.last.finish(total(lanes)));
                    to = to.wrapping_add(output_step);
                }
            }
            first += P;
        }
    }

    /// The lanes of the sums of `P` pixels. They start with their first products.
    ///
    /// # Safety
    /// As for [`pixels`](Self::pixels).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn sums<const L: usize, const P: usize>(&self, input: *const f32) -> [[__m512; L]; P] {
        let Window { lines, runs, line: [line, _], run: [run, _] } = self.window;
        let step = self.steps.input;
        let mut sums = [[_mm512_setzero_ps(); L]; P];
        let (mut lines_left, mut runs_left, mut line_start, mut run_start) = (lines, runs, input, input);
        let (mut x, mut w, mut left) = (input, self.weights, self.len);
        // SAFETY: guaranteed by the caller; the first run is there, and if there are so many elements in it, so are the
        // first of them.
        unsafe {
            if left >= L {
                for i in 0..L {
                    let weights = _mm512_load_ps(w.wrapping_add(16 * i));
                    for (p, sums) in sums.iter_mut().enumerate() {
                        if let Some(sum) = sums.get_mut(i) {
                            *sum = _mm512_mul_ps(weights, _mm512_set1_ps(*x.wrapping_add(p * step + i)));
                        }
                    }
                }
                (x, w, left) = (x.wrapping_add(L), w.wrapping_add(16 * L), left - L);
            }
            loop {
                while left >= L {
                    add::<L, P>(&mut sums, x, step, w, L);
                    (x, w, left) = (x.wrapping_add(L), w.wrapping_add(16 * L), left - L);
                }
                if L == 8 && left > 0 {
                    add::<L, P>(&mut sums, x, step, w, left);
                    w = w.wrapping_add(16 * left);
                }
                if runs_left > 1 {
                    (runs_left, run_start) = (runs_left - 1, run_start.wrapping_add(run));
                } else if lines_left > 1 {
                    line_start = line_start.wrapping_add(line);
                    (lines_left, runs_left, run_start) = (lines_left - 1, runs, line_start);
                } else {
                    return sums;
                }
                (x, left) = (run_start, self.len);
            }
        }
    }
}

/// Adds to the sums of `P` pixels, `step` elements apart, the products of `count` elements, which are at most `L`.
///
/// # Safety
/// The elements and their weights are there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn add<const L: usize, const P: usize>(
    sums: &mut [[__m512; L]; P],
    x: *const f32,
    step: usize,
    w: *const f32,
    count: usize,
) {
    for i in 0..L {
        if i >= count {
            break;
        }
        // SAFETY: guaranteed by the caller.
        let weights = unsafe { _mm512_load_ps(w.wrapping_add(16 * i)) };
        for (p, sums) in sums.iter_mut().enumerate() {
            if let Some(sum) = sums.get_mut(i) {
                // SAFETY: as above.
                let x = unsafe { *x.wrapping_add(p * step + i) };
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(weights, _mm512_set1_ps(x)));
            }
        }
    }
}

/// The total of the lanes of a sum.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn total<const L: usize>(lanes: [__m512; L]) -> __m512 {
    let add = |a, b| _mm512_add_ps(a, b);
    match *lanes.as_slice() {
        [a] => a,
        [a, b] => add(a, b),
        [a, b, c] => add(add(a, c), b),
        [a, b, c, d] => add(add(a, c), add(b, d)),
        [a, b, c, d, e, f, g, h] => add(add(add(a, e), add(c, g)), add(add(b, f), add(d, h))),
        _ => _mm512_setzero_ps(),
    }
}
