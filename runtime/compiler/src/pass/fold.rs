//! Computes what is known at compile time: the arithmetic on shapes that exporters leave in a graph, and constants that
//! are reshaped, sliced or converted.

use crate::cut::{cuts, dimension, walk};
use crate::error::Result;
use crate::graph::{Content, ElementType, Graph, Node, Op, Tensor};
use crate::tflite::{Activation, TfliteOp};
use std::sync::Arc;

/// The most bytes that folding may produce in all: a small file must not become a huge one.
const BUDGET: usize = 1 << 26;

/// The most elements of a result of arithmetic: it is on shapes, which are short.
const LONGEST: usize = 1 << 16;

/// Replaces nodes whose results are constants by the constants.
pub(crate) fn fold(mut graph: Graph) -> Result<Graph> {
    let mut budget = BUDGET;
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes) {
        // All sizes are known beforehand, so that nothing large is computed for nothing.
        let size = node.outputs.iter().try_fold(0usize, |size, &id| size.checked_add(size_of(&graph.tensors[id])?));
        let results = match (&node.op, size) {
            (Op::Tflite(op), Some(size)) if size <= budget => evaluate(&graph, &node, op)?,
            _ => None,
        };
        // Where the results are not what the outputs need, the node is left for lowering, which says what is wrong.
        let fits = |results: &Vec<Arc<[u8]>>| {
            results.len() == node.outputs.len()
                && results
                    .iter()
                    .zip(&node.outputs)
                    .all(|(bytes, &id)| size_of(&graph.tensors[id]) == Some(bytes.len()))
        };
        match results.filter(fits) {
            Some(results) => {
                budget -= size.unwrap_or(0);
                for (&id, bytes) in node.outputs.iter().zip(results) {
                    graph.tensors[id].content = Content::Constant(bytes);
                }
            }
            None => kept.push(node),
        }
    }
    graph.nodes = kept;
    Ok(graph)
}

/// Bytes that a tensor's type and shape need.
fn size_of(tensor: &Tensor) -> Option<usize> {
    tensor.dtype.size().and_then(|size| tensor.elements().checked_mul(size))
}

/// The constants that `node` gives; `None` if it must run, or cannot be folded.
fn evaluate(graph: &Graph, node: &Node, op: &TfliteOp) -> Result<Option<Vec<Arc<[u8]>>>> {
    let Some(&first) = node.outputs.first() else { return Ok(None) };
    let output = &graph.tensors[first];
    if matches!(op, TfliteOp::Shape) {
        let dims: Vec<i64> = graph.tensors[graph.input(node, 0)?].shape.iter().map(|&dim| i64::from(dim)).collect();
        return Ok(one(integers_to_bytes(&dims, output.dtype)));
    }
    let inputs: Vec<&Tensor> = node.inputs.iter().flatten().map(|&id| &graph.tensors[id]).collect();
    if inputs.is_empty() || !inputs.iter().all(|input| input.is_constant()) {
        return Ok(None);
    }
    if let Some((input, cuts)) = cuts(graph, node, op)? {
        let input = &graph.tensors[input];
        let (Some(bytes), Some(item)) = (input.bytes(), input.dtype.size()) else { return Ok(None) };
        let parts = cuts.iter().map(|cut| Some(Arc::from(cut.take(bytes, &input.shape, item)?)));
        return Ok(parts.collect());
    }
    Ok(match op {
        TfliteOp::Reshape { .. } | TfliteOp::Squeeze { .. } | TfliteOp::ExpandDims => same(inputs[0], output),
        TfliteOp::Transpose => one(transpose(graph, node, inputs[0], output)),
        TfliteOp::Concatenation { axis, activation: Activation::None } => {
            let axis = dimension(graph, node, i64::from(*axis), output.shape.len())?;
            one(concat(&inputs, output, axis))
        }
        TfliteOp::Pack { axis } => {
            let axis = dimension(graph, node, i64::from(*axis), output.shape.len())?;
            one(concat(&inputs, output, axis))
        }
        TfliteOp::Gather { axis, batch_dims: 0 } if inputs.len() == 2 => {
            let axis = dimension(graph, node, i64::from(*axis), inputs[0].shape.len())?;
            one(gather(inputs[0], inputs[1], axis))
        }
        TfliteOp::Cast => one(cast(inputs[0], output)),
        TfliteOp::Fill if inputs.len() == 2 => one(fill(inputs[1], output)),
        TfliteOp::ReduceProd if inputs.len() == 2 => one(product(inputs[0], output)),
        TfliteOp::Dequantize => one(dequantize(inputs[0], output)),
        TfliteOp::Quantize => one(quantize(inputs[0], output)),
        _ => one(arithmetic(op, &inputs, output)),
    })
}

fn one(bytes: Option<Vec<u8>>) -> Option<Vec<Arc<[u8]>>> {
    bytes.map(|bytes| vec![bytes.into()])
}

fn same(input: &Tensor, output: &Tensor) -> Option<Vec<Arc<[u8]>>> {
    match &input.content {
        Content::Constant(bytes) if input.dtype == output.dtype => Some(vec![bytes.clone()]),
        _ => None,
    }
}

/// Integers as elements of `dtype`; `None` if one does not fit.
fn integers_to_bytes(values: &[i64], dtype: ElementType) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for &value in values {
        match dtype {
            ElementType::I32 => bytes.extend(i32::try_from(value).ok()?.to_le_bytes()),
            ElementType::I64 => bytes.extend(value.to_le_bytes()),
            _ => return None,
        }
    }
    Some(bytes)
}

fn transpose(graph: &Graph, node: &Node, input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let perm = graph.constant_integers(node, 1).ok()?;
    let mut steps = vec![1i64; input.shape.len()];
    for i in (0..steps.len().saturating_sub(1)).rev() {
        steps[i] = steps[i + 1].checked_mul(i64::from(input.shape[i + 1]))?;
    }
    if perm.len() != input.shape.len() || output.shape.len() != perm.len() {
        return None;
    }
    let step = |axis: &i64| usize::try_from(*axis).ok().and_then(|axis| steps.get(axis)).copied();
    let steps: Vec<i64> = perm.iter().map(step).collect::<Option<_>>()?;
    walk(input.bytes()?, input.dtype.size()?, 0, &output.shape, &steps)
}

/// The inputs one after another along `axis` of the output, each as whole pieces of the dimensions from there on.
fn concat(inputs: &[&Tensor], output: &Tensor, axis: usize) -> Option<Vec<u8>> {
    let outer: usize = output.shape[..axis].iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize))?;
    if outer == 0 || inputs.iter().any(|input| input.dtype != output.dtype) {
        return None;
    }
    let parts: Vec<&[u8]> = inputs.iter().map(|input| input.bytes()).collect::<Option<_>>()?;
    if parts.iter().any(|part| !part.len().is_multiple_of(outer)) {
        return None;
    }
    let mut out = Vec::new();
    for row in 0..outer {
        for part in &parts {
            let len = part.len() / outer;
            out.extend_from_slice(part.get(row * len..(row + 1) * len)?);
        }
    }
    Some(out)
}

fn gather(input: &Tensor, indices: &Tensor, axis: usize) -> Option<Vec<u8>> {
    let product = |dims: &[u32]| dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize));
    let (outer, inner) = (product(&input.shape[..axis])?, product(&input.shape[axis + 1..])?);
    let (piece, size) = (inner.checked_mul(input.dtype.size()?)?, input.shape[axis] as usize);
    let (bytes, indices) = (input.bytes()?, indices.integers()?);
    if indices.len().checked_mul(outer)?.checked_mul(piece)? > LONGEST {
        return None;
    }
    let mut out = Vec::new();
    for row in 0..outer {
        for &index in &indices {
            let at = usize::try_from(index).ok().filter(|&index| index < size)?;
            let start = row.checked_mul(size)?.checked_add(at)?.checked_mul(piece)?;
            out.extend_from_slice(bytes.get(start..start.checked_add(piece)?)?);
        }
    }
    Some(out)
}

fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    tensor.reals().filter(|_| tensor.dtype == ElementType::F32)
}

fn cast(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    match (floats(input), output.dtype) {
        (Some(values), ElementType::I32 | ElementType::I64) => {
            integers_to_bytes(&values.iter().map(|&value| value as i64).collect::<Vec<_>>(), output.dtype)
        }
        (None, ElementType::F32) => {
            Some(input.integers()?.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect())
        }
        (None, _) => integers_to_bytes(&input.integers()?, output.dtype),
        _ => None,
    }
}

fn fill(value: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let bytes = value.bytes().filter(|_| value.dtype == output.dtype && value.elements() == 1)?;
    (output.elements() <= LONGEST).then(|| bytes.repeat(output.elements()))
}

/// The product of all elements; other reductions are not needed for shapes.
fn product(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    if output.elements() != 1 || input.dtype != output.dtype {
        return None;
    }
    let product = input.integers()?.iter().try_fold(1i64, |product, &value| product.checked_mul(value))?;
    integers_to_bytes(&[product], output.dtype)
}

fn dequantize(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    // What converters make of weights that they store in half precision.
    if let Some(reals) = input.reals().filter(|_| output.dtype == ElementType::F32) {
        return Some(reals.iter().flat_map(|real| real.to_le_bytes()).collect());
    }
    let (scale, zero_point) = input.per_tensor().filter(|_| output.dtype == ElementType::F32)?;
    input.dtype.range_8_bit()?;
    let real = |&value: &i64| (scale * (value as i32).wrapping_sub(zero_point) as f32).to_le_bytes();
    Some(input.integers()?.iter().flat_map(real).collect())
}

fn quantize(input: &Tensor, output: &Tensor) -> Option<Vec<u8>> {
    let ((scale, zero_point), [low, high]) = (output.per_tensor()?, output.dtype.range_8_bit()?);
    let whole = |&real: &f32| ((real / scale).round() as i32).saturating_add(zero_point).clamp(low, high) as u8;
    Some(floats(input)?.iter().map(whole).collect())
}

/// Elementwise arithmetic on int32 and int64, with broadcasting.
fn arithmetic(op: &TfliteOp, inputs: &[&Tensor], output: &Tensor) -> Option<Vec<u8>> {
    let &[a, b] = inputs else { return None };
    if a.dtype != output.dtype || b.dtype != output.dtype || !matches!(a.dtype, ElementType::I32 | ElementType::I64) {
        return None;
    }
    let function: fn(i64, i64) -> Option<i64> = match op {
        TfliteOp::Add(Activation::None) => i64::checked_add,
        TfliteOp::Sub(Activation::None) => i64::checked_sub,
        TfliteOp::Mul(Activation::None) => i64::checked_mul,
        TfliteOp::Div(Activation::None) => i64::checked_div,
        TfliteOp::FloorDiv => floor_div,
        TfliteOp::Maximum => |a, b| Some(a.max(b)),
        TfliteOp::Minimum => |a, b| Some(a.min(b)),
        _ => return None,
    };
    if output.elements() > LONGEST {
        return None;
    }
    let (a, b) = (broadcast(a, &output.shape)?, broadcast(b, &output.shape)?);
    let values: Vec<i64> = a.iter().zip(&b).map(|(&a, &b)| function(a, b)).collect::<Option<_>>()?;
    integers_to_bytes(&values, output.dtype)
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// A constant's integers repeated to `shape`.
fn broadcast(tensor: &Tensor, shape: &[u32]) -> Option<Vec<i64>> {
    let missing = shape.len().checked_sub(tensor.shape.len())?;
    let mut steps = vec![0i64; shape.len()];
    let mut step = 1i64;
    for (i, &dim) in tensor.shape.iter().enumerate().rev() {
        if dim != 1 {
            if dim != shape[missing + i] {
                return None;
            }
            steps[missing + i] = step;
        }
        step = step.checked_mul(i64::from(dim))?;
    }
    let item = tensor.dtype.size()?;
    let bytes = walk(tensor.bytes()?, item, 0, shape, &steps)?;
    Tensor::constant("", tensor.dtype, shape.to_vec(), bytes).integers()
}

#[cfg(test)]
mod tests {
    use super::fold;
    use crate::graph::{ElementType, Tensor};
    use crate::testing::{Builder, names};
    use crate::tflite::{Activation, SliceMasks, TfliteOp};

    #[test]
    fn the_shape_arithmetic_of_a_flatten_becomes_a_constant() {
        let mut b = Builder::default();
        let x = b.input(&[2, 3, 4]);
        let (shape, batch, target) = (b.int32(&[3]), b.int32(&[]), b.int32(&[2]));
        b.node(TfliteOp::Shape, &[x], &[shape]);
        let (zero, one, rest) = (b.ints(&[0]), b.ints(&[1]), b.ints(&[12]));
        b.graph.tensors[rest].shape.clear();
        let masks = SliceMasks { begin: 0, end: 0, ellipsis: 0, new_axis: 0, shrink_axis: 1 };
        b.node(TfliteOp::StridedSlice(masks), &[shape, zero, one, one], &[batch]);
        b.node(TfliteOp::Pack { axis: 0 }, &[batch, rest], &[target]);
        let y = b.int8(&[2, 12]);
        b.node(TfliteOp::Reshape { new_shape: None }, &[x, target], &[y]);
        let graph = fold(b.output(y)).unwrap();
        assert_eq!(names(&graph), ["RESHAPE"]);
        assert_eq!(graph.tensors[target].integers().unwrap(), [2, 12]);
    }

    #[test]
    fn integer_arithmetic_broadcasts() {
        let mut b = Builder::default();
        let (a, two) = (b.ints(&[10, -7, 3]), b.ints(&[2]));
        let outputs = [b.int32(&[3]), b.int32(&[3]), b.int32(&[3])];
        b.node(TfliteOp::Mul(Activation::None), &[a, two], &[outputs[0]]);
        b.node(TfliteOp::FloorDiv, &[a, two], &[outputs[1]]);
        b.node(TfliteOp::Maximum, &[two, a], &[outputs[2]]);
        let graph = fold(b.output(outputs[2])).unwrap();
        assert!(graph.nodes.is_empty());
        let values = outputs.map(|id| graph.tensors[id].integers().unwrap());
        assert_eq!(values, [[20, -14, 6], [5, -4, 1], [10, 2, 3]]);
    }

    #[test]
    fn a_transposed_constant_is_stored_transposed() {
        let mut b = Builder::default();
        let (w, perm, y) = (b.weights(&[2, 3], &[1, 2, 3, 4, 5, 6]), b.ints(&[1, 0]), b.int8(&[3, 2]));
        b.node(TfliteOp::Transpose, &[w, perm], &[y]);
        let graph = fold(b.output(y)).unwrap();
        assert_eq!(graph.tensors[y].integers().unwrap(), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn weights_in_half_precision_become_float32() {
        let mut b = Builder::default();
        // 1, -2, the least subnormal.
        let half = Tensor::constant("half", ElementType::F16, vec![3], [0, 0x3c, 0, 0xc0, 1, 0]);
        let (half, y) = (b.graph.add(half), b.graph.add(Tensor::computed("y", ElementType::F32, vec![3])));
        b.node(TfliteOp::Dequantize, &[half], &[y]);
        let graph = fold(b.output(y)).unwrap();
        assert_eq!(graph.tensors[y].reals().unwrap(), [1.0, -2.0, 2f32.powi(-24)]);
    }

    #[test]
    fn arithmetic_that_overflows_or_divides_by_zero_is_left_alone() {
        let mut b = Builder::default();
        let (a, zero, y) = (b.ints(&[i32::MAX]), b.ints(&[0]), b.int32(&[1]));
        b.node(TfliteOp::Div(Activation::None), &[a, zero], &[y]);
        let z = b.int32(&[1]);
        b.node(TfliteOp::Add(Activation::None), &[a, a], &[z]);
        assert_eq!(names(&fold(b.output(z)).unwrap()), ["DIV", "ADD"]);
    }
}
