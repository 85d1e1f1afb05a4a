//! The search for a placement with a low peak: which overlaps to use, and in which order to place.
//!
//! Optimal placement is NP-hard, but networks are small, so many cheap tries are made: some orders that are known to
//! work well; all overlaps, none, or single ones toggled; then random exchanges in the best order found. The search
//! ends early where nothing lower is possible. The tries are the same for the same problem, so a network always
//! compiles to the same file.

use super::place::{Instance, Problem};
use std::collections::{BTreeMap, HashSet};

/// The effort of the tries: roughly this many pairs of buffers are visited.
const EFFORT: usize = 60_000_000;

/// The effort of dropping overlaps, in visited neighbours.
const DROPPING: u64 = 120_000_000;

/// The maximum number of random tries. Few under a fuzzer, whose time is better spent on other inputs.
const TRIES: usize = if cfg!(fuzzing) { 8 } else { 3000 };

/// A placement.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    /// Offset of each of the problem's buffers.
    pub(crate) offsets: Vec<u32>,
    /// For each overlap in use: its index and the offset of its scratch row.
    pub(crate) scratch: Vec<(usize, u32)>,
    /// The peak in bytes.
    pub(crate) peak: u64,
    /// Bytes that placing by size, largest first and without overlap, needs.
    pub(crate) greedy_by_size: u64,
}

/// The best try so far.
struct Best {
    taken: Vec<bool>,
    order: Vec<usize>,
    offsets: Vec<u32>,
    peak: u64,
}

/// Finds a placement that is never worse than placing by size without overlap.
pub(crate) fn search(problem: &Problem) -> Placement {
    // Each buffer has a constant cost too, beside its pairs.
    let pairs = 1 + pairs(problem) + 32 * problem.buffers.len();
    let tries = (EFFORT / pairs).min(TRIES);
    // Toggling an overlap means placing again in a dozen orders.
    let toggles = (EFFORT / pairs / 12).min(TRIES / 2);
    let lower_bound = lower_bound(problem);
    let none = vec![false; problem.overlaps.len()];
    let mut best = first(problem, &none);
    let greedy_by_size = best.peak;
    try_orders(problem, &none, &mut best);
    climb(problem, &mut best, tries / 4, lower_bound);
    if !problem.overlaps.is_empty() && best.peak > lower_bound {
        let all = vec![true; problem.overlaps.len()];
        let mut with_all = Best { taken: all.clone(), order: Vec::new(), offsets: Vec::new(), peak: u64::MAX };
        try_orders(problem, &all, &mut with_all);
        climb(problem, &mut with_all, tries, lower_bound);
        if with_all.peak < best.peak {
            best = with_all;
        }
        toggle(problem, &mut best, toggles, lower_bound);
        climb(problem, &mut best, tries, lower_bound);
        drop_needless(problem, &mut best);
    }
    placement(problem, best, greedy_by_size)
}

/// The placement `best`, without the overlaps that it does not use.
fn placement(problem: &Problem, mut best: Best, greedy_by_size: u64) -> Placement {
    let instance = Instance::new(problem, &best.taken);
    let used: HashSet<usize> = instance.used(problem, &best.offsets).into_iter().collect();
    let scratch =
        instance.scratch.iter().filter(|(i, _)| used.contains(i)).map(|&(i, at)| (i, best.offsets[at])).collect();
    best.offsets.truncate(problem.buffers.len());
    Placement { offsets: best.offsets, scratch, peak: best.peak, greedy_by_size }
}

/// Places by size, with the overlaps `taken`.
fn first(problem: &Problem, taken: &[bool]) -> Best {
    let instance = Instance::new(problem, taken);
    let order = largest_first(&instance);
    let (offsets, peak) = instance.place(&order);
    Best { taken: taken.to_vec(), order, offsets, peak }
}

/// Places by size, without overlap: sufficient for a network that is only run to be measured.
pub(crate) fn by_size(problem: &Problem) -> Placement {
    let Best { mut offsets, peak, .. } = first(problem, &vec![false; problem.overlaps.len()]);
    offsets.truncate(problem.buffers.len());
    Placement { offsets, scratch: Vec::new(), peak, greedy_by_size: peak }
}

/// Places in the orders that are known to work well, with all overlaps and with none: a first estimate.
pub(crate) fn quick(problem: &Problem) -> Placement {
    let greedy_by_size = first(problem, &vec![false; problem.overlaps.len()]).peak;
    let mut best = first(problem, &vec![true; problem.overlaps.len()]);
    for taken in [true, false] {
        try_orders(problem, &vec![taken; problem.overlaps.len()], &mut best);
    }
    placement(problem, best, greedy_by_size)
}

/// Returns the approximate number of pairs of buffers with overlapping live ranges.
pub(crate) fn pairs(problem: &Problem) -> usize {
    let mut events: Vec<(u32, i32)> = Vec::new();
    for buffer in &problem.buffers {
        events.push((buffer.first, -1));
        events.push((buffer.last, 1));
    }
    events.sort_unstable();
    let (mut live, mut pairs) = (0usize, 0usize);
    for (_, event) in events {
        if event < 0 {
            pairs = pairs.saturating_add(live + 1);
            live += 1;
        } else {
            live -= 1;
        }
    }
    pairs
}

/// Returns a lower bound of the peak: the maximum of the live bytes at a step if every allowed overlap were complete.
fn lower_bound(problem: &Problem) -> u64 {
    busiest_with_overlaps(problem).1
}

/// Returns the first step at which that maximum is reached.
pub(crate) fn busiest_step(problem: &Problem) -> u32 {
    busiest_with_overlaps(problem).0
}

fn busiest_with_overlaps(problem: &Problem) -> (u32, u64) {
    let mut saved: BTreeMap<u32, u64> = BTreeMap::new();
    for overlap in &problem.overlaps {
        let inputs = overlap.inputs.iter().map(|&(input, _)| u64::from(problem.buffers[input].size)).sum::<u64>();
        *saved.entry(overlap.step).or_default() += inputs.min(u64::from(problem.buffers[overlap.output].size));
    }
    let mut events: Vec<(u32, bool, u64)> = Vec::new();
    for buffer in &problem.buffers {
        events.push((buffer.first, true, u64::from(buffer.size)));
        events.push((buffer.last + 1, false, u64::from(buffer.size)));
    }
    events.sort_unstable();
    let (mut live, mut busiest, mut events) = (0, (0, 0), events.into_iter().peekable());
    while let Some((step, born, bytes)) = events.next() {
        live = if born { live + bytes } else { live - bytes };
        if events.peek().is_none_or(|next| next.0 > step) {
            let bytes = live.saturating_sub(saved.get(&step).copied().unwrap_or(0));
            if bytes > busiest.1 {
                busiest = (step, bytes);
            }
        }
    }
    busiest
}

/// Returns the buffers in ascending order of `key`, and where that is equal, of their index.
fn sorted(instance: &Instance<'_>, key: impl Fn(usize) -> (i64, i64, i64)) -> Vec<usize> {
    let mut order: Vec<(i64, i64, i64, usize)> = (0..instance.buffers.len())
        .map(|i| {
            let (a, b, c) = key(i);
            (a, b, c, i)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(.., i)| i).collect()
}

/// Returns the buffers by size, largest first.
fn largest_first(instance: &Instance<'_>) -> Vec<usize> {
    sorted(instance, |i| (-i64::from(instance.buffers[i].size), i64::from(instance.buffers[i].first), 0))
}

/// Returns the orders to try. The first is by size, largest first.
fn orders(instance: &Instance<'_>) -> Vec<Vec<usize>> {
    let buffers = &instance.buffers;
    let sorted = |key: &dyn Fn(usize) -> (i64, i64, i64)| sorted(instance, key);
    let size = |i: usize| i64::from(buffers[i].size);
    let first = |i: usize| i64::from(buffers[i].first);
    let last = |i: usize| i64::from(buffers[i].last);
    let peak = busiest(instance);
    // Scratch rows come last.
    let plain = instance.buffers.len() - instance.scratch.len();
    let is_scratch = |i: usize| i64::from(i >= plain);
    let distance = |i: usize| (first(i) - peak).max(peak - last(i)).max(0);
    vec![
        largest_first(instance),
        sorted(&|i| (-size(i), -first(i), 0)),
        sorted(&|i| (-size(i) * (last(i) - first(i) + 1), -size(i), 0)),
        sorted(&|i| (first(i), -size(i), 0)),
        sorted(&|i| (-first(i), -size(i), 0)),
        sorted(&|i| (last(i), -size(i), 0)),
        sorted(&|i| (-last(i), -size(i), 0)),
        sorted(&|i| (-last(i), -first(i), -size(i))),
        sorted(&|i| (distance(i), -size(i), 0)),
        sorted(&|i| (distance(i), -last(i), -size(i))),
        // Scratch rows last: they fit into the gaps.
        sorted(&|i| (is_scratch(i), -last(i), -first(i))),
        sorted(&|i| (is_scratch(i), distance(i), -last(i))),
    ]
}

/// Returns the step with the most live bytes.
fn busiest(instance: &Instance<'_>) -> i64 {
    let mut events: Vec<(u32, i64)> = Vec::new();
    for buffer in &instance.buffers {
        events.push((buffer.first, i64::from(buffer.size)));
        events.push((buffer.last + 1, -i64::from(buffer.size)));
    }
    events.sort_unstable();
    let (mut live, mut peak, mut step) = (0, -1, 0);
    for (at, bytes) in events {
        live += bytes;
        if live > peak {
            (peak, step) = (live, i64::from(at));
        }
    }
    step
}

fn try_orders(problem: &Problem, taken: &[bool], best: &mut Best) -> bool {
    let instance = Instance::new(problem, taken);
    let mut found = false;
    for order in orders(&instance) {
        let (offsets, peak) = instance.place(&order);
        if peak < best.peak {
            *best = Best { taken: taken.to_vec(), order, offsets, peak };
            found = true;
        }
    }
    found
}

/// Toggles single overlaps while that lowers the peak.
fn toggle(problem: &Problem, best: &mut Best, mut tries: usize, lower_bound: u64) {
    loop {
        let mut found = false;
        for i in 0..problem.overlaps.len() {
            if tries == 0 || best.peak <= lower_bound {
                return;
            }
            tries -= 1;
            let mut taken = best.taken.clone();
            taken[i] = !taken[i];
            found |= try_orders(problem, &taken, best);
        }
        if !found {
            return;
        }
    }
}

/// Moves random buffers to random positions in the order; keeps a change that is not worse.
fn climb(problem: &Problem, best: &mut Best, tries: usize, lower_bound: u64) {
    if best.order.len() < 2 || best.peak <= lower_bound {
        return;
    }
    let instance = Instance::new(problem, &best.taken);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut order, mut peak) = (best.order.clone(), best.peak);
    for _ in 0..tries {
        let mut next = order.clone();
        for _ in 0..1 + random.below(3) {
            let moved = next.remove(random.below(next.len()));
            next.insert(random.below(next.len() + 1), moved);
        }
        let (offsets, found) = instance.place(&next);
        if found <= peak {
            if found < best.peak {
                *best = Best { taken: best.taken.clone(), order: next.clone(), offsets, peak: found };
                if found <= lower_bound {
                    return;
                }
            }
            (order, peak) = (next, found);
        }
    }
}

/// Drops overlaps that the peak does not need, those of the largest outputs first: copying rows takes time.
fn drop_needless(problem: &Problem, best: &mut Best) {
    let end = problem.visited.get() + DROPPING;
    let bytes = |i: usize| problem.buffers[problem.overlaps[i].output].size;
    let mut taken: Vec<usize> = (0..problem.overlaps.len()).filter(|&i| best.taken[i]).collect();
    taken.sort_by_key(|&i| (std::cmp::Reverse(bytes(i)), i));
    let used = Instance::new(problem, &best.taken).used(problem, &best.offsets);
    let used: HashSet<usize> = used.into_iter().collect();
    for i in taken {
        if problem.visited.get() > end {
            return;
        }
        let mut fewer = best.taken.clone();
        fewer[i] = false;
        let instance = Instance::new(problem, &fewer);
        // The best order without the dropped scratch row: rows come after the buffers, in the order of the overlaps.
        let gone = problem.buffers.len() + best.taken[..i].iter().filter(|taken| **taken).count();
        let kept = best.order.iter().filter(|&&b| b != gone).map(|&b| if b > gone { b - 1 } else { b });
        let kept: Vec<usize> = kept.collect();
        let (offsets, peak) = instance.place(&kept);
        if peak <= best.peak {
            *best = Best { taken: fewer, order: kept, offsets, peak };
            continue;
        }
        if used.contains(&i) {
            let mut other = Best { taken: Vec::new(), order: Vec::new(), offsets: Vec::new(), peak: best.peak + 1 };
            if try_orders(problem, &fewer, &mut other) {
                *best = other;
            }
        }
    }
}

/// A small pseudo-random number generator (xorshift64*), the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::live_bytes;
    use super::super::place::{ALIGN, Buffer, Overlap, Problem};
    use super::{Placement, search};
    use proptest::prelude::*;

    /// A chain of operators with some long-lived tensors; operator k writes buffer k and reads buffer k - 1.
    fn problems() -> impl Strategy<Value = Problem> {
        let buffer = (1u32..2000, 0u32..4);
        let distance = prop_oneof![Just(None), (0u32..2500).prop_map(Some)];
        proptest::collection::vec((buffer, distance, 1u32..200), 1..14).prop_map(|rows| {
            let mut problem = Problem::default();
            for (k, &((size, extra), _, _)) in rows.iter().enumerate() {
                let last = (k as u32 + 1 + extra).min(rows.len() as u32);
                problem.buffers.push(Buffer { size: size * ALIGN, first: k as u32, last });
            }
            for (k, &(_, distance, scratch)) in rows.iter().enumerate().skip(1) {
                // Only an input whose live range ends here may be overwritten.
                if let Some(distance) = distance.filter(|_| problem.buffers[k - 1].last == k as u32) {
                    let distance = distance.min(problem.buffers[k].size);
                    let inputs = vec![(k - 1, distance)];
                    problem.overlaps.push(Overlap { step: k as u32, output: k, inputs, scratch });
                }
            }
            problem
        })
    }

    /// Checks what must hold for any placement, without using the placer's own tables.
    fn check(problem: &Problem, placement: &Placement) -> Result<(), TestCaseError> {
        let mut all = problem.buffers.clone();
        let mut offsets: Vec<u64> = placement.offsets.iter().map(|&offset| u64::from(offset)).collect();
        for &(i, offset) in &placement.scratch {
            let overlap = &problem.overlaps[i];
            all.push(Buffer { size: overlap.scratch, first: overlap.step, last: overlap.step });
            offsets.push(u64::from(offset));
        }
        for (i, a) in all.iter().enumerate() {
            prop_assert_eq!(offsets[i] % u64::from(ALIGN), 0);
            prop_assert!(offsets[i] + u64::from(a.size) <= placement.peak);
            for (j, b) in all.iter().enumerate().skip(i + 1) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart =
                    offsets[i] + u64::from(a.size) <= offsets[j] || offsets[j] + u64::from(b.size) <= offsets[i];
                let allowed = placement.scratch.iter().any(|&(k, _)| {
                    let overlap = &problem.overlaps[k];
                    overlap.output == j
                        && overlap
                            .inputs
                            .iter()
                            .any(|&(input, distance)| input == i && offsets[i] >= offsets[j] + u64::from(distance))
                });
                prop_assert!(!together || apart || allowed, "buffers {} and {}", i, j);
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn placements_are_valid_and_never_worse_than_greedy_by_size(problem in problems()) {
            let placement = search(&problem);
            check(&problem, &super::by_size(&problem))?;
            check(&problem, &placement)?;
            prop_assert!(placement.peak <= placement.greedy_by_size);
            let largest = problem.buffers.iter().map(|buffer| u64::from(buffer.size)).max();
            prop_assert!(placement.peak >= largest.unwrap_or(0));
        }

        #[test]
        fn without_overlaps_the_peak_is_at_least_the_live_bytes(mut problem in problems()) {
            problem.overlaps.clear();
            let placement = search(&problem);
            check(&problem, &placement)?;
            prop_assert!(placement.peak >= live_bytes(&problem));
            prop_assert!(placement.scratch.is_empty());
        }
    }

    #[test]
    fn in_place_operators_need_one_buffer_and_a_row() {
        let buffer = |first| Buffer { size: 8000, first, last: first + 1 };
        let overlap = |k: usize| Overlap { step: k as u32, output: k, inputs: vec![(k - 1, 0)], scratch: 320 };
        let (buffers, overlaps) = ((0..4).map(buffer).collect(), (1..4).map(overlap).collect());
        let problem = Problem { buffers, overlaps, ..Problem::default() };
        let placement = search(&problem);
        assert_eq!(placement.peak, 8320);
        assert_eq!(placement.scratch.len(), 3);
        assert_eq!(placement.greedy_by_size, 16000);
    }

    #[test]
    fn the_work_of_a_search_is_bounded_however_many_overlaps_there_are() {
        let buffer = |first| Buffer { size: 64, first, last: first + 1 };
        let overlap = |k: usize| Overlap { step: k as u32, output: k, inputs: vec![(k - 1, 0)], scratch: 16 };
        let (buffers, overlaps) = ((0..20_000).map(buffer).collect(), (1..20_000).map(overlap).collect());
        let problem = Problem { buffers, overlaps, ..Problem::default() };
        assert_eq!(search(&problem).peak, 80);
        assert!(problem.visited.get() < 300_000_000, "{}", problem.visited.get());
    }

    #[test]
    fn drops_an_overlap_that_does_not_lower_the_peak() {
        let sizes = [8000, 8000, 16, 16];
        let buffers = (0..4).map(|k| Buffer { size: sizes[k], first: k as u32, last: k as u32 + 1 }).collect();
        let overlap = |k: usize| Overlap { step: k as u32, output: k, inputs: vec![(k - 1, 0)], scratch: 16 };
        let problem = Problem { buffers, overlaps: vec![overlap(1), overlap(3)], ..Problem::default() };
        let placement = search(&problem);
        assert_eq!(placement.peak, 8016);
        assert_eq!(placement.scratch.iter().map(|s| s.0).collect::<Vec<_>>(), [0]);
    }
}
