//! Lets scratch values grow into memory that is free while they are needed.
//!
//! An operator whose output shares memory with an input computes as many rows at a time as its scratch value holds. A
//! kernel is faster with several rows, most of all where a row has few pixels, and what else lies in the arena leaves
//! gaps. So each scratch value moves to the largest gap at its operator; the arena stays as long as it is.

use super::place::{ALIGN, Problem};
use super::search::Placement;
use tealight_format::Work;

/// Where the scratch value of an overlap lies, in bytes.
pub(super) struct Scratch {
    /// The index of the overlap.
    pub(super) overlap: usize,
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// The scratch values of a placement in `len` bytes of memory, each in the largest gap at its step. `works` holds the
/// work of each step.
pub(super) fn grow(problem: &Problem, placement: &Placement, works: &[Work], len: u32) -> Vec<Scratch> {
    let mut scratch = placement.scratch.clone();
    // Overlaps in a group need none.
    scratch.retain(|&(overlap, _)| problem.overlaps[overlap].scratch > 0);
    scratch.sort_unstable_by_key(|&(overlap, _)| problem.overlaps[overlap].step);
    let mut by_first: Vec<usize> = (0..problem.buffers.len()).collect();
    by_first.sort_unstable_by_key(|&i| problem.buffers[i].first);
    let mut next = by_first.into_iter().peekable();
    let mut live: Vec<usize> = Vec::new();
    let grown = scratch.into_iter().map(|(overlap, offset)| {
        let step = problem.overlaps[overlap].step;
        while let Some(i) = next.next_if(|&i| problem.buffers[i].first <= step) {
            live.push(i);
        }
        live.retain(|&i| problem.buffers[i].last >= step);
        let taken = live.iter().map(|&i| (placement.offsets[i], problem.buffers[i].size)).collect();
        let (start, gap) = largest_gap(taken, len);
        let row = problem.overlaps[overlap].scratch;
        let rows = works.get(step as usize).map_or(1, |work| rows_at_once(work.rows, gap / row.max(1)));
        // The largest gap holds the row that was placed, unless nothing does.
        if rows == 0 {
            return Scratch { overlap, offset, len: row };
        }
        Scratch { overlap, offset: start, len: rows * row }
    });
    grown.collect()
}

/// The number of rows, at most `room`, with which `rows` take the fewest calls, as even as they can be.
fn rows_at_once(rows: u32, room: u32) -> u32 {
    match room {
        0 => 0,
        _ => rows.div_ceil(rows.div_ceil(room)),
    }
}

/// The start and length of the largest gap between `taken`, given as offsets and lengths, within `len` bytes.
fn largest_gap(mut taken: Vec<(u32, u32)>, len: u32) -> (u32, u32) {
    taken.sort_unstable();
    taken.push((len, 0));
    let (mut end, mut largest) = (0u32, (0, 0));
    for (offset, size) in taken {
        let gap = offset.saturating_sub(end);
        if gap > largest.1 {
            largest = (end, gap);
        }
        end = end.max(offset.saturating_add(size)).next_multiple_of(ALIGN);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::super::place::{Buffer, Overlap};
    use super::{Placement, Problem, grow, largest_gap, rows_at_once};
    use tealight_format::Work;

    #[test]
    fn a_scratch_value_takes_the_largest_gap_at_its_step() {
        // Buffer 1 is written over buffer 0; buffer 2 is live only later, in the gap below.
        let buffer = |first, last, size| Buffer { size, first, last };
        let buffers = vec![buffer(0, 1, 800), buffer(1, 2, 800), buffer(2, 3, 160)];
        let overlaps = vec![Overlap { step: 1, output: 1, inputs: vec![(0, 0)], scratch: 40 }];
        let problem = Problem { buffers, overlaps, ..Problem::default() };
        let placement =
            Placement { offsets: vec![160, 160, 0], scratch: vec![(0, 960)], peak: 1008, greedy_by_size: 1600 };
        let work = Work { rows: 20, row_bytes: 40, row_cost: 1, scratch_cost: 1, prepare_cost: 0, period: 20, macs: 0 };
        let grown = grow(&problem, &placement, &[work; 3], 1008);
        assert_eq!(grown.iter().map(|s| (s.overlap, s.offset, s.len)).collect::<Vec<_>>(), [(0, 0, 160)]);
    }

    #[test]
    fn rows_are_computed_in_the_fewest_calls_and_as_evenly_as_can_be() {
        assert_eq!(rows_at_once(25, 4), 4);
        assert_eq!(rows_at_once(25, 24), 13);
        assert_eq!(rows_at_once(3, 100), 3);
        assert_eq!(rows_at_once(3, 1), 1);
        assert_eq!(rows_at_once(3, 0), 0);
    }

    #[test]
    fn gaps_lie_between_what_is_taken_and_at_both_ends() {
        assert_eq!(largest_gap(vec![], 64), (0, 64));
        assert_eq!(largest_gap(vec![(32, 16)], 64), (0, 32));
        assert_eq!(largest_gap(vec![(0, 16), (80, 16), (0, 32)], 96), (32, 48));
        assert_eq!(largest_gap(vec![(0, 20)], 64), (32, 32));
        assert_eq!(largest_gap(vec![(0, 64)], 64), (0, 0));
    }
}
