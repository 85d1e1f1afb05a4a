//! Computes what is known at compile time: the shape arithmetic that exporters leave in a graph, and constants that are
//! reshaped, sliced or converted.
//!
//! The work of a node is known before it is done ([`work`]) and is counted against the network's [`Limit`], because a
//! few nodes of a small file can require very much.

use super::{dead, requantize};
use crate::diag::Result;
use crate::ir::bytes::Bytes;
use crate::ir::graph::{
    Content, ElementType, Graph, Node, NodeOp, SourceCodes, Tensor, TensorId, broadcast_shape, count_of,
};
use crate::ir::{Activation, Comparison, Logic, Op};
use crate::limit::Limit;
use crate::slice::{dimension, slices, strides, walk};
use tealight_format::Quantization;
use tealight_format::ops::UnaryFunction;
use tealight_kernels::unary;

/// The maximum number of elements of an arithmetic result. Arithmetic is folded for shapes, which are short.
const MAX_ELEMENTS: usize = 1 << 16;

/// Replaces nodes whose results are constants by the constants.
///
/// # Errors
/// The results, or what must be read for them, exceed `limit`; or a node contradicts itself.
pub(crate) fn fold(mut graph: Graph, limit: &Limit) -> Result<Graph> {
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes) {
        set_dynamic_shape(&mut graph, &node);
        if !fold_node(&mut graph, &node, limit)? {
            kept.push(node);
        }
    }
    graph.nodes = kept;
    Ok(graph)
}

/// Makes the outputs of `node` constants, if they are; returns whether they are.
pub(super) fn fold_node(graph: &mut Graph, node: &Node, limit: &Limit) -> Result<bool> {
    let is_empty = node.outputs.iter().all(|&id| graph.tensors[id].elements() == 0);
    let results = match &node.op {
        NodeOp::Ir(op) if is_empty && is_pure(graph, node, op) => {
            Some(node.outputs.iter().map(|_| Bytes::from([])).collect())
        }
        NodeOp::Ir(op) => evaluate(graph, node, op, limit)?,
        NodeOp::Kernel(_) => None,
    };
    // If the results do not fit the outputs, the node is left for lowering, which reports what is wrong.
    let fits = |results: &Vec<Bytes>| {
        results.len() == node.outputs.len()
            && results.iter().zip(&node.outputs).all(|(bytes, &id)| size_of(&graph.tensors[id]) == Some(bytes.len()))
    };
    let Some(results) = results.filter(fits) else { return Ok(false) };
    for (&id, bytes) in node.outputs.iter().zip(results) {
        graph.tensors[id].content = Content::Constant(bytes);
    }
    note_codes(graph, node);
    Ok(true)
}

/// Keeps the quantization of int8 and int4 codes that `node` has dequantized, or that it has widened f16.
fn note_codes(graph: &mut Graph, node: &Node) {
    let (NodeOp::Ir(Op::Dequantize), &[Some(stored)], &[output]) = (&node.op, &node.inputs[..], &node.outputs[..])
    else {
        return;
    };
    match &graph.tensors[stored] {
        Tensor { dtype: dtype @ (ElementType::I4 | ElementType::I8), quantization: Some(quantization), .. } => {
            let codes = SourceCodes { dtype: *dtype, quantization: quantization.clone() };
            graph.codes.insert(output, codes);
        }
        Tensor { dtype: ElementType::F16, .. } => graph.halves = true,
        _ => {}
    }
}

/// Returns whether the only effect of `node` is to write its outputs. If these have no elements, nothing is left to
/// compute.
fn is_pure(graph: &Graph, node: &Node, op: &Op) -> bool {
    !node.outputs.is_empty() && !matches!(op, Op::Unknown { .. }) && !dead::has_effect(graph, node)
}

/// Sets the shape of the output of `node`, where it is dynamic in the file and follows from known values.
pub(super) fn set_dynamic_shape(graph: &mut Graph, node: &Node) {
    if let Some((output, shape)) = dynamic_shape(graph, node) {
        graph.tensors[output].shape = shape;
    }
}

/// Returns the output of `node` and its shape, where the shape is dynamic in the file and now follows from known
/// values. That covers a RESHAPE with a constant target, as in the flatten of a network with a dynamic batch, and
/// functions of one tensor.
fn dynamic_shape(graph: &Graph, node: &Node) -> Option<(TensorId, Vec<u32>)> {
    let (&[output], NodeOp::Ir(op)) = (&node.outputs[..], &node.op) else { return None };
    let input = &graph.tensors[node.inputs.first().copied().flatten()?];
    if !graph.signatures.get(&output)?.iter().any(|&dim| dim < 0) {
        return None;
    }
    let shape = match op {
        Op::Reshape { new_shape } => reshaped(graph, node, new_shape.as_deref(), &input.shape)?,
        op if keeps_shape(op) => input.shape.clone(),
        op => constant_shape(graph, node, op)?,
    };
    Some((output, shape))
}

/// Returns the shape of what `node` computes, where that follows from constants alone.
pub(super) fn constant_shape(graph: &Graph, node: &Node, op: &Op) -> Option<Vec<u32>> {
    let input = |k: usize| graph.input(node, k).ok().map(|id| &graph.tensors[id]);
    let dims = |k: usize| -> Option<Vec<u32>> {
        graph.constant_integers(node, k).ok()?.iter().map(|&dim| u32::try_from(dim).ok()).collect()
    };
    Some(match op {
        Op::Range => vec![u32::try_from(range(input(0)?, input(1)?, input(2)?)?.1).ok()?],
        Op::Where => {
            let condition = input(0)?;
            let count = condition.each_integer()?.filter(|&number| number != 0).count();
            vec![u32::try_from(count).ok()?, u32::try_from(condition.shape.len()).ok()?]
        }
        Op::BroadcastArgs => vec![u32::try_from(input(0)?.elements().max(input(1)?.elements())).ok()?],
        Op::BroadcastTo => dims(1)?,
        Op::Fill => dims(0)?,
        _ => return None,
    })
}

/// Returns the first number and the step of a RANGE of integer constants, and how many numbers it has.
fn range(start: &Tensor, limit: &Tensor, step: &Tensor) -> Option<([i64; 2], usize)> {
    let one = |tensor: &Tensor| tensor.each_integer().filter(|list| list.len() == 1)?.next();
    let (start, limit, step) = (one(start)?, one(limit)?, one(step)?);
    let (distance, size) =
        if step > 0 { (limit.checked_sub(start)?, step) } else { (start.checked_sub(limit)?, step.checked_neg()?) };
    let whole = distance.max(0).checked_div(size)? + i64::from(distance.max(0).checked_rem(size)? > 0);
    Some(([start, step], usize::try_from(whole).ok()?))
}

/// Returns the shape to which a RESHAPE takes `shape`, where its target is constant: -1 takes what the others leave.
pub(super) fn reshaped(graph: &Graph, node: &Node, new_shape: Option<&[i32]>, shape: &[u32]) -> Option<Vec<u32>> {
    let target = match node.inputs.get(1) {
        Some(_) => graph.constant_integers(node, 1).ok()?,
        None => new_shape.into_iter().flatten().map(|&dim| i64::from(dim)).collect(),
    };
    let known = target.iter().filter(|&&dim| dim >= 0).try_fold(1i64, |n, &dim| n.checked_mul(dim))?;
    let elements = shape.iter().try_fold(1i64, |n, &dim| n.checked_mul(dim.into()))?;
    let rest = elements.checked_div(known)?;
    target.iter().map(|&dim| u32::try_from(if dim == -1 { rest } else { dim }).ok()).collect()
}

/// Returns whether `op` is a function of one tensor, element by element, or of its last dimension.
pub(super) fn keeps_shape(op: &Op) -> bool {
    use Op as T;
    matches!(
        op,
        T::Relu
            | T::Relu6
            | T::ReluN1To1
            | T::LeakyRelu { .. }
            | T::Elu
            | T::HardSwish
            | T::Logistic
            | T::Tanh
            | T::Softmax { .. }
            | T::Unary(_)
            | T::Quantize
            | T::Convert
            | T::Dequantize
    )
}

/// Returns the bytes that a tensor's type and shape require.
fn size_of(tensor: &Tensor) -> Option<usize> {
    tensor.dtype.size().and_then(|size| tensor.elements().checked_mul(size))
}

/// Returns the bytes that folding a node reads or writes, whichever are more: its outputs', or those of inputs that are
/// read completely. Operators that only move elements read no more than they write, and a reshaped constant keeps its
/// bytes.
fn work(op: &Op, inputs: &[&Tensor], outputs: usize) -> u64 {
    let all = |k: usize| inputs.get(k).and_then(|input| input.bytes()).map_or(0, <[u8]>::len);
    let bytes = match op {
        Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims => 0,
        Op::Gather { .. } => outputs.max(all(1)),
        Op::Cast
        | Op::Quantize
        | Op::Convert
        | Op::Dequantize
        | Op::ReduceProd
        | Op::ReduceLogic { .. }
        | Op::Where => outputs.max(all(0)),
        Op::AddN => inputs.len().saturating_mul(outputs),
        _ => outputs,
    };
    bytes as u64
}

/// Returns the constants that `node` computes; `None` if it must run, or cannot be folded.
fn evaluate(graph: &Graph, node: &Node, op: &Op, limit: &Limit) -> Result<Option<Vec<Bytes>>> {
    let Some(&first) = node.outputs.first() else { return Ok(None) };
    let output = &graph.tensors[first];
    match op {
        Op::Shape => {
            let dims = graph.tensors[graph.input(node, 0)?].shape.iter().map(|&dim| i64::from(dim));
            return Ok(one(integers_to_bytes(dims, output.dtype)));
        }
        Op::Rank => {
            let rank = graph.tensors[graph.input(node, 0)?].shape.len() as i64;
            return Ok(one(integers_to_bytes([rank], output.dtype)));
        }
        // As TensorFlow Lite Micro, codes of 0, whatever number that is.
        Op::ZerosLike => {
            let Some(size) = size_of(output) else { return Ok(None) };
            limit.make(size as u64, || format!("the zeros of {}", graph.site(node)))?;
            return Ok(one(Some(vec![0; size])));
        }
        _ => {}
    }
    let inputs: Vec<&Tensor> = node.inputs.iter().flatten().map(|&id| &graph.tensors[id]).collect();
    if inputs.is_empty() || !inputs.iter().all(|input| input.is_constant()) || !folds(op, output.dtype) {
        return Ok(None);
    }
    let size = node.outputs.iter().try_fold(0usize, |size, &id| size.checked_add(size_of(&graph.tensors[id])?));
    let Some(size) = size else { return Ok(None) };
    let of_shapes = is_arithmetic(op)
        || matches!(op, Op::Fill | Op::Gather { .. } | Op::Compare(_) | Op::Logic(_) | Op::Select { .. } | Op::Where);
    if of_shapes && output.elements() > MAX_ELEMENTS {
        return Ok(None);
    }
    let what = || format!("computing {} and what comes before it", graph.site(node));
    limit.make(work(op, &inputs, size), what)?;
    if let Some((input, slices)) = slices(graph, node, op)? {
        let input = &graph.tensors[input];
        let (Some(bytes), Some(item)) = (input.bytes(), input.dtype.size()) else { return Ok(None) };
        let parts = slices.iter().map(|slice| Some(Bytes::from(slice.take(bytes, &input.shape, item)?)));
        return Ok(parts.collect());
    }
    Ok(match op {
        Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims => same(inputs[0], output),
        Op::AddN => one(sum(&inputs, output)),
        Op::Transpose => one(transpose(graph, node, inputs[0], output)),
        Op::Concat { axis, .. } | Op::Pack { axis } => {
            let axis = dimension(graph, node, i64::from(*axis), output.shape.len())?;
            one(concat(&inputs, output, axis))
        }
        Op::Gather { axis, .. } if inputs.len() == 2 => {
            let axis = dimension(graph, node, i64::from(*axis), inputs[0].shape.len())?;
            one(gather(inputs[0], inputs[1], axis, size))
        }
        Op::Cast => one(cast(inputs[0], output)),
        Op::Fill if inputs.len() == 2 => one(fill(inputs[1], output)),
        Op::ReduceProd if inputs.len() == 2 => one(product(inputs[0], output)),
        Op::ReduceLogic { any } if inputs.len() == 2 => one(all_or_any(inputs[0], output, *any)),
        Op::Compare(how) if inputs.len() == 2 => one(compare(inputs[0], inputs[1], output, *how)),
        Op::Logic(logic) => one(combine(&inputs, output, *logic)),
        Op::Select { .. } if inputs.len() == 3 => one(select(&inputs, output)),
        Op::BroadcastTo if inputs.len() == 2 => one(broadcast(inputs[0], &output.shape)),
        Op::BroadcastArgs if inputs.len() == 2 => one(broadcast_args(inputs[0], inputs[1], output)),
        Op::Range if inputs.len() == 3 => one(range_of(&inputs, output)),
        Op::Where if inputs.len() == 1 => one(places(inputs[0], output)),
        Op::Dequantize => one(dequantize(inputs[0], output)),
        Op::Quantize => one(quantize(inputs[0], output)),
        Op::Convert => one(convert(inputs[0], output)),
        _ => one(arithmetic(op, &inputs, output)),
    })
}

/// Returns whether `op` on constants, with a result of type `dtype`, is folded.
fn folds(op: &Op, dtype: ElementType) -> bool {
    match op {
        Op::Concat { activation, .. } => *activation == Activation::None,
        Op::Gather { batch_dims, .. } => *batch_dims == 0,
        Op::Reshape { .. }
        | Op::Squeeze { .. }
        | Op::ExpandDims
        | Op::Transpose
        | Op::Pack { .. }
        | Op::AddN
        | Op::StridedSlice(_)
        | Op::Slice
        | Op::Split
        | Op::SplitV
        | Op::Unpack { .. }
        | Op::Cast
        | Op::Fill
        | Op::ReduceProd
        | Op::ReduceLogic { .. }
        | Op::Compare(_)
        | Op::Logic(_)
        | Op::BroadcastTo
        | Op::BroadcastArgs
        | Op::Range
        | Op::Where
        | Op::Dequantize
        | Op::Quantize
        | Op::Convert => true,
        Op::Select { .. } => matches!(dtype, ElementType::I32 | ElementType::I64 | ElementType::Bool),
        _ => is_arithmetic(op) && matches!(dtype, ElementType::I32 | ElementType::I64),
    }
}

/// Returns whether integer constants are folded by `op`, which has another form for other tensors.
#[cfg(test)]
pub(crate) fn folds_integers(op: &Op) -> bool {
    let others = matches!(
        op,
        Op::BroadcastTo
            | Op::Compare(_)
            | Op::Fill
            | Op::Gather { .. }
            | Op::Logic(_)
            | Op::ReduceLogic { .. }
            | Op::ReduceProd
            | Op::Select { .. }
    );
    is_arithmetic(op) || others
}

/// Returns whether integer constants are folded by `op` itself, whatever its form in the model file.
fn is_arithmetic(op: &Op) -> bool {
    arithmetic_function(op).is_some()
}

fn one(bytes: Option<Vec<u8>>) -> Option<Vec<Bytes>> {
    bytes.map(|bytes| vec![bytes.into()])
}

fn same(input: &Tensor, output: &Tensor) -> Option<Vec<Bytes>> {
    match &input.content {
        Content::Constant(bytes) if input.dtype == output.dtype => Some(vec![bytes.clone()]),
        _ => None,
    }
}

/// Returns integers as elements of `dtype`; `None` if one does not fit.
fn integers_to_bytes(values: impl IntoIterator<Item = i64>, dtype: ElementType) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        match dtype {
            ElementType::I32 => bytes.extend(i32::try_from(value).ok()?.to_le_bytes()),
            ElementType::I64 => bytes.extend(value.to_le_bytes()),
            ElementType::Bool if (0..=1).contains(&value) => bytes.push(value as u8),
            _ => return None,
        }
    }
    Some(bytes)
}

fn transpose(graph: &Graph, node: &Node, input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let perm = graph.constant_integers(node, 1).ok()?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..input.shape.len() as i64) || output.shape.len() != perm.len() {
        return None;
    }
    let mut steps = vec![1i64; input.shape.len()];
    for i in (0..steps.len().saturating_sub(1)).rev() {
        steps[i] = steps[i + 1].checked_mul(i64::from(input.shape[i + 1]))?;
    }
    let axes: Vec<usize> = perm.iter().map(|&axis| axis as usize).collect();
    if !axes.iter().map(|&axis| input.shape[axis]).eq(output.shape.iter().copied()) {
        return None;
    }
    let steps: Vec<i64> = axes.iter().map(|&axis| steps[axis]).collect();
    walk(input.bytes()?, input.dtype.size()?, 0, &output.shape, &steps)
}

/// Concatenates the inputs along `axis` of the output; from that dimension on, each input is contiguous.
fn concat(inputs: &[&Tensor], output: &Tensor, axis: usize) -> Option<Vec<u8>> {
    let outer: usize = output.shape[..axis].iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize))?;
    if outer == 0 || inputs.iter().any(|input| input.dtype != output.dtype) {
        return None;
    }
    let mut parts: Vec<&[u8]> = inputs.iter().map(|input| input.bytes()).collect::<Option<_>>()?;
    // Without empty parts, each round of the loop below adds at least one byte.
    parts.retain(|part| !part.is_empty());
    if parts.iter().any(|part| !part.len().is_multiple_of(outer)) || size_of(output) != Some(total(&parts)?) {
        return None;
    }
    let mut out = Vec::with_capacity(total(&parts)?);
    if parts.is_empty() {
        return Some(out);
    }
    for row in 0..outer {
        for part in &parts {
            let len = part.len() / outer;
            out.extend_from_slice(part.get(row * len..(row + 1) * len)?);
        }
    }
    Some(out)
}

/// Returns the total number of bytes of all parts.
fn total(parts: &[&[u8]]) -> Option<usize> {
    parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.len()))
}

/// Gathers `size` bytes; `None` if there is another number of them.
fn gather(input: &Tensor, indices: &Tensor, axis: usize, size: usize) -> Option<Vec<u8>> {
    let product = |dims: &[u32]| dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize));
    let (outer, inner) = (product(&input.shape[..axis])?, product(&input.shape[axis + 1..])?);
    let (piece, rows) = (inner.checked_mul(input.dtype.size()?)?, input.shape[axis] as usize);
    let (bytes, indices) = (input.bytes()?, indices.each_integer()?);
    if indices.len().checked_mul(outer)?.checked_mul(piece)? != size || size > MAX_ELEMENTS {
        return None;
    }
    let mut out = Vec::with_capacity(size);
    // Otherwise slices of no bytes could be gathered any number of times.
    if size == 0 {
        return Some(out);
    }
    let indices: Vec<i64> = indices.collect();
    for row in 0..outer {
        for &index in &indices {
            let at = usize::try_from(index).ok().filter(|&index| index < rows)?;
            let start = row.checked_mul(rows)?.checked_add(at)?.checked_mul(piece)?;
            out.extend_from_slice(bytes.get(start..start.checked_add(piece)?)?);
        }
    }
    Some(out)
}

fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    tensor.f32_values().filter(|_| tensor.dtype == ElementType::F32)
}

fn cast(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    match (floats(input), output.dtype) {
        (Some(values), ElementType::I32 | ElementType::I64) => {
            integers_to_bytes(values.iter().map(|&value| value as i64), output.dtype)
        }
        (None, ElementType::F32) => {
            Some(input.each_integer()?.flat_map(|value| (value as f32).to_le_bytes()).collect())
        }
        (None, _) => integers_to_bytes(input.each_integer()?, output.dtype),
        _ => None,
    }
}

fn fill(value: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let bytes = value.bytes().filter(|_| value.dtype == output.dtype && value.elements() == 1)?;
    (output.elements() <= MAX_ELEMENTS).then(|| bytes.repeat(output.elements()))
}

/// Returns the product of all elements; shapes need no other reductions.
fn product(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    if output.elements() != 1 || input.dtype != output.dtype {
        return None;
    }
    let product = input.each_integer()?.try_fold(1, i64::checked_mul)?;
    integers_to_bytes([product], output.dtype)
}

/// Returns the sums of the elements of f32 constants of one shape, in their order.
fn sum(inputs: &[&Tensor], output: &Tensor) -> Option<Vec<u8>> {
    let mut sums = floats(inputs[0])?;
    for input in &inputs[1..] {
        let more = floats(input).filter(|more| more.len() == sums.len())?;
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    (output.dtype == ElementType::F32).then(|| sums.into_iter().flat_map(f32::to_le_bytes).collect())
}

/// Returns whether all truth values hold, or any does; conditions need no other reductions.
fn all_or_any(input: &Tensor, output: &Tensor, any: bool) -> Option<Vec<u8>> {
    let mut truths = input.each_integer()?.map(|value| value != 0);
    let holds = if any { truths.any(|holds| holds) } else { truths.all(|holds| holds) };
    (output.elements() == 1).then(|| integers_to_bytes([holds.into()], output.dtype))?
}

/// Compares integer constants, with broadcasting.
fn compare(a: &Tensor, b: &Tensor, output: &Tensor, how: Comparison) -> Option<Vec<u8>> {
    use Comparison as C;
    if a.dtype != b.dtype || !matches!(a.dtype, ElementType::I32 | ElementType::I64 | ElementType::Bool) {
        return None;
    }
    let (a, b) = (broadcast_integers(a, &output.shape)?, broadcast_integers(b, &output.shape)?);
    let holds = |(a, b): (&i64, &i64)| match how {
        C::Equal => a == b,
        C::NotEqual => a != b,
        C::Less => a < b,
        C::LessEqual => a <= b,
        C::Greater => a > b,
        C::GreaterEqual => a >= b,
    };
    integers_to_bytes(a.iter().zip(&b).map(holds).map(i64::from), output.dtype)
}

/// Combines constant truth values, with broadcasting.
fn combine(inputs: &[&Tensor], output: &Tensor, logic: Logic) -> Option<Vec<u8>> {
    let truths =
        |tensor: &Tensor| broadcast_integers(tensor, &output.shape).filter(|_| tensor.dtype == ElementType::Bool);
    let values: Vec<i64> = match (logic, inputs) {
        (Logic::Not, [a]) => truths(a)?.iter().map(|&a| i64::from(a == 0)).collect(),
        (Logic::And | Logic::Or, [a, b]) => {
            let function = |(&a, &b): (&i64, &i64)| {
                i64::from(if logic == Logic::And { a != 0 && b != 0 } else { a != 0 || b != 0 })
            };
            truths(a)?.iter().zip(&truths(b)?).map(function).collect()
        }
        _ => return None,
    };
    integers_to_bytes(values, output.dtype)
}

/// Chooses between integer constants, with broadcasting.
fn select(inputs: &[&Tensor], output: &Tensor) -> Option<Vec<u8>> {
    if inputs[1].dtype != output.dtype || inputs[2].dtype != output.dtype {
        return None;
    }
    let [condition, a, b] = [inputs[0], inputs[1], inputs[2]].map(|tensor| broadcast_integers(tensor, &output.shape));
    let (condition, a, b) = (condition?, a?, b?);
    let chosen = (0..condition.len()).map(|i| if condition[i] != 0 { a[i] } else { b[i] });
    integers_to_bytes(chosen, output.dtype)
}

/// Returns the shape that two constant shapes are broadcast to.
fn broadcast_args(a: &Tensor, b: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let dims =
        |tensor: &Tensor| tensor.each_integer()?.map(|dim| u32::try_from(dim).ok()).collect::<Option<Vec<u32>>>();
    let shape = broadcast_shape(&dims(a)?, &dims(b)?)?;
    integers_to_bytes(shape.into_iter().map(i64::from), output.dtype)
}

fn range_of(inputs: &[&Tensor], output: &Tensor) -> Option<Vec<u8>> {
    let ([start, step], count) = range(inputs[0], inputs[1], inputs[2])?;
    if count != output.elements() || inputs.iter().any(|input| input.dtype != output.dtype) {
        return None;
    }
    let number = |i: usize| start.checked_add(step.checked_mul(i64::try_from(i).ok()?)?);
    integers_to_bytes((0..count).map(number).collect::<Option<Vec<_>>>()?, output.dtype)
}

/// Returns the indices of the elements that are not 0.
fn places(condition: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let steps = strides(&condition.shape);
    let count = condition.each_integer()?.filter(|&number| number != 0).count();
    if count.checked_mul(steps.len()) != Some(output.elements()) {
        return None;
    }
    let mut list = Vec::new();
    for (at, _) in condition.each_integer()?.enumerate().filter(|(_, number)| *number != 0) {
        let indices = steps.iter().zip(&condition.shape).map(|(&step, &dim)| at as i64 / step % i64::from(dim));
        list.extend(indices);
    }
    integers_to_bytes(list, output.dtype)
}

fn dequantize(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    // A float16 constant converted to float32: converters add it for weights that they store in half precision.
    if let Some(values) = input.f32_values().filter(|_| output.dtype == ElementType::F32) {
        return Some(values.iter().flat_map(|real| real.to_le_bytes()).collect());
    }
    let quantization = input.quantization.as_ref().filter(|_| output.dtype == ElementType::F32)?;
    if input.dtype != ElementType::I4 {
        input.dtype.range_8_bit()?;
    }
    // A scale for the whole, or for each index of a dimension, whose elements are `inner` apart.
    let (count, axis) = (quantization.scales.len(), quantization.axis);
    let inner = match count {
        1 => input.elements(),
        _ if input.shape.get(axis).is_some_and(|&dim| dim as usize == count) => count_of(&input.shape[axis + 1..]),
        _ => return None,
    };
    let scales: Vec<Quantization> = (0..count)
        .map(|i| Quantization::new(quantization.scales[i], quantization.zero_points.get(i).copied().unwrap_or(0)))
        .collect();
    let real = |(i, value): (usize, i64)| scales[i / inner.max(1) % count].dequantize(value as i32).to_le_bytes();
    Some(input.each_integer()?.enumerate().flat_map(real).collect())
}

fn quantize(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    if let (Some(from), Some(to), Some(bytes)) = (&input.quantization, &output.quantization, input.bytes()) {
        let rescale = requantize::rescale(from, to, output.dtype)?;
        return requantize::convert(bytes, input.dtype, |code| unary::requantize(&rescale, code));
    }
    let to = output.per_tensor().filter(|to| to.scale > 0.0)?;
    let numbers = floats(input)?;
    match output.dtype {
        ElementType::I8 => Some(numbers.iter().map(|&x| to.quantize(x).cast_unsigned()).collect()),
        ElementType::U8 => Some(numbers.iter().map(|&x| to.quantize_u8(x)).collect()),
        _ => None,
    }
}

fn convert(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let (from, to) = (input.quantization.as_ref()?, output.quantization.as_ref()?);
    requantize::convert(input.bytes()?, input.dtype, requantize::nearest(from, to, output.dtype)?)
}

/// Computes elementwise arithmetic on int32 and int64, with broadcasting.
fn arithmetic(op: &Op, inputs: &[&Tensor], output: &Tensor) -> Option<Vec<u8>> {
    let &[a, b] = inputs else { return None };
    if a.dtype != output.dtype || b.dtype != output.dtype || !matches!(a.dtype, ElementType::I32 | ElementType::I64) {
        return None;
    }
    // Unquantized integers; some tools store them with a scale of 0 or 1.
    let plain = |tensor: &Tensor| match &tensor.quantization {
        Some(quantization) => matches!(quantization.uniform(), Some(Quantization { scale: 0.0 | 1.0, zero_point: 0 })),
        None => true,
    };
    if ![a, b, output].into_iter().all(plain) {
        return None;
    }
    let function = arithmetic_function(op)?;
    let (a, b) = (broadcast_integers(a, &output.shape)?, broadcast_integers(b, &output.shape)?);
    let values: Vec<i64> = a.iter().zip(&b).map(|(&a, &b)| function(a, b)).collect::<Option<_>>()?;
    integers_to_bytes(values, output.dtype)
}

fn arithmetic_function(op: &Op) -> Option<fn(i64, i64) -> Option<i64>> {
    Some(match op {
        Op::Add(Activation::None) => i64::checked_add,
        Op::Sub(Activation::None) => i64::checked_sub,
        Op::Mul(Activation::None) => i64::checked_mul,
        Op::Div(Activation::None) => i64::checked_div,
        Op::FloorDiv => floor_div,
        Op::Remainder(UnaryFunction::Floor) => |a, b| a.checked_sub(floor_div(a, b)?.checked_mul(b)?),
        Op::Maximum => |a, b| Some(a.max(b)),
        Op::Minimum => |a, b| Some(a.min(b)),
        _ => return None,
    })
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// Returns a constant's integers, repeated to `shape`.
fn broadcast_integers(tensor: &Tensor, shape: &[u32]) -> Option<Vec<i64>> {
    Tensor::constant("", tensor.dtype, shape.to_vec(), broadcast(tensor, shape)?).integers()
}

/// Returns a constant's elements, repeated to `shape`.
fn broadcast(tensor: &Tensor, shape: &[u32]) -> Option<Vec<u8>> {
    let missing = shape.len().checked_sub(tensor.shape.len())?;
    let mut steps = vec![0i64; shape.len()];
    for (i, (&dim, &step)) in tensor.shape.iter().zip(&strides(&tensor.shape)).enumerate() {
        if dim != 1 {
            if dim != shape[missing + i] {
                return None;
            }
            steps[missing + i] = step;
        }
    }
    walk(tensor.bytes()?, tensor.dtype.size()?, 0, shape, &steps)
}

#[cfg(test)]
mod tests {
    use super::fold as fold_within;
    use crate::diag::{CompileError, Result};
    use crate::ir::graph::{Bytes, ElementType, Graph, Tensor, TensorQuantization};
    use crate::ir::{Activation, Comparison, Logic, Op, SliceMasks};
    use crate::limit::Limit;
    use crate::options::Options;
    use crate::testing::{Builder, names};
    use tealight_format::ops::UnaryFunction;

    fn fold(graph: Graph) -> Result<Graph> {
        let limit = Limit::of(&graph, &Options::default());
        fold_within(graph, &limit)
    }

    #[test]
    fn the_shape_arithmetic_of_a_flatten_becomes_a_constant() {
        let mut b = Builder::default();
        let x = b.input(&[2, 3, 4]);
        let (shape, batch, target) = (b.int32(&[3]), b.int32(&[]), b.int32(&[2]));
        b.node(Op::Shape, &[x], &[shape]);
        let (zero, one, rest) = (b.ints(&[0]), b.ints(&[1]), b.ints(&[12]));
        b.graph.tensors[rest].shape.clear();
        let masks = SliceMasks { begin: 0, end: 0, ellipsis: 0, new_axis: 0, shrink_axis: 1 };
        b.node(Op::StridedSlice(masks), &[shape, zero, one, one], &[batch]);
        b.node(Op::Pack { axis: 0 }, &[batch, rest], &[target]);
        let y = b.int8(&[2, 12]);
        b.node(Op::Reshape { new_shape: None }, &[x, target], &[y]);
        let graph = fold(b.output(y)).unwrap();
        assert_eq!(names(&graph), ["Reshape"]);
        assert_eq!(graph.tensors[target].integers().unwrap(), [2, 12]);
    }

    #[test]
    fn integer_arithmetic_broadcasts() {
        let mut b = Builder::default();
        let (a, two) = (b.ints(&[10, -7, 3]), b.ints(&[2]));
        let outputs = [b.int32(&[3]), b.int32(&[3]), b.int32(&[3]), b.int32(&[3])];
        b.node(Op::Mul(Activation::None), &[a, two], &[outputs[0]]);
        b.node(Op::FloorDiv, &[a, two], &[outputs[1]]);
        b.node(Op::Maximum, &[two, a], &[outputs[2]]);
        b.node(Op::Remainder(UnaryFunction::Floor), &[a, two], &[outputs[3]]);
        let graph = fold(b.output(outputs[3])).unwrap();
        assert!(graph.nodes.is_empty());
        let values = outputs.map(|id| graph.tensors[id].integers().unwrap());
        assert_eq!(values, [[20, -14, 6], [5, -4, 1], [10, 2, 3], [0, 1, 1]]);
    }

    /// A bool constant.
    fn truths(b: &mut Builder, shape: &[u32], values: &[u8]) -> usize {
        b.graph.add(Tensor::constant("truths", ElementType::Bool, shape.to_vec(), values.to_vec()))
    }

    #[test]
    fn comparisons_and_logic_of_constants_are_decided() {
        let mut b = Builder::default();
        let (a, two) = (b.ints(&[1, 2, 3]), b.ints(&[2]));
        let mut bools: Vec<usize> = (0..5).map(|_| truths(&mut b, &[3], &[0; 3])).collect();
        let (all, any) = (truths(&mut b, &[], &[0]), truths(&mut b, &[], &[0]));
        bools.extend([all, any]);
        bools.iter().for_each(|&id| b.graph.tensors[id].content = crate::ir::graph::Content::Computed);
        let axis = b.ints(&[0]);
        b.node(Op::Compare(Comparison::LessEqual), &[a, two], &[bools[0]]);
        b.node(Op::Compare(Comparison::NotEqual), &[a, two], &[bools[1]]);
        b.node(Op::Logic(Logic::And), &[bools[0], bools[1]], &[bools[2]]);
        b.node(Op::Logic(Logic::Or), &[bools[0], bools[1]], &[bools[3]]);
        b.node(Op::Logic(Logic::Not), &[bools[2]], &[bools[4]]);
        b.node(Op::ReduceLogic { any: false }, &[bools[3], axis], &[all]);
        b.node(Op::ReduceLogic { any: true }, &[bools[2], axis], &[any]);
        let (chosen, ranges) = (b.int32(&[3]), b.int32(&[3]));
        b.node(Op::Select { broadcast: true }, &[bools[0], two, a], &[chosen]);
        let (start, limit, step) = (b.ints(&[7]), b.ints(&[1]), b.ints(&[-2]));
        b.node(Op::Range, &[start, limit, step], &[ranges]);
        let graph = fold(b.output(chosen)).unwrap();
        assert!(graph.nodes.is_empty(), "{graph}");
        let values: Vec<_> = bools.iter().map(|&id| graph.tensors[id].integers().unwrap()).collect();
        let expected: [&[i64]; 7] = [&[1, 1, 0], &[1, 0, 1], &[1, 0, 0], &[1, 1, 1], &[0, 1, 1], &[1], &[1]];
        assert_eq!(values, expected);
        assert_eq!(graph.tensors[chosen].integers().unwrap(), [2, 2, 3]);
        assert_eq!(graph.tensors[ranges].integers().unwrap(), [7, 5, 3]);
    }

    #[test]
    fn shapes_that_constants_decide_are_worked_out() {
        let mut b = Builder::default();
        let x = b.input(&[2, 3, 4]);
        let (rank, places, dims, numbers) = (b.int32(&[]), b.int32(&[1, 2]), b.int32(&[1]), b.int32(&[1]));
        b.node(Op::Rank, &[x], &[rank]);
        let condition = truths(&mut b, &[2, 3], &[0, 1, 0, 1, 0, 1]);
        b.node(Op::Where, &[condition], &[places]);
        let (left, right) = (b.ints(&[3, 1]), b.ints(&[5]));
        b.node(Op::BroadcastArgs, &[left, right], &[dims]);
        let (zero, one) = (b.ints(&[0]), b.ints(&[1]));
        b.node(Op::Range, &[zero, rank, one], &[numbers]);
        for (id, signature) in [(places, vec![-1, 2]), (dims, vec![-1]), (numbers, vec![-1])] {
            b.graph.signatures.insert(id, signature);
        }
        let zeros = b.int8(&[2, 2]);
        b.node(Op::ZerosLike, &[x], &[zeros]);
        let graph = fold(b.output(numbers)).unwrap();
        assert!(graph.nodes.is_empty(), "{graph}");
        let of = |id: usize| (graph.tensors[id].shape.clone(), graph.tensors[id].integers().unwrap());
        assert_eq!(of(rank), (vec![], vec![3]));
        assert_eq!(of(places), (vec![3, 2], vec![0, 1, 1, 0, 1, 2]));
        assert_eq!(of(dims), (vec![2], vec![3, 5]));
        assert_eq!(of(numbers), (vec![3], vec![0, 1, 2]));
        assert_eq!(of(zeros).1, [0; 4]);
    }

    #[test]
    fn a_sum_of_constants_is_a_constant() {
        let mut b = Builder::default();
        let (first, second) = (b.f32_constant(&[2], &[1.0, -2.5]), b.f32_constant(&[2], &[0.5, 4.0]));
        let (one, both) = (b.f32(&[2]), b.f32(&[2]));
        b.node(Op::AddN, &[first], &[one]);
        b.node(Op::AddN, &[first, second], &[both]);
        let graph = fold(b.output(both)).unwrap();
        assert!(graph.nodes.is_empty());
        let values = [one, both].map(|id| graph.tensors[id].f32_values().unwrap());
        assert_eq!(values, [[1.0, -2.5], [1.5, 1.5]]);
    }

    #[test]
    fn a_range_that_never_ends_or_overflows_is_no_constant() {
        for [start, limit, step] in [[0, 9, 0], [i32::MIN, i32::MAX, 1], [0, i32::MAX, 1]] {
            let mut b = Builder::default();
            let ids = [start, limit, step].map(|number| b.ints(&[number]));
            let y = b.int32(&[1]);
            b.node(Op::Range, &ids, &[y]);
            assert_eq!(names(&fold(b.output(y)).unwrap()), ["Range"]);
        }
    }

    #[test]
    fn a_transposed_constant_is_stored_transposed() {
        let mut b = Builder::default();
        let (w, perm, y) = (b.weights(&[2, 3], &[1, 2, 3, 4, 5, 6]), b.ints(&[1, 0]), b.int8(&[3, 2]));
        b.node(Op::Transpose, &[w, perm], &[y]);
        let graph = fold(b.output(y)).unwrap();
        assert_eq!(graph.tensors[y].integers().unwrap(), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn weights_in_half_precision_become_float32() {
        let mut b = Builder::default();
        // 1, -2 and the smallest subnormal.
        let half = Tensor::constant("half", ElementType::F16, vec![3], [0, 0x3c, 0, 0xc0, 1, 0]);
        let (half, y) = (b.graph.add(half), b.graph.add(Tensor::computed("y", ElementType::F32, vec![3])));
        b.node(Op::Dequantize, &[half], &[y]);
        let graph = fold(b.output(y)).unwrap();
        assert_eq!(graph.tensors[y].f32_values().unwrap(), [1.0, -2.0, 2f32.powi(-24)]);
    }

    #[test]
    fn codes_with_a_scale_for_each_channel_are_dequantized_by_it() {
        let mut b = Builder::default();
        let (codes, y) = (
            b.weights(&[1, 2, 2], &[1, -2, 3, 4]),
            b.graph.add(Tensor::computed("y", ElementType::F32, vec![1, 2, 2])),
        );
        let by_channel = |axis| Some(TensorQuantization { scales: vec![0.5, 2.0], zero_points: vec![0, 1], axis });
        b.graph.tensors[codes].quantization = by_channel(1);
        b.node(Op::Dequantize, &[codes], &[y]);
        let mut graph = b.output(y);
        let values = |graph: Graph| fold(graph).unwrap().tensors[y].f32_values();
        assert_eq!(values(graph.clone()).unwrap(), [0.5, -1.0, 4.0, 6.0]);
        graph.tensors[codes].quantization = by_channel(2);
        assert_eq!(values(graph.clone()).unwrap(), [0.5, -6.0, 1.5, 6.0]);
        // As many scales as no dimension has indices.
        graph.tensors[codes].quantization = by_channel(0);
        assert_eq!(values(graph), None);
    }

    #[test]
    fn does_not_fold_arithmetic_that_overflows_or_divides_by_zero() {
        let mut b = Builder::default();
        let (a, zero, y) = (b.ints(&[i32::MAX]), b.ints(&[0]), b.int32(&[1]));
        b.node(Op::Div(Activation::None), &[a, zero], &[y]);
        let z = b.int32(&[1]);
        b.node(Op::Add(Activation::None), &[a, a], &[z]);
        assert_eq!(names(&fold(b.output(z)).unwrap()), ["Div", "Add"]);
    }

    #[test]
    fn gathers_and_concatenations_of_nothing_take_no_time() {
        let mut b = Builder::default();
        // 2^31 times three rows without elements.
        let (x, rows, y) = (b.weights(&[1 << 31, 4, 0], &[]), b.ints(&[0, 3, 1]), b.int8(&[1 << 31, 3, 0]));
        b.node(Op::Gather { axis: 1, batch_dims: 0 }, &[x, rows], &[y]);
        let (part, z) = (b.weights(&[1 << 31, 2, 0], &[]), b.int8(&[1 << 31, 4, 0]));
        b.node(Op::Concat { axis: 1, activation: Activation::None }, &[part, part], &[z]);
        // A million rows of one byte, concatenated with as many empty parts.
        let (row, empty) = (b.weights(&[1 << 20, 1], &vec![7; 1 << 20]), b.weights(&[1 << 20, 0], &[]));
        let joined = b.int8(&[1 << 20, 1]);
        let parts: Vec<_> = std::iter::repeat_n(empty, 1 << 20).chain([row]).collect();
        b.node(Op::Concat { axis: 1, activation: Activation::None }, &parts, &[joined]);
        let graph = fold(b.output(joined)).unwrap();
        assert!(graph.nodes.is_empty());
        assert_eq!([y, z].map(|id| graph.tensors[id].bytes().map(<[u8]>::len)), [Some(0); 2]);
        assert_eq!(graph.tensors[joined].bytes(), graph.tensors[row].bytes());
    }

    /// A constant of a thousand bytes, concatenated with itself `doublings` times.
    fn doubled(doublings: u32) -> Graph {
        let mut b = Builder::default();
        let mut x = b.weights(&[1000], &[1; 1000]);
        for k in 1..=doublings {
            let y = b.int8(&[1000 << k]);
            b.node(Op::Concat { axis: 0, activation: Activation::None }, &[x, x], &[y]);
            x = y;
        }
        b.output(x)
    }

    #[test]
    fn rejects_constants_that_double_repeatedly_at_the_node_over_the_limit() {
        assert!(fold(doubled(12)).unwrap().nodes.is_empty());
        let error = fold(doubled(21)).unwrap_err();
        // 1000 * (2 + 4 + .. + 2^15) still fits into 64 MiB.
        let (what, needed) = ("computing node 15 (Concat) and what comes before it", 131_070_000);
        assert_eq!(error, CompileError::Memory { what: what.into(), needed, limit: 64 << 20 });
        // Higher and lower limits.
        let graph = doubled(16);
        let limit = |max_memory| Limit::of(&graph, &Options { max_memory: Some(max_memory), ..Options::default() });
        assert!(fold_within(graph.clone(), &limit(131_070_000)).unwrap().nodes.is_empty());
        assert!(fold_within(graph.clone(), &limit(131_069_999)).is_err());
    }

    #[test]
    fn a_constant_that_many_nodes_read_to_the_end_is_refused() {
        let mut b = Builder::default();
        let (x, axis) = (b.ints(&vec![1; 1 << 20]), b.ints(&[0]));
        let mut y = x;
        for _ in 0..20 {
            y = b.int32(&[]);
            b.node(Op::ReduceProd, &[x, axis], &[y]);
        }
        let error = fold(b.output(y)).unwrap_err().to_string();
        assert!(error.contains("node 16 (ReduceProd)") && error.contains("limit for a network"), "{error}");
    }

    #[test]
    fn reshaped_constants_are_shared_however_many_there_are() {
        let mut b = Builder::default();
        let bytes = Bytes::from(vec![0; 1 << 20]);
        let x = b.graph.add(Tensor::constant("x", ElementType::I8, vec![1 << 20], bytes.clone()));
        let mut last = x;
        for _ in 0..1000 {
            last = b.graph.add(Tensor::computed("y", ElementType::I8, vec![1 << 10, 1 << 10]));
            b.node(Op::Reshape { new_shape: None }, &[x], &[last]);
        }
        let graph = fold(b.output(last)).unwrap();
        assert!(graph.nodes.is_empty());
        assert_eq!(graph.tensors[last].bytes().unwrap().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn does_not_fold_a_transpose_with_a_wrong_shape() {
        for (perm, shape) in [([1, 0], [2, 3]), ([0, 0], [2, 2]), ([1, 0], [3, 1])] {
            let mut b = Builder::default();
            let (w, perm, y) = (b.weights(&[2, 3], &[1, 2, 3, 4, 5, 6]), b.ints(&perm), b.int8(&shape));
            b.node(Op::Transpose, &[w, perm], &[y]);
            assert_eq!(names(&fold(b.output(y)).unwrap()), ["Transpose"], "{shape:?}");
        }
    }
}
