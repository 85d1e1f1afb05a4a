//! Detections in f32.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float;

pub(super) fn detections_f32(op: &ops::DetectionsF32, mut call: Call<'_>) {
    let [box_len, columns] = [0, 1].map(|k| call.input(k).shape().from_end(0) as usize);
    let p = float::Detections {
        count: op.count.max(0) as usize,
        per_class: op.per_class.max(0) as usize,
        score: op.score,
        overlap: op.overlap,
        scales: op.scales,
        box_len,
        columns,
        skipped: usize::from(op.background),
    };
    let (boxes, scores, anchors) = (call.f32s(0), call.f32s(1), call.f32s(2));
    float::detections(&p, boxes, scores, anchors, call.out());
}
