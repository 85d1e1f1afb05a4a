//! Where buffers go, given an order in which to place them.
//!
//! Each buffer takes the lowest offset that none of the placed buffers it shares time with forbids. A pair of buffers
//! forbids one interval of differences of their offsets: ordinarily those at which they would touch, and for the
//! output and a dying input of one operator less, since the output may run over what is no longer needed.

use std::cell::Cell;

/// Every offset is a multiple of this.
pub(crate) const ALIGN: u32 = 16;

/// A piece of memory that is needed for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffer {
    /// Bytes, a multiple of [`ALIGN`].
    pub(crate) size: u32,
    /// The first step at which it is needed.
    pub(crate) first: u32,
    /// The last step.
    pub(crate) last: u32,
}

/// An output may lie over an input that dies with the operator of `step` if the input starts `distance` bytes or more
/// after the output. The operator then needs `scratch` bytes besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) step: u32,
    pub(crate) output: usize,
    /// (buffer, distance) of each input that may be run over.
    pub(crate) inputs: Vec<(usize, u32)>,
    /// Bytes of a row.
    pub(crate) scratch: u32,
}

/// What is to be placed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) overlaps: Vec<Overlap>,
    /// How much placing has done so far: neighbours that were looked at. Unlike time it is the same on every machine, so that
    /// what ends by it gives the same result everywhere.
    pub(crate) looked_at: Cell<u64>,
}

/// A [`Problem`] with some of its overlaps taken: their scratch rows stand after the buffers.
pub(crate) struct Instance<'a> {
    looked_at: &'a Cell<u64>,
    pub(crate) buffers: Vec<Buffer>,
    /// For each buffer the others that it shares time with, one buffer's after another's.
    neighbours: Vec<Neighbour>,
    /// Where the neighbours of each buffer begin, and at last where they end.
    starts: Vec<u32>,
    /// For each taken overlap (its index in the problem) the buffer of its scratch row.
    pub(crate) scratch: Vec<(usize, usize)>,
}

/// Another buffer, and from which difference `own - other` on the two are free of each other (up to minus its own size they
/// are free too).
#[derive(Clone, Copy, Default)]
struct Neighbour {
    other: u32,
    /// Forbidden are offsets in `(other - below, other + above)`, ends not included.
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
        // By start, so that only those that can meet are compared.
        let mut by_first: Vec<usize> = (0..buffers.len()).collect();
        by_first.sort_by_key(|&i| buffers[i].first);
        let meeting = |at: usize| {
            let (all, last) = (&buffers, buffers[by_first[at]].last);
            by_first[at + 1..].iter().copied().take_while(move |&j| all[j].first <= last)
        };
        // Counted first: a list for each buffer would take more memory, and many pieces of it.
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
        let instance = Self { looked_at: &problem.looked_at, buffers, neighbours, starts, scratch };
        instance.count();
        instance
    }

    /// Counts that all neighbours are looked at; each buffer costs something too.
    fn count(&self) {
        self.looked_at.set(self.looked_at.get() + (self.neighbours.len() + 4 * self.buffers.len()) as u64);
    }

    /// The others that buffer `i` shares time with.
    fn neighbours(&self, i: usize) -> &[Neighbour] {
        &self.neighbours[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// Places the buffers in this order; gives their offsets and the bytes in all.
    pub(crate) fn place(&self, order: &[usize]) -> (Vec<u32>, u64) {
        self.count();
        let mut offsets = vec![u32::MAX; self.buffers.len()];
        // Intervals, packed so that they sort fast: one above the lower end (0 if that is below 0), and the upper end.
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
            // Beyond 4 GiB nothing fits any more; the caller sees that by the peak.
            offsets[i] = offset.min(u32::MAX - ALIGN + 1);
        }
        (offsets, peak)
    }

    /// The overlaps, of those taken, where output and input really touch at these offsets.
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
