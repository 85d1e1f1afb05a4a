//! Detections: the boxes of a detector, decoded from its anchors, without those that overlap a better one.
//!
//! A box `(y, x, h, w)` with the anchor `(Y, X, H, W)` has its centre at `y / s_y · H + Y` and `x / s_x · W + X`, and extends
//! from there by `e^(h / s_h) / 2 · H` and `e^(w / s_w) / 2 · W` (SSD, Liu et al. 2016). Boxes are taken from the highest
//! score on, equal scores in the order of their anchors; each suppresses later ones that overlap it too much.
//!
//! The number of detections, boxes and their order are those of TensorFlow Lite's `TFLite_Detection_PostProcess`, which
//! decodes boxes in float64; there elements after the last detection are not defined, here they are 0.

use crate::lines::run;

/// Parameters of [`detections`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detections {
    /// The maximum number of detections.
    pub count: usize,
    /// The maximum number of detections of a class, where each class is searched apart; 0 where an anchor counts for its
    /// best class only.
    pub per_class: usize,
    /// The minimum score of a detection.
    pub score: f32,
    /// The maximum overlap with a better box: intersection over union.
    pub overlap: f32,
    /// The divisors of y, x, height and width.
    pub scales: [f32; 4],
    /// The number of elements of a box, of which the first four are read.
    pub box_len: usize,
    /// The number of scores of an anchor.
    pub columns: usize,
    /// How many of these come before the first class.
    pub skipped: usize,
}

/// The places of one search: scores of all anchors, and the order of those that are left.
struct Search<'a> {
    corners: &'a [[f32; 4]],
    keys: &'a mut [f32],
    /// Indices of anchors, which f32 holds exactly; -1 for those that are suppressed.
    order: &'a mut [f32],
}

/// Finds detections. `output` has `6 · count + 1 + 6 · n` elements for `n` anchors: boxes (top, left, bottom, right),
/// classes, scores, the number of detections, and working memory.
pub fn detections(p: &Detections, boxes: &[f32], scores: &[f32], anchors: &[f32], output: &mut [f32]) {
    let n = anchors.len() / 4;
    output.fill(0.0);
    let Some((found, memory)) = output.split_at_mut_checked(p.count.saturating_mul(6).saturating_add(1)) else {
        return;
    };
    let Some((corners, memory)) = memory.split_at_mut_checked(4 * n) else { return };
    let Some((keys, order)) = memory.split_at_mut_checked(n) else { return };
    let corners = corners.as_chunks_mut().0;
    for (i, (corners, anchor)) in corners.iter_mut().zip(anchors.as_chunks().0).enumerate() {
        if let Some(of) = run(boxes, i.wrapping_mul(p.box_len), p.box_len).first_chunk() {
            *corners = decoded(of, anchor, &p.scales);
        }
    }
    let Some((places, found)) = found.split_at_mut_checked(4 * p.count) else { return };
    let Some((classes, found)) = found.split_at_mut_checked(p.count) else { return };
    let Some((best, number)) = found.split_at_mut_checked(p.count) else { return };
    let mut found = Found { places: places.as_chunks_mut().0, classes, best, count: 0 };
    let of_anchor = |i: usize| {
        let all = run(scores, i.wrapping_mul(p.columns), p.columns);
        all.get(p.skipped..).unwrap_or(&[])
    };
    let mut search = Search { corners, keys, order };
    if p.per_class == 0 {
        for (i, key) in search.keys.iter_mut().enumerate() {
            *key = largest(of_anchor(i)).1;
        }
        search.run(p, p.count, |i, score| found.push(i, largest(of_anchor(i)).0, score));
    } else {
        for class in 0..p.columns.saturating_sub(p.skipped) {
            for (i, key) in search.keys.iter_mut().enumerate() {
                *key = of_anchor(i).get(class).copied().unwrap_or(f32::NAN);
            }
            search.run(p, p.per_class, |i, score| found.insert(i, class, score));
        }
    }
    let Found { places, count, .. } = found;
    for place in places.iter_mut().take(count) {
        let [index, ..] = *place;
        *place = corners.get(index as usize).copied().unwrap_or_default();
    }
    if let Some(number) = number.first_mut() {
        *number = count as f32;
    }
}

/// Returns the corners (top, left, bottom, right) of a box.
fn decoded(of: &[f32; 4], anchor: &[f32; 4], scales: &[f32; 4]) -> [f32; 4] {
    let ([y, x, h, w], [anchor_y, anchor_x, anchor_h, anchor_w]) = (*of, *anchor);
    let [scale_y, scale_x, scale_h, scale_w] = *scales;
    let (y, x) = (y / scale_y * anchor_h + anchor_y, x / scale_x * anchor_w + anchor_x);
    let h = 0.5 * libm::expf(h / scale_h) * anchor_h;
    let w = 0.5 * libm::expf(w / scale_w) * anchor_w;
    [y - h, x - w, y + h, x + w]
}

/// Returns the first of the largest scores, and its index.
fn largest(scores: &[f32]) -> (usize, f32) {
    let mut best = (0, scores.first().copied().unwrap_or(f32::NAN));
    for (i, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (i, score);
        }
    }
    best
}

/// Returns the area of the intersection of two boxes over that of their union; 0 if one of them has no area.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |[top, left, bottom, right]: [f32; 4]| (bottom - top) * (right - left);
    let (area_a, area_b) = (area(*a), area(*b));
    // With NaN, too.
    if !(area_a > 0.0 && area_b > 0.0) {
        return 0.0;
    }
    let larger = |x: f32, y: f32| if x > y { x } else { y };
    let smaller = |x: f32, y: f32| if x < y { x } else { y };
    let height = larger(smaller(a[2], b[2]) - larger(a[0], b[0]), 0.0);
    let width = larger(smaller(a[3], b[3]) - larger(a[1], b[1]), 0.0);
    let both = height * width;
    both / (area_a + area_b - both)
}

impl Search<'_> {
    /// Calls `take` with the anchor and the score of each box that is left, `most` at most, from the highest score on.
    fn run(&mut self, p: &Detections, most: usize, mut take: impl FnMut(usize, f32)) {
        let mut kept = 0;
        for (i, &key) in self.keys.iter().enumerate() {
            if key >= p.score
                && let Some(place) = self.order.get_mut(kept)
            {
                *place = i as f32;
                kept += 1;
            }
        }
        let Some(order) = self.order.get_mut(..kept) else { return };
        sort(order, self.keys);
        let mut taken = 0;
        let mut rest = order;
        while let Some((&mut first, later)) = rest.split_first_mut() {
            rest = later;
            if first < 0.0 {
                continue;
            }
            let corners = self.corners.get(first as usize).unwrap_or(&[0.0; 4]);
            take(first as usize, self.keys.get(first as usize).copied().unwrap_or(0.0));
            taken += 1;
            if taken >= most {
                return;
            }
            for other in rest.iter_mut().filter(|other| **other >= 0.0) {
                if self.corners.get(*other as usize).is_some_and(|of| overlap(corners, of) > p.overlap) {
                    *other = -1.0;
                }
            }
        }
    }
}

/// Sorts indices by their keys, the highest first, and equal ones from the lowest index on: a heap, as it needs no memory.
fn sort(order: &mut [f32], keys: &[f32]) {
    // Whether `a` comes after `b`.
    let after = |a: f32, b: f32| {
        let [of_a, of_b] = [a, b].map(|index| keys.get(index as usize).copied().unwrap_or(0.0));
        of_a < of_b || (of_a == of_b && a > b)
    };
    // The root of a heap comes after all others.
    let sift = |heap: &mut [f32], root: usize| {
        let mut at = root;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(&first) = heap.get(left) else { return };
            let (child, of_child) = match heap.get(right) {
                Some(&second) if after(second, first) => (right, second),
                _ => (left, first),
            };
            if !heap.get(at).is_some_and(|&of| after(of_child, of)) {
                return;
            }
            exchange(heap, at, child);
            at = child;
        }
    };
    for root in (0..order.len() / 2).rev() {
        sift(order, root);
    }
    let mut left = order;
    while let Some(last) = left.len().checked_sub(1).filter(|&last| last > 0) {
        exchange(left, 0, last);
        let Some(heap) = left.get_mut(..last) else { return };
        sift(heap, 0);
        left = heap;
    }
}

/// Exchanges two elements.
fn exchange(list: &mut [f32], a: usize, b: usize) {
    if let Ok([a, b]) = list.get_disjoint_mut([a, b]) {
        core::mem::swap(a, b);
    }
}

/// Moves each element to the next place; the last one is lost.
fn move_up<T: Copy>(list: Option<&mut [T]>) {
    let Some(list) = list else { return };
    let Some(&(mut before)) = list.first() else { return };
    for element in list {
        core::mem::swap(element, &mut before);
    }
}

/// The detections so far.
struct Found<'a> {
    /// The index of the anchor comes first in each.
    places: &'a mut [[f32; 4]],
    classes: &'a mut [f32],
    best: &'a mut [f32],
    count: usize,
}

impl Found<'_> {
    /// Adds a detection after the others, if there is room.
    fn push(&mut self, index: usize, class: usize, score: f32) {
        self.set(self.count, index, class, score);
        self.count = self.places.len().min(self.count.saturating_add(1));
    }

    /// Adds a detection after those with at least its score. If there is no room, the last one is left out.
    fn insert(&mut self, index: usize, class: usize, score: f32) {
        let at = self.best.iter().take(self.count).take_while(|&&best| best >= score).count();
        if at >= self.places.len() {
            return;
        }
        self.count = self.places.len().min(self.count.saturating_add(1));
        move_up(self.places.get_mut(at..self.count));
        move_up(self.classes.get_mut(at..self.count));
        move_up(self.best.get_mut(at..self.count));
        self.set(at, index, class, score);
    }

    fn set(&mut self, at: usize, index: usize, class: usize, score: f32) {
        let Some(((place, of), best)) =
            self.places.get_mut(at).zip(self.classes.get_mut(at)).zip(self.best.get_mut(at))
        else {
            return;
        };
        *place = [index as f32, 0.0, 0.0, 0.0];
        *of = class as f32;
        *best = score;
    }
}
