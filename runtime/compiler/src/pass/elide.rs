//! Turns operators that only change a shape into views.

use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{Graph, NodeOp};

/// Replaces RESHAPE, SQUEEZE and EXPAND_DIMS: their output becomes a view of their input. The output's shape is that in
/// the file, after a check that it has as many elements.
pub(crate) fn elide(mut graph: Graph) -> Result<Graph> {
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes) {
        if !matches!(node.op, NodeOp::Ir(Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims)) {
            kept.push(node);
            continue;
        }
        let (input, output) = (graph.input(&node, 0)?, graph.output(&node)?);
        let (from, to) = (&graph.tensors[input], &graph.tensors[output]);
        if from.dtype != to.dtype || from.elements() != to.elements() {
            let what = format!(
                "it makes {} from {}: both must have the same type and number of elements",
                graph.describe(output),
                graph.describe(input)
            );
            return Err(graph.invalid(&node, what));
        }
        let base = graph.base(input);
        graph.tensors[output].alias = Some(base);
        graph.tensors[output].content = graph.tensors[base].content.clone();
    }
    graph.nodes = kept;
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::elide;
    use crate::ir::Op;
    use crate::testing::{Builder, names};

    #[test]
    fn reshapes_become_views_of_what_they_reshape() {
        let mut b = Builder::default();
        let (x, a, c, y) = (b.input(&[2, 6]), b.int8(&[12]), b.int8(&[1, 12]), b.int8(&[1, 12]));
        b.node(Op::Reshape { new_shape: None }, &[x], &[a]);
        b.node(Op::ExpandDims, &[a], &[c]);
        b.node(Op::Relu, &[c], &[y]);
        let graph = elide(b.output(y)).unwrap();
        assert_eq!(names(&graph), ["Relu"]);
        assert_eq!((graph.base(c), graph.base(a)), (x, x));
    }

    #[test]
    fn a_reshape_to_another_number_of_elements_is_refused() {
        let mut b = Builder::default();
        let (x, y) = (b.input(&[2, 6]), b.int8(&[13]));
        b.node(Op::Reshape { new_shape: None }, &[x], &[y]);
        assert!(elide(b.output(y)).unwrap_err().to_string().contains("node 0 (Reshape)"));
    }
}
