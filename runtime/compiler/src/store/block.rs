//! Weights in blocks: matrices of fully connected layers, and tables that rows are gathered from.

use crate::ir::graph::{ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use tealight_format::Operator;
use tealight_format::ops::{BlockType, FullyConnectedBlock, GatherBlock};
use tealight_kernels::block;

/// Returns whether `op` has a form with weights in blocks: an operator that [`operator`] accepts.
pub(super) fn has_form(op: &NodeOp) -> bool {
    matches!(op, NodeOp::Kernel(Operator::FullyConnectedF32(_) | Operator::GatherF32(_)))
}

/// Returns the operator of `node` for weights in blocks.
///
/// # Errors
/// Describes why it has no such form.
pub(super) fn operator(graph: &Graph, node: &Node, of: BlockType) -> Result<Operator, String> {
    let block = of;
    match node.op {
        NodeOp::Kernel(Operator::FullyConnectedF32(layer)) => Ok(Operator::FullyConnectedBlock(FullyConnectedBlock {
            block,
            activation: layer.activation,
            together: false,
        })),
        NodeOp::Kernel(Operator::GatherF32(_)) => {
            // For a table, the rows of the output have the length of the rows that are gathered.
            let shape = |id: Option<TensorId>| id.map(|id| &graph.tensors[id].shape);
            let depth = shape(node.inputs.get(1).copied().flatten()).and_then(|shape| shape.last());
            if depth != shape(node.outputs.first().copied()).and_then(|shape| shape.last()) {
                return Err(format!("its rows of {} elements do not match its output", depth.unwrap_or(&0)));
            }
            Ok(Operator::GatherBlock(GatherBlock { block }))
        }
        _ => Err(format!("{} cannot read weights in blocks", node.op.name())),
    }
}

/// Returns the weights `tensor` in blocks.
///
/// # Errors
/// Describes why they cannot be stored so.
pub(super) fn stored(tensor: &Tensor, of: BlockType) -> Result<Tensor, String> {
    let &[rows, depth] = &tensor.shape[..] else { return Err("its weights are not of rank 2".into()) };
    if depth == 0 || !depth.is_multiple_of(of.elements()) {
        return Err(format!("its {depth} inputs are not whole blocks of {}", of.elements()));
    }
    let values = tensor.f32_values().ok_or("it is not a constant")?;
    if let Some(index) = values.iter().position(|real| !real.is_finite()) {
        return Err(format!("{} at index {index} cannot be stored in a block", values[index]));
    }
    let row_bytes = depth / of.elements() * of.bytes();
    let mut bytes = vec![0; rows as usize * row_bytes as usize];
    block::quantize(of, &values, &mut bytes);
    Ok(Tensor::constant(tensor.name.clone(), ElementType::U8, vec![rows, row_bytes], bytes))
}
