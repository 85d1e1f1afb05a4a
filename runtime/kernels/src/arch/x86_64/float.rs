//! Eight lanes of f32 in a register of AVX; halves are converted by F16C.
//!
//! Product and sum are two instructions: `VFMADD` would round once, and other targets do not have it.

use super::detect::{Vectors, vectors};
use super::layers;
pub(crate) use super::layers::Arranged;
use crate::arch::lanes::{self, Element, some_bytes, some_halves};
use crate::float::products::{self, Pixels, rows_fit};
use crate::float::{Weight, unary};
use crate::lines::of_equal_length;
use crate::portable::Window;
use core::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_LT_OQ, _mm_cvtsi64_si128, _mm_loadl_epi64, _mm_loadu_si128, _mm_set_epi64x,
    _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256, _mm256_blendv_epi8, _mm256_blendv_ps,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cmpgt_epi32, _mm256_cvtepi8_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_cvttps_epi32, _mm256_div_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_max_ps, _mm256_min_ps, _mm256_movemask_epi8, _mm256_mul_ps, _mm256_or_ps,
    _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_storeu2_m128, _mm256_sub_ps, _mm256_xor_ps,
};
use core::ops::Range;
use half::f16;

/// The eight lanes of a sum.
#[derive(Clone, Copy)]
pub struct Lanes(__m256);

impl Lanes {
    /// The register that holds them.
    #[inline]
    pub(super) fn register(self) -> __m256 {
        self.0
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn zero() -> Self {
        Self(_mm256_setzero_ps())
    }

    /// Adds the products of the lanes of `x` and `w`.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn add_product(self, x: Self, w: Self) -> Self {
        Self(_mm256_add_ps(self.0, _mm256_mul_ps(x.0, w.0)))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn multiply(self, w: Self) -> Self {
        Self(_mm256_mul_ps(self.0, w.0))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn of(elements: &[f32; 8]) -> Self {
        // SAFETY: there are eight.
        Self(unsafe { _mm256_loadu_ps(elements.as_ptr()) })
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn add(self, other: Self) -> Self {
        Self(_mm256_add_ps(self.0, other.0))
    }

    /// Each lane, clamped to an inclusive range as [`add_bias`](crate::float::products::add_bias) does.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn clamp(self, activation: [f32; 2]) -> Self {
        let [min, max] = activation;
        let (min, max, x) = (_mm256_set1_ps(min), _mm256_set1_ps(max), self.0);
        let (below, above) = (_mm256_cmp_ps::<_CMP_LT_OQ>(x, min), _mm256_cmp_ps::<_CMP_GT_OQ>(x, max));
        Self(_mm256_blendv_ps(_mm256_blendv_ps(x, max, above), min, below))
    }

    /// Whether [`clamp_in_order`](Self::clamp_in_order) clamps to this range as [`clamp`](Self::clamp) does.
    #[inline]
    pub(in crate::arch) fn are_in_order([min, max]: [f32; 2], _scaled: bool) -> bool {
        // Of NaN, and of zeros of either sign, minimum and maximum return their second operand, which is the number
        // here.
        min <= max || min.is_nan() || max.is_nan()
    }

    /// Each lane, clamped to a range that [`are_in_order`](Self::are_in_order).
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn clamp_in_order(self, [min, max]: [f32; 2]) -> Self {
        Self(_mm256_max_ps(_mm256_set1_ps(min), _mm256_min_ps(_mm256_set1_ps(max), self.0)))
    }

    /// `x` times the lanes.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn scaled(self, x: f32) -> Self {
        Self(_mm256_mul_ps(self.0, _mm256_set1_ps(x)))
    }

    /// Adds `x` times the lanes of `w`.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn add_scaled(self, w: Self, x: f32) -> Self {
        Self(_mm256_add_ps(self.0, _mm256_mul_ps(w.0, _mm256_set1_ps(x))))
    }

    /// Writes the lanes.
    ///
    /// # Safety
    /// There is room for eight.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) unsafe fn store(self, to: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_storeu_ps(to, self.0) };
    }

    /// Writes lanes 0 to 3, and those after them elsewhere.
    ///
    /// # Safety
    /// There is room for four in both places.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) unsafe fn store_halves(self, [low, high]: [*mut f32; 2]) {
        // SAFETY: guaranteed by the caller.
        unsafe { _mm256_storeu2_m128(high, low, self.0) };
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn elements(self) -> [f32; 8] {
        let mut elements = [0.0; 8];
        // SAFETY: there is room for eight.
        unsafe { _mm256_storeu_ps(elements.as_mut_ptr(), self.0) };
        elements
    }

    /// The total of each sum, in its lane: `((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))`.
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::arch) fn totals(sums: [Self; 8]) -> Self {
        // Not by `map`: what a function without these instructions calls is not inlined there.
        let [Self(a), Self(b), Self(c), Self(d), Self(e), Self(f), Self(g), Self(h)] = sums;
        // The halves of two sums, added: (0 + 4), (1 + 5), (2 + 6), (3 + 7) of each.
        let halves = |x, y| {
            let (low, high) = (_mm256_permute2f128_ps::<0x20>(x, y), _mm256_permute2f128_ps::<0x31>(x, y));
            _mm256_add_ps(low, high)
        };
        // Of two of these: the first and third, and the second and fourth, added.
        let pairs = |x, y| {
            let (first, last) = (_mm256_shuffle_ps::<0b01_00_01_00>(x, y), _mm256_shuffle_ps::<0b11_10_11_10>(x, y));
            _mm256_add_ps(first, last)
        };
        let (x, y) = (pairs(halves(a, e), halves(b, f)), pairs(halves(c, g), halves(d, h)));
        let (even, odd) = (_mm256_shuffle_ps::<0b10_00_10_00>(x, y), _mm256_shuffle_ps::<0b11_01_11_01>(x, y));
        Self(_mm256_add_ps(even, odd))
    }
}

impl Element for f32 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(from: *const Self) -> Lanes {
        // SAFETY: guaranteed by the caller.
        Lanes(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes {
        /// Eight lanes from the one at `8 - count` on: those that are loaded have their sign bits set.
        static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: guaranteed by the caller; a masked load does not read the other lanes, and `count` is at most 8.
        unsafe {
            let mask = _mm256_loadu_si256(MASKS.as_ptr().wrapping_add(8 - count).cast());
            Lanes(_mm256_maskload_ps(from, mask))
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn multiply_block(x: &mut [*const f32; 2], w: &mut [*const Self; 4]) -> [Lanes; 8] {
        // SAFETY: guaranteed by the caller.
        unsafe { multiply_block(x, w) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_blocks(sums: &mut [Lanes; 8], blocks: usize, x: &mut [*const f32; 2], w: &mut [*const Self; 4]) {
        // SAFETY: guaranteed by the caller.
        unsafe { add_blocks(sums, blocks, x, w) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_rows(sums: &mut [Lanes; 8], blocks: usize, x: *const f32, w: *const Self, stride: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { add_rows(sums, blocks, x, w, stride) }
    }
}

impl Element for f16 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(from: *const Self) -> Lanes {
        // SAFETY: guaranteed by the caller.
        Lanes(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) })
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes {
        // SAFETY: guaranteed by the caller.
        let [low, high] = unsafe { some_halves(from, count) };
        Lanes(_mm256_cvtph_ps(_mm_set_epi64x(high.cast_signed(), low.cast_signed())))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn multiply_block(x: &mut [*const f32; 2], w: &mut [*const Self; 4]) -> [Lanes; 8] {
        // SAFETY: guaranteed by the caller.
        unsafe { multiply_block(x, w) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_blocks(sums: &mut [Lanes; 8], blocks: usize, x: &mut [*const f32; 2], w: &mut [*const Self; 4]) {
        // SAFETY: guaranteed by the caller.
        unsafe { add_blocks(sums, blocks, x, w) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_rows(sums: &mut [Lanes; 8], blocks: usize, x: *const f32, w: *const Self, stride: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { add_rows(sums, blocks, x, w, stride) }
    }
}

impl Element for i8 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(from: *const Self) -> Lanes {
        // SAFETY: guaranteed by the caller; the eight bytes are all that is read.
        Lanes(unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) })
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load_some(from: *const Self, count: usize) -> Lanes {
        // SAFETY: guaranteed by the caller.
        let bytes = unsafe { some_bytes(from, count) };
        Lanes(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bytes.cast_signed()))))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn multiply_block(x: &mut [*const f32; 2], w: &mut [*const Self; 4]) -> [Lanes; 8] {
        // SAFETY: guaranteed by the caller.
        unsafe { multiply_block(x, w) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_blocks(sums: &mut [Lanes; 8], blocks: usize, x: &mut [*const f32; 2], w: &mut [*const Self; 4]) {
        // SAFETY: guaranteed by the caller.
        unsafe { add_blocks(sums, blocks, x, w) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn add_rows(sums: &mut [Lanes; 8], blocks: usize, x: *const f32, w: *const Self, stride: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe { add_rows(sums, blocks, x, w, stride) }
    }
}

/// Gives to `f` each of the eight sums, and the eight elements of its pixel and of its row, and sets it to what that
/// returns; moves the pointers behind them. Without iterators: those over pairs are not inlined here in every build.
///
/// # Safety
/// There are eight elements from each pointer on; the processor has the instructions of [`Lanes`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn for_block<W: Element>(
    [s0, s1, s2, s3, s4, s5, s6, s7]: &mut [Lanes; 8],
    [x0, x1]: &mut [*const f32; 2],
    [w0, w1, w2, w3]: &mut [*const W; 4],
    f: impl Fn(Lanes, Lanes, Lanes) -> Lanes,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let x = [f32::load(*x0), f32::load(*x1)];
        for_row(w0, |w| (*s0, *s4) = (f(*s0, x[0], w), f(*s4, x[1], w)));
        for_row(w1, |w| (*s1, *s5) = (f(*s1, x[0], w), f(*s5, x[1], w)));
        for_row(w2, |w| (*s2, *s6) = (f(*s2, x[0], w), f(*s6, x[1], w)));
        for_row(w3, |w| (*s3, *s7) = (f(*s3, x[0], w), f(*s7, x[1], w)));
    }
    (*x0, *x1) = (x0.wrapping_add(8), x1.wrapping_add(8));
}

/// Loads eight weights, calls `f` with them, and moves the pointer behind them.
///
/// # Safety
/// There are eight; the processor has the instructions of [`Lanes`].
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn for_row<W: Element>(w: &mut *const W, f: impl FnOnce(Lanes)) {
    // SAFETY: guaranteed by the caller.
    f(unsafe { W::load(*w) });
    *w = w.wrapping_add(8);
}

/// [`Element::multiply_block`].
///
/// # Safety
/// As for that.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn multiply_block<W: Element>(x: &mut [*const f32; 2], w: &mut [*const W; 4]) -> [Lanes; 8] {
    let mut sums = [Lanes::zero(); 8];
    // SAFETY: guaranteed by the caller.
    unsafe { for_block(&mut sums, x, w, |_, x, w| x.multiply(w)) };
    sums
}

/// [`Element::add_blocks`].
///
/// # Safety
/// As for that.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn add_blocks<W: Element>(sums: &mut [Lanes; 8], blocks: usize, x: &mut [*const f32; 2], w: &mut [*const W; 4]) {
    for _ in 0..blocks {
        // SAFETY: guaranteed by the caller.
        unsafe { for_block(sums, x, w, |sum, x, w| sum.add_product(x, w)) };
    }
}

/// [`Element::add_rows`].
///
/// # Safety
/// As for that.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn add_rows<W: Element>(sums: &mut [Lanes; 8], blocks: usize, x: *const f32, w: *const W, stride: usize) {
    for i in 0..blocks {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let x = f32::load(x.wrapping_add(8 * i));
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add_product(x, W::load(w.wrapping_add(r * stride + 8 * i)));
            }
        }
    }
}

/// [`products::multiply_f32`].
#[inline(never)]
pub(crate) fn multiply_f32<W: Weight>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
    outputs: &mut [f32],
) {
    if vectors() == Vectors::Portable {
        return products::multiply_f32(window, len, input, weights, stride, outputs);
    }
    if rows_fit(window, len, [input.len(), weights.len()], stride, outputs.len()) {
        // SAFETY: the processor has AVX2 and F16C, and the operands fit.
        unsafe { multiply(window, len, input.as_ptr(), weights.as_ptr(), stride, outputs) }
    }
}

/// # Safety
/// As for [`lanes::multiply`].
#[target_feature(enable = "avx2,f16c")]
unsafe fn multiply<W: Element>(
    window: &Window,
    len: usize,
    input: *const f32,
    weights: *const W,
    stride: usize,
    outputs: &mut [f32],
) {
    // SAFETY: guaranteed by the caller.
    unsafe { lanes::multiply(window, len, input, weights, stride, outputs) }
}

/// [`products::depthwise_f32`].
#[inline(never)]
pub(crate) fn depthwise_f32<W: Weight>(window: &Window, input: &[f32], weights: &[W], outputs: &mut [f32]) {
    if vectors() == Vectors::Portable {
        return products::depthwise_f32(window, input, weights, outputs);
    }
    if window.fits(outputs.len(), [input.len(), weights.len()]) {
        // SAFETY: the processor has AVX2 and F16C, and the operands fit.
        unsafe { depthwise(window, input.as_ptr(), weights.as_ptr(), outputs) }
    }
}

/// # Safety
/// As for [`lanes::depthwise`].
#[target_feature(enable = "avx2,f16c")]
unsafe fn depthwise<W: Element>(window: &Window, input: *const f32, weights: *const W, outputs: &mut [f32]) {
    // SAFETY: guaranteed by the caller.
    unsafe { lanes::depthwise(window, input, weights, outputs) }
}

/// Layers compute whole lines of pixels.
pub(crate) const WHOLE_LINES: bool = true;

/// Calls `f` for all filters of a layer, of `len` weights each: with those of the first ones in another order, if that
/// takes less time for so many pixels, and for the others.
#[inline]
pub(crate) fn for_each_block<W: Weight>(
    weights: &[W],
    len: usize,
    filters: usize,
    pixels: usize,
    mut f: impl FnMut(Range<usize>, Option<Arranged<'_>>),
) {
    let done = match vectors() {
        // SAFETY: the processor has these instructions.
        Vectors::Avx512Vnni => unsafe { layers::arrange(weights, len, filters, pixels, &mut f) },
        _ => 0,
    };
    if done < filters {
        f(done..filters, None);
    }
}

/// [`products::multiply_pixels`].
#[inline(never)]
pub(crate) fn multiply_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    if vectors() == Vectors::Portable {
        return products::multiply_pixels(pixels, outputs);
    }
    let fits =
        |room| rows_fit(&pixels.window, pixels.len, [room, pixels.weights.len()], pixels.stride, pixels.channels);
    if !pixels.room(outputs.len()).is_some_and(fits) {
        return;
    }
    // SAFETY: the processor has these instructions, and the operands fit.
    unsafe {
        let done = match vectors() {
            Vectors::Avx512Vnni => layers::multiply_pixels(pixels, outputs),
            _ => 0,
        };
        if done == 0 && pixels.arranged.is_some() {
            // A window without elements. The weights in order take much of the stack, and so would the tiles.
            products::multiply_pixels(pixels, outputs);
        } else if done < pixels.channels {
            multiply_pixels_avx2(&pixels.rows_from(done), outputs.get_mut(done..).unwrap_or(&mut []));
        }
    }
}

/// # Safety
/// As for [`lanes::multiply_pixels`].
#[target_feature(enable = "avx2,f16c")]
unsafe fn multiply_pixels_avx2<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    // SAFETY: guaranteed by the caller.
    unsafe { lanes::multiply_pixels(pixels, outputs) }
}

/// [`products::depthwise_pixels`].
#[inline(never)]
pub(crate) fn depthwise_pixels<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    if vectors() == Vectors::Portable {
        return products::depthwise_pixels(pixels, outputs);
    }
    let fits = |room| pixels.window.fits(pixels.channels, [room, pixels.weights.len()]);
    if pixels.room(outputs.len()).is_some_and(fits) {
        // SAFETY: the processor has AVX2 and F16C, and the operands fit.
        unsafe { depthwise_pixels_avx2(pixels, outputs) }
    }
}

/// # Safety
/// As for [`lanes::depthwise_pixels`].
#[target_feature(enable = "avx2,f16c")]
unsafe fn depthwise_pixels_avx2<W: Weight>(pixels: &Pixels<'_, &[W]>, outputs: &mut [f32]) {
    // SAFETY: guaranteed by the caller.
    unsafe { lanes::depthwise_pixels(pixels, outputs) }
}

/// [`unary::silus`], eight at a time.
pub(crate) fn silus(input: &[f32], output: &mut [f32]) {
    if vectors() == Vectors::Portable {
        return unary::silus(input, output);
    }
    // SAFETY: the processor has AVX2.
    unsafe { silus_avx2(input, output) }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2,f16c")]
unsafe fn silus_avx2(input: &[f32], output: &mut [f32]) {
    let (input, output) = of_equal_length(input, output);
    let ((eights, rest), (outputs, others)) = (input.as_chunks::<8>(), output.as_chunks_mut::<8>());
    for (x, output) in eights.iter().zip(outputs) {
        // SAFETY: there are eight, and room for as many.
        unsafe {
            let lanes = _mm256_loadu_ps(x.as_ptr());
            match exp(_mm256_xor_ps(lanes, _mm256_set1_ps(-0.0))) {
                Some(exp) => {
                    let one = _mm256_set1_ps(1.0);
                    _mm256_storeu_ps(output.as_mut_ptr(), _mm256_div_ps(lanes, _mm256_add_ps(one, exp)));
                }
                None => unary::silus(x, output),
            }
        }
    }
    unary::silus(rest, others);
}

/// `libm::expf` of each lane, step by step; `None` if a lane is NaN, or so large that the result is infinite or not a normal
/// number.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn exp(x: __m256) -> Option<__m256> {
    let magnitude = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(i32::MAX));
    let above = |bits: i32| _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(bits));
    // 87.33655.
    if _mm256_movemask_epi8(above(0x42ae_ac4f)) != 0 {
        return None;
    }
    // 1.5 and 0.5 times the logarithm of 2, and 2^-14.
    let (large, reduced, usual) = (above(0x3f85_1592), above(0x3eb1_7218), above(0x3900_0000));
    let sign = _mm256_and_ps(x, _mm256_set1_ps(-0.0));
    let half = _mm256_or_ps(_mm256_set1_ps(0.5), sign);
    let many = _mm256_cvttps_epi32(_mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(core::f32::consts::LOG2_E), x), half));
    let one = _mm256_cvttps_epi32(_mm256_or_ps(_mm256_set1_ps(1.0), sign));
    let k = _mm256_and_si256(_mm256_blendv_epi8(one, many, large), reduced);
    let factor = _mm256_cvtepi32_ps(k);
    let high = _mm256_sub_ps(x, _mm256_mul_ps(factor, _mm256_set1_ps(0.693_145_75)));
    let low = _mm256_mul_ps(factor, _mm256_set1_ps(1.428_606_8e-6));
    let r = _mm256_sub_ps(high, low);
    let square = _mm256_mul_ps(r, r);
    let series = _mm256_mul_ps(square, _mm256_set1_ps(-2.766_733_3e-3));
    let series = _mm256_mul_ps(square, _mm256_add_ps(_mm256_set1_ps(1.666_662_5e-1), series));
    let c = _mm256_sub_ps(r, series);
    let quotient = _mm256_div_ps(_mm256_mul_ps(r, c), _mm256_sub_ps(_mm256_set1_ps(2.0), c));
    let one = _mm256_set1_ps(1.0);
    let y = _mm256_add_ps(one, _mm256_add_ps(_mm256_sub_ps(quotient, low), high));
    let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(k, _mm256_set1_epi32(127)));
    let y = _mm256_mul_ps(y, _mm256_castsi256_ps(power));
    Some(_mm256_blendv_ps(_mm256_add_ps(one, x), y, _mm256_castsi256_ps(usual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silu_is_that_of_plain_rust_for_every_kind_of_number() {
        // Every 4093th of all numbers, in an order that mixes large and small ones within eight.
        let numbers: std::vec::Vec<f32> =
            (0..1u32 << 20).map(|i| f32::from_bits(i.wrapping_mul(4093).wrapping_mul(0x9E37_79B1))).collect();
        // And small ones, which a function without exceptions computes.
        let usual =
            (0..1u32 << 20).map(|i| f32::from_bits(0x3800_0000 + i * 173 % 0x0AAE_AC4F) * [1.0, -1.0][i as usize % 2]);
        for numbers in [numbers, usual.collect()] {
            let (mut a, mut b) = (std::vec![0.0; numbers.len() - 3], std::vec![0.0; numbers.len() - 3]);
            silus(&numbers, &mut a);
            unary::silus(&numbers, &mut b);
            for ((x, a), b) in numbers.iter().zip(&a).zip(&b) {
                assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{x}: {a}, not {b}");
            }
        }
        for (from, to) in [(0, 5), (5, 0), (7, 20), (20, 7), (8, 8), (16, 9), (9, 16)] {
            let (x, mut a, mut b) = (std::vec![1.5; from], std::vec![7.0; to], std::vec![7.0; to]);
            silus(&x, &mut a);
            unary::silus(&x, &mut b);
            assert_eq!(a, b, "{from} to {to}");
        }
    }
}
