//! Reads state in place instead of through a copy, where nothing assigns the state before the last reader.

use crate::ir::graph::{Graph, NodeOp, TensorId};
use std::collections::{BTreeSet, HashMap, HashSet};
use tealight_format::Operator;

/// Removes copies of state into the arena that are not needed.
pub(crate) fn read_in_place(mut graph: Graph) -> Graph {
    let outputs: HashSet<TensorId> = graph.outputs.iter().map(|&id| graph.base(id)).collect();
    let mut uses = Uses::of(&graph);
    let mut gone = vec![false; graph.nodes.len()];
    for (at, gone) in gone.iter_mut().enumerate() {
        let node = &graph.nodes[at];
        let (NodeOp::Kernel(Operator::Copy(_)), &[Some(input)], &[output]) =
            (&node.op, &node.inputs[..], &node.outputs[..])
        else {
            continue;
        };
        let state = graph.base(input);
        if !graph.tensors[state].is_state() || graph.tensors[output].is_state() || outputs.contains(&output) {
            continue;
        }
        // The range includes the last reader: if that node also assigns the state, the copy stays.
        let last = uses.last_read.get(&output).map_or(at, |&last| last.max(at));
        let assigned = uses.assigned.get(&state).is_some_and(|nodes| nodes.range(at..=last).next().is_some());
        if !assigned {
            graph.tensors[output].alias = Some(state);
            graph.tensors[output].content = graph.tensors[state].content.clone();
            uses.join(output, state);
            *gone = true;
        }
    }
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    graph
}

/// The nodes that use each tensor that owns memory. Built once, so the pass takes time proportional to the graph.
struct Uses {
    /// The last node that reads each tensor, directly or through a view.
    last_read: HashMap<TensorId, usize>,
    /// The nodes that write each tensor, or update it as their state.
    assigned: HashMap<TensorId, BTreeSet<usize>>,
}

impl Uses {
    fn of(graph: &Graph) -> Self {
        let mut uses = Self { last_read: HashMap::new(), assigned: HashMap::new() };
        for (at, node) in graph.nodes.iter().enumerate() {
            for &id in node.inputs.iter().flatten() {
                uses.last_read.insert(graph.base(id), at);
            }
            let updated = match &node.op {
                NodeOp::Kernel(operator) => operator.state_input().and_then(|k| node.inputs.get(k).copied().flatten()),
                NodeOp::Ir(_) => None,
            };
            for id in node.outputs.iter().copied().chain(updated) {
                uses.assigned.entry(graph.base(id)).or_default().insert(at);
            }
        }
        uses
    }

    /// Merges the uses of `from` into those of `to`, after `from` has become a view of `to`.
    fn join(&mut self, from: TensorId, to: TensorId) {
        if let Some(nodes) = self.assigned.remove(&from) {
            self.assigned.entry(to).or_default().extend(nodes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read_in_place;
    use crate::ir::Op;
    use crate::testing::{Builder, names};
    use tealight_format::{Operator, ops};

    const COPY: Operator = Operator::Copy(ops::Copy);

    #[test]
    fn state_that_is_assigned_after_its_last_reader_is_read_in_place() {
        let mut b = Builder::default();
        let (state, read, y) = (b.state(&[4]), b.int8(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[read]);
        b.node(Op::Relu, &[read], &[y]);
        b.node(COPY, &[y], &[state]);
        let graph = read_in_place(b.output(y));
        assert_eq!(names(&graph), ["Relu", "Copy"]);
        assert_eq!(graph.base(read), state);
    }

    #[test]
    fn state_that_is_assigned_before_its_last_reader_is_copied() {
        let mut b = Builder::default();
        let (x, state, read, y) = (b.input(&[4]), b.state(&[4]), b.int8(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[read]);
        b.node(COPY, &[x], &[state]);
        b.node(Op::Relu, &[read], &[y]);
        assert_eq!(names(&read_in_place(b.output(y))), ["Copy", "Copy", "Relu"]);
    }

    #[test]
    fn state_that_is_an_output_is_copied() {
        let mut b = Builder::default();
        let (state, read) = (b.state(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[read]);
        assert_eq!(names(&read_in_place(b.output(read))), ["Copy"]);
    }

    #[test]
    fn many_copies_of_one_state_take_time_in_proportion() {
        let mut b = Builder::default();
        let state = b.state(&[4]);
        let mut last = state;
        for _ in 0..60_000 {
            let (read, y) = (b.int8(&[4]), b.int8(&[4]));
            b.node(COPY, &[state], &[read]);
            b.node(Op::Relu, &[read], &[y]);
            last = y;
        }
        assert_eq!(read_in_place(b.output(last)).nodes.len(), 60_000);
    }
}
