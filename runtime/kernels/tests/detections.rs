//! Detections: equal to what the definition gives with sorted lists, whatever the scores are.

mod common;

use common::for_seeds;
use tealight_kernels::float::{Detections, detections};
use tealight_testing::rng::Rng;

/// A detection: index of the anchor, class, score.
type Detection = (usize, usize, f32);

fn area([top, left, bottom, right]: [f32; 4]) -> f32 {
    (bottom - top) * (right - left)
}

fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    if area(a) <= 0.0 || area(b) <= 0.0 {
        return 0.0;
    }
    let height = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let width = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    height * width / (area(a) + area(b) - height * width)
}

/// The detections of one search, from the highest score on.
fn search(p: &Detections, corners: &[[f32; 4]], keys: &[f32], most: usize) -> Vec<(usize, f32)> {
    let mut order: Vec<usize> = (0..keys.len()).filter(|&i| keys[i] >= p.score).collect();
    order.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]));
    let mut found: Vec<usize> = Vec::new();
    for i in order {
        if found.len() < most && found.iter().all(|&j| overlap(corners[j], corners[i]) <= p.overlap) {
            found.push(i);
        }
    }
    found.into_iter().map(|i| (i, keys[i])).collect()
}

fn expected(p: &Detections, corners: &[[f32; 4]], scores: &[f32]) -> Vec<Detection> {
    let classes = |i: usize| &scores[i * p.columns..][p.skipped..p.columns];
    let n = corners.len();
    if p.per_class == 0 {
        let best = |i: usize| {
            let all = classes(i).iter().copied().enumerate();
            all.fold((0, f32::NEG_INFINITY), |best, of| if of.1 > best.1 { of } else { best })
        };
        let keys: Vec<f32> = (0..n).map(|i| best(i).1).collect();
        return search(p, corners, &keys, p.count).into_iter().map(|(i, score)| (i, best(i).0, score)).collect();
    }
    let mut all = Vec::new();
    for class in 0..p.columns - p.skipped {
        let keys: Vec<f32> = (0..n).map(|i| classes(i)[class]).collect();
        all.extend(search(p, corners, &keys, p.per_class).into_iter().map(|(i, score)| (i, class, score)));
    }
    all.sort_by(|a, b| b.2.total_cmp(&a.2));
    all.truncate(p.count);
    all
}

fn numbers(rng: &mut Rng, len: usize, low: f32, high: f32) -> Vec<f32> {
    (0..len).map(|_| low + (high - low) * rng.size(0, 40) as f32 / 40.0).collect()
}

#[test]
fn detections_are_those_of_the_definition() {
    for_seeds(600, |rng| {
        let n = rng.size(1, 40);
        let (columns, skipped, box_len) = (rng.size(2, 5), rng.size(0, 1), rng.size(4, 6));
        let (count, per_class) = (rng.size(1, 12), rng.size(0, 4));
        let score = [f32::NEG_INFINITY, 0.2, 0.7][rng.size(0, 2)];
        let overlap = [0.01, 0.3, 1.0][rng.size(0, 2)];
        let scales = [10.0, 10.0, 5.0, 5.0];
        let p = Detections { count, per_class, score, overlap, scales, box_len, columns, skipped };
        let boxes = numbers(rng, n * box_len, -4.0, 4.0);
        let scores = numbers(rng, n * columns, 0.0, 1.0);
        let anchors = numbers(rng, 4 * n, 0.1, 1.0);
        let mut output = vec![f32::NAN; 6 * count + 1 + 6 * n];
        detections(&p, &boxes, &scores, &anchors, &mut output);
        let corners: Vec<[f32; 4]> = (0..n)
            .map(|i| {
                let (of, anchor) = (&boxes[i * box_len..], &anchors[4 * i..]);
                let (y, x) = (of[0] / 10.0 * anchor[2] + anchor[0], of[1] / 10.0 * anchor[3] + anchor[1]);
                let h = 0.5 * libm::expf(of[2] / 5.0) * anchor[2];
                let w = 0.5 * libm::expf(of[3] / 5.0) * anchor[3];
                [y - h, x - w, y + h, x + w]
            })
            .collect();
        let wanted = expected(&p, &corners, &scores);
        assert_eq!(output[6 * count] as usize, wanted.len(), "{p:?}");
        for d in 0..count {
            let of = (&output[4 * d..4 * d + 4], output[4 * count + d], output[5 * count + d]);
            match wanted.get(d) {
                Some(&(i, class, score)) => assert_eq!(of, (&corners[i][..], class as f32, score), "{p:?} {d}"),
                None => assert_eq!(of, (&[0.0; 4][..], 0.0, 0.0), "{p:?} {d}"),
            }
        }
    });
}

#[test]
fn numbers_that_are_none_and_lists_that_are_too_short_do_no_harm() {
    let p = Detections {
        count: 3,
        per_class: 2,
        score: 0.0,
        overlap: 0.5,
        scales: [1.0; 4],
        box_len: 4,
        columns: 3,
        skipped: 1,
    };
    let nan = [f32::NAN; 24];
    for per_class in [0, 2] {
        let mut output = [1.0; 6 * 3 + 1 + 6 * 6];
        detections(&Detections { per_class, ..p }, &nan, &nan, &nan, &mut output);
        assert_eq!(output[18], 0.0);
        for len in 0..output.len() {
            detections(&Detections { per_class, ..p }, &[1.0; 7], &[1.0; 4], &[1.0; 9], &mut output[..len]);
        }
    }
}
