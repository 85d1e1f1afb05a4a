//! RopeF32.

use super::unsigned;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float;

pub(super) fn rope_f32(op: &ops::RopeF32, mut call: Call<'_>) {
    let [rows_per_position] = unsigned([op.heads]);
    let depth = call.target().shape().from_end(0) as usize;
    let p = float::Rope { depth, rows_per_position, interleaved: op.interleaved };
    let (x, cos, sin, positions) = (call.f32s(0), call.f32s(1), call.f32s(2), call.slice(3));
    float::rope(&p, call.rows.clone(), positions, x, cos, sin, call.out());
}
