//! Products of matrices, reductions, softmax and normalizations.

use super::Outputs;
use super::movement::axis;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant};
use crate::import::onnx::network::{Network, Node, Stored, Value};
use crate::ir::graph::{ElementType, TensorId, broadcast_shape, dimension_of};
use crate::ir::{Activation, Op};
use tealight_format::Operator;
use tealight_format::ops::{BatchMatMulF32, LayerNormF32, UnaryFunction as F};

impl Network<'_> {
    /// Emits a layer of a value `[.., K]` with weights `[N, K]` and a bias.
    fn layer(&mut self, value: &Value, weights: &Constant, name: &str, bias: Option<TensorId>) -> Result<Value> {
        let shape = self.shape(value);
        let (&[outputs, depth], Some((&last, before))) = (&weights.shape[..], shape.split_last()) else {
            return Err(self.invalid("its weights are not a matrix"));
        };
        if last != depth || weights.shape.contains(&0) {
            return Err(self.invalid(format!("its weights {:?} do not fit its input {shape:?}", weights.shape)));
        }
        if weights.dtype != ElementType::F32 {
            return Err(self.refuse(format!("float32 weights, not {}", weights.dtype)));
        }
        let (id, weights) = match value {
            Value::Stored(Stored { id, columns: Some(columns), .. }) => {
                self.make(weights.bytes.len())?;
                let moved = weights.bytes.chunks_exact(4 * depth as usize).flat_map(|row| {
                    columns.iter().flat_map(move |&column| row[4 * column as usize..][..4].iter().copied())
                });
                let moved = Constant { bytes: moved.collect(), ..weights.clone() };
                self.remember_as(weights, &moved);
                (*id, moved)
            }
            _ => (self.in_order(value, "")?, weights.clone()),
        };
        if self.graph.tensors[id].dtype != ElementType::F32 {
            return Err(self.refuse("a float32 input"));
        }
        let weights = self.add_constant(name, &weights)?;
        let shape = [before, &[outputs]].concat();
        let inputs = vec![Some(id), Some(weights), bias];
        let output = self.emit_optional(Op::FullyConnected(Activation::None), inputs, shape)?;
        Ok(self.plain(output))
    }

    /// Returns the tensor of a matrix, and whether it is stored transposed.
    fn matrix(&mut self, value: &Value, name: &str) -> Result<(TensorId, bool)> {
        let order = self.order(value);
        let rank = order.len();
        let mut turned: Vec<usize> = (0..rank).collect();
        turned.swap(rank - 2, rank - 1);
        let id = if order == turned { self.arrange(value, &turned, name)? } else { self.in_order(value, name)? };
        if self.graph.tensors[id].dtype != ElementType::F32 {
            return Err(self.refuse("float32"));
        }
        Ok((id, order == turned))
    }

    /// Emits the product of two computed values.
    pub(super) fn product(&mut self, operands: [&Value; 2], names: [&str; 2], transpose: [bool; 2]) -> Result<Value> {
        let [a, b] = operands;
        let (of_a, of_b) = (self.shape(a), self.shape(b));
        let (rank_a, rank_b) = (of_a.len(), of_b.len());
        let side = |shape: &[u32], transposed: bool| {
            let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
            if transposed { [columns, rows] } else { [rows, columns] }
        };
        let ([rows, inner], [b_inner, columns]) = (side(&of_a, transpose[0]), side(&of_b, transpose[1]));
        let batch = broadcast_shape(&of_a[..rank_a - 2], &of_b[..rank_b - 2]);
        let Some(batch) = batch.filter(|_| inner == b_inner) else {
            return Err(self.invalid(format!("it multiplies {of_a:?} and {of_b:?}")));
        };
        let all = constant::count(&batch);
        let fits = |shape: &[u32]| {
            let count = constant::count(&shape[..shape.len() - 2]);
            count == all || count == Some(1)
        };
        if !fits(&of_a) || !fits(&of_b) {
            return Err(self.refuse("operands with as many matrices, or one"));
        }
        let ((a, stored_a), (b, stored_b)) = (self.matrix(a, names[0])?, self.matrix(b, names[1])?);
        let shape = [&batch[..], &[rows, columns]].concat();
        let operator = BatchMatMulF32 { transpose_a: transpose[0] != stored_a, transpose_b: transpose[1] != stored_b };
        let output = self.emit(Operator::BatchMatMulF32(operator), &[a, b], shape)?;
        Ok(self.plain(output))
    }

    /// Emits a reduction over `axes`.
    pub(super) fn reduce(&mut self, op: Op, value: &Value, axes: &[usize], keep: bool) -> Result<Value> {
        let order = self.order(value);
        let id = self.float(value)?;
        let places: Vec<usize> = (0..order.len()).filter(|&i| axes.contains(&order[i])).collect();
        let shape = self.graph.tensors[id].shape.iter().enumerate();
        let shape: Vec<u32> = shape
            .filter(|(i, _)| keep || !places.contains(i))
            .map(|(i, &dim)| if places.contains(&i) { 1 } else { dim })
            .collect();
        let order: Vec<usize> = if keep {
            order
        } else {
            let below = |axis: usize| (0..axis).filter(|axis| !axes.contains(axis)).count();
            order.into_iter().filter(|axis| !axes.contains(axis)).map(below).collect()
        };
        let list: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let list = self.axes(&list)?;
        Ok(Self::stored(self.emit(op, &[id, list], shape)?, order))
    }

    /// Returns `1 / √(variance + epsilon)` over `axes` of a value whose mean there is 0.
    fn inverse_deviation(&mut self, centred: &Value, axes: &[usize], epsilon: f32) -> Result<Value> {
        let square = self.function(centred, F::Square)?;
        let variance = self.reduce(Op::Mean, &square, axes, true)?;
        let variance = self.with_number(Op::Add(Activation::None), &variance, epsilon)?;
        self.function(&variance, F::Rsqrt)
    }

    /// Returns a value with `axis` stored last.
    fn with_last(&mut self, value: &Value, axis: usize) -> Result<(TensorId, Vec<usize>)> {
        let mut order = self.order(value);
        if order.last() != Some(&axis) {
            order.retain(|&other| other != axis);
            order.push(axis);
        }
        let id = self.arrange(value, &order, "")?;
        match self.graph.tensors[id].dtype {
            ElementType::F32 => Ok((id, order)),
            other => Err(self.refuse(format!("float32, not {other}"))),
        }
    }
}

pub(super) fn gemm(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (value, weights) = (n.input(node, 0)?, n.input(node, 1)?);
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let (of_a, of_b) = (node.int("transA", 0) != 0, node.int("transB", 0) != 0);
    if n.shape(value).len() != 2 || n.shape(weights).len() != 2 {
        return Err(n.invalid("its operands are not matrices"));
    }
    let mut result = match weights {
        Value::Constant(weights) => {
            let mut weights = if of_b { weights.clone() } else { n.transposed(weights, &[1, 0])? };
            if alpha != 1.0 {
                let values = weights.as_floats().ok_or_else(|| n.refuse("float32 weights"))?;
                n.make(weights.bytes.len())?;
                weights = Constant::floats(&weights.shape, &values.iter().map(|w| w * alpha).collect::<Vec<_>>());
            }
            let value = match value {
                Value::Stored(Stored { id, order, columns: None }) if of_a => {
                    Network::stored(*id, order.iter().map(|axis| 1 - axis).collect())
                }
                Value::Constant(constant) if of_a => Value::Constant(n.transposed(constant, &[1, 0])?),
                Value::Stored(Stored { columns: Some(_), .. }) if of_a => return Err(n.refuse("transA of 0")),
                value => value.clone(),
            };
            n.layer(&value, &weights, node.name(1), None)?
        }
        _ => {
            let product = n.product([value, weights], [node.name(0), node.name(1)], [of_a, of_b])?;
            if alpha == 1.0 { product } else { n.with_number(Op::Mul(Activation::None), &product, alpha)? }
        }
    };
    if let Some(term) = node.inputs.get(2).and_then(Option::as_ref) {
        let term = match term {
            _ if beta == 1.0 => term.clone(),
            Value::Constant(constant) => {
                let values = constant.as_floats().ok_or_else(|| n.refuse("float32"))?;
                n.make(constant.bytes.len())?;
                Value::Constant(Constant::floats(&constant.shape, &values.iter().map(|c| c * beta).collect::<Vec<_>>()))
            }
            _ => n.with_number(Op::Mul(Activation::None), term, beta)?,
        };
        // One number for all columns.
        let columns = n.shape(&result)[1];
        let term = match term {
            Value::Constant(constant) if constant.elements() == 1 => {
                Value::Constant(constant.broadcast(&[columns]).ok_or_else(|| n.invalid("it is too large"))?)
            }
            term => term,
        };
        result = match n.add_bias(&result, &term, node.name(2))? {
            Some(result) => result,
            None => n.pairwise(Op::Add(Activation::None), [&result, &term], ["", node.name(2)])?,
        };
    }
    Ok(vec![result])
}

pub(super) fn mat_mul(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (a, b) = (n.input(node, 0)?, n.input(node, 1)?);
    let (of_a, of_b) = (n.shape(a), n.shape(b));
    if of_a.is_empty() || of_b.is_empty() {
        return Err(n.invalid("an operand has no dimension"));
    }
    // Lists are a row on the left and a column on the right; that dimension is not in the result.
    let left = if of_a.len() == 1 { n.with_shape(a, vec![1, of_a[0]])? } else { a.clone() };
    let right = if of_b.len() == 1 { n.with_shape(b, vec![of_b[0], 1])? } else { b.clone() };
    let mut result = match &right {
        Value::Constant(weights) if weights.shape.len() == 2 => {
            let weights = n.transposed(weights, &[1, 0])?;
            n.layer(&left, &weights, node.name(1), None)?
        }
        _ => n.product([&left, &right], [node.name(0), node.name(1)], [false, false])?,
    };
    let mut shape = n.shape(&result);
    if of_b.len() == 1 {
        shape.pop();
    }
    if of_a.len() == 1 {
        shape.remove(shape.len() - if of_b.len() == 1 { 1 } else { 2 });
    }
    if shape != n.shape(&result) {
        result = n.with_shape(&result, shape)?;
    }
    Ok(vec![result])
}

pub(super) fn reduction(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let rank = n.shape(value).len();
    let list = match node.ints("axes") {
        Some(list) => Some(list.to_vec()),
        None => n.integers(node, 1)?,
    };
    let keep = node.int("keepdims", 1) != 0;
    let axes: Vec<usize> = match list {
        Some(list) if !list.is_empty() => list.iter().map(|&at| axis(n, at, rank)).collect::<Result<_>>()?,
        _ if node.int("noop_with_empty_axes", 0) != 0 => return Ok(vec![value.clone()]),
        _ => (0..rank).collect(),
    };
    if let Value::Constant(constant) = value
        && let Some(result) = constant::reduce(&node.op, constant, &axes, keep)
    {
        return Ok(vec![Value::Constant(result)]);
    }
    Ok(vec![match node.op.as_str() {
        "ReduceMean" => n.reduce(Op::Mean, value, &axes, keep)?,
        "ReduceSum" => n.reduce(Op::Sum, value, &axes, keep)?,
        "ReduceMax" => n.reduce(Op::ReduceMax, value, &axes, keep)?,
        "ReduceMin" => n.reduce(Op::ReduceMin, value, &axes, keep)?,
        "ReduceL1" => {
            let absolute = n.function(value, F::Abs)?;
            n.reduce(Op::Sum, &absolute, &axes, keep)?
        }
        "ReduceSumSquare" | "ReduceL2" => {
            let square = n.function(value, F::Square)?;
            let sum = n.reduce(Op::Sum, &square, &axes, keep)?;
            if node.op == "ReduceL2" { n.function(&sum, F::Sqrt)? } else { sum }
        }
        "ReduceLogSumExp" => {
            // Less the maximum, so that no power overflows.
            let maximum = n.reduce(Op::ReduceMax, value, &axes, true)?;
            let shifted = n.pairwise(Op::Sub(Activation::None), [value, &maximum], ["", ""])?;
            let powers = n.function(&shifted, F::Exp)?;
            let sum = n.reduce(Op::Sum, &powers, &axes, true)?;
            let log = n.function(&sum, F::Log)?;
            let result = n.pairwise(Op::Add(Activation::None), [&log, &maximum], ["", ""])?;
            let shape = n.shape(&result).into_iter().enumerate();
            let shape = shape.filter(|(i, _)| keep || !axes.contains(i)).map(|(_, dim)| dim).collect();
            n.with_shape(&result, shape)?
        }
        "ReduceLogSum" => {
            let sum = n.reduce(Op::Sum, value, &axes, keep)?;
            n.function(&sum, F::Log)?
        }
        "ReduceProd" => n.reduce(Op::ReduceProd, value, &axes, keep)?,
        _ => return Err(n.refuse("constant integers")),
    }])
}

/// The index of the largest or smallest element along an axis.
pub(super) fn arg_min_max(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let at = axis(n, node.int("axis", 0), n.shape(value).len())?;
    let op = Op::ArgMinMax { smallest: node.op == "ArgMin", last: node.int("select_last_index", 0) != 0 };
    Ok(vec![n.reduce(op, value, &[at], node.int("keepdims", 1) != 0)?])
}

/// The largest or smallest elements along an axis, and their indices.
pub(super) fn top_k(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let mut shape = n.shape(value);
    let at = axis(n, node.int("axis", -1), shape.len())?;
    let count = match node.opset {
        ..10 => Some(node.int("k", 0)),
        _ => n.integers(node, 1)?.and_then(|list| list.first().copied()),
    };
    let count = count.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=shape[at]).contains(count));
    let count = count.ok_or_else(|| n.invalid(format!("its number of elements is none of 1 to {}", shape[at])))?;
    // The axis is stored last.
    let order: Vec<usize> = n.order(value).into_iter().filter(|&other| other != at).chain([at]).collect();
    let id = n.arrange(value, &order, node.name(0))?;
    if n.graph.tensors[id].dtype != ElementType::F32 {
        return Err(n.refuse("float32"));
    }
    shape[at] = count;
    let stored: Vec<u32> = order.iter().map(|&axis| shape[axis]).collect();
    let list = n.axes(&[i64::from(count)])?;
    let smallest = node.int("largest", 1) == 0;
    let outputs = n.emit_pair(Op::TopK { smallest }, &[id, list], stored, ElementType::I32)?;
    Ok(outputs.map(|id| Network::stored(id, order.clone())).to_vec())
}

/// The distance to the mean, in standard deviations.
pub(super) fn mean_variance(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let rank = n.shape(value).len();
    let axes = node.ints("axes").unwrap_or(&[0, 2, 3]);
    let axes: Vec<usize> = axes.iter().map(|&at| axis(n, at, rank)).collect::<Result<_>>()?;
    let mean = n.reduce(Op::Mean, value, &axes, true)?;
    let centred = n.pairwise(Op::Sub(Activation::None), [value, &mean], ["", ""])?;
    let square = n.function(&centred, F::Square)?;
    let variance = n.reduce(Op::Mean, &square, &axes, true)?;
    let deviation = n.function(&variance, F::Sqrt)?;
    let deviation = n.with_number(Op::Add(Activation::None), &deviation, 1e-9)?;
    Ok(vec![n.pairwise(Op::Div(Activation::None), [&centred, &deviation], ["", ""])?])
}

/// Each element divided by a power of the squares of the channels around it.
pub(super) fn local_response(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let size = node.int("size", 0);
    let (alpha, beta, bias) = (node.float("alpha", 1e-4), node.float("beta", 0.75), node.float("bias", 1.0));
    let fits = shape.len() >= 2 && (1..=64).contains(&size) && bias > 0.0;
    let Some(&channels) = shape.get(1).filter(|_| fits) else { return Err(n.refuse("a size of 1 to 64, and a bias")) };
    let square = n.function(value, F::Square)?;
    let before = (size - 1) / 2;
    let mut sum = square.clone();
    for distance in (1..=before.max(size - 1 - before)).filter(|&distance| distance < i64::from(channels)) {
        for (reach, reverse) in [(before, false), (size - 1 - before, true)] {
            if distance <= reach {
                let moved = n.shifted(&square, 1, distance as u32, reverse)?;
                sum = n.pairwise(Op::Add(Activation::None), [&sum, &moved], ["", ""])?;
            }
        }
    }
    let scaled = n.with_number(Op::Mul(Activation::None), &sum, alpha / size as f32)?;
    let base = n.with_number(Op::Add(Activation::None), &scaled, bias)?;
    // The base is above 0.
    let log = n.function(&base, F::Log)?;
    let product = n.with_number(Op::Mul(Activation::None), &log, -beta)?;
    let factor = n.function(&product, F::Exp)?;
    Ok(vec![n.pairwise(Op::Mul(Activation::None), [value, &factor], ["", ""])?])
}

/// Means and maxima over all pixels.
pub(super) fn global_pool(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let axes: Vec<usize> = (2..n.shape(value).len()).collect();
    if axes.is_empty() {
        return Err(n.refuse("an image"));
    }
    let op = if node.op == "GlobalMaxPool" { Op::ReduceMax } else { Op::Mean };
    Ok(vec![n.reduce(op, value, &axes, true)?])
}

pub(super) fn softmax(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let rank = shape.len();
    if rank == 0 {
        return Err(n.refuse("an input with a dimension"));
    }
    let at = axis(n, node.int("axis", if node.opset < 13 { 1.min(rank as i64 - 1) } else { -1 }), rank)?;
    // Before version 13, all dimensions from the axis on are one.
    let (value, at) = if node.opset < 13 && shape[at + 1..].iter().any(|&dim| dim != 1) {
        (n.with_shape(value, vec![dimension_of(&shape[..at]), dimension_of(&shape[at..])])?, 1)
    } else {
        (value.clone(), at)
    };
    let result = if node.op == "LogSoftmax" {
        let maximum = n.reduce(Op::ReduceMax, &value, &[at], true)?;
        let shifted = n.pairwise(Op::Sub(Activation::None), [&value, &maximum], ["", ""])?;
        let powers = n.function(&shifted, F::Exp)?;
        let sum = n.reduce(Op::Sum, &powers, &[at], true)?;
        let log = n.function(&sum, F::Log)?;
        n.pairwise(Op::Sub(Activation::None), [&shifted, &log], ["", ""])?
    } else {
        let (id, order) = n.with_last(&value, at)?;
        let dims = n.graph.tensors[id].shape.clone();
        Network::stored(n.emit(Op::Softmax { beta: 1.0 }, &[id], dims)?, order)
    };
    Ok(vec![n.with_shape(&result, shape)?])
}

pub(super) fn layer_normalization(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let at = axis(n, node.int("axis", -1), shape.len())?;
    let wanted = |k: usize| node.outputs.get(k).is_some_and(|name| !name.is_empty());
    let (mut mean, mut factor) = (Value::Failed, Value::Failed);
    if wanted(1) || wanted(2) {
        let axes: Vec<usize> = (at..shape.len()).collect();
        mean = n.reduce(Op::Mean, value, &axes, true)?;
        let centred = n.pairwise(Op::Sub(Activation::None), [value, &mean], ["", ""])?;
        factor = n.inverse_deviation(&centred, &axes, node.float("epsilon", 1e-5))?;
    }
    let depth = dimension_of(&shape[at..]);
    let weights = n.constant(node, 1)?;
    let wrong = |n: &Network<'_>| n.refuse(format!("constant float32 scale and bias of {depth} elements"));
    if weights.elements() != depth as usize || weights.dtype != ElementType::F32 {
        return Err(wrong(n));
    }
    let weights = n.add_constant(node.name(1), &weights.reshaped(vec![depth]))?;
    let bias = match node.inputs.get(2).and_then(Option::as_ref) {
        None => None,
        Some(Value::Constant(bias)) if bias.elements() == depth as usize && bias.dtype == ElementType::F32 => {
            Some(n.add_constant(node.name(2), &bias.reshaped(vec![depth]))?)
        }
        Some(_) => return Err(wrong(n)),
    };
    let flat = n.with_shape(value, [&shape[..at], &[depth]].concat())?;
    let (id, order) = n.with_last(&flat, at)?;
    let dims = n.graph.tensors[id].shape.clone();
    let operator = Operator::LayerNormF32(LayerNormF32 { epsilon: node.float("epsilon", 1e-5) });
    let output = n.emit_optional(operator, vec![Some(id), Some(weights), bias], dims)?;
    Ok(vec![n.with_shape(&Network::stored(output, order), shape)?, mean, factor])
}

pub(super) fn instance_normalization(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let axes: Vec<usize> = (2..shape.len()).collect();
    let Some(&channels) = shape.get(1).filter(|_| !axes.is_empty()) else { return Err(n.refuse("an image")) };
    let along: Vec<u32> = (0..shape.len()).map(|i| if i == 1 { channels } else { 1 }).collect();
    let mut constants = Vec::new();
    for k in 1..3 {
        let constant = n.constant(node, k)?;
        if constant.elements() != channels as usize {
            return Err(n.invalid(format!("input {k} is not one number for each of {channels} channels")));
        }
        constants.push(Value::Constant(constant.reshaped(along.clone())));
    }
    let mean = n.reduce(Op::Mean, value, &axes, true)?;
    let centred = n.pairwise(Op::Sub(Activation::None), [value, &mean], ["", ""])?;
    let factor = n.inverse_deviation(&centred, &axes, node.float("epsilon", 1e-5))?;
    let scaled = n.pairwise(Op::Mul(Activation::None), [&centred, &factor], ["", ""])?;
    let scaled = n.pairwise(Op::Mul(Activation::None), [&scaled, &constants[0]], ["", node.name(1)])?;
    Ok(vec![n.pairwise(Op::Add(Activation::None), [&scaled, &constants[1]], ["", node.name(2)])?])
}
