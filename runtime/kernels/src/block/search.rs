//! Search for the factor of a group of elements with the smallest quantization error.
//!
//! All searches start from the factor that covers the range, round the elements, and then fit the factor to
//! the rounded elements by least squares, a few times.
//!
//! Sources: GGML `ggml-quants.c` (`make_qkx1_quants`, `make_q3_quants`, `make_qx_quants`), by way of
//! candle-core 0.11 `quantized::utils`, whose order of operations is kept.

use super::lanes::sum;
pub(crate) use tealight_types::round_half_away as nearest;

/// `1 / d`, or 0 for 0.
#[inline]
pub(crate) fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// The element with the largest magnitude, the first of several; 0 if there are no elements.
#[inline]
pub(crate) fn farthest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |farthest: f32, &x| if farthest.abs() < x.abs() { x } else { farthest })
}

/// The maximum of the elements and 0; the last of equal ones.
#[inline]
pub(crate) fn maximum(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |max, &x| if x >= max { x } else { max })
}

/// The maximum magnitude.
#[inline]
pub(crate) fn greatest_magnitude(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |max, x| if x.abs() > max { x.abs() } else { max })
}

/// The minimum and the maximum element; the last of equal ones.
#[inline]
pub(crate) fn range(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &x| {
        (if x <= min { x } else { min }, if x >= max { x } else { max })
    })
}

/// Returns factor and offset with `x ≈ factor * w - offset`, `0 <= w <= LEVELS`. The offset is not
/// negative.
pub(crate) fn factor_and_offset<const LEVELS: i32, const N: usize>(x: &[f32; N]) -> (f32, f32) {
    let order = |a: &f32, b: &f32| a.total_cmp(b);
    let min = x.iter().copied().min_by(order).unwrap_or(0.0);
    let max = x.iter().copied().max_by(order).unwrap_or(0.0);
    if min == max {
        return (0.0, 0.0);
    }
    let mut min = if min < 0.0 { min } else { 0.0 };
    let mut inverse = LEVELS as f32 / (max - min);
    let mut factor = 1.0 / inverse;
    let mut elements = [0u8; N];
    for _ in 0..5 {
        let (mut products, mut squares, mut changed) = (0.0, 0, false);
        for (element, x) in elements.iter_mut().zip(x) {
            let w = nearest(inverse * (x - min)).clamp(0, LEVELS);
            changed |= w as u8 != *element;
            *element = w as u8;
            products += (x - min) * w as f32;
            squares += w * w;
        }
        factor = products / squares as f32;
        let rests: [f32; N] = rests(x, &elements, factor);
        min = sum(&rests) / N as f32;
        if min > 0.0 {
            min = 0.0;
        }
        inverse = 1.0 / factor;
        if !changed {
            break;
        }
    }
    (factor, -min)
}

/// `x - factor * w`.
fn rests<const N: usize>(x: &[f32; N], elements: &[u8; N], factor: f32) -> [f32; N] {
    let mut rests = *x;
    for (rest, &w) in rests.iter_mut().zip(elements) {
        *rest -= factor * f32::from(w);
    }
    rests
}

/// Sums of a least-squares fit: the best factor is `products / squares`.
#[derive(Clone, Copy)]
struct Fit {
    products: f32,
    squares: f32,
}

/// Computes `weight * w²`. The two searches below round it differently.
type WeightedSquare = fn(f32, f32) -> f32;

/// Returns the factor of a group of a Q3K block, with `x ≈ factor * w`, `-LEVELS <= w < LEVELS`, and errors weighted by
/// `x²`.
pub(crate) fn factor_q3<const LEVELS: i32, const N: usize>(x: &[f32; N]) -> f32 {
    let farthest = farthest(x);
    if farthest == 0.0 {
        return 0.0;
    }
    let square: WeightedSquare = |weight, w| weight * (w * w);
    let mut elements = [0; N];
    let mut fit = round::<LEVELS, N>(x, -(LEVELS as f32) / farthest, square, &mut elements);
    refine::<LEVELS, N>(x, square, &mut fit, &mut elements);
    fit.products / fit.squares
}

/// Returns the factor of a group of a Q6K block, and writes its elements. It is [`factor_q3`], preceded by a few rounds
/// of fitting all elements at once.
pub(crate) fn factor_q6<const LEVELS: i32, const N: usize>(x: &[f32; N], elements: &mut [i8; N]) -> f32 {
    let farthest = farthest(x);
    if farthest == 0.0 {
        // The minimum instead of the middle, which would represent zero. The factor is 0, so all represent zero.
        *elements = [(-LEVELS) as i8; N];
        return 0.0;
    }
    let square: WeightedSquare = |weight, w| weight * w * w;
    let mut fit = round::<LEVELS, N>(x, -(LEVELS as f32) / farthest, square, elements);
    let mut factor = fit.products / fit.squares;
    let mut best = factor * fit.products;
    for _ in 0..3 {
        let mut now = *elements;
        let next = round::<LEVELS, N>(x, 1.0 / factor, square, &mut now);
        let Fit { products, squares } = next;
        if now == *elements || squares == 0.0 || products * products <= best * squares {
            break;
        }
        (*elements, fit) = (now, next);
        factor = products / squares;
        best = factor * products;
    }
    refine::<LEVELS, N>(x, square, &mut fit, elements);
    fit.products / fit.squares
}

/// Rounds all elements with one factor.
fn round<const LEVELS: i32, const N: usize>(
    x: &[f32; N],
    inverse: f32,
    square: WeightedSquare,
    elements: &mut [i8; N],
) -> Fit {
    let mut fit = Fit { products: 0.0, squares: 0.0 };
    for (element, &x) in elements.iter_mut().zip(x) {
        let w = nearest(inverse * x).clamp(-LEVELS, LEVELS - 1);
        *element = w as i8;
        let weight = x * x;
        fit.products += weight * x * w as f32;
        fit.squares += square(weight, w as f32);
    }
    fit
}

/// Changes single elements as long as the fit improves, five rounds at most.
fn refine<const LEVELS: i32, const N: usize>(
    x: &[f32; N],
    square: WeightedSquare,
    fit: &mut Fit,
    elements: &mut [i8; N],
) {
    for _ in 0..5 {
        let mut changed = false;
        for (element, &x) in elements.iter_mut().zip(x) {
            if let Some((w, better)) = fit.with_best::<LEVELS>(x, *element, square) {
                (*element, *fit) = (w, better);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
}

impl Fit {
    /// The best element for `x` if all others stay; `None` if it is `old` or does not improve the fit.
    fn with_best<const LEVELS: i32>(self, x: f32, old: i8, square: WeightedSquare) -> Option<(i8, Self)> {
        let weight = x * x;
        let without = self.products - weight * x * f32::from(old);
        let positive = without > 0.0;
        positive.then_some(())?;
        let squares = self.squares - square(weight, f32::from(old));
        let w = nearest(x * squares / without).clamp(-LEVELS, LEVELS - 1) as i8;
        (w != old).then_some(())?;
        let products = without + weight * x * f32::from(w);
        let squares = squares + square(weight, f32::from(w));
        let gain = products * products * self.squares > self.products * self.products * squares;
        (squares > 0.0 && gain).then_some((w, Self { products, squares }))
    }
}
