//! Weights in blocks: matrices of fully connected layers, and tables that rows are gathered from.

use crate::graph::{ElementType, Graph, Node, Op, Tensor};
use tealight_format::Operator;
use tealight_format::ops::{BlockType, FullyConnectedBlock, GatherBlock};
use tealight_kernels::block;

/// The operator of `node` on weights in blocks; nothing if it has no such form.
pub(super) fn operator(node: &Node, of: BlockType) -> Option<Operator> {
    let block = of as i32;
    match node.op {
        Op::Kernel(Operator::FullyConnectedF32(layer)) => {
            Some(Operator::FullyConnectedBlock(FullyConnectedBlock { block, activation: layer.activation }))
        }
        Op::Kernel(Operator::GatherF32(_)) => Some(Operator::GatherBlock(GatherBlock { block })),
        _ => None,
    }
}

/// The weights `tensor` of `node` in blocks.
///
/// # Errors
/// Why they cannot be.
pub(super) fn stored(graph: &Graph, node: &Node, tensor: &Tensor, of: BlockType) -> Result<Tensor, String> {
    if operator(node, of).is_none() {
        return Err(format!("{} takes no blocks", node.op.name()));
    }
    let &[rows, depth] = &tensor.shape[..] else { return Err("its weights are not of rank 2".into()) };
    if depth == 0 || !depth.is_multiple_of(of.elements()) {
        return Err(format!("its {depth} inputs are not blocks of {}", of.elements()));
    }
    // Of a table, the output's rows are what it is read as.
    let output = node.outputs.first().and_then(|&id| graph.tensors[id].shape.last());
    if matches!(node.op, Op::Kernel(Operator::GatherF32(_))) && output != Some(&depth) {
        return Err(format!("its rows of {depth} are not those of its output"));
    }
    let reals = tensor.reals().ok_or("it is no constant")?;
    if let Some(index) = reals.iter().position(|real| !real.is_finite()) {
        return Err(format!("{} at index {index} is no number that blocks hold", reals[index]));
    }
    let row_bytes = depth / of.elements() * of.bytes();
    let mut bytes = vec![0; rows as usize * row_bytes as usize];
    block::quantize(kernel_type(of), &reals, &mut bytes);
    Ok(Tensor::constant(tensor.name.clone(), ElementType::U8, vec![rows, row_bytes], bytes))
}

/// The kernels' name of a type: they list them in the same order.
pub(crate) fn kernel_type(of: BlockType) -> block::BlockType {
    block::BlockType::ALL[of as usize]
}

#[cfg(test)]
mod tests {
    use super::kernel_type;
    use tealight_format::ops::BlockType;

    #[test]
    fn format_and_kernels_know_the_same_types() {
        for &of in BlockType::ALL {
            let kernel = kernel_type(of);
            assert_eq!(format!("{of:?}"), format!("{kernel:?}"));
            assert_eq!((of.elements() as usize, of.bytes() as usize), (kernel.block_len(), kernel.block_bytes()));
            assert_eq!(kernel_type(of.activations()), kernel.activations());
        }
    }
}
