//! LandmarksToTransformF32.

use super::unsigned;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float::{self, LandmarksToTransform};

pub(super) fn landmarks_to_transform_f32(op: &ops::LandmarksToTransformF32, mut call: Call<'_>) {
    let [height, width] = op.size.map(|length| length as f32);
    let p = LandmarksToTransform { ends: unsigned(op.ends), size: [width, height], scale: op.scale, angle: op.angle };
    let (landmarks, subset) = (call.f32s(0), call.slice(1));
    float::landmarks_to_transform(&p, landmarks, subset, call.out());
}
