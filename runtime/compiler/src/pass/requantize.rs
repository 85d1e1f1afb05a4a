//! Makes operators that move codes from one tensor to another keep the real values of the codes.
//!
//! A reshape, a slice or a concatenation copies codes, which is right only between tensors of one scale and zero point.
//! Where a file states different ones, a conversion is inserted before the operator (after it, where one tensor is
//! split into several). Each value is then rounded once, to the nearest code. TensorFlow Lite Micro refuses some of
//! these (CONCATENATION) and copies codes in others (RESHAPE), which changes the values. A QUANTIZE in the file is
//! computed as in TensorFlow Lite Micro, which rounds twice.
//!
//! The inputs and outputs of TensorFlow Lite's pooling and activations are converted where those are lowered.

use crate::diag::{CompileError, Result};
use crate::ir::Op;
use crate::ir::graph::{
    Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId, TensorQuantization, count_of,
};
use tealight_format::Operator;
use tealight_kernels::unary::Rescale;

/// The largest factor from one scale to another: the difference of two 8-bit codes times this factor fits in 32 bits.
pub(crate) const LARGEST_FACTOR: f64 = 4_194_304.0;

/// Inserts conversions between tensors that must share a quantization and do not.
pub(crate) fn requantize(mut graph: Graph) -> Result<Graph> {
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        if let (NodeOp::Kernel(Operator::AvgPool2d(_)), &[Some(input)], &[output]) =
            (&node.op, &node.inputs[..], &node.outputs[..])
            && differ(&mut graph, &node, input, output)?
        {
            // Values outside the output's range contribute to an average, so its input cannot be converted.
            return Err(refusal(&graph, &node, input, output));
        }
        match moved(&node) {
            Some(Moved::Concatenated(inputs)) => {
                let &[output] = &node.outputs[..] else {
                    nodes.push(node);
                    continue;
                };
                for k in inputs {
                    let Some(input) = node.inputs.get(k).copied().flatten() else { continue };
                    if differ(&mut graph, &node, input, output)? {
                        let like = graph.tensors[output].quantization.clone();
                        let converted = converted(&mut graph, input, like);
                        nodes.push(conversion(&node, input, converted));
                        node.inputs[k] = Some(converted);
                    }
                }
                nodes.push(node);
            }
            Some(Moved::Sliced(k)) => {
                let Some(input) = node.inputs.get(k).copied().flatten() else {
                    nodes.push(node);
                    continue;
                };
                let mut after = Vec::new();
                for k in 0..node.outputs.len() {
                    let output = node.outputs[k];
                    if differ(&mut graph, &node, input, output)? {
                        let like = graph.tensors[input].quantization.clone();
                        let sliced = converted(&mut graph, output, like);
                        after.push(conversion(&node, sliced, output));
                        node.outputs[k] = sliced;
                    }
                }
                nodes.push(node);
                nodes.extend(after);
            }
            None => nodes.push(node),
        }
    }
    graph.nodes = nodes;
    Ok(graph)
}

/// Which operands of an operator hold the same values.
enum Moved {
    /// These inputs are copied into the output.
    Concatenated(Vec<usize>),
    /// This input is copied into the outputs.
    Sliced(usize),
}

fn moved(node: &Node) -> Option<Moved> {
    use Op as T;
    let op = match &node.op {
        NodeOp::Ir(op) => op,
        NodeOp::Kernel(operator) => return moved_by_kernel(operator, node),
    };
    Some(match op {
        T::Reshape { .. }
        | T::Squeeze { .. }
        | T::ExpandDims
        | T::Transpose
        | T::Slice
        | T::StridedSlice(_)
        | T::Pad
        | T::DepthToSpace { .. }
        | T::SpaceToBatch
        | T::BatchToSpace
        | T::SpaceToDepth { .. }
        | T::ResizeBilinear { .. }
        | T::ResizeNearest { .. }
        | T::BroadcastTo
        | T::Gather { .. }
        | T::GatherNd
        | T::MirrorPad { .. }
        | T::Reverse
        | T::Tile => Moved::Concatenated(vec![0]),
        T::PadWith => Moved::Concatenated(vec![0, 2]),
        T::EmbeddingLookup | T::Fill => Moved::Concatenated(vec![1]),
        T::Concat { .. } | T::Pack { .. } | T::Minimum | T::Maximum => {
            Moved::Concatenated((0..node.inputs.len()).collect())
        }
        T::Split => Moved::Sliced(1),
        T::SplitV | T::Unpack { .. } | T::ReduceMax | T::ReduceMin | T::TopK { .. } => Moved::Sliced(0),
        _ => return None,
    })
}

/// The same for operators of the model file, in a graph that was built from them, and for copies that variables became.
fn moved_by_kernel(operator: &Operator, node: &Node) -> Option<Moved> {
    use Operator as O;
    Some(match operator {
        O::Concat(_) => Moved::Concatenated((0..node.inputs.len()).collect()),
        O::Copy(_)
        | O::Pad(_)
        | O::ResizeBilinear(_)
        | O::ResizeNearest(_)
        | O::StridedSlice(_)
        | O::Transpose(_)
        | O::MaxPool2d(_)
        // Of int16, which no pool converts.
        | O::AvgPool2dI16(_)
        | O::MaxPool2dI16(_) => Moved::Concatenated(vec![0]),
        _ => return None,
    })
}

/// Returns whether the codes of `from` must be converted before they are copied to `to`. A target without a
/// quantization takes over that of its source.
///
/// # Errors
/// The quantizations differ, and cannot be converted.
fn differ(graph: &mut Graph, node: &Node, from: TensorId, to: TensorId) -> Result<bool> {
    let (source, target) = (&graph.tensors[from], &graph.tensors[to]);
    // A difference of types is reported when the operator is lowered.
    if source.dtype != target.dtype {
        return Ok(false);
    }
    let is_8_bit = source.dtype.range_8_bit().is_some();
    match (&source.quantization, &target.quantization) {
        (None, None) => Ok(false),
        (None, Some(_)) | (Some(_), None) if !is_8_bit => Ok(false),
        (Some(quantization), None) => {
            graph.tensors[to].quantization = quantization.uniform().map(|_| quantization.clone());
            Ok(false)
        }
        (Some(a), Some(b)) if a.uniform().is_some() && a.uniform() == b.uniform() => Ok(false),
        (Some(a), Some(b)) if same_channels(graph, node, from, to, a, b) => Ok(false),
        (Some(a), Some(b)) if is_8_bit && rescale(a, b, target.dtype).is_some() => Ok(true),
        _ => Err(refusal(graph, node, from, to)),
    }
}

/// Returns the error that two tensors must share a quantization and do not.
fn refusal(graph: &Graph, node: &Node, from: TensorId, to: TensorId) -> CompileError {
    let words = |id: TensorId| {
        let tensor = &graph.tensors[id];
        match &tensor.quantization {
            Some(quantization) => format!("{} `{}` has {quantization}", tensor.dtype, tensor.name),
            None => format!("{} `{}` has no scale", tensor.dtype, tensor.name),
        }
    };
    graph.invalid(
        node,
        format!("{}, but {}: it copies one to the other, which needs one scale and zero point", words(from), words(to)),
    )
}

/// Returns whether two quantizations with scales along a dimension assign the same scale to each element that `node`
/// moves.
fn same_channels(
    graph: &Graph,
    node: &Node,
    from: TensorId,
    to: TensorId,
    a: &TensorQuantization,
    b: &TensorQuantization,
) -> bool {
    if a.scales != b.scales || a.zero_points != b.zero_points {
        return false;
    }
    let (source, target) = (&graph.tensors[from].shape, &graph.tensors[to].shape);
    let inner = |shape: &[u32], axis: usize| shape.get(axis + 1..).map(count_of);
    match &node.op {
        NodeOp::Ir(Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims) => {
            inner(source, a.axis) == inner(target, b.axis)
        }
        NodeOp::Ir(Op::Transpose) => {
            let perm = graph.constant_integers(node, 1).unwrap_or_default();
            perm.get(b.axis).is_some_and(|&axis| usize::try_from(axis) == Ok(a.axis))
        }
        _ => source == target && a.axis == b.axis,
    }
}

/// Adds a tensor like `id` with another quantization.
fn converted(graph: &mut Graph, id: TensorId, quantization: Option<TensorQuantization>) -> TensorId {
    let Tensor { name, dtype, shape, .. } = &graph.tensors[id];
    let tensor = Tensor { quantization, ..Tensor::computed(name.clone(), *dtype, shape.clone()) };
    graph.add(tensor)
}

fn conversion(node: &Node, from: TensorId, to: TensorId) -> Node {
    Node { op: NodeOp::Ir(Op::Convert), inputs: vec![Some(from)], outputs: vec![to], origin: node.origin }
}

/// Returns the conversion from one quantization to another of the 8-bit type `to_dtype`, as TensorFlow Lite Micro's
/// QUANTIZE computes it; `None` if one of them is not for the whole tensor, or the ratio of the scales is too large.
pub(crate) fn rescale(from: &TensorQuantization, to: &TensorQuantization, to_dtype: ElementType) -> Option<Rescale> {
    let (from, to) = (from.uniform()?, to.uniform()?);
    let rescale = Rescale::from_scales(from, to, to_dtype.range_8_bit()?);
    // A tensor with scale 0 holds only zeros, so any factor is right.
    (to.scale == 0.0 || f64::from(from.scale) / f64::from(to.scale) <= LARGEST_FACTOR).then_some(rescale)
}

/// Returns the conversion of codes from one quantization to another of the 8-bit type `to_dtype`, rounded to the
/// nearest code, halves away from the zero point; `None` where [`rescale`] returns `None`.
pub(crate) fn nearest(
    from: &TensorQuantization,
    to: &TensorQuantization,
    to_dtype: ElementType,
) -> Option<impl Fn(i32) -> i32 + Copy + use<>> {
    let Rescale { input_zero_point, output_zero_point, range: [low, high], .. } = rescale(from, to, to_dtype)?;
    let (scale, to_scale) = (f64::from(from.uniform()?.scale), f64::from(to.uniform()?.scale));
    Some(move |code| {
        let real = f64::from(code - input_zero_point) * scale;
        let steps = if to_scale == 0.0 { 0 } else { (real / to_scale).round() as i32 };
        (steps + output_zero_point).clamp(low, high)
    })
}

/// Returns the codes of a constant in the quantization of `like`, which has the same type; unchanged if they need no
/// conversion.
///
/// # Errors
/// They cannot be converted.
pub(crate) fn constant_like(graph: &Graph, node: &Node, constant: &Tensor, like: &Tensor) -> Result<Option<Bytes>> {
    let Content::Constant(bytes) = &constant.content else { return Ok(None) };
    let (Some(from), Some(to)) = (&constant.quantization, &like.quantization) else { return Ok(Some(bytes.clone())) };
    if from == to || from.uniform().is_some_and(|uniform| to.uniform() == Some(uniform)) {
        return Ok(Some(bytes.clone()));
    }
    match nearest(from, to, like.dtype).and_then(|code| convert(bytes, constant.dtype, code)) {
        Some(bytes) => Ok(Some(bytes.into())),
        None => Err(graph.invalid(
            node,
            format!("`{}` has {from}, but `{}` has {to}: they need one scale and zero point", constant.name, like.name),
        )),
    }
}

/// Applies `convert` to codes of the type `dtype`; `None` if they are not 8-bit codes.
pub(crate) fn convert(bytes: &[u8], dtype: ElementType, convert: impl Fn(i32) -> i32) -> Option<Vec<u8>> {
    let [low, _] = dtype.range_8_bit()?;
    let code = |byte: u8| if low < 0 { i32::from(byte.cast_signed()) } else { i32::from(byte) };
    // The low byte of the result is the code, signed or not.
    Some(bytes.iter().map(|&byte| convert(code(byte)) as u8).collect())
}
