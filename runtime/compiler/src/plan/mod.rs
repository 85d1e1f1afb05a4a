//! Memory planning: every buffer in the arena gets its offset at compile time.

mod group;
mod grow;
mod order;
mod place;
mod search;

use crate::diag::{CompileError, Result};
use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use crate::lower::operands;
use crate::options::Patch;
use group::Image;
pub(crate) use group::{Grouping, strip};
use grow::{Scratch, grow};
use place::{ALIGN, Buffer, Overlap, Problem};
use search::Placement;
use tealight_format::{MAX_LIVE, Place, Work};

/// The maximum number of pairs of tensors with overlapping live ranges: far more than real networks have.
const MAX_PAIRS: usize = 4_000_000;

/// The effort after which no further order of the nodes is tried. One order takes up to about twice as much more;
/// together they take at most about three seconds of one core of a desktop processor.
const MAX_EFFORT: u64 = 300_000_000;

/// The maximum number of groups in a plan.
const MAX_GROUPS: usize = 4;

/// The number of groups for which memory is placed thoroughly, of those that have been tried quickly.
const THOROUGH: usize = 3;

/// The offsets and live ranges of everything in memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryPlan {
    /// Offset of each tensor that owns memory in the arena or state, from the arena's start.
    pub(crate) offsets: Vec<Option<u32>>,
    /// Live range of each of those tensors: the first and last node that need it.
    pub(crate) live_ranges: Vec<Option<(u32, u32)>>,
    /// For each node, the offset and length of its scratch value, if it needs one.
    pub(crate) scratch: Vec<Option<(u32, u32)>>,
    /// Groups of nodes, in order.
    pub(crate) groups: Vec<Grouping>,
    /// The node at which the most bytes are live, those that may be shared not counted twice.
    peak: usize,
    /// Number of nodes whose output overlaps an input.
    pub(crate) overlaps: usize,
    /// Bytes of state, activations and scratch.
    pub(crate) arena_len: u32,
    /// Bytes of state.
    pub(crate) state_len: u32,
    /// Maximum of the bytes that are live at one node: no placement without overlap needs less.
    pub(crate) lower_bound: u32,
    /// Bytes that placing by size without overlap needs.
    pub(crate) greedy_by_size: u32,
    /// The effort spent on the search, as the search counts it.
    pub(crate) effort: u64,
}

/// Returns the live range of each base tensor in the arena: the first and last node during which it must keep its
/// bytes.
pub(crate) fn live_ranges(graph: &Graph) -> Vec<Option<(u32, u32)>> {
    let mut live_ranges: Vec<Option<(u32, u32)>> = vec![None; graph.tensors.len()];
    let in_arena = |id: TensorId| !graph.tensors[id].is_constant() && !graph.tensors[id].is_state();
    let mut touch = |id: TensorId, first: u32, last: u32| {
        let base = graph.base(id);
        if in_arena(base) {
            let range = live_ranges[base].get_or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        }
    };
    for &id in &graph.inputs {
        touch(id, 0, 0);
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        for &id in node.inputs.iter().flatten().chain(&node.outputs) {
            touch(id, at as u32, at as u32);
        }
    }
    let end = graph.nodes.len() as u32;
    for &id in &graph.outputs {
        touch(id, end, end);
    }
    live_ranges
}

/// What a plan may or must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Whether it may have groups.
    pub(crate) patch: Patch,
    /// Whether the input comes in rows, in its first group.
    pub(crate) input_rows: bool,
}

/// Plans the memory of a lowered graph, in the order of its nodes with the smallest arena, and with groups as
/// `wanted` asks for.
pub(crate) fn plan_best(mut graph: Graph, works: &[Work], wanted: Wanted) -> Result<(Graph, Vec<Work>, MemoryPlan)> {
    let orders = order::orders(&graph);
    let mut fewest_live = usize::MAX;
    let nodes = std::mem::take(&mut graph.nodes);
    let ordered =
        |order: &[usize]| -> (Vec<Node>, Vec<Work>) { order.iter().map(|&at| (nodes[at].clone(), works[at])).unzip() };
    let mut best: Option<(Vec<usize>, MemoryPlan)> = None;
    let mut effort = 0;
    for order in orders {
        if effort > MAX_EFFORT {
            break;
        }
        let works;
        (graph.nodes, works) = ordered(&order);
        // In another order fewer tensors may be live at a time.
        let max = max_live(&live_ranges(&graph));
        fewest_live = fewest_live.min(max);
        if max > MAX_LIVE {
            continue;
        }
        let found = plan(&graph, &works, &[], &[], search::search)?;
        effort += found.effort;
        if best.as_ref().is_none_or(|(_, best)| found.arena_len < best.arena_len) {
            best = Some((order, found));
        }
    }
    let (order, found) = best.ok_or_else(|| too_many_live(fewest_live))?;
    let works;
    (graph.nodes, works) = ordered(&order);
    let found = patched(&graph, &works, found, wanted)?;
    Ok((graph, works, found))
}

/// The plan `found`, or one with groups of nodes if that needs less memory and `wanted` asks for it, or if the input is to
/// come in rows.
fn patched(graph: &Graph, works: &[Work], found: MemoryPlan, wanted: Wanted) -> Result<MemoryPlan> {
    let enough = match wanted.patch {
        Patch::Off if !wanted.input_rows => return Ok(found),
        Patch::Off | Patch::Auto => 0,
        Patch::Arena(len) => len,
    };
    let images = group::images(graph, works)?;
    let live_ranges = live_ranges(graph);
    let choose = |tried, less_than| choose(graph, works, &images, tried, enough, less_than);
    let mut best = found;
    if wanted.input_rows {
        let &[input] = &graph.inputs[..] else { return Err(no_rows(graph, &images)) };
        let candidates = group::candidates_of_input(graph, &images, &live_ranges, input)?;
        let tried = candidates.into_iter().map(|candidate| (candidate.cost, vec![candidate])).collect();
        best = choose(tried, u32::MAX)?.ok_or_else(|| no_rows(graph, &images))?;
    }
    while best.groups.len() < MAX_GROUPS && best.arena_len > enough {
        let peak = best.peak;
        let free = |at: usize| best.groups.iter().all(|group| !group.contains(at));
        if peak >= graph.nodes.len() || !free(peak) {
            break;
        }
        let mut tried = Vec::new();
        for candidate in group::candidates(&images, &live_ranges, peak) {
            if !(candidate.first..=candidate.last).all(free) {
                continue;
            }
            let cost = candidate.cost;
            let mut groups = best.groups.clone();
            groups.push(candidate);
            groups.sort_unstable_by_key(|group| group.first);
            tried.push((cost, groups));
        }
        match choose(tried, best.arena_len)? {
            Some(plan) => best = plan,
            None => break,
        }
    }
    Ok(best)
}

/// Of the groups that are tried, each with the cost that it adds, the plan of the cheapest that is small enough, or else of the
/// smallest; `None` if no plan is smaller than `less_than`.
fn choose(
    graph: &Graph,
    works: &[Work],
    images: &[Option<Image>],
    tried: Vec<(u64, Vec<Grouping>)>,
    enough: u32,
    less_than: u32,
) -> Result<Option<MemoryPlan>> {
    let mut quick: Vec<(u32, u64, Vec<Grouping>)> = Vec::new();
    for (cost, groups) in tried {
        quick.push((plan(graph, works, images, &groups, search::quick)?.arena_len, cost, groups));
    }
    quick.sort_by_key(|&(len, cost, _)| if len <= enough { (enough, cost) } else { (len, cost) });
    let mut smaller: Option<MemoryPlan> = None;
    for (_, _, groups) in quick.into_iter().take(THOROUGH) {
        let plan = plan(graph, works, images, &groups, search::search)?;
        if plan.arena_len < smaller.as_ref().map_or(less_than, |found| found.arena_len) {
            let done = plan.arena_len <= enough;
            smaller = Some(plan);
            if done {
                break;
            }
        }
    }
    Ok(smaller)
}

/// Why the input cannot come in rows.
fn no_rows(graph: &Graph, images: &[Option<Image>]) -> CompileError {
    let why = match &graph.inputs[..] {
        &[input] => {
            let shape = &graph.tensors[input].shape;
            let image = matches!(shape[..], [1, height, ..] if shape.len() == 4 && height > 1);
            match graph.nodes.first() {
                _ if !image => "it is no image: it must have the dimensions [1, height, width, channels]".to_string(),
                Some(node) if images.first().is_none_or(Option::is_none) => {
                    format!("the network begins with {}, which does not work row by row", node.op.name())
                }
                _ => "no two or more layers at its beginning can run together and are all that read it".to_string(),
            }
        }
        inputs => format!("the network has {} inputs, not one", inputs.len()),
    };
    CompileError::InputRows(why)
}

/// Plans the memory of a lowered graph in its own order, without a search.
pub(crate) fn plan_fast(graph: Graph, works: &[Work], _: Wanted) -> Result<(Graph, Vec<Work>, MemoryPlan)> {
    let found = plan(&graph, works, &[], &[], search::by_size)?;
    Ok((graph, works.to_vec(), found))
}

/// Plans the memory for one order of the nodes, of which those of each group run together. `images` has what must be known
/// of the nodes for that; without groups it is not read.
fn plan(
    graph: &Graph,
    works: &[Work],
    images: &[Option<Image>],
    groups: &[Grouping],
    search: fn(&Problem) -> Placement,
) -> Result<MemoryPlan> {
    let mut offsets = vec![None; graph.tensors.len()];
    let mut state_len = 0u32;
    for id in states(graph) {
        offsets[id] = Some(state_len);
        state_len = bytes(graph, id)
            .checked_next_multiple_of(ALIGN)
            .and_then(|size| state_len.checked_add(size))
            .ok_or_else(too_large)?;
    }
    let live_ranges = live_ranges(graph);
    let owners: Vec<TensorId> = (0..graph.tensors.len()).filter(|&id| live_ranges[id].is_some()).collect();
    let max = max_live(&group::together(&live_ranges, groups));
    if max > MAX_LIVE {
        return Err(too_many_live(max));
    }
    let (problem, workspaces) = problem(graph, works, &live_ranges, &owners, images, groups)?;
    if search::pairs(&problem) > MAX_PAIRS {
        return Err(CompileError::TooLarge(format!(
            "{} tensors, too many of them live at once; split the network into several models",
            owners.len()
        )));
    }
    let placement = search(&problem);
    let room = u32::try_from(placement.peak)
        .ok()
        .and_then(|peak| peak.checked_next_multiple_of(ALIGN))
        .filter(|peak| peak.checked_add(state_len).is_some())
        .ok_or_else(too_large)?;
    let grown = grow(&problem, &placement, works, room);
    for (&id, &offset) in owners.iter().zip(&placement.offsets) {
        offsets[id] = Some(state_len + offset);
    }
    let mut scratch = vec![None; graph.nodes.len()];
    // A scratch value that was the highest may have moved down.
    let buffers = placement.offsets.iter().zip(&problem.buffers).map(|(offset, buffer)| offset + buffer.size);
    let highest = buffers.chain(grown.iter().map(|s| s.offset + s.len)).max().unwrap_or(0);
    let arena_len = state_len + highest.next_multiple_of(ALIGN);
    for Scratch { overlap, offset, len } in grown {
        scratch[problem.overlaps[overlap].step as usize] = Some((state_len + offset, len));
    }
    for Workspace { node, buffer, len } in workspaces {
        scratch[node] = Some((state_len + placement.offsets[buffer], len));
    }
    let overlaps = placement.scratch.len();
    let lower_bound = state_len.saturating_add(u32::try_from(live_bytes(&problem)).unwrap_or(u32::MAX));
    let greedy_by_size = state_len.saturating_add(u32::try_from(placement.greedy_by_size).unwrap_or(u32::MAX));
    let effort = problem.visited.get();
    Ok(MemoryPlan {
        offsets,
        live_ranges,
        scratch,
        groups: groups.to_vec(),
        peak: search::busiest_step(&problem) as usize,
        overlaps,
        arena_len,
        state_len,
        lower_bound,
        greedy_by_size,
        effort,
    })
}

fn too_many_live(max: usize) -> CompileError {
    CompileError::TooLarge(format!(
        "{max} tensors are live at once, model inputs and outputs among them; a model file holds up to {MAX_LIVE}: split the \
         network into several models, give it fewer inputs and outputs, or join those into larger tensors"
    ))
}

fn too_large() -> CompileError {
    CompileError::TooLarge("the network needs more than 4 GiB of memory".into())
}

/// Returns the state tensors that nodes use, in order.
fn states(graph: &Graph) -> Vec<TensorId> {
    let mut used = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        for &id in node.inputs.iter().flatten().chain(&node.outputs) {
            used[graph.base(id)] = true;
        }
    }
    (0..graph.tensors.len()).filter(|&id| used[id] && graph.tensors[id].is_state()).collect()
}

/// Returns the bytes of a tensor, whose size has been checked.
pub(crate) fn bytes(graph: &Graph, id: TensorId) -> u32 {
    let tensor = &graph.tensors[id];
    tensor.dtype.size().and_then(|size| u32::try_from(tensor.elements().saturating_mul(size)).ok()).unwrap_or(u32::MAX)
}

/// The scratch value that a node needs whether or not buffers overlap.
struct Workspace {
    node: usize,
    buffer: usize,
    len: u32,
}

/// Builds the placement problem: the buffers of the tensors in `owners`, then those of the workspaces.
fn problem(
    graph: &Graph,
    works: &[Work],
    live_ranges: &[Option<(u32, u32)>],
    owners: &[TensorId],
    images: &[Option<Image>],
    groups: &[Grouping],
) -> Result<(Problem, Vec<Workspace>)> {
    let mut index = vec![usize::MAX; graph.tensors.len()];
    let mut problem = Problem::default();
    let together = group::together(live_ranges, groups);
    for &id in owners {
        index[id] = problem.buffers.len();
        let (first, last) = together[id].unwrap_or_default();
        let size = bytes(graph, id).checked_next_multiple_of(ALIGN).ok_or_else(too_large)?;
        problem.buffers.push(Buffer { size, first, last });
    }
    for group in groups {
        if let Some((input, schedule)) = group.input {
            let rows =
                u64::from(bytes(graph, input)) * u64::from(schedule.rows.held) / u64::from(schedule.height.max(1));
            let size = u32::try_from(rows).ok().and_then(|rows| rows.checked_next_multiple_of(ALIGN));
            problem.buffers[index[input]].size = size.ok_or_else(too_large)?;
        }
        for at in group.first..=group.last {
            let output = index[graph.output(&graph.nodes[at])?];
            problem.buffers[output].size = group::buffer_len(group, images, at).ok_or_else(too_large)?;
        }
        problem.overlaps.extend(group::overlaps(group, images, live_ranges, |id| index[id]));
    }
    let mut workspaces = Vec::new();
    for (at, (node, work)) in graph.nodes.iter().zip(works).enumerate() {
        if groups.iter().any(|group| group.contains(at)) {
            continue;
        }
        let NodeOp::Kernel(operator) = &node.op else { continue };
        let operands = operands(graph, node)?;
        if let Some(workspace) = operator.workspace(&operands) {
            let size = workspace.len.checked_next_multiple_of(ALIGN).ok_or_else(too_large)?;
            workspaces.push(Workspace { node: at, buffer: problem.buffers.len(), len: workspace.len });
            problem.buffers.push(Buffer { size, first: at as u32, last: at as u32 });
        }
        if operands.output.place != Place::Arena {
            continue;
        }
        let mut inputs: Vec<(usize, u32)> = Vec::new();
        let mut refused = Vec::new();
        for (k, &id) in node.inputs.iter().enumerate() {
            let Some(base) = id.map(|id| graph.base(id)) else { continue };
            if live_ranges[base].is_none_or(|(_, last)| last as usize != at) {
                continue;
            }
            match operator.row_access(&operands, k) {
                Some(access) => inputs.push((index[base], access.distance(work))),
                None => refused.push(index[base]),
            }
        }
        // If a node reads a buffer twice, keep the larger distance.
        inputs.sort_unstable_by_key(|&(buffer, distance)| (buffer, std::cmp::Reverse(distance)));
        inputs.dedup_by_key(|&mut (buffer, _)| buffer);
        inputs.retain(|(buffer, _)| !refused.contains(buffer));
        if !inputs.is_empty() {
            let output = index[graph.base(graph.output(node)?)];
            problem.overlaps.push(Overlap { step: at as u32, output, inputs, scratch: work.row_bytes });
        }
    }
    Ok((problem, workspaces))
}

/// Returns the maximum number of tensors that are live at one step.
fn max_live(live_ranges: &[Option<(u32, u32)>]) -> usize {
    let mut firsts: Vec<u32> = live_ranges.iter().flatten().map(|&(first, _)| first).collect();
    let mut lasts: Vec<u32> = live_ranges.iter().flatten().map(|&(_, last)| last).collect();
    firsts.sort_unstable();
    lasts.sort_unstable();
    let mut dead = 0;
    let live = firsts.iter().enumerate().map(|(begun, &first)| {
        while lasts[dead] < first {
            dead += 1;
        }
        begun + 1 - dead
    });
    live.max().unwrap_or(0)
}

/// Returns the maximum number of bytes that are live at one step.
fn live_bytes(problem: &Problem) -> u64 {
    let mut events: Vec<(u32, i64)> = Vec::new();
    for buffer in &problem.buffers {
        events.push((buffer.first, i64::from(buffer.size)));
        events.push((buffer.last + 1, -i64::from(buffer.size)));
    }
    events.sort_unstable();
    let (mut live, mut max) = (0i64, 0i64);
    for (_, bytes) in events {
        live += bytes;
        max = max.max(live);
    }
    max as u64
}

#[cfg(test)]
mod tests {
    use super::max_live;

    #[test]
    fn counts_the_maximum_of_live_tensors() {
        assert_eq!(max_live(&[]), 0);
        assert_eq!(max_live(&[None, Some((3, 3))]), 1);
        // The first ends at the step where the second begins: both are live there.
        assert_eq!(max_live(&[Some((0, 2)), Some((2, 5)), None, Some((3, 9))]), 2);
        assert_eq!(max_live(&[Some((4, 4)), Some((0, 9)), Some((1, 2)), Some((3, 5)), Some((5, 5))]), 3);
    }
}
