//! Places buffers in a given order.
//!
//! Each buffer takes the lowest offset that is not forbidden by an already placed buffer with an overlapping live
//! range. A pair of buffers forbids one interval of differences of their offsets: normally those at which they would
//! overlap, and less for the output of an operator and an input whose live range ends there, since the output may
//! overwrite what is no longer needed.

use std::cell::Cell;

/// Every offset is a multiple of this, in bytes.
pub(crate) const ALIGN: u32 = 16;

/// A piece of memory with its live range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffer {
    /// Bytes, a multiple of [`ALIGN`].
    pub(crate) size: u32,
    /// The first step at which it is needed.
    pub(crate) first: u32,
    /// The last step.
    pub(crate) last: u32,
}

/// An overlap of an output with inputs whose live ranges end at `step`. It is allowed if the input starts at least
/// `distance` bytes after the output, and the operator then needs `scratch` more bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) step: u32,
    pub(crate) output: usize,
    /// (buffer, distance) of each input that may be overwritten.
    pub(crate) inputs: Vec<(usize, u32)>,
    /// Bytes of one row.
    pub(crate) scratch: u32,
}

/// The buffers to place, and the overlaps that are allowed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) overlaps: Vec<Overlap>,
    /// How many neighbours placing has visited so far. Unlike time, this count is the same on every machine, so a
    /// search that it limits returns the same result everywhere.
    pub(crate) visited: Cell<u64>,
}

/// A [`Problem`] with a selection of its overlaps: their scratch rows come after the buffers.
pub(crate) struct Instance<'a> {
    visited: &'a Cell<u64>,
    pub(crate) buffers: Vec<Buffer>,
    /// For each buffer, the others with overlapping live ranges; one buffer's list after another's.
    neighbours: Vec<Neighbour>,
    /// The index in `neighbours` at which each buffer's list begins, and finally the total length.
    starts: Vec<u32>,
    /// For each selected overlap: its index in the problem, and the buffer of its scratch row.
    pub(crate) scratch: Vec<(usize, usize)>,
}

/// Another buffer with an overlapping live range, and the offsets that it forbids.
#[derive(Clone, Copy, Default)]
struct Neighbour {
    other: u32,
    /// Offsets in `(other - below, other + above)` are forbidden, ends not included.
    below: u32,
    above: u32,
}

impl<'a> Instance<'a> {
    pub(crate) fn new(problem: &'a Problem, taken: &[bool]) -> Self {
        let mut buffers = problem.buffers.clone();
        let mut scratch = Vec::new();
        for (i, overlap) in problem.overlaps.iter().enumerate().filter(|(i, _)| taken[*i]) {
            scratch.push((i, buffers.len()));
            let size = overlap.scratch.next_multiple_of(ALIGN);
            buffers.push(Buffer { size, first: overlap.step, last: overlap.step });
        }
        // Sorted by start, so that only buffers that can meet are compared.
        let mut by_first: Vec<usize> = (0..buffers.len()).collect();
        by_first.sort_by_key(|&i| buffers[i].first);
        let meeting = |at: usize| {
            let (all, last) = (&buffers, buffers[by_first[at]].last);
            by_first[at + 1..].iter().copied().take_while(move |&j| all[j].first <= last)
        };
        // Counted first: a separate list for each buffer would take more memory and many allocations.
        let mut starts = vec![0u32; buffers.len() + 1];
        for (at, &i) in by_first.iter().enumerate() {
            for j in meeting(at) {
                starts[i + 1] += 1;
                starts[j + 1] += 1;
            }
        }
        for i in 0..buffers.len() {
            starts[i + 1] += starts[i];
        }
        let mut neighbours = vec![Neighbour::default(); starts[buffers.len()] as usize];
        let mut ends = starts.clone();
        for (at, &i) in by_first.iter().enumerate() {
            for j in meeting(at) {
                let (a, b) = (buffers[i].size, buffers[j].size);
                for (own, other, below, above) in [(i, j, a, b), (j, i, b, a)] {
                    neighbours[ends[own] as usize] = Neighbour { other: other as u32, below, above };
                    ends[own] += 1;
                }
            }
        }
        let range = |i: usize| starts[i] as usize..starts[i + 1] as usize;
        for &(i, _) in &scratch {
            let overlap = &problem.overlaps[i];
            for &(input, distance) in &overlap.inputs {
                let distance = distance.next_multiple_of(ALIGN);
                let of = |other: usize| move |n: &&mut Neighbour| n.other as usize == other;
                for neighbour in neighbours[range(input)].iter_mut().filter(of(overlap.output)) {
                    neighbour.above = neighbour.above.min(distance);
                }
                for neighbour in neighbours[range(overlap.output)].iter_mut().filter(of(input)) {
                    neighbour.below = neighbour.below.min(distance);
                }
            }
        }
        let instance = Self { visited: &problem.visited, buffers, neighbours, starts, scratch };
        instance.count();
        instance
    }

    /// Counts a visit of all neighbours, plus a constant for the buffer itself.
    fn count(&self) {
        self.visited.set(self.visited.get() + (self.neighbours.len() + 4 * self.buffers.len()) as u64);
    }

    /// Returns the neighbours of buffer `i`.
    fn neighbours(&self, i: usize) -> &[Neighbour] {
        &self.neighbours[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// Places the buffers in this order. Returns their offsets and the peak in bytes.
    pub(crate) fn place(&self, order: &[usize]) -> (Vec<u32>, u64) {
        self.count();
        let mut offsets = vec![u32::MAX; self.buffers.len()];
        // Intervals, packed so that they sort fast: the lower end plus one (0 if that is below 0), and the upper end.
        let mut forbidden: Vec<u64> = Vec::new();
        let mut peak = 0u64;
        for &i in order {
            forbidden.clear();
            for neighbour in self.neighbours(i).iter().filter(|n| offsets[n.other as usize] != u32::MAX) {
                let other = offsets[neighbour.other as usize];
                let from = other.saturating_add(1).saturating_sub(neighbour.below);
                forbidden.push(u64::from(from) << 32 | u64::from(other.saturating_add(neighbour.above)));
            }
            forbidden.sort_unstable();
            let mut offset = 0u32;
            for &interval in &forbidden {
                let (from, to) = ((interval >> 32) as u32, interval as u32);
                if from <= offset {
                    offset = offset.max(to);
                }
            }
            peak = peak.max(u64::from(offset) + u64::from(self.buffers[i].size));
            // Beyond 4 GiB no offset is valid; the caller sees that by the peak.
            offsets[i] = offset.min(u32::MAX - ALIGN + 1);
        }
        (offsets, peak)
    }

    /// Returns the selected overlaps where output and input actually overlap at these offsets.
    pub(crate) fn used(&self, problem: &Problem, offsets: &[u32]) -> Vec<usize> {
        let touch = |a: usize, b: usize| {
            u64::from(offsets[a]) < u64::from(offsets[b]) + u64::from(self.buffers[b].size)
                && u64::from(offsets[b]) < u64::from(offsets[a]) + u64::from(self.buffers[a].size)
        };
        let used = |i: &usize| {
            let overlap = &problem.overlaps[*i];
            overlap.inputs.iter().any(|&(input, _)| touch(input, overlap.output))
        };
        self.scratch.iter().map(|&(i, _)| i).filter(used).collect()
    }
}
