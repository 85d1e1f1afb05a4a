//! Other orders in which the nodes can run.
//!
//! Where a graph branches, the order determines how much is live at a time. The file's order is usually good; two
//! others are tried: always taking the node that leaves the fewest live bytes, and finishing one branch before the
//! next.

use super::bytes;
use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use std::collections::{BTreeSet, HashMap};

/// Graphs with more nodes keep the file's order.
const MAX_NODES: usize = 4096;

/// Returns the orders of the nodes to try, the graph's own first, without duplicates.
pub(crate) fn orders(graph: &Graph) -> Vec<Vec<usize>> {
    let own: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut orders = vec![own];
    if graph.nodes.len() > MAX_NODES {
        return orders;
    }
    let dependencies = dependencies(graph);
    for order in [
        min_live(graph, &dependencies),
        depth_first(graph, &dependencies, false),
        depth_first(graph, &dependencies, true),
    ] {
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    orders
}

/// Returns for each node those that must run before it: they write what it reads or use state that it writes, or it
/// uses state that they write.
fn dependencies(graph: &Graph) -> Vec<Vec<usize>> {
    let mut writer: HashMap<TensorId, usize> = HashMap::new();
    let mut readers: HashMap<TensorId, Vec<usize>> = HashMap::new();
    let mut dependencies = Vec::with_capacity(graph.nodes.len());
    for (at, node) in graph.nodes.iter().enumerate() {
        let mut before: Vec<usize> = Vec::new();
        let updated = match &node.op {
            NodeOp::Kernel(operator) => operator.state_input().and_then(|k| node.inputs.get(k).copied().flatten()),
            NodeOp::Ir(_) => None,
        };
        for base in node.inputs.iter().flatten().map(|&id| graph.base(id)) {
            before.extend(writer.get(&base));
        }
        for base in node.outputs.iter().copied().chain(updated).map(|id| graph.base(id)) {
            before.extend(writer.get(&base));
            before.extend(readers.get(&base).into_iter().flatten());
            writer.insert(base, at);
            readers.remove(&base);
        }
        for base in node.inputs.iter().flatten().map(|&id| graph.base(id)) {
            readers.entry(base).or_default().push(at);
        }
        before.sort_unstable();
        before.dedup();
        before.retain(|&other| other != at);
        dependencies.push(before);
    }
    dependencies
}

/// Always takes the node that leaves the fewest live bytes; the first of equals.
fn min_live(graph: &Graph, dependencies: &[Vec<usize>]) -> Vec<usize> {
    let arena = |id: TensorId| !graph.tensors[id].is_constant() && !graph.tensors[id].is_state();
    let bases = |node: &Node| {
        let mut bases: Vec<TensorId> = node.inputs.iter().flatten().map(|&id| graph.base(id)).collect();
        bases.sort_unstable();
        bases.dedup();
        bases.retain(|&base| arena(base));
        bases
    };
    let bases: Vec<Vec<TensorId>> = graph.nodes.iter().map(bases).collect();
    // For each tensor, the nodes that read it and have not run, and how often it is an output.
    let mut readers: HashMap<TensorId, (BTreeSet<usize>, usize)> = HashMap::new();
    for (node, bases) in bases.iter().enumerate() {
        for &base in bases {
            readers.entry(base).or_default().0.insert(node);
        }
    }
    for &id in &graph.outputs {
        readers.entry(graph.base(id)).or_default().1 += 1;
    }
    let born = |node: &Node| node.outputs.iter().filter(|&&id| arena(id)).map(|&id| size(graph, id)).sum::<i64>();
    // The change of the number of live bytes by each node.
    let mut change: Vec<i64> = graph.nodes.iter().map(born).collect();
    for (&base, (nodes, outputs)) in &readers {
        if let (Some(&only), 1) = (nodes.first(), nodes.len() + outputs) {
            change[only] -= size(graph, base);
        }
    }
    let mut waiting: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); dependencies.len()];
    for (node, before) in dependencies.iter().enumerate() {
        for &other in before {
            followers[other].push(node);
        }
    }
    let mut ready: BTreeSet<(i64, usize)> =
        (0..waiting.len()).filter(|&node| waiting[node] == 0).map(|node| (change[node], node)).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some((_, node)) = ready.pop_first() {
        for &base in &bases[node] {
            let Some((nodes, outputs)) = readers.get_mut(&base) else { continue };
            nodes.remove(&node);
            // The last reader of a tensor frees it.
            if let (Some(&only), 1) = (nodes.first(), nodes.len() + *outputs) {
                let was_ready = ready.remove(&(change[only], only));
                change[only] -= size(graph, base);
                if was_ready {
                    ready.insert((change[only], only));
                }
            }
        }
        for &follower in &followers[node] {
            waiting[follower] -= 1;
            if waiting[follower] == 0 {
                ready.insert((change[follower], follower));
            }
        }
        order.push(node);
    }
    order
}

fn size(graph: &Graph, id: TensorId) -> i64 {
    i64::from(bytes(graph, id))
}

/// Places each node right after its dependencies, which are taken in the graph's order or in reverse.
fn depth_first(graph: &Graph, dependencies: &[Vec<usize>], reversed: bool) -> Vec<usize> {
    let mut done = vec![false; graph.nodes.len()];
    let mut order = Vec::with_capacity(graph.nodes.len());
    let mut is_root = vec![true; graph.nodes.len()];
    for &node in dependencies.iter().flatten() {
        is_root[node] = false;
    }
    // Roots are the nodes that no other node depends on; all others come before one of them.
    for root in (0..graph.nodes.len()).filter(|&node| is_root[node]) {
        // Each node is on the stack twice: to be expanded, and to be taken after its dependencies.
        let mut stack = vec![(root, false)];
        while let Some((node, opened)) = stack.pop() {
            if done[node] {
                continue;
            }
            if opened {
                done[node] = true;
                order.push(node);
                continue;
            }
            stack.push((node, true));
            let before = dependencies[node].iter().copied().filter(|&other| !done[other]);
            if reversed {
                stack.extend(before.map(|other| (other, false)));
            } else {
                stack.extend(before.rev().map(|other| (other, false)));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{dependencies, orders};
    use crate::ir::graph::Graph;
    use crate::testing::Builder;
    use tealight_format::{Operator, ops};

    const COPY: Operator = Operator::Copy(ops::Copy);

    /// Two branches from one input, interleaved and joined at the end.
    fn branches() -> Graph {
        let mut b = Builder::default();
        let x = b.input(&[4]);
        let (a, c, d, e, y) = (b.int8(&[100]), b.int8(&[100]), b.int8(&[4]), b.int8(&[4]), b.int8(&[8]));
        b.node(COPY, &[x], &[a]);
        b.node(COPY, &[x], &[c]);
        b.node(COPY, &[a], &[d]);
        b.node(COPY, &[c], &[e]);
        b.node(Operator::Concat(ops::Concat { axis: 0 }), &[d, e], &[y]);
        b.output(y)
    }

    #[test]
    fn every_order_runs_nodes_after_what_they_depend_on() {
        let graph = branches();
        let dependencies = dependencies(&graph);
        for order in orders(&graph) {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            for (at, &node) in order.iter().enumerate() {
                assert!(dependencies[node].iter().all(|before| order[..at].contains(before)), "{order:?}");
            }
        }
    }

    #[test]
    fn finishes_a_branch_before_the_next_if_that_needs_less_memory() {
        assert!(orders(&branches()).contains(&vec![0, 2, 1, 3, 4]));
    }

    #[test]
    fn state_is_read_before_it_is_assigned_in_every_order() {
        let mut b = Builder::default();
        let (x, state, y) = (b.input(&[4]), b.state(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[y]);
        b.node(COPY, &[x], &[state]);
        assert_eq!(dependencies(&b.output(y)), [vec![], vec![0]]);
    }
}
