//! On how many threads Candle's code runs.
//!
//! Candle has one pool of threads a process, made when it is first used. `CANDLE_NUM_THREADS` sets its size, or
//! `RAYON_NUM_THREADS` together with that of rayon; without them it is the number of physical cores.

use candle_core::utils::barrier_pool;
use std::sync::{Mutex, PoisonError};

/// How many threads share an operator under Candle's engine, the caller's among them. The first call starts them.
///
/// Set `RAYON_NUM_THREADS` (all of Candle) or `CANDLE_NUM_THREADS` (block products) before the process starts to choose it.
pub fn threads() -> usize {
    barrier_pool().n_workers() + 1
}

/// Elements that one thread takes at a time.
const CHUNK: usize = 16;

/// Computes `out` in chunks on all threads; `compute` is given the index of a chunk's first element, and the chunk.
pub(crate) fn in_chunks(out: &mut [f32], compute: impl Fn(usize, &mut [f32]) + Sync) {
    // Each chunk is locked once, by the thread that computes it: that is how they share one slice.
    let chunks: Vec<_> = out.chunks_mut(CHUNK).map(Mutex::new).collect();
    barrier_pool().execute_chunked(chunks.len(), |indices| {
        for i in indices {
            let mut chunk = chunks[i].lock().unwrap_or_else(PoisonError::into_inner);
            compute(i * CHUNK, &mut chunk);
        }
    });
}
