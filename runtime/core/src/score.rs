//! The highest of several scores.
//!
//! The library, the command line and the choice of tokens follow one rule: scores compare as numbers (-0.0 equals 0.0),
//! the first of equal scores ranks highest, and NaN ranks below every number, including -∞.

use core::cmp::Ordering;

/// Compares two scores as numbers. NaN is less than every number and equal to NaN.
///
/// ```
/// use core::cmp::Ordering;
/// use tealight::compare_scores;
///
/// assert_eq!(compare_scores(2.0, 1.0), Ordering::Greater);
/// assert_eq!(compare_scores(f32::NAN, f32::NEG_INFINITY), Ordering::Less);
/// assert_eq!(compare_scores(-0.0, 0.0), Ordering::Equal);
/// ```
#[inline]
pub fn compare_scores(a: f32, b: f32) -> Ordering {
    // `partial_cmp` returns `None` only if at least one of the two is NaN.
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Returns the index of the highest score, and that score; the first of equal scores. NaN is ignored: `None` if no
/// score is a number.
///
/// ```
/// use tealight::argmax;
///
/// assert_eq!(argmax([1.0, f32::NAN, 3.0, 3.0]), Some((2, 3.0)));
/// assert_eq!(argmax([f32::NAN]), None);
/// assert_eq!(argmax([]), None);
/// ```
pub fn argmax(scores: impl IntoIterator<Item = f32>) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (index, score) in scores.into_iter().enumerate() {
        if !score.is_nan() && best.is_none_or(|(_, highest)| score > highest) {
            best = Some((index, score));
        }
    }
    best
}

/// Writes the highest scores with their indices to `top`, the highest first, and returns the part that was written: all
/// scores, but at most `top.len()`. Equal scores keep their order; NaN comes after all numbers.
///
/// Takes time at most in proportion to the number of scores times `top.len()`.
///
/// ```
/// use tealight::top_k;
///
/// let mut top = [(0, 0.0); 3];
/// assert_eq!(top_k([1.0, f32::NAN, 3.0, 1.0, -2.0], &mut top), [(2, 3.0), (0, 1.0), (3, 1.0)]);
/// assert_eq!(top_k([5.0], &mut top), [(0, 5.0)]);
/// ```
pub fn top_k(scores: impl IntoIterator<Item = f32>, top: &mut [(usize, f32)]) -> &[(usize, f32)] {
    let mut len = 0;
    for (index, score) in scores.into_iter().enumerate() {
        let kept = top.get(..len).unwrap_or(&[]);
        let at = kept.partition_point(|&(_, kept)| compare_scores(kept, score) != Ordering::Less);
        let end = len.saturating_add(1).min(top.len());
        let mut moved = (index, score);
        for place in top.get_mut(at..end).unwrap_or(&mut []) {
            moved = core::mem::replace(place, moved);
        }
        len = end;
    }
    top.get(..len).unwrap_or(&[])
}
