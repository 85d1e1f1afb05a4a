//! Boards side by side: one is emulated while the image of another is linked. Each keeps one processor busy.

use crate::board::Board;
use crate::context::Context;
use crate::progress::say;
use anyhow::{Result, bail};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `task` on each board, as many boards at a time as this machine has processors. All boards are run even if one
/// fails. Returns the results in the order of the boards.
///
/// # Errors
/// The task failed on some board; why is shown at once.
pub fn on_each<T: Send>(boards: &[Board], task: impl Fn(&Context, &Board) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(board) = boards.get(index) else { return done };
            // A shell belongs to one thread.
            let result = Context::new().and_then(|context| task(&context, board));
            if let Err(error) = &result {
                say(&format!("  FAILED {}: {error:#}", board.id));
            }
            done.push((index, result));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(boards.len());
    let mut done: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|cause| resume_unwind(cause))).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    let failed: Vec<&str> =
        done.iter().filter(|(_, result)| result.is_err()).map(|(index, _)| boards[*index].id.as_str()).collect();
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(", "));
    }
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_boards_and_every_failure_is_named() {
        let root = crate::context::root();
        let boards = Board::emulated(&root).unwrap();
        let ids = on_each(&boards, |_, board| Ok(board.id.clone())).unwrap();
        assert!(ids.iter().eq(boards.iter().map(|board| &board.id)));
        let (first, last) = (ids.first().unwrap(), ids.last().unwrap());
        let error = on_each(&boards, |_, board| match &board.id {
            id if id == first || id == last => bail!("no"),
            _ => Ok(()),
        });
        assert_eq!(error.unwrap_err().to_string(), format!("failed on {first}, {last}"));
    }
}
