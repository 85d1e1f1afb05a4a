//! Adjacent f32 pixels, multiplied with the weights of sixteen filters at a time.
//!
//! An input is broadcast to all lanes, and lane `i` has the weight of filter `i` for it. Each of the eight lanes of a
//! sum is therefore a register of its own for sixteen filters, and its total takes seven additions and no shuffle. The
//! weights are brought into this order once for all pixels, as f32 whatever their type.
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
use core::ops::Range;

/// The maximum number of elements of a window: with sixteen filters, 20.25 KiB on the stack.
const ELEMENTS: usize = 324;

/// The minimum number of pixels: for fewer, bringing the weights into order takes longer than it saves.
const FEWEST: usize = 8;

/// The weights of sixteen filters for each element, and then those of the next filters.
#[repr(C, align(64))]
struct Filters([MaybeUninit<[f32; 16]>; ELEMENTS]);

/// Weights in the order of the registers: those of a layer's filters, sixteen at a time.
#[derive(Clone, Copy)]
pub struct Arranged<'a> {
    /// The first weights, aligned to 64 bytes.
    weights: *const f32,
    /// The number of elements of the first filters from there on, and of all of each.
    left: usize,
    len: usize,
    /// The number of filters.
    filters: usize,
    buffer: PhantomData<&'a Filters>,
}

impl Arranged<'_> {
    /// The weights from one of each filter on.
    #[inline]
    pub(crate) fn tail(self, from: usize) -> Self {
        let from = from.min(self.left);
        Self { weights: self.weights.wrapping_add(16 * from), left: self.left - from, ..self }
    }
}

/// Brings the weights of filters, of `len` weights each, into order, as many as there is room for, and calls `f` with
/// them; then those of the next. Returns how many: all but the last ones that are fewer than sixteen, or none with too
/// large filters or few pixels.
///
/// # Safety
/// The processor has the instructions.
pub(in super::super) unsafe fn arrange<W: Weight>(
    weights: &[W],
    len: usize,
    filters: usize,
    pixels: usize,
    f: &mut impl FnMut(Range<usize>, Option<Arranged<'_>>),
) -> usize {
    let there = len.checked_mul(filters).is_some_and(|count| count <= weights.len());
    if pixels < FEWEST || filters < 16 || !there || !(1..=ELEMENTS).contains(&len) {
        return 0;
    }
    // SAFETY: guaranteed by the caller, and the weights are there.
    unsafe { arrange_blocks(weights.as_ptr(), len, filters - filters % 16, f) }
}

/// [`arrange`] for `filters` filters, a multiple of sixteen.
///
/// # Safety
/// As for that; the weights are there; a filter has at least one, and at most [`ELEMENTS`].
#[inline(never)]
unsafe fn arrange_blocks<W: Weight>(
    weights: *const W,
    len: usize,
    filters: usize,
    f: &mut impl FnMut(Range<usize>, Option<Arranged<'_>>),
) -> usize {
    let mut buffer = Filters([const { MaybeUninit::uninit() }; ELEMENTS]);
    let at_once = 16 * (ELEMENTS / len.max(1));
    let mut first = 0;
    while first < filters {
        let count = at_once.min(filters - first);
        let to = buffer.0.as_mut_ptr().cast::<f32>();
        for at in (0..count).step_by(16) {
            let row = weights.wrapping_add((first + at) * len);
            // SAFETY: guaranteed by the caller: so many filters are left, and there is room for `at_once`.
            unsafe { order(row, len, len, to.wrapping_add(at * len)) };
        }
        let arranged = Arranged { weights: to, left: len, len, filters: count, buffer: PhantomData };
        f(first..first + count, Some(arranged));
        first += count;
    }
    filters
}

/// Writes the first channels of each pixel, sixteen at a time. Returns how many: all but the last ones that are fewer,
/// or none with too large windows or few pixels whose weights are not in order.
///
/// # Safety
/// All taps of all pixels and rows lie within the slices, and the pixels within `outputs`; the processor has the
/// instructions.
#[inline]
pub(in super::super) unsafe fn multiply_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) -> usize {
    let Pixels { window, len, channels, steps, .. } = *pixels;
    let elements = window.lines.saturating_mul(window.runs).saturating_mul(len);
    // SAFETY: guaranteed by the caller; the weights in order are as many as the window needs.
    unsafe {
        match pixels.arranged {
            Some(arranged) => {
                let fits = elements > 0 && steps.count > 0 && window.fits(len, [usize::MAX, arranged.left]);
                if fits && channels <= arranged.filters {
                    return multiply_arranged(pixels, arranged, outputs.as_mut_ptr());
                }
                0
            }
            None if channels >= 16 && steps.count >= FEWEST && (1..=ELEMENTS).contains(&elements) => {
                multiply_ordered(pixels, outputs.as_mut_ptr())
            }
            None => 0,
        }
    }
}

/// Writes the channels of pixels whose weights are in order. Returns how many: all but the last ones that are fewer
/// than sixteen.
///
/// # Safety
/// As for [`multiply_pixels`]; there are pixels and channels, the window has at least one element, and all of its
/// weights are in order.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn multiply_arranged<W: Weight>(pixels: &Pixels<'_, &[W]>, arranged: Arranged<'_>, outputs: *mut f32) -> usize {
    let mut channel = 0;
    let mut weights = arranged.weights;
    while pixels.channels - channel >= 16 {
        // SAFETY: guaranteed by the caller: so many channels and their weights are left.
        unsafe { multiply_sixteen(pixels, channel, weights, outputs) };
        weights = weights.wrapping_add(16 * arranged.len);
        channel += 16;
    }
    channel
}

/// Writes the first channels of pixels, whose weights are brought into order for them. Returns how many.
///
/// # Safety
/// As for [`multiply_pixels`]; there are pixels, and the window has at least one element, and at most [`ELEMENTS`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn multiply_ordered<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: *mut f32) -> usize {
    let Pixels { mut window, len, stride, channels, .. } = *pixels;
    let mut buffer = Filters([const { MaybeUninit::uninit() }; ELEMENTS]);
    let weights = buffer.0.as_mut_ptr().cast::<f32>();
    // In order, the taps are adjacent.
    (window.run[1], window.line[1]) = (len, window.runs.wrapping_mul(len));
    let in_order = Pixels { window, ..*pixels };
    let mut channel = 0;
    while channels - channel >= 16 {
        let row = pixels.weights.as_ptr().wrapping_add(channel.wrapping_mul(stride));
        // SAFETY: guaranteed by the caller: so many channels are left; there is room for so many elements.
        unsafe {
            let mut to = weights;
            pixels.window.for_each_start(|_, tap| {
                order(row.wrapping_add(tap), len, stride, to);
                to = to.wrapping_add(16 * len);
            });
            multiply_sixteen(&in_order, channel, weights, outputs);
        }
        channel += 16;
    }
    channel
}

/// Writes sixteen channels of pixels from `channel` on, whose weights in order are these.
///
/// # Safety
/// As for [`multiply_pixels`]; there are so many channels, and pixels; the window has at least one element, and its
/// weights are there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn multiply_sixteen<W: Weight>(
    pixels: &Pixels<'_, &[W]>,
    channel: usize,
    weights: *const f32,
    outputs: *mut f32,
) {
    let Pixels { window, len, steps, .. } = *pixels;
    let last = Last::<W::Finish>::new(tail(pixels.finish, channel), pixels.activation);
    let tile = Tile { window, len, steps, weights, last };
    let (input, output) = (pixels.input.as_ptr(), outputs.wrapping_add(channel));
    // SAFETY: guaranteed by the caller.
    unsafe {
        match len {
            1 if steps.count >= 8 => tile.pixels::<1, 8>(input, output),
            2 if steps.count >= 8 => tile.pixels::<2, 8>(input, output),
            3 if steps.count >= 8 => tile.pixels::<3, 8>(input, output),
            4 if steps.count >= 6 => tile.pixels::<4, 6>(input, output),
            5.. if steps.count >= 3 => tile.pixels::<8, 3>(input, output),
            1 => tile.pixels::<1, 1>(input, output),
            2 => tile.pixels::<2, 1>(input, output),
            3 => tile.pixels::<3, 1>(input, output),
            4 => tile.pixels::<4, 1>(input, output),
            _ => tile.pixels::<8, 1>(input, output),
        }
    }
}

/// Writes `len` weights of each of sixteen rows, those of an element together.
///
/// # Safety
/// They lie from `row` on, and there is room, aligned to 64 bytes.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn order<W: Weight>(row: *const W, len: usize, stride: usize, to: *mut f32) {
    let (mut row, mut to) = (row, to);
    for _ in 0..len / 8 {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let columns = turned(|r| W::load(row.wrapping_add(r * stride)));
            for (i, column) in columns.into_iter().enumerate() {
                _mm512_store_ps(to.wrapping_add(16 * i), column);
            }
        }
        (row, to) = (row.wrapping_add(8), to.wrapping_add(128));
    }
    let rest = len % 8;
    if rest > 0 {
        // SAFETY: as above.
        unsafe {
            let columns = turned(|r| W::load_some(row.wrapping_add(r * stride), rest));
            for (i, column) in columns.into_iter().enumerate().take(rest) {
                _mm512_store_ps(to.wrapping_add(16 * i), column);
            }
        }
    }
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
    /// There are at least `P` pixels. All taps of all pixels lie from `input` on, and the pixels from `output` on; `L`
    /// is the length of a run, or else eight; the weights are in order.
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
        let Window { lines, runs, line, run } = self.window;
        let step = self.steps.input;
        let mut sums = [[_mm512_setzero_ps(); L]; P];
        let (mut lines_left, mut line_x, mut line_w) = (lines, input, self.weights);
        let (mut runs_left, mut run_x, mut run_w) = (runs, input, self.weights);
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
                }
                if runs_left > 1 {
                    runs_left -= 1;
                    (run_x, run_w) = (run_x.wrapping_add(run[0]), run_w.wrapping_add(16 * run[1]));
                } else if lines_left > 1 {
                    (lines_left, runs_left) = (lines_left - 1, runs);
                    (line_x, line_w) = (line_x.wrapping_add(line[0]), line_w.wrapping_add(16 * line[1]));
                    (run_x, run_w) = (line_x, line_w);
                } else {
                    return sums;
                }
                (x, w, left) = (run_x, run_w, self.len);
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
