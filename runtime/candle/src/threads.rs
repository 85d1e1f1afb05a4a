//! The threads of Candle's code.
//!
//! Candle has one thread pool for each process, created on first use. `CANDLE_NUM_THREADS` sets its size, or
//! `RAYON_NUM_THREADS` together with that of rayon; the default is the number of physical cores.

use candle_core::utils::barrier_pool;
use std::sync::{Mutex, PoisonError};

/// Returns how many threads share an operator under Candle's engine, including the caller's. The first call starts
/// them.
///
/// To choose the number, set `RAYON_NUM_THREADS` (all of Candle) or `CANDLE_NUM_THREADS` (block products) before the
/// process starts.
pub fn threads() -> usize {
    barrier_pool().n_workers() + 1
}

/// The number of elements that one thread computes at a time.
const CHUNK: usize = 16;

/// Computes `out` in chunks on all threads; `compute` receives the index of a chunk's first element, and the chunk.
pub(crate) fn in_chunks(out: &mut [f32], compute: impl Fn(usize, &mut [f32]) + Sync) {
    // Each chunk is locked once, by the thread that computes it. The locks allow the threads to share one slice.
    let chunks: Vec<_> = out.chunks_mut(CHUNK).map(Mutex::new).collect();
    barrier_pool().execute_chunked(chunks.len(), |indices| {
        for i in indices {
            let mut chunk = chunks[i].lock().unwrap_or_else(PoisonError::into_inner);
            compute(i * CHUNK, &mut chunk);
        }
    });
}
