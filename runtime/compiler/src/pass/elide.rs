//! Turns operators that only change a shape into views.

use crate::error::Result;
use crate::graph::{Graph, Op};
use crate::tflite::TfliteOp;

/// Replaces RESHAPE, SQUEEZE and EXPAND_DIMS: their output becomes a view of their input. The output's shape is the
/// file's; that it has as many elements is checked.
pub(crate) fn elide(mut graph: Graph) -> Result<Graph> {
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes) {
        if !matches!(node.op, Op::Tflite(TfliteOp::Reshape { .. } | TfliteOp::Squeeze { .. } | TfliteOp::ExpandDims)) {
            kept.push(node);
            continue;
        }
        let (input, output) = (graph.input(&node, 0)?, graph.output(&node)?);
        let (from, to) = (&graph.tensors[input], &graph.tensors[output]);
        if from.dtype != to.dtype || from.elements() != to.elements() {
            let what = format!(
                "it makes {}{:?} from {}{:?}: as many elements of one type are needed",
                to.dtype, to.shape, from.dtype, from.shape
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
