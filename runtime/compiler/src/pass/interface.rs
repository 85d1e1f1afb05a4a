//! Assigns every model output its own memory.

use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use std::collections::HashSet;
use tealight_format::{Operator, ops};

/// Copies outputs that are a constant, a model input or state, and outputs that are listed twice.
pub(crate) fn separate_outputs(mut graph: Graph) -> Graph {
    let inputs: HashSet<TensorId> = graph.inputs.iter().copied().collect();
    let mut before = HashSet::new();
    for k in 0..graph.outputs.len() {
        let id = graph.outputs[k];
        let base = graph.base(id);
        let tensor = &graph.tensors[base];
        if tensor.is_constant() || tensor.is_state() || inputs.contains(&base) || !before.insert(id) {
            graph.outputs[k] = copy(&mut graph, id);
        }
    }
    graph
}

fn copy(graph: &mut Graph, id: TensorId) -> TensorId {
    let output = graph.add(graph.tensors[id].like());
    let origin = graph.nodes.last().map_or(0, |node| node.origin);
    let op = NodeOp::Kernel(Operator::Copy(ops::Copy));
    graph.nodes.push(Node { op, inputs: vec![Some(id)], outputs: vec![output], origin });
    output
}

#[cfg(test)]
mod tests {
    use super::separate_outputs;
    use crate::ir::Op;
    use crate::testing::{Builder, names};

    #[test]
    fn outputs_without_memory_of_their_own_are_copied() {
        let mut b = Builder::default();
        let (x, y, w) = (b.input(&[4]), b.int8(&[4]), b.weights(&[4], &[1, 2, 3, 4]));
        b.node(Op::Relu, &[x], &[y]);
        b.graph.outputs = vec![x, y, y, w];
        let graph = separate_outputs(b.graph);
        assert_eq!(names(&graph), ["Relu", "Copy", "Copy", "Copy"]);
        assert_eq!(graph.outputs[1], y);
        for k in [0, 2, 3] {
            assert_ne!(graph.outputs[k], [x, y, y, w][k]);
        }
    }
}
