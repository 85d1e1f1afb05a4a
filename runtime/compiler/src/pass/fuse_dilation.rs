//! Makes a dilated convolution of one between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND.
//!
//! Converters write dilation this way. Each of the images that consist of every n-th pixel is convolved by itself, which is
//! what a window with n pixels from tap to tap does, and what was added and is not cut off afterwards is its padding.
//!
//! TensorFlow Lite Micro adds the code 0 to int8 images, whatever their zero point. Where that is not a real zero, which is
//! all that a window's own padding can be, a PADV2 adds it.

use super::fuse_pad::fits;
use crate::diag::Result;
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Op, Padding, Window};
use crate::lower::batch::Blocks;

/// Fuses where possible; leaves the rest unchanged.
pub(crate) fn fuse_dilation(mut graph: Graph) -> Graph {
    let uses = graph.uses();
    let producers = graph.producers();
    let mut pads = Vec::new();
    for at in 0..graph.nodes.len() {
        let last = &graph.nodes[at];
        if !matches!(last.op, NodeOp::Ir(Op::BatchToSpace)) {
            continue;
        }
        // The node that writes the first input of `node`, if no other node reads that.
        let before = |node: &Node| {
            let id = node.inputs.first().copied().flatten()?;
            Some(producers[id]).filter(|&at| uses[id] == 1 && at < graph.nodes.len())
        };
        let Some(layer) = before(last) else { continue };
        let Some(first) = before(&graph.nodes[layer]) else { continue };
        // What is wrong with them, lowering reports, with all else that is.
        let Ok(Some((mut node, mut window))) = fused(&graph, [first, layer, at]) else { continue };
        if window.explicit != [0; 4]
            && let Some(input) = node.inputs[0].filter(|&id| !pads_zeros(&graph.tensors[id]))
        {
            let pad = pad(&mut graph, input, window.explicit, node.origin);
            node.inputs[0] = pad.outputs.first().copied();
            window.explicit = [0; 4];
            pads.push((at, pad));
        }
        if let NodeOp::Ir(Op::Conv2d(of_layer) | Op::DepthwiseConv2d(of_layer)) = &mut node.op {
            *of_layer = window;
        }
        graph.nodes[at] = node;
    }
    for (at, pad) in pads.into_iter().rev() {
        graph.nodes.insert(at, pad);
    }
    super::dead::remove_dead(graph)
}

/// Returns whether the code 0 of a layer's input is a real zero.
fn pads_zeros(input: &Tensor) -> bool {
    input.per_tensor().is_none_or(|quantization| quantization.zero_point == 0)
}

/// Returns a node that adds pixels of code 0 to `input`: above, left, below and right.
fn pad(graph: &mut Graph, input: TensorId, [top, left, bottom, right]: [u32; 4], origin: usize) -> Node {
    let mut padded = graph.tensors[input].like();
    let zero = Tensor {
        name: format!("{}/zero", padded.name),
        shape: vec![1],
        content: Content::Constant([0].into()),
        ..padded.clone()
    };
    padded.shape[1] += top + bottom;
    padded.shape[2] += left + right;
    let pads: Vec<u8> = [0, 0, top, bottom, left, right, 0, 0].iter().flat_map(|n: &u32| n.to_le_bytes()).collect();
    let pads = Tensor::constant(format!("{}/border", padded.name), ElementType::I32, vec![4, 2], pads);
    let inputs = [input, graph.add(pads), graph.add(zero)].map(Some).to_vec();
    Node { op: NodeOp::Ir(Op::PadWith), inputs, outputs: vec![graph.add(padded)], origin }
}

/// Returns the layer of these three nodes with its new operands, and its window.
fn fused(graph: &Graph, [first, layer, last]: [usize; 3]) -> Result<Option<(Node, Window)>> {
    let [first, layer, last] = [first, layer, last].map(|at| &graph.nodes[at]);
    let NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) = &layer.op else { return Ok(None) };
    if !matches!(first.op, NodeOp::Ir(Op::SpaceToBatch)) || window.padding != Padding::Valid {
        return Ok(None);
    }
    let plain = window.stride == [1, 1] && window.dilation == [1, 1] && window.explicit == [0; 4];
    let (before, after) = (Blocks::of(graph, first)?, Blocks::of(graph, last)?);
    let (&[rows, columns], true) = (&before.sizes[..], before.sizes == after.sizes && plain) else { return Ok(None) };
    let (input, output) = (graph.input(first, 0)?, graph.output(last)?);
    let of_one_scale = |a: TensorId, b: TensorId| graph.tensors[a].quantization == graph.tensors[b].quantization;
    if !of_one_scale(input, graph.output(first)?) || !of_one_scale(output, graph.output(layer)?) {
        return Ok(None);
    }
    let left = |axis: usize, side: usize| before.border[axis][side].checked_sub(after.border[axis][side]);
    let (Some(top), Some(left_side), Some(bottom), Some(right)) = (left(0, 0), left(1, 0), left(0, 1), left(1, 1))
    else {
        return Ok(None);
    };
    let (Ok(rows), Ok(columns)) = (i32::try_from(rows), i32::try_from(columns)) else { return Ok(None) };
    let explicit = [top, left_side, bottom, right];
    let window = Window { dilation: [rows, columns], explicit, ..*window };
    let mut node = Node { outputs: vec![output], ..layer.clone() };
    node.inputs[0] = Some(input);
    let weights = graph.input(layer, 1)?;
    let &[_, height, width, _] = &graph.tensors[weights].shape[..] else { return Ok(None) };
    if !fits(graph, input, &node, &window, [height, width], explicit) {
        return Ok(None);
    }
    Ok(Some((node, window)))
}
