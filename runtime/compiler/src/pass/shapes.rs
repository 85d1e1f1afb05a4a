//! Computes the shapes of all tensors anew from those of the inputs, for a network whose inputs got other shapes than
//! the file stores.
//!
//! A file stores a shape for each tensor, with 1 for a dimension that is dynamic. Shapes and what is computed from
//! constants are worked out node by node, because the target of a RESHAPE may be computed from other shapes. Where an
//! operator has no rule here, its stored shape is kept if it is not dynamic; lowering checks it.

use super::fold::{constant_shape, fold_node, keeps_shape, reshaped, set_dynamic_shape};
use super::{branches, expand};
use crate::diag::Result;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, TensorId, broadcast_shape};
use crate::ir::{Logic, Op, Padding, Window};
use crate::limit::Limit;
use crate::slice::{dimension, sliced_shapes};

/// Sets the shapes, and computes what is constant on the way.
///
/// # Errors
/// A shape does not follow, or the constants exceed `limit`.
pub(crate) fn infer(graph: Graph, limit: &Limit) -> Result<Graph> {
    walk(graph, limit, true)
}

/// Puts the graphs of branches whose conditions are constants, or follow from shapes and constants, in the place of their
/// nodes.
///
/// # Errors
/// A node does not fit the graphs that it names, or all of them together exceed `limit`.
pub(crate) fn decide(graph: Graph, limit: &Limit) -> Result<Graph> {
    let is_branch = |node: &Node| matches!(node.op, NodeOp::Ir(Op::If { .. } | Op::While { .. }));
    if graph.nodes.iter().any(is_branch) { walk(graph, limit, false) } else { Ok(graph) }
}

/// Goes through the nodes, computes integers that are constant, and puts the graphs of decided branches in the place of
/// their nodes. With `anew`, works out the shapes too, and computes all constants.
fn walk(mut graph: Graph, limit: &Limit, anew: bool) -> Result<Graph> {
    let mut kept = Vec::new();
    let mut pending: Vec<Node> = std::mem::take(&mut graph.nodes);
    pending.reverse();
    while let Some(node) = pending.pop() {
        if branches::replace(&mut graph, &node, &mut pending, limit)? {
            continue;
        }
        let shapes = if anew { shapes(&graph, &node) } else { None };
        match shapes {
            Some(shapes) if shapes.len() == node.outputs.len() => {
                for (&id, shape) in node.outputs.iter().zip(shapes) {
                    graph.tensors[id].shape = shape;
                    graph.signatures.remove(&id);
                }
            }
            _ if anew => {
                let is_dynamic = |id: &&TensorId| {
                    graph.signatures.get(id).is_some_and(|signature| signature.iter().any(|&dim| dim < 0))
                };
                if let Some(&id) = node.outputs.iter().find(is_dynamic) {
                    let what =
                        format!("the shape of `{}` does not follow from its inputs' shapes", graph.tensors[id].name);
                    return Err(graph.invalid(&node, format!("{what}; export the network with fixed input shapes")));
                }
            }
            _ => set_dynamic_shape(&mut graph, &node),
        }
        let is_integer =
            |&id: &TensorId| matches!(graph.tensors[id].dtype, ElementType::I32 | ElementType::I64 | ElementType::Bool);
        let folds = anew || node.outputs.iter().all(is_integer);
        if !folds || !fold_node(&mut graph, &node, limit)? {
            kept.push(node);
        }
    }
    graph.nodes = kept;
    Ok(graph)
}

/// Returns the shapes of the outputs of `node`; `None` if the operator has no rule here, or its operands break it.
fn shapes(graph: &Graph, node: &Node) -> Option<Vec<Vec<u32>>> {
    let NodeOp::Ir(op) = &node.op else { return None };
    if let Op::Detections(detections) = op {
        return Some(expand::detections::shapes(detections).to_vec());
    }
    if let Op::TopK { .. } = op {
        let mut shape = graph.tensors[graph.input(node, 0).ok()?].shape.clone();
        *shape.last_mut()? = u32::try_from(*graph.constant_integers(node, 1).ok()?.first()?).ok()?;
        return Some(vec![shape; 2]);
    }
    sliced_shapes(graph, node, op).or_else(|| shape(graph, node, op).map(|shape| vec![shape]))
}

/// Returns the shape of the only output.
fn shape(graph: &Graph, node: &Node, op: &Op) -> Option<Vec<u32>> {
    use Op as T;
    let of = |k: usize| node.inputs.get(k).copied().flatten().map(|id| &graph.tensors[id].shape[..]);
    let list = |k: usize| graph.constant_integers(node, k).ok();
    let dims = |list: &[i64]| list.iter().map(|&dim| u32::try_from(dim).ok()).collect::<Option<Vec<u32>>>();
    let (&[output], x) = (&node.outputs[..], of(0)?) else { return None };
    let stored = graph.tensors[output].shape.len();
    let axis = |axis: i64, rank: usize| dimension(graph, node, axis, rank).ok();
    Some(match op {
        op if keeps_shape(op) => x.to_vec(),
        T::Cast
        | T::Complex(_)
        | T::CumSum { .. }
        | T::L2Normalization(_)
        | T::Logic(Logic::Not)
        | T::LogSoftmax
        | T::Prelu
        | T::AddN => x.to_vec(),
        T::Add(_)
        | T::Sub(_)
        | T::Mul(_)
        | T::Div(_)
        | T::Maximum
        | T::Minimum
        | T::SquaredDifference
        | T::FloorDiv
        | T::Pow
        | T::Compare(_)
        | T::Logic(_)
        | T::Remainder(_) => broadcast_shape(x, of(1)?)?,
        T::Select { .. } => broadcast_shape(&broadcast_shape(x, of(1)?)?, of(2)?)?,
        T::Rfft2d => {
            let (lengths, outer) = (dims(&list(1)?)?, x.len().checked_sub(2)?);
            let &[rows, columns] = &lengths[..] else { return None };
            [&x[..outer], &[rows, (columns / 2).checked_add(1)?]].concat()
        }
        T::Tile => {
            let counts = dims(&list(1)?)?;
            let tiled = x.iter().zip(&counts).map(|(&dim, &count)| dim.checked_mul(count));
            tiled.collect::<Option<Vec<_>>>().filter(|tiled| tiled.len() == x.len() && counts.len() == x.len())?
        }
        T::TransformLandmarks => x.to_vec(),
        T::MaxUnpool(window) => {
            let &[batch, rows, columns, channels] = x else { return None };
            let [height, width] = window.size.map(|side| u32::try_from(side).unwrap_or(0));
            vec![batch, rows.checked_mul(height)?, columns.checked_mul(width)?, channels]
        }
        T::AvgPool2d(window) | T::L2Pool2d(window) | T::MaxPool2d(window) | T::MaxPoolIndices(window) => {
            let size = window.size.map(|side| u32::try_from(side).unwrap_or(0));
            windows(x, window, size, *x.get(3)?)?
        }
        T::Conv2d(window) => match *of(1)? {
            [channels, height, width, _] => windows(x, window, [height, width], channels)?,
            _ => return None,
        },
        T::DepthwiseConv2d(window) => match *of(1)? {
            [_, height, width, channels] => windows(x, window, [height, width], channels)?,
            _ => return None,
        },
        T::FullyConnected(_) => {
            let &[outputs, depth] = of(1)? else { return None };
            match x.split_last() {
                Some((_, before)) if stored == x.len() => [before, &[outputs]].concat(),
                _ => vec![u32::try_from(count(x)?.checked_div(depth.into())?).ok()?, outputs],
            }
        }
        T::BatchMatMul { transposed } => batch_matmul([x, of(1)?], *transposed)?,
        T::Concat { axis: at, .. } => {
            let at = axis(i64::from(*at), x.len())?;
            let length = (0..node.inputs.len()).try_fold(0u32, |sum, k| sum.checked_add(*of(k)?.get(at)?))?;
            replaced(x, at, length)
        }
        T::Pack { axis: at } => {
            let at = axis(i64::from(*at), x.len() + 1)?;
            [&x[..at], &[u32::try_from(node.inputs.len()).ok()?], &x[at..]].concat()
        }
        T::Pad | T::PadWith | T::MirrorPad { .. } => {
            let pads = list(1)?;
            let pads = pads.chunks_exact(2).map(|pair| pair[0].checked_add(pair[1]));
            let padded = x.iter().zip(pads).map(|(&dim, more)| u32::try_from(i64::from(dim).checked_add(more?)?).ok());
            padded.collect::<Option<Vec<_>>>().filter(|padded| padded.len() == x.len())?
        }
        T::Transpose => {
            list(1)?.iter().map(|&at| x.get(usize::try_from(at).ok()?).copied()).collect::<Option<Vec<_>>>()?
        }
        T::Reshape { new_shape } => reshaped(graph, node, new_shape.as_deref(), x)?,
        T::ExpandDims => {
            let at = axis(*list(1)?.first()?, x.len() + 1)?;
            [&x[..at], &[1], &x[at..]].concat()
        }
        T::Squeeze { dims } if dims.is_empty() => x.iter().copied().filter(|&dim| dim != 1).collect(),
        T::Squeeze { dims } => {
            let gone: Vec<usize> = dims.iter().map(|&at| axis(i64::from(at), x.len())).collect::<Option<_>>()?;
            (0..x.len()).filter(|i| !gone.contains(i)).map(|i| x[i]).collect()
        }
        T::Gather { axis: at, batch_dims } => {
            let (at, indices) = (axis(i64::from(*at), x.len())?, of(1)?);
            let batches = expand::gather::batch_dimensions(*batch_dims, indices.len())?;
            [&x[..at], indices.get(batches..)?, &x[at + 1..]].concat()
        }
        T::Mean
        | T::Sum
        | T::ReduceMax
        | T::ReduceMin
        | T::ReduceProd
        | T::ReduceLogic { .. }
        | T::ArgMinMax { .. } => {
            let axes: Vec<usize> = list(1)?.iter().map(|&at| axis(at, x.len())).collect::<Option<_>>()?;
            // Whether reduced dimensions stay as 1 shows in the stored number of dimensions.
            let keep = stored == x.len();
            let dims = x.iter().enumerate().filter(|(i, _)| keep || !axes.contains(i));
            dims.map(|(i, &dim)| if axes.contains(&i) { 1 } else { dim }).collect()
        }
        T::ResizeBilinear { .. } | T::ResizeNearest { .. } => match (dims(&list(1)?)?[..].to_vec(), x) {
            (size, &[batch, _, _, channels]) if size.len() == 2 => vec![batch, size[0], size[1], channels],
            _ => return None,
        },
        T::DepthToSpace { block } | T::SpaceToDepth { block } => {
            let (block, &[batch, rows, columns, channels]) = (u32::try_from(*block).ok()?, x) else { return None };
            let square = block.checked_mul(block).filter(|&square| square > 0)?;
            if matches!(op, T::DepthToSpace { .. }) {
                vec![batch, rows.checked_mul(block)?, columns.checked_mul(block)?, channels / square]
            } else {
                vec![batch, rows / block, columns / block, channels.checked_mul(square)?]
            }
        }
        T::SpaceToBatch | T::BatchToSpace => blocks(x, &dims(&list(1)?)?, &list(2)?, *op == T::SpaceToBatch)?,
        T::Shape => vec![u32::try_from(x.len()).ok()?],
        T::Rank => Vec::new(),
        T::Reverse | T::ZerosLike | T::Relu0To1 => x.to_vec(),
        T::EmbeddingLookup => [x, of(1)?.get(1..)?].concat(),
        T::GatherNd => {
            let (&depth, before) = of(1)?.split_last()?;
            [before, x.get(depth as usize..)?].concat()
        }
        T::ConvTranspose2d(_) => dims(&list(0)?)?,
        op => constant_shape(graph, node, op)?,
    })
}

/// Returns the shape of the products of matrices.
pub(crate) fn batch_matmul([a, b]: [&[u32]; 2], transposed: [bool; 2]) -> Option<Vec<u32>> {
    let ((of_a, &[rows, inner]), (of_b, &[b_inner, columns])) = (a.split_last_chunk()?, b.split_last_chunk()?);
    let (rows, inner) = if transposed[0] { (inner, rows) } else { (rows, inner) };
    let (b_inner, columns) = if transposed[1] { (columns, b_inner) } else { (b_inner, columns) };
    let batch = broadcast_shape(of_a, of_b).filter(|_| inner == b_inner)?;
    Some([&batch[..], &[rows, columns]].concat())
}

/// Returns the number of elements.
fn count(shape: &[u32]) -> Option<u64> {
    shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim.into()))
}

fn replaced(shape: &[u32], at: usize, length: u32) -> Vec<u32> {
    let mut shape = shape.to_vec();
    shape[at] = length;
    shape
}

/// Returns the shape of the result of a window over an image.
fn windows(image: &[u32], window: &Window, size: [u32; 2], channels: u32) -> Option<Vec<u32>> {
    let &[batch, rows, columns, _] = image else { return None };
    let mut sides = [0; 2];
    for (axis, from) in [rows, columns].into_iter().enumerate() {
        let stride = u32::try_from(window.stride[axis]).ok().filter(|&stride| stride > 0)?;
        let dilation = u32::try_from(window.dilation[axis]).ok()?;
        let extent = size[axis].checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        sides[axis] = match window.padding {
            Padding::Same => from.div_ceil(stride),
            Padding::Valid => from.checked_sub(extent)? / stride + 1,
        };
    }
    Some(vec![batch, sides[0], sides[1], channels])
}

/// Returns the shape of SPACE_TO_BATCH_ND, or of BATCH_TO_SPACE_ND, whose last operand is what is cut off.
fn blocks(x: &[u32], block: &[u32], pads: &[i64], to_batch: bool) -> Option<Vec<u32>> {
    if x.len() <= block.len() || pads.len() != 2 * block.len() {
        return None;
    }
    let all = block.iter().try_fold(1u32, |n, &block| n.checked_mul(block)).filter(|&all| all > 0)?;
    let mut shape = x.to_vec();
    shape[0] = if to_batch { x[0].checked_mul(all)? } else { x[0] / all };
    for (i, &block) in block.iter().enumerate() {
        let (dim, more) = (i64::from(x[1 + i]), pads[2 * i].checked_add(pads[2 * i + 1])?);
        let side = if to_batch {
            dim.checked_add(more)? / i64::from(block)
        } else {
            dim.checked_mul(block.into())?.checked_sub(more)?
        };
        shape[1 + i] = u32::try_from(side).ok()?;
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::{blocks, infer, windows};
    use crate::ir::graph::{Graph, broadcast_shape as broadcast};
    use crate::ir::{Activation, Op, Padding, SliceMasks, Window};
    use crate::limit::Limit;
    use crate::options::Options;
    use crate::testing::Builder;

    fn inferred(graph: Graph) -> crate::diag::Result<Graph> {
        let limit = Limit::of(&graph, &Options::default());
        infer(graph, &limit)
    }

    #[test]
    fn windows_have_the_sizes_of_their_padding() {
        let window = |padding, stride, dilation| Window {
            padding,
            stride: [stride; 2],
            dilation: [dilation; 2],
            size: [0; 2],
            explicit: [0; 4],
            activation: Activation::None,
        };
        let image = [1, 9, 10, 3];
        assert_eq!(windows(&image, &window(Padding::Same, 2, 1), [3, 3], 8), Some(vec![1, 5, 5, 8]));
        assert_eq!(windows(&image, &window(Padding::Valid, 2, 1), [3, 3], 8), Some(vec![1, 4, 4, 8]));
        assert_eq!(windows(&image, &window(Padding::Valid, 1, 4), [3, 2], 8), Some(vec![1, 1, 6, 8]));
        assert_eq!(windows(&image, &window(Padding::Valid, 1, 5), [3, 3], 8), None);
        assert_eq!(windows(&image, &window(Padding::Same, 0, 1), [3, 3], 8), None);
        assert_eq!(windows(&[u32::MAX; 3], &window(Padding::Same, 1, 1), [3, 3], 8), None);
    }

    #[test]
    fn batches_of_pixels_and_broadcasts_have_their_shapes() {
        assert_eq!(blocks(&[1, 7, 9, 2], &[2, 2], &[1, 0, 0, 1], true), Some(vec![4, 4, 5, 2]));
        assert_eq!(blocks(&[4, 4, 5, 2], &[2, 2], &[1, 0, 0, 1], false), Some(vec![1, 7, 9, 2]));
        assert_eq!(blocks(&[4, 4], &[2, 2], &[0; 4], false), None);
        assert_eq!(blocks(&[1, u32::MAX], &[0], &[0, 0], true), None);
        assert_eq!(broadcast(&[2, 1, 3], &[5, 1]), Some(vec![2, 5, 3]));
        assert_eq!(broadcast(&[2], &[3]), None);
    }

    #[test]
    fn a_flatten_by_computed_shapes_follows_the_input() {
        let mut b = Builder::default();
        let x = b.input(&[1, 1, 4]);
        let (shape, batch, target) = (b.int32(&[3]), b.int32(&[]), b.int32(&[2]));
        b.node(Op::Shape, &[x], &[shape]);
        let (zero, one, open) = (b.ints(&[0]), b.ints(&[1]), b.ints(&[-1]));
        b.graph.tensors[open].shape.clear();
        let masks = SliceMasks { begin: 0, end: 0, ellipsis: 0, new_axis: 0, shrink_axis: 1 };
        b.node(Op::StridedSlice(masks), &[shape, zero, one, one], &[batch]);
        b.node(Op::Pack { axis: 0 }, &[batch, open], &[target]);
        let (flat, y) = (b.int8(&[1, 1]), b.int8(&[1, 1]));
        b.node(Op::Reshape { new_shape: None }, &[x, target], &[flat]);
        b.node(Op::Relu, &[flat], &[y]);
        let mut graph = b.output(y);
        graph.tensors[x].shape = vec![2, 3, 4];
        let graph = inferred(graph).unwrap();
        assert_eq!((&graph.tensors[flat].shape[..], &graph.tensors[y].shape[..]), (&[2, 12][..], &[2, 12][..]));
        assert_eq!(graph.nodes.len(), 2);
    }

    #[test]
    fn a_dynamic_shape_that_does_not_follow_is_refused_with_its_node() {
        let mut b = Builder::default();
        let (x, y) = (b.input(&[1, 4]), b.int8(&[1, 1]));
        b.node(Op::Unknown { name: "MYSTERY".into() }, &[x], &[y]);
        let mut graph = b.output(y);
        assert!(inferred(graph.clone()).is_ok());
        graph.signatures.insert(y, vec![1, -1]);
        let error = inferred(graph).unwrap_err().to_string();
        assert!(error.contains("node 0 (MYSTERY): the shape of `t1` does not follow"), "{error}");
    }
}
