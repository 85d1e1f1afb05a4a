//! Reads state where it lies, instead of a copy of it, where nothing assigns it before the last reader.

use crate::graph::{Graph, Op};
use tealight_format::Operator;

/// Removes copies from state to the arena that are not needed.
pub(crate) fn read_in_place(mut graph: Graph) -> Graph {
    let mut gone = vec![false; graph.nodes.len()];
    for at in 0..graph.nodes.len() {
        let node = &graph.nodes[at];
        let (Op::Kernel(Operator::Copy(_)), &[Some(input)], &[output]) =
            (&node.op, &node.inputs[..], &node.outputs[..])
        else {
            continue;
        };
        let state = graph.base(input);
        let is_output = graph.outputs.iter().any(|&id| graph.base(id) == output);
        if !graph.tensors[state].is_state() || graph.tensors[output].is_state() || is_output {
            continue;
        }
        let reads = |id: &usize| graph.base(*id) == output;
        let last = graph.nodes.iter().rposition(|node| node.inputs.iter().flatten().any(reads)).unwrap_or(at);
        // A copy into the state may itself be the last reader only if it copies something else.
        let assigned = graph.nodes[at..=last].iter().any(|node| {
            let writes = node.outputs.iter().any(|&id| graph.base(id) == state);
            let updates = match &node.op {
                Op::Kernel(operator) => operator
                    .state_input()
                    .is_some_and(|k| node.inputs.get(k).copied().flatten().is_some_and(|id| graph.base(id) == state)),
                Op::Tflite(_) => false,
            };
            writes || updates
        });
        if !assigned {
            graph.tensors[output].alias = Some(state);
            graph.tensors[output].content = graph.tensors[state].content.clone();
            gone[at] = true;
        }
    }
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    graph
}
