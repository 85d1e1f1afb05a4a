//! Several threads that share the rows of an operator.
//!
//! A row of an output depends on the operator's inputs only, and a kernel computes the same bits for it, whichever other
//! rows it computes in the same call: [`poll`](crate::OwnedSession::poll) relies on that to stop between rows. So threads
//! can compute different rows at the same time, each into its own part of the output.
//!
//! An output that lies over its own inputs is different: a row may overwrite what another thread has yet to read. Its
//! rows are computed into a buffer apart from the arena, and copied to their place when all threads are done. The planned
//! scratch value, often of one row, is not used then. Where threads share a workspace or a cache, the calling thread
//! completes it before the others start. Other operators that write state are left to the calling thread.

use crate::arena::Align16;
use crate::engine::{Engine, Part};
use crate::execute::{Call, split_state, workspace_rows};
use crate::linked::AllOps;
use crate::memory::{Reader, WithoutState, range_of, split_output};
use crate::ops::{prepare, run};
use crate::owned::{OpenError, zeros};
use crate::tensor::copy;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use rayon_core::{ThreadPool, ThreadPoolBuilder, Yield};
use std::thread::yield_now;
use tealight_format::{Model, OpCode, OpRecord};

/// The number of threads of a session, for [`OwnedSession::with_threads`](crate::OwnedSession::with_threads).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    count: usize,
    /// The minimum cost of rows that the threads share.
    pub(crate) min_cost: u64,
}

impl Threads {
    /// The minimum work that is worth waking a thread for: about 10 µs.
    const MIN_COST: u64 = 50_000;

    /// `count` threads; one, if it is 0.
    pub const fn new(count: usize) -> Self {
        Self { count: if count == 0 { 1 } else { count }, min_cost: Self::MIN_COST }
    }

    /// The same number of threads, for rows of an operator that together cost at least `cost`, 50,000 by default: see
    /// [`Op::row_cost`](tealight_format::Op::row_cost). One thread computes less work sooner than several.
    pub const fn min_cost(self, cost: u64) -> Self {
        Self { min_cost: cost, ..self }
    }

    /// The number of threads.
    pub const fn count(&self) -> usize {
        self.count
    }
}

/// Running threads, and what they need.
pub(crate) struct Team {
    pub(crate) threads: Threads,
    pool: ThreadPool,
    /// Room for any output that lies over its own inputs.
    buffer: Vec<Align16>,
}

impl Team {
    /// Starts the threads, with a buffer for each of `models`.
    ///
    /// # Errors
    /// [`OpenError`] if there is not enough memory, or the system starts no more threads.
    pub(crate) fn start(threads: Threads, models: &[Option<Model<'_>>]) -> Result<Self, OpenError> {
        let overlapping = |model: &Model<'_>, op: &OpRecord<'_>| {
            op.scratch().is_some() && op.code().is_some_and(|code| workspace_rows(model, *op, code).is_none())
        };
        let longest = |model: &Model<'_>| {
            let ops = (0..model.op_count()).map(|index| model.record_of_op(index)).filter(|op| overlapping(model, op));
            ops.map(|op| model.record_of_value(op.output().into()).byte_len()).max().unwrap_or(0)
        };
        let len = models.iter().flatten().map(longest).max().unwrap_or(0);
        let buffer = zeros(len as usize)?;
        let pool = ThreadPoolBuilder::new().num_threads(threads.count).build();
        Ok(Self { threads, pool: pool.map_err(|_| OpenError::Threads { count: threads.count })?, buffer })
    }

    /// Calls `work` on one of the threads, with an engine that shares the rows of operators among all of them. The
    /// engine offers the rows to `engine` first.
    pub(crate) fn run<E: Engine + Send, T: Send>(
        &mut self,
        engine: &mut E,
        work: impl FnOnce(Sharing<'_, E>) -> T + Send,
    ) -> T {
        let Self { threads, pool, buffer } = self;
        pool.install(|| {
            let _ends = help_until_dropped();
            work(Sharing { threads: *threads, buffer, engine })
        })
    }
}

/// Sets a flag to false when it is dropped.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Lets the other threads of the current pool help until the result is dropped. A thread that has not begun by then does
/// not delay this one.
fn help_until_dropped() -> Ends {
    let (busy, caller) = (Arc::new(AtomicBool::new(true)), rayon_core::current_thread_index());
    let ends = Ends(busy.clone());
    rayon_core::spawn_broadcast(move |context| {
        if Some(context.index()) != caller {
            help_while(|| busy.load(Ordering::Relaxed));
        }
    });
    ends
}

/// Computes pieces of operators as long as `busy` returns true. A thread of the pool does that anyway, but where it finds
/// none, it soon sleeps, and takes longer to wake up than most operators take.
///
/// A piece must not wait for other pieces: the thread might help while it waits, and not return to the piece.
fn help_while(busy: impl Fn() -> bool) {
    let mut idle = 0;
    while busy() {
        if rayon_core::yield_now() == Some(Yield::Executed) {
            idle = 0;
        } else if idle < SPINS {
            idle += 1;
            spin_loop();
        } else {
            yield_now();
        }
    }
}

/// How often a thread looks for work before it lets other programs have the processor.
const SPINS: u32 = 2000;

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Shares the rows of operators among the threads of the pool that it is called on.
pub(crate) struct Sharing<'s, E> {
    threads: Threads,
    buffer: &'s mut Vec<Align16>,
    engine: &'s mut E,
}

impl<E: Engine> Engine for Sharing<'_, E> {
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        if self.engine.compute(part) {
            return true;
        }
        let op = part.model.record_of_op(part.index);
        op.code().is_some_and(|code| self.is_worthwhile(op, part.rows.len()) && self.share(op, code, part))
    }
}

impl<E> Sharing<'_, E> {
    /// Whether threads compute so many rows of `op` sooner than one.
    fn is_worthwhile(&self, op: OpRecord<'_>, rows: usize) -> bool {
        rows > 1 && u64::from(op.row_cost()).saturating_mul(rows as u64) >= self.threads.min_cost
    }

    /// Computes the rows of `part` and returns true, or returns false if the operator's rows write state.
    fn share(&mut self, op: OpRecord<'_>, code: OpCode, part: &mut Part<'_>) -> bool {
        if code == OpCode::AttentionF32 {
            store(op, code, part);
        } else if code.state_input().is_some() {
            return false;
        }
        let model = part.model;
        let pieces = self.threads.count.saturating_mul(PIECES);
        let compute = |call: Call<'_>| divide(call, pieces, &|piece| run::<AllOps>(code, piece));
        if let Some(period) = workspace_rows(model, op, code) {
            with_workspace(op, code, part, period, compute);
            return true;
        }
        let (rows, range) = (part.rows.clone(), part.output_range());
        if op.scratch().is_some() {
            let output = Align16::bytes_mut(self.buffer).get_mut(..range.len()).unwrap_or(&mut []);
            let reader = Reader::of_all(model, part.memory);
            compute(Call { op, rows, reader, output, state: &mut [], workspace: &[] });
            copy(Align16::bytes(self.buffer), part.output_bytes());
        } else {
            let mut rest = all(part.memory);
            let (output, reader) = split_output(model, &mut rest, range);
            compute(Call { op, rows, reader, output, state: &mut [], workspace: &[] });
        }
        true
    }
}

/// The whole arena.
const fn all(memory: &mut [u8]) -> WithoutState<'_> {
    WithoutState { below: &[], above: memory, base: 0 }
}

/// Computes the rows of `part`, of which every `period` share a workspace in the scratch value. The workspace, written
/// before the first row of a period, serves all its rows, in later calls too.
fn with_workspace(op: OpRecord<'_>, code: OpCode, part: &mut Part<'_>, period: usize, compute: impl Fn(Call<'_>)) {
    let Some(scratch) = op.scratch().map(|index| part.model.record_of_value(index.into())) else { return };
    let (rows, model) = (part.rows.clone(), part.model);
    let mut start = rows.start;
    while start < rows.end {
        let into = start % period;
        part.rows = start..(start + period - into).min(rows.end);
        start = part.rows.end;
        let (rows, range) = (part.rows.clone(), part.output_range());
        if into == 0 {
            let mut rest = all(part.memory);
            let (output, reader) = split_output(model, &mut rest, range_of(scratch));
            prepare::<AllOps>(code, Call { op, rows: rows.clone(), reader, output, state: &mut [], workspace: &[] });
        }
        let mut rest = all(part.memory);
        let (output, reader) = split_output(model, &mut rest, range);
        compute(Call { op, rows, reader, output, state: &mut [], workspace: reader.bytes(scratch) });
    }
    part.rows = rows;
}

/// Stores the new keys and values of an attention in its cache, before the first of its rows. The rows of `part` can
/// then read the cache like any other input.
fn store(op: OpRecord<'_>, code: OpCode, part: &mut Part<'_>) {
    if part.rows.start > 0 {
        return;
    }
    let start = part.output_range().start;
    let (state, mut rest) = split_state::<AllOps>(part.model, part.memory, op, code);
    let (output, reader) = split_output(part.model, &mut rest, start..start);
    run::<AllOps>(code, Call { op, rows: 0..0, reader, output, state, workspace: &[] });
}

/// The number of pieces of an operator's rows for each thread. With several, a thread that is interrupted leaves some of
/// its work to the others.
const PIECES: usize = 2;

/// Rows that kernels compute together: where there are many, pieces begin at multiples of it.
const TILE: usize = 16;

/// Computes the rows of `call` in `pieces` pieces, which the threads of the current pool share.
fn divide(call: Call<'_>, pieces: usize, compute: &(impl Fn(Call<'_>) + Sync)) {
    let pieces = pieces.clamp(1, call.rows.len().max(1));
    let others = AtomicUsize::new(pieces - 1);
    let others = &others;
    rayon_core::scope(move |scope| {
        let mut rest = call;
        for pieces in (2..=pieces).rev() {
            let at = first_rows(rest.rows.len(), pieces);
            let (piece, after) = split(rest, at);
            scope.spawn(move |_| {
                compute(piece);
                others.fetch_sub(1, Ordering::Relaxed);
            });
            rest = after;
        }
        compute(rest);
        // Without it, the scope would wait for the last piece, and sleep.
        help_while(|| others.load(Ordering::Relaxed) > 0);
    });
}

/// The number of rows of the first of `pieces` pieces.
fn first_rows(rows: usize, pieces: usize) -> usize {
    let even = rows / pieces;
    if even > TILE { even - even % TILE } else { even }
}

/// Splits off the first `at` rows of a call that writes no state. `at` is less than its rows.
fn split(call: Call<'_>, at: usize) -> (Call<'_>, Call<'_>) {
    let Call { op, rows, reader, output, workspace, .. } = call;
    let row_len = output.len() / rows.len();
    let middle = rows.start + at;
    let (first, second) = output.split_at_mut(at * row_len);
    let part = |rows, output| Call { op, rows, reader, output, state: &mut [], workspace };
    (part(rows.start..middle, first), part(middle..rows.end, second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owned::AlignedBytes;
    use core::time::Duration;
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::time::Instant;

    /// A call with `rows` rows of two bytes, from row 5 on, into `output`.
    fn with_call<T>(rows: usize, output: &mut [u8], test: impl FnOnce(Call<'_>) -> T) -> T {
        let file = AlignedBytes::copy_of(include_bytes!("../tests/relu.safetensors")).unwrap();
        let model = Model::parse(file.as_ref()).unwrap();
        let reader = Reader::of_all(&model, &[]);
        let op = model.record_of_op(0);
        test(Call { op, rows: 5..5 + rows, reader, output, state: &mut [], workspace: &[] })
    }

    #[test]
    fn pieces_hold_every_row_once_and_in_its_place() {
        for rows in [1, 2, 3, 4, 7, 63, 64, 65, 257, 1000] {
            for pieces in 1..10 {
                let mut output = std::vec![0; 2 * rows];
                with_call(rows, &mut output, |call| {
                    divide(call, pieces, &|piece| {
                        assert_eq!(piece.output.len(), 2 * piece.rows.len());
                        for (row, bytes) in piece.rows.zip(piece.output.chunks_exact_mut(2)) {
                            assert_eq!(bytes, [0, 0], "row {row} of {rows}, {pieces} pieces");
                            bytes.copy_from_slice(&(row as u16).to_le_bytes());
                        }
                    });
                });
                let expected: Vec<u8> = (5..5 + rows as u16).flat_map(u16::to_le_bytes).collect();
                assert_eq!(output, expected, "{rows} rows, {pieces} pieces");
            }
        }
    }

    #[test]
    fn threads_compute_pieces_at_the_same_time() {
        let seen = Mutex::new(BTreeSet::new());
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        with_call(2, &mut [0; 4], |call| {
            pool.install(|| {
                divide(call, 2, &|_| {
                    seen.lock().unwrap().insert(rayon_core::current_thread_index());
                    // The other piece is left to the other thread.
                    let start = Instant::now();
                    while seen.lock().unwrap().len() < 2 && start.elapsed() < Duration::from_secs(20) {
                        yield_now();
                    }
                });
            });
        });
        assert_eq!(seen.into_inner().unwrap(), BTreeSet::from([Some(0), Some(1)]));
    }
}
