//! Reads state where it lies, instead of a copy of it, where nothing assigns it before the last reader.

use crate::graph::{Graph, Op};
use tealight_format::Operator;

/// Removes copies from state to the arena that are not needed.
pub(crate) fn read_in_place(mut graph: Graph) -> Graph {
    let mut gone = vec![false; graph.nodes.len()];
    for (at, gone) in gone.iter_mut().enumerate() {
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
            *gone = true;
        }
    }
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    graph
}

#[cfg(test)]
mod tests {
    use super::read_in_place;
    use crate::testing::{Builder, names};
    use crate::tflite::TfliteOp;
    use tealight_format::{Operator, ops};

    const COPY: Operator = Operator::Copy(ops::Copy);

    #[test]
    fn state_that_is_assigned_after_its_last_reader_is_read_in_place() {
        let mut b = Builder::default();
        let (state, read, y) = (b.state(&[4]), b.int8(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[read]);
        b.node(TfliteOp::Relu, &[read], &[y]);
        b.node(COPY, &[y], &[state]);
        let graph = read_in_place(b.output(y));
        assert_eq!(names(&graph), ["RELU", "Copy"]);
        assert_eq!(graph.base(read), state);
    }

    #[test]
    fn state_that_is_assigned_before_its_last_reader_is_copied() {
        let mut b = Builder::default();
        let (x, state, read, y) = (b.input(&[4]), b.state(&[4]), b.int8(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[read]);
        b.node(COPY, &[x], &[state]);
        b.node(TfliteOp::Relu, &[read], &[y]);
        assert_eq!(names(&read_in_place(b.output(y))), ["Copy", "Copy", "RELU"]);
    }

    #[test]
    fn state_that_is_an_output_is_copied() {
        let mut b = Builder::default();
        let (state, read) = (b.state(&[4]), b.int8(&[4]));
        b.node(COPY, &[state], &[read]);
        assert_eq!(names(&read_in_place(b.output(read))), ["Copy"]);
    }
}
