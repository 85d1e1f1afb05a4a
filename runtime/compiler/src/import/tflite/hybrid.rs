//! Layers with int8 or int4 weights for float32 activations, which converters call dynamic-range quantization.
//!
//! TensorFlow Lite quantizes the activations of such a layer anew in each inference. Here its weights are float32
//! numbers, and arithmetic is float32 throughout, which rounds less. The model file has the codes again (`store::codes`).

use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor};
use std::collections::HashMap;

/// Adds a DEQUANTIZE before each such layer, which folding then computes, and a note.
pub(super) fn dequantize_weights(graph: &mut Graph) {
    let mut dequantized = HashMap::new();
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    let mut layers = 0usize;
    for mut node in std::mem::take(&mut graph.nodes) {
        let activations = match &node.op {
            NodeOp::Ir(op) if op.has_weights() => Some(0),
            NodeOp::Ir(Op::ConvTranspose2d(_)) => Some(2),
            _ => None,
        };
        let input = |k: usize| node.inputs.get(k).copied().flatten();
        if let Some((input, weights)) = activations.and_then(input).zip(input(1))
            && graph.tensors[input].dtype == ElementType::F32
            && is_quantized_constant(&graph.tensors[weights])
        {
            layers += 1;
            let f32 = *dequantized.entry(weights).or_insert_with(|| {
                let Tensor { name, shape, .. } = &graph.tensors[weights];
                let f32 = graph.add(Tensor::computed(name.clone(), ElementType::F32, shape.clone()));
                let (inputs, outputs) = (vec![Some(weights)], vec![f32]);
                nodes.push(Node { op: NodeOp::Ir(Op::Dequantize), inputs, outputs, origin: node.origin });
                f32
            });
            node.inputs[1] = Some(f32);
        }
        nodes.push(node);
    }
    graph.nodes = nodes;
    if layers > 0 {
        graph.notes.push(format!(
            "{layers} float32 layers have int8 or int4 weights (dynamic-range quantization); arithmetic is float32, and \
             --calibrate makes an int8 network of it"
        ));
    }
}

fn is_quantized_constant(tensor: &Tensor) -> bool {
    matches!(tensor.dtype, ElementType::I4 | ElementType::I8)
        && tensor.quantization.is_some()
        && matches!(tensor.content, Content::Constant(_))
}

#[cfg(test)]
mod tests {
    use super::dequantize_weights;
    use crate::ir::graph::ElementType;
    use crate::ir::{Activation, Op};
    use crate::testing::{Builder, names};

    #[test]
    fn weights_of_two_layers_are_dequantized_once_and_int8_layers_keep_theirs() {
        let mut b = Builder::default();
        let (x, w, y, z) = (b.f32(&[1, 2]), b.weights(&[2, 2], &[1, 2, 3, 4]), b.f32(&[1, 2]), b.f32(&[1, 2]));
        b.graph.inputs.push(x);
        b.node(Op::FullyConnected(Activation::None), &[x, w], &[y]);
        b.node(Op::FullyConnected(Activation::None), &[y, w], &[z]);
        let (q, int8) = (b.int8(&[1, 2]), b.int8(&[1, 2]));
        b.node(Op::Quantize, &[z], &[q]);
        b.node(Op::FullyConnected(Activation::None), &[q, w], &[int8]);
        let mut graph = b.output(int8);
        dequantize_weights(&mut graph);
        assert_eq!(names(&graph), ["Dequantize", "FullyConnected", "FullyConnected", "Quantize", "FullyConnected"]);
        let f32 = graph.nodes[0].outputs[0];
        assert_eq!((graph.tensors[f32].dtype, &graph.tensors[f32].shape[..]), (ElementType::F32, &[2, 2][..]));
        let weights: Vec<_> = [1, 2, 4].map(|at| graph.nodes[at].inputs[1]).into();
        assert_eq!(weights, [Some(f32), Some(f32), Some(w)]);
        assert!(graph.notes[0].starts_with("2 float32 layers"), "{:?}", graph.notes);
    }
}
