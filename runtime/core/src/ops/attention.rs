//! AttentionF32: the first row stores the new keys and values in the cache, then each row reads it.

use super::unsigned;
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float::{self, Attention, Cache};

pub(super) fn attention_f32(op: &ops::AttentionF32, mut call: Call<'_>) {
    let [heads, kv_heads] = unsigned([op.heads, op.kv_heads]);
    let depth = call.input(4).shape().from_end(0) as usize;
    let p = Attention { heads, kv_heads, depth, scale: op.scale };
    let (queries, positions) = (call.f32s(0), call.slice(3));
    let state = call.state::<f32>();
    if call.rows.start == 0
        && let Some((keys, values)) = state.split_at_mut_checked(state.len() / 2)
    {
        let new = positions.len();
        let p = Cache { len: kv_heads.wrapping_mul(depth) };
        float::cache(&p, 0..new, positions, call.f32s(1), keys);
        float::cache(&p, 0..new, positions, call.f32s(2), values);
    }
    // Threads that share the rows have no state to write. They read the cache, which was completed before.
    let cache = if state.is_empty() { call.f32s(4) } else { state };
    let Some((keys, values)) = cache.split_at_checked(cache.len() / 2) else { return };
    float::attention(&p, call.rows.clone(), positions, queries, keys, values, call.out());
}
