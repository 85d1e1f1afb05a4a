//! Fuses a PAD before a convolution into the convolution's own padding.
//!
//! Exporters write the asymmetric padding of a strided layer as a PAD and a VALID convolution. A convolution treats
//! taps outside its input as real zeros, so a border of zero points is the same as padding, and no padded copy is
//! needed.

use crate::diag::Result;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, TensorId};
use crate::ir::{Op, Padding, Window};
use crate::lower::movement::{pad_value, pads};

/// Fuses where possible; leaves the rest unchanged.
pub(crate) fn fuse_pad(mut graph: Graph) -> Result<Graph> {
    let uses = graph.uses();
    let producers = graph.producers();
    for at in 0..graph.nodes.len() {
        let node = &graph.nodes[at];
        let Some((window, kernel)) = window_of(&graph, node) else { continue };
        let Some(&Some(padded)) = node.inputs.first() else { continue };
        let Some(pad) = graph.nodes.get(producers[padded]).filter(|_| uses[padded] == 1) else { continue };
        let Some((input, explicit)) = border(&graph, pad, padded)? else { continue };
        if !fits(&graph, input, node, window, kernel, explicit) {
            continue;
        }
        let node = &mut graph.nodes[at];
        node.inputs[0] = Some(input);
        if let NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) = &mut node.op {
            window.explicit = explicit;
        }
    }
    Ok(super::dead::remove_dead(graph))
}

/// Returns the window, and the kernel's height and width, of a VALID convolution.
fn window_of<'a>(graph: &Graph, node: &'a Node) -> Option<(&'a Window, [u32; 2])> {
    let NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) = &node.op else { return None };
    let weights = node.inputs.get(1).copied().flatten()?;
    match graph.tensors[weights].shape[..] {
        [_, height, width, _] if window.padding == Padding::Valid && window.explicit == [0; 4] => {
            Some((window, [height, width]))
        }
        _ => None,
    }
}

/// Returns the input of `pad` and its padding above, left, below and right, if that is a border of real zeros around an
/// image.
fn border(graph: &Graph, pad: &Node, padded: TensorId) -> Result<Option<(TensorId, [u32; 4])>> {
    let NodeOp::Ir(op @ (Op::Pad | Op::PadWith)) = &pad.op else { return Ok(None) };
    let input = graph.input(pad, 0)?;
    let (from, to) = (&graph.tensors[input], &graph.tensors[padded]);
    let zero_point = match from.per_tensor() {
        Some(quantization) => quantization.zero_point & 0xff,
        None if from.dtype == ElementType::F32 => 0,
        None => return Ok(None),
    };
    if from.dtype != to.dtype || from.quantization != to.quantization || from.shape.len() != 4 {
        return Ok(None);
    }
    let side = |count: i64| u32::try_from(count).ok();
    let sides = match pads(graph, pad)?[..] {
        [[0, 0], [top, bottom], [left, right], [0, 0]] => [top, left, bottom, right].map(side),
        _ => return Ok(None),
    };
    let [Some(top), Some(left), Some(bottom), Some(right)] = sides else { return Ok(None) };
    let zero = pad_value(graph, pad, op)? == zero_point;
    Ok(zero.then_some((input, [top, left, bottom, right])))
}

/// Returns whether the model file can hold this padding: less than the kernel's extent, and no window entirely after
/// the input.
pub(super) fn fits(
    graph: &Graph,
    input: TensorId,
    node: &Node,
    window: &Window,
    kernel: [u32; 2],
    explicit: [u32; 4],
) -> bool {
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

#[cfg(test)]
mod tests {
    use super::fuse_pad;
    use crate::ir::graph::{Graph, NodeOp};
    use crate::ir::{Op, Padding};
    use crate::testing::{Builder, names, window};

    /// A PAD with these paddings, then a 3x3 VALID convolution.
    fn padded(pads: [i32; 8], padding: Padding) -> Graph {
        let mut b = Builder::default();
        let x = b.input(&[1, 4, 4, 1]);
        let side = |before: usize, after: usize| (4 + pads[before] + pads[after]) as u32;
        let (height, width) = (side(2, 3), side(4, 5));
        let p = b.int8(&[1, height, width, (1 + pads[6] + pads[7]) as u32]);
        let pads = b.ints(&pads);
        b.node(Op::Pad, &[x, pads], &[p]);
        let w = b.weights(&[1, 3, 3, 1], &[1; 9]);
        let y = b.int8(&[1, height - 2, width - 2, 1]);
        b.node(Op::Conv2d(window(padding, 1)), &[p, w], &[y]);
        b.output(y)
    }

    #[test]
    fn a_border_of_zeros_becomes_the_convolutions_padding() {
        let graph = fuse_pad(padded([0, 0, 1, 2, 0, 1, 0, 0], Padding::Valid)).unwrap();
        assert_eq!(names(&graph), ["Conv2d"]);
        let NodeOp::Ir(Op::Conv2d(window)) = &graph.nodes[0].op else { panic!() };
        assert_eq!(window.explicit, [1, 0, 2, 1]);
        assert_eq!(graph.nodes[0].inputs[0], Some(graph.inputs[0]));
    }

    #[test]
    fn a_border_as_wide_as_the_kernel_is_not_fused() {
        assert_eq!(names(&fuse_pad(padded([0, 0, 3, 0, 0, 0, 0, 0], Padding::Valid)).unwrap()), ["Pad", "Conv2d"]);
    }

    #[test]
    fn does_not_fuse_padded_channels_or_same_padding() {
        assert_eq!(names(&fuse_pad(padded([0, 0, 1, 1, 0, 0, 0, 1], Padding::Valid)).unwrap()), ["Pad", "Conv2d"]);
        assert_eq!(names(&fuse_pad(padded([0, 0, 1, 1, 1, 1, 0, 0], Padding::Same)).unwrap()), ["Pad", "Conv2d"]);
    }

    #[test]
    fn a_border_with_another_reader_is_not_fused() {
        let mut graph = padded([0, 0, 1, 1, 1, 1, 0, 0], Padding::Valid);
        graph.outputs.push(graph.nodes[0].outputs[0]);
        assert_eq!(names(&fuse_pad(graph).unwrap()), ["Pad", "Conv2d"]);
    }
}
