//! Takes a PAD before a convolution into the convolution's own padding.
//!
//! Exporters write the asymmetric padding of a strided layer as a PAD and a VALID convolution. A convolution counts taps
//! outside its input as real zeros, so that a border of the zero point is its own padding; no padded copy is needed.

use crate::error::Result;
use crate::graph::{Graph, Node, Op, TensorId};
use crate::lower::movement::{pad_value, pads};
use crate::tflite::{Padding, TfliteOp, Window};

/// Fuses where it can; leaves the rest as it is.
pub(crate) fn fuse_pad(mut graph: Graph) -> Result<Graph> {
    let uses = graph.uses();
    let mut producer = vec![usize::MAX; graph.tensors.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for &id in &node.outputs {
            producer[id] = at;
        }
    }
    for at in 0..graph.nodes.len() {
        let node = &graph.nodes[at];
        let Some((window, kernel)) = window_of(&graph, node) else { continue };
        let Some(&Some(padded)) = node.inputs.first() else { continue };
        let Some(pad) = graph.nodes.get(producer[padded]).filter(|_| uses[padded] == 1) else { continue };
        let Some((input, explicit)) = border(&graph, pad, padded)? else { continue };
        if !fits(&graph, input, node, window, kernel, explicit) {
            continue;
        }
        let node = &mut graph.nodes[at];
        node.inputs[0] = Some(input);
        if let Op::Tflite(TfliteOp::Conv2d(window) | TfliteOp::DepthwiseConv2d(window)) = &mut node.op {
            window.explicit = explicit;
        }
    }
    Ok(super::dead::remove_dead(graph))
}

/// The window and the kernel's height and width of a VALID convolution.
fn window_of<'a>(graph: &Graph, node: &'a Node) -> Option<(&'a Window, [u32; 2])> {
    let Op::Tflite(TfliteOp::Conv2d(window) | TfliteOp::DepthwiseConv2d(window)) = &node.op else { return None };
    let weights = node.inputs.get(1).copied().flatten()?;
    match graph.tensors[weights].shape[..] {
        [_, height, width, _] if window.padding == Padding::Valid && window.explicit == [0; 4] => {
            Some((window, [height, width]))
        }
        _ => None,
    }
}

/// What `pad` pads, and by how much above, left, below and right, if that is a border of real zeros around an image.
fn border(graph: &Graph, pad: &Node, padded: TensorId) -> Result<Option<(TensorId, [u32; 4])>> {
    let Op::Tflite(op @ (TfliteOp::Pad | TfliteOp::PadV2)) = &pad.op else { return Ok(None) };
    let input = graph.input(pad, 0)?;
    let (from, to) = (&graph.tensors[input], &graph.tensors[padded]);
    let Some((_, zero_point)) = from.per_tensor() else { return Ok(None) };
    if from.dtype != to.dtype || from.quantization != to.quantization || from.shape.len() != 4 {
        return Ok(None);
    }
    let side = |count: i64| u32::try_from(count).ok();
    let sides = match pads(graph, pad)?[..] {
        [[0, 0], [top, bottom], [left, right], [0, 0]] => [top, left, bottom, right].map(side),
        _ => return Ok(None),
    };
    let [Some(top), Some(left), Some(bottom), Some(right)] = sides else { return Ok(None) };
    let zero = pad_value(graph, pad, op)? == zero_point & 0xff;
    Ok(zero.then_some((input, [top, left, bottom, right])))
}

/// Whether the model file takes this padding: less than the kernel's extent, and no window wholly after the input.
fn fits(graph: &Graph, input: TensorId, node: &Node, window: &Window, kernel: [u32; 2], explicit: [u32; 4]) -> bool {
    let Some(&output) = node.outputs.first() else { return false };
    let (&[_, h, w, _], &[_, oh, ow, _]) = (&graph.tensors[input].shape[..], &graph.tensors[output].shape[..]) else {
        return false;
    };
    [(h, oh), (w, ow)].into_iter().enumerate().all(|(axis, (input, output))| {
        let extent = (i64::from(kernel[axis]) - 1).saturating_mul(i64::from(window.dilation[axis])) + 1;
        let before = i64::from(explicit[axis]);
        let last = (i64::from(output) - 1).saturating_mul(i64::from(window.stride[axis]));
        before < extent && last < i64::from(input) + before
    })
}
