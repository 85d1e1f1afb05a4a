//! The float graph that quantization starts from: variables resolved, constants folded and checked, activations fused.

use super::observe::numbers;
use super::{QuantizeError, Result};
use crate::ir::graph::{Content, ElementType, Graph, NodeOp, Tensor, TensorId};
use crate::ir::{Activation, Op};
use crate::limit::Limit;
use crate::options::Options;
use crate::pass;
use std::collections::{HashMap, HashSet};

/// Prepares a graph for quantization.
///
/// # Errors
/// It already computes with 8-bit integers; a constant is NaN, or a weight is infinite; or it needs more constants than
/// `options` allow. Constants that are not weights may be infinite, such as the border of a max pool.
pub(super) fn prepare(graph: Graph, options: &Options) -> Result<Graph> {
    let limit = Limit::of(&graph, options);
    let graph = pass::requantize::requantize(pass::variables::resolve(graph, &limit)?)?;
    let graph = pass::expand::expand(pass::fold::fold(graph, &limit)?, &limit)?;
    let graph = pass::dead::remove_dead(graph);
    let computed = graph.nodes.iter().flat_map(|node| &node.outputs);
    for &id in graph.inputs.iter().chain(computed) {
        let Tensor { name, dtype, .. } = &graph.tensors[id];
        if matches!(dtype, ElementType::I8 | ElementType::U8 | ElementType::I16) {
            return Err(QuantizeError::Quantized { tensor: name.clone(), found: dtype.to_string() });
        }
    }
    let mut checked = HashSet::new();
    for node in &graph.nodes {
        let is_layer = match &node.op {
            NodeOp::Ir(op) => op.has_weights() || matches!(op, Op::ConvTranspose2d(_) | Op::Svdf { .. }),
            NodeOp::Kernel(_) => true,
        };
        for &id in node.inputs.iter().flatten() {
            let tensor = &graph.tensors[id];
            let (Content::Constant(bytes), ElementType::F32) = (&tensor.content, tensor.dtype) else { continue };
            // Bytes that many nodes and tensors share are checked once.
            if !checked.insert((bytes.identity(), is_layer)) {
                continue;
            }
            let wrong = |number: &f32| number.is_nan() || (is_layer && number.is_infinite());
            if let Some((index, value)) = numbers(bytes).into_iter().enumerate().find(|(_, number)| wrong(number)) {
                return Err(QuantizeError::Weight { tensor: tensor.name.clone(), index, value });
            }
        }
    }
    Ok(fuse_activations(graph))
}

/// Checks that the constants of `graph` may be counted once for each node that reads them: quantizing makes a copy for
/// each.
///
/// # Errors
/// They exceed what `options` allow.
pub(super) fn check_copies(graph: &Graph, options: &Options) -> Result<()> {
    let limit = Limit::to_run(graph, options);
    for &id in graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()) {
        let tensor = &graph.tensors[id];
        let what =
            || format!("a copy of `{}` and of the constants before it for each operator that reads them", tensor.name);
        limit.make(tensor.bytes().map_or(0, <[u8]>::len) as u64, what)?;
    }
    Ok(())
}

/// Fuses each activation into the operator before it, if nothing else reads that operator's output.
fn fuse_activations(mut graph: Graph) -> Graph {
    let uses = graph.uses();
    let mut fused: HashMap<TensorId, (TensorId, Activation)> = HashMap::new();
    for node in &graph.nodes {
        let activation = match node.op {
            NodeOp::Ir(Op::Relu) => Activation::Relu,
            NodeOp::Ir(Op::Relu6) => Activation::Relu6,
            NodeOp::Ir(Op::ReluN1To1) => Activation::ReluN1To1,
            _ => continue,
        };
        if let (&[Some(input)], &[output]) = (&node.inputs[..], &node.outputs[..])
            && uses[input] == 1
        {
            fused.insert(input, (output, activation));
        }
    }
    let mut dropped = HashSet::new();
    for node in &mut graph.nodes {
        let NodeOp::Ir(op) = &mut node.op else { continue };
        if let (Some(own @ Activation::None), &[output]) = (op.activation_mut(), &node.outputs[..])
            && let Some(&(after, activation)) = fused.get(&output)
        {
            *own = activation;
            node.outputs = vec![after];
            dropped.insert(output);
        }
    }
    graph.nodes.retain(|node| !node.inputs.iter().flatten().any(|id| dropped.contains(id)));
    graph
}
