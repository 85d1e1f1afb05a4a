//! Removes nodes whose results are not read.

use crate::ir::Op;
use crate::ir::graph::{Graph, Node, NodeOp};

/// Removes nodes without effect. Writing state is an effect.
pub(crate) fn remove_dead(mut graph: Graph) -> Graph {
    let mut needed = vec![false; graph.tensors.len()];
    for &id in &graph.outputs {
        needed[graph.base(id)] = true;
    }
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if has_effect(&graph, &node) || node.outputs.iter().any(|&id| needed[graph.base(id)]) {
            for &id in node.inputs.iter().flatten() {
                needed[graph.base(id)] = true;
            }
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
    graph
}

/// Returns whether `node` does anything beside writing its outputs.
pub(super) fn has_effect(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        NodeOp::Ir(op) => matches!(op, Op::AssignVariable | Op::CallOnce { .. } | Op::Svdf { .. }),
        NodeOp::Kernel(operator) => {
            operator.state_input().is_some() || node.outputs.iter().any(|&id| graph.tensors[id].is_state())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::remove_dead;
    use crate::ir::Op;
    use crate::testing::{Builder, names};
    use tealight_format::{Operator, ops};

    #[test]
    fn removes_a_node_whose_result_is_never_read() {
        let mut b = Builder::default();
        let (x, y, unread, further) = (b.input(&[4]), b.int8(&[4]), b.int8(&[4]), b.int8(&[4]));
        b.node(Op::Relu, &[x], &[y]);
        b.node(Op::Tanh, &[x], &[unread]);
        b.node(Op::Logistic, &[unread], &[further]);
        assert_eq!(names(&remove_dead(b.output(y))), ["Relu"]);
    }

    #[test]
    fn keeps_nodes_that_write_state() {
        let mut b = Builder::default();
        let (x, state) = (b.input(&[4]), b.state(&[4]));
        b.node(Operator::Copy(ops::Copy), &[x], &[state]);
        assert_eq!(names(&remove_dead(b.graph)), ["Copy"]);
    }
}
