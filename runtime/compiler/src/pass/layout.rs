//! Lays out weights for the target.

use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use std::collections::HashMap;
use tealight_format::ops::FullyConnected;
use tealight_format::{Operator, Work};
use tealight_kernels::pair_weights;

/// The share of a network's multiply-accumulates, one in so many, from which its fully connected layers are worth the flash
/// that products with rows in pairs take besides others.
const WORTHWHILE: u64 = 8;

/// Pairs the rows of the weights of fully connected int8 layers, where the bits of their outputs stay
/// the same ([`pair_weights`]), and the layers have a large part of the network's `works`, those of its nodes.
pub(crate) fn pair_rows(mut graph: Graph, works: &[Work]) -> Graph {
    let macs = |works: &mut dyn Iterator<Item = u64>| works.fold(0, u64::saturating_add);
    let of_pairs = graph.nodes.iter().zip(works).filter(|(node, _)| can_have_pairs(node));
    let of_pairs = macs(&mut of_pairs.map(|(_, work)| work.macs));
    let all = macs(&mut works.iter().map(|work| work.macs));
    if of_pairs < all / WORTHWHILE {
        return graph;
    }
    // Of weights that several layers read, one copy is paired.
    let mut known: HashMap<(usize, u32), Option<TensorId>> = HashMap::new();
    for at in 0..graph.nodes.len() {
        let node = &graph.nodes[at];
        if !can_have_pairs(node) {
            continue;
        }
        let Some(&Some(weights)) = node.inputs.get(1) else { continue };
        let tensor = &graph.tensors[weights];
        let (&[_, inputs], Content::Constant(bytes)) = (&tensor.shape[..], &tensor.content) else { continue };
        if tensor.dtype != ElementType::I8 {
            continue;
        }
        let key = (bytes.identity(), inputs);
        let new = match known.get(&key) {
            Some(&new) => new,
            None => {
                let rows: Vec<i8> = bytes.iter().map(|byte| byte.cast_signed()).collect();
                let mut paired = vec![0; rows.len()];
                let made = pair_weights(&rows, inputs as usize, &mut paired)
                    .then(|| Tensor::constant(tensor.name.clone(), ElementType::U8, tensor.shape.clone(), paired));
                let new = made.map(|tensor| graph.add(tensor));
                known.insert(key, new);
                new
            }
        };
        if new.is_some() {
            graph.nodes[at].inputs[1] = new;
        }
    }
    graph
}

/// Whether it is an operator that takes weights in pairs.
fn can_have_pairs(node: &Node) -> bool {
    matches!(node.op, NodeOp::Kernel(Operator::FullyConnected(FullyConnected { weights_zero_point: 0, .. })))
}
