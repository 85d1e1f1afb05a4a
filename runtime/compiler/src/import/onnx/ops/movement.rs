//! Operators that only move elements.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant, padded};
use crate::import::onnx::network::{NHWC, Network, Node, Stored, Value};
use crate::ir::graph::{ElementType, TensorId, broadcast_shape};
use crate::ir::{Activation, Op, SliceMasks};
use crate::slice::{self, MAX_PIECES};
use std::rc::Rc;
use tealight_format::Operator;
use tealight_format::ops::GatherF32;

/// Returns the dimension that an axis means, from the end if it is negative.
pub(super) fn axis(n: &Network<'_>, axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| n.invalid(format!("its axis {axis} is none of {rank} dimensions")))
}

/// Returns the shape of a Reshape.
fn target(n: &Network<'_>, from: &[u32], dims: &[i64], allow_zero: bool) -> Result<Vec<u32>> {
    let wrong = || n.invalid(format!("it makes the shape {dims:?} from {from:?}"));
    let mut shape = Vec::new();
    let mut open = None;
    for (i, &dim) in dims.iter().enumerate() {
        shape.push(match dim {
            0 if !allow_zero => *from.get(i).ok_or_else(wrong)?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            _ => u32::try_from(dim).map_err(|_| wrong())?,
        });
    }
    let (all, known) = (constant::count(from).ok_or_else(wrong)?, constant::count(&shape).ok_or_else(wrong)?);
    if let Some(open) = open {
        shape[open] = all.checked_div(known).and_then(|rest| u32::try_from(rest).ok()).ok_or_else(wrong)?;
    }
    if constant::count(&shape) == Some(all) { Ok(shape) } else { Err(wrong()) }
}

/// Splits two shapes of as many elements into runs of dimensions with as many elements each. Dimensions of length 1 are
/// left out.
fn runs(from: &[u32], to: &[u32]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let long = |shape: &[u32]| -> Vec<usize> { (0..shape.len()).filter(|&i| shape[i] != 1).collect() };
    let (mut from_long, mut to_long) = (long(from).into_iter().peekable(), long(to).into_iter().peekable());
    let mut runs = Vec::new();
    while from_long.peek().is_some() || to_long.peek().is_some() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let (mut product_a, mut product_b) = (1u64, 1u64);
        loop {
            if product_a <= product_b
                && let Some(i) = from_long.next()
            {
                product_a = product_a.saturating_mul(from[i].into());
                a.push(i);
            } else if let Some(i) = to_long.next() {
                product_b = product_b.saturating_mul(to[i].into());
                b.push(i);
            } else if let Some(i) = from_long.next() {
                product_a = product_a.saturating_mul(from[i].into());
                a.push(i);
            } else {
                break;
            }
            if product_a == product_b {
                break;
            }
        }
        runs.push((a, b));
    }
    runs
}

/// Returns the order in which the reshaped value is stored if its bytes stay where they are; `None` if they cannot.
///
/// A dimension may be split wherever it is stored; dimensions that are merged must be stored one after another.
fn reshaped_order(from: &[u32], order: &[usize], to: &[u32]) -> Option<Vec<usize>> {
    let place = |axis: usize| order.iter().filter(|&&axis| from[axis] != 1).position(|&other| other == axis);
    let mut placed = Vec::new();
    for (a, b) in runs(from, to) {
        let places: Vec<usize> = a.iter().map(|&axis| place(axis)).collect::<Option<_>>()?;
        if places.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            return None;
        }
        placed.push((*places.first()?, b));
    }
    placed.sort();
    let mut result: Vec<usize> = placed.into_iter().flat_map(|(_, axes)| axes).collect();
    // A dimension of length 1 is stored before the next longer one of the value, or after the one before it.
    for axis in (0..to.len()).filter(|&axis| to[axis] == 1) {
        if to[..axis].iter().all(|&dim| dim == 1) {
            // Those in front stay there.
            result.insert(axis, axis);
            continue;
        }
        let position = |other: usize| result.iter().position(|&stored| stored == other);
        let next = (axis + 1..to.len()).find(|&next| to[next] != 1).and_then(position);
        let at = next.or_else(|| axis.checked_sub(1).and_then(position).map(|before| before + 1));
        result.insert(at.unwrap_or(result.len()), axis);
    }
    Some(result)
}

/// Returns an order in which the dimensions that a reshape merges are one after another, each group at the place of the
/// last of them.
fn gathered_order(from: &[u32], order: &[usize], to: &[u32]) -> Vec<usize> {
    let mut result = order.to_vec();
    for (group, _) in runs(from, to) {
        let Some(last) = result.iter().rposition(|axis| group.contains(axis)) else { continue };
        let at = result[..=last].iter().filter(|axis| !group.contains(axis)).count();
        result.retain(|axis| !group.contains(axis));
        result.splice(at..at, group);
    }
    result
}

impl Network<'_> {
    /// Returns a value under another shape with as many elements.
    pub(super) fn with_shape(&mut self, value: &Value, shape: Vec<u32>) -> Result<Value> {
        let stored = match value {
            Value::Constant(constant) => return Ok(Value::Constant(constant.reshaped(shape))),
            Value::Stored(stored) => stored,
            Value::Failed => return Ok(Value::Failed),
        };
        let from = self.shape(value);
        if from == shape {
            return Ok(value.clone());
        }
        if let Some(order) = reshaped_order(&from, &stored.order, &shape).filter(|_| stored.columns.is_none()) {
            let dims = order.iter().map(|&axis| shape[axis]).collect();
            return Ok(Self::stored(self.reshape(stored.id, dims)?, order));
        }
        // One transposition brings the dimensions that are merged together; the others stay where they are.
        let order = gathered_order(&from, &stored.order, &shape);
        let id = self.arrange(value, &order, "")?;
        let Some(order) = reshaped_order(&from, &order, &shape) else {
            return Err(self.invalid(format!("it makes the shape {shape:?} from {from:?}")));
        };
        let dims = order.iter().map(|&axis| shape[axis]).collect();
        Ok(Self::stored(self.reshape(id, dims)?, order))
    }

    /// Returns an image that is flattened to rows without a transposition, if only layers with constant weights read it.
    fn flattened(&mut self, node: &Node, value: &Value, shape: &[u32]) -> Result<Option<Value>> {
        let Value::Stored(Stored { id, order, columns: None }) = value else { return Ok(None) };
        let from = self.shape(value);
        let &[rows, depth] = shape else { return Ok(None) };
        // More columns than a layer of a microcontroller has are left to a transposition.
        if order.is_sorted() || from.first() != Some(&rows) || order.first() != Some(&0) || depth > 1 << 20 {
            return Ok(None);
        }
        let name = node.outputs.first().map_or("", String::as_str);
        if !self.only_layers_read(name, 0) {
            return Ok(None);
        }
        let columns = Constant::ints(ElementType::I32, &from[1..], &(0..i64::from(depth)).collect::<Vec<_>>());
        let moves: Vec<usize> = order[1..].iter().map(|axis| axis - 1).collect();
        self.make(4 * depth as usize)?;
        let columns = columns.and_then(|columns| columns.transposed(&moves)?.as_ints());
        let Some(columns) = columns else { return Ok(None) };
        let id = self.reshape(*id, vec![rows, depth])?;
        let columns: Rc<[u32]> = columns.into_iter().map(|column| column as u32).collect();
        Ok(Some(Value::Stored(Stored { id, order: vec![0, 1], columns: Some(columns) })))
    }

    /// Returns whether all readers of a value are Gemm or MatMul with constant weights.
    fn only_layers_read(&self, name: &str, depth: usize) -> bool {
        let Some(readers) = self.readers.get(name) else { return false };
        let reads = readers.len() == self.uses.get(name).copied().unwrap_or(0) && !readers.is_empty();
        reads
            && readers.iter().all(|(op, input, names)| match op.as_str() {
                "Gemm" | "MatMul" => {
                    let weights = names.get(1).and_then(|name| self.values.get(name));
                    *input == 0 && matches!(weights, Some(Value::Constant(weights)) if weights.shape.len() == 2)
                }
                "Identity" | "Dropout" | "QuantizeLinear" | "DequantizeLinear" => {
                    *input == 0 && depth < 8 && names.last().is_some_and(|name| self.only_layers_read(name, depth + 1))
                }
                _ => false,
            })
    }

    /// Emits the part of a tensor that begins at `begin`, in these steps.
    fn part(&mut self, id: TensorId, begin: &[i64], stride: &[i64], shape: Vec<u32>) -> Result<TensorId> {
        if self.graph.tensors[id].shape == shape && stride.iter().all(|&stride| stride == 1) {
            return Ok(id);
        }
        let from = self.axes(begin)?;
        let lengths: Vec<i64> = shape.iter().map(|&dim| i64::from(dim)).collect();
        if stride.iter().all(|&stride| stride == 1) {
            let lengths = self.axes(&lengths)?;
            return self.emit(Op::Slice, &[id, from, lengths], shape);
        }
        let (mut end, mut mask) = (Vec::new(), 0);
        for (i, (&begin, &stride)) in begin.iter().zip(stride).enumerate() {
            let last = begin + (lengths[i] - 1) * stride + stride.signum();
            if last < 0 {
                mask |= 1 << i;
            }
            end.push(last.max(0));
        }
        let (end, stride) = (self.axes(&end)?, self.axes(stride)?);
        let masks = SliceMasks { begin: 0, end: mask, ellipsis: 0, new_axis: 0, shrink_axis: 0 };
        self.emit(Op::StridedSlice(masks), &[id, from, end, stride], shape)
    }

    /// Returns the indices `begin` to `begin + length * stride` of a value along an axis.
    pub(super) fn along(&mut self, value: &Value, axis: usize, begin: i64, length: u32, stride: i64) -> Result<Value> {
        let order = self.order(value);
        let id = self.arrange(value, &order, "")?;
        let mut shape = self.graph.tensors[id].shape.clone();
        let at = order.iter().position(|&stored| stored == axis).unwrap_or(0);
        shape[at] = length;
        let (mut begins, mut strides) = (vec![0; order.len()], vec![1; order.len()]);
        (begins[at], strides[at]) = (begin, stride);
        Ok(Self::stored(self.part(id, &begins, &strides, shape)?, order))
    }

    /// Returns a value whose dimension i is dimension `moves[i]` of `value`. Its bytes stay where they are.
    pub(super) fn moved(&mut self, value: &Value, moves: &[usize]) -> Result<Value> {
        Ok(match value {
            Value::Constant(constant) => Value::Constant(self.transposed(constant, moves)?),
            Value::Stored(Stored { id, order, .. }) => {
                let place = |axis: &usize| moves.iter().position(|moved| moved == axis).unwrap_or(0);
                Self::stored(*id, order.iter().map(place).collect())
            }
            Value::Failed => Value::Failed,
        })
    }

    /// Returns the elements of a value that the indices `list`, which are inside of it, name along an axis.
    pub(super) fn taken(&mut self, value: &Value, axis: usize, list: &[i64]) -> Result<Value> {
        if let Value::Constant(constant) = value {
            let each = constant.bytes.len() / constant.shape[axis].max(1) as usize;
            self.make(list.len().saturating_mul(each))?;
            let result = constant::gather(constant, &Constant::list(list), axis);
            return result.map(Value::Constant).ok_or_else(|| self.refuse("fewer elements"));
        }
        let runs = slice::runs(list);
        if runs.is_empty() || runs.len() > MAX_PIECES {
            return Err(self.refuse(format!("indices that are 1 to {MAX_PIECES} pieces, not {}", runs.len())));
        }
        let mut pieces = Vec::new();
        for [first, count, step] in runs {
            pieces.push(self.along(value, axis, first, count as u32, step)?);
        }
        self.join(&pieces, &[], axis)
    }

    /// Joins values along an axis, in the order of the first of them that is not stored in its own.
    pub(super) fn join(&mut self, values: &[Value], names: &[String], axis: usize) -> Result<Value> {
        let orders: Vec<Vec<usize>> = values.iter().map(|value| self.order(value)).collect();
        let order = orders.iter().find(|order| !order.is_sorted()).or(orders.first()).cloned().unwrap_or_default();
        let at = order.iter().position(|&stored| stored == axis).unwrap_or(0);
        let mut ids = Vec::new();
        for (k, value) in values.iter().enumerate() {
            if self.shape(value).len() != order.len() {
                return Err(self.invalid("its inputs have different numbers of dimensions"));
            }
            if self.shape(value).contains(&0) {
                continue;
            }
            ids.push(self.arrange(value, &order, names.get(k).map_or("", String::as_str))?);
        }
        let (Some(&first), false) = (ids.first(), ids.len() > MAX_PIECES) else {
            return Err(self.refuse(format!("1 to {MAX_PIECES} tensors")));
        };
        let mut shape = self.graph.tensors[first].shape.clone();
        shape[at] = 0;
        for &id in &ids {
            let dims = &self.graph.tensors[id].shape;
            if dims.iter().zip(&shape).enumerate().any(|(i, (a, b))| i != at && a != b) {
                return Err(self.invalid(format!("it joins {dims:?} and {shape:?} along dimension {at}")));
            }
            shape[at] = shape[at].checked_add(dims[at]).ok_or_else(|| self.invalid("it is too large"))?;
        }
        if let &[only] = &ids[..] {
            return Ok(Self::stored(only, order));
        }
        let op = Op::Concat { axis: at as i32, activation: Activation::None };
        Ok(Self::stored(self.emit(op, &ids, shape)?, order))
    }
}

pub(super) fn reshape(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let from = n.shape(value);
    let rank = from.len();
    let list = |n: &Network<'_>, attribute: &str| -> Result<Option<Vec<i64>>> {
        // An attribute of older versions, an input of newer ones.
        match node.ints(attribute) {
            Some(list) => Ok(Some(list.to_vec())),
            None => n.integers(node, 1),
        }
    };
    let shape = match node.op.as_str() {
        "Reshape" => {
            let dims = list(n, "shape")?.ok_or_else(|| n.invalid("it has no shape"))?;
            target(n, &from, &dims, node.int("allowzero", 0) != 0)?
        }
        "Flatten" => {
            let at = node.int("axis", 1);
            let at = if at == rank as i64 { rank } else { axis(n, at, rank.max(1))? };
            let product = |dims: &[u32]| constant::count(dims).and_then(|count| u32::try_from(count).ok());
            let (rows, columns) = (product(&from[..at]), product(&from[at..]));
            vec![rows.unwrap_or(u32::MAX), columns.unwrap_or(u32::MAX)]
        }
        "Squeeze" => {
            let axes = match list(n, "axes")? {
                Some(axes) => axes.iter().map(|&at| axis(n, at, rank)).collect::<Result<Vec<_>>>()?,
                None => (0..rank).filter(|&i| from[i] == 1).collect(),
            };
            if let Some(&at) = axes.iter().find(|&&at| from[at] != 1) {
                return Err(n.invalid(format!("it removes dimension {at} of {from:?}")));
            }
            (0..rank).filter(|i| !axes.contains(i)).map(|i| from[i]).collect()
        }
        _ => {
            let axes = list(n, "axes")?.ok_or_else(|| n.invalid("it has no axes"))?;
            let rank = rank + axes.len();
            let axes = axes.iter().map(|&at| axis(n, at, rank)).collect::<Result<Vec<_>>>()?;
            let mut rest = from.iter().copied();
            let shape: Vec<u32> =
                (0..rank).map(|i| if axes.contains(&i) { 1 } else { rest.next().unwrap_or(1) }).collect();
            if rest.next().is_some() {
                return Err(n.invalid("its axes name a dimension twice"));
            }
            shape
        }
    };
    if let Some(value) = n.flattened(node, value, &shape)? {
        return Ok(vec![value]);
    }
    Ok(vec![n.with_shape(value, shape)?])
}

pub(super) fn transpose(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let rank = n.shape(value).len();
    let moves: Vec<usize> = match node.ints("perm") {
        Some(list) => list.iter().map(|&at| axis(n, at, rank)).collect::<Result<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = moves.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(n.invalid(format!("its permutation {moves:?} does not name each of {rank} dimensions once")));
    }
    Ok(vec![n.moved(value, &moves)?])
}

pub(super) fn concat(n: &mut Network<'_>, node: &Node) -> Outputs {
    let values: Vec<Value> = (0..node.inputs.len()).map(|k| n.input(node, k).cloned()).collect::<Result<_>>()?;
    let rank = n.shape(n.input(node, 0)?).len();
    let axis = axis(n, node.int("axis", 0), rank)?;
    Ok(vec![n.join(&values, &node.names, axis)?])
}

pub(super) fn split(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let axis = axis(n, node.int("axis", 0), shape.len())?;
    let parts = node.outputs.len();
    let sizes = match node.ints("split") {
        Some(list) => Some(list.to_vec()),
        None => n.integers(node, 1)?,
    };
    let length = i64::from(shape[axis]);
    let sizes = sizes.unwrap_or_else(|| {
        // The last part is smaller where the length is not a multiple.
        let each = (length + parts as i64 - 1) / parts.max(1) as i64;
        (0..parts as i64).map(|k| each.min(length - k * each)).collect()
    });
    if sizes.len() != parts || sizes.iter().any(|&size| size < 1) || sizes.iter().sum::<i64>() != length {
        return Err(n.invalid(format!("it splits {length} into {sizes:?} for {parts} outputs")));
    }
    let (mut results, mut begin) = (Vec::new(), 0);
    for (size, name) in sizes.into_iter().zip(&node.outputs) {
        let part = if name.is_empty() { Value::Failed } else { n.along(value, axis, begin, size as u32, 1)? };
        results.push(part);
        begin += size;
    }
    Ok(results)
}

/// Returns where a slice begins, its length, and its step along each dimension.
fn bounds(n: &Network<'_>, node: &Node, shape: &[u32]) -> Result<(Vec<i64>, Vec<i64>, Vec<u32>)> {
    let list = |attribute: &str, k: usize| -> Result<Option<Vec<i64>>> {
        if node.opset < 10 { Ok(node.ints(attribute).map(<[i64]>::to_vec)) } else { n.integers(node, k) }
    };
    let missing = || n.invalid("its starts or ends are missing");
    let (starts, ends) = (list("starts", 1)?.ok_or_else(missing)?, list("ends", 2)?.ok_or_else(missing)?);
    let axes = list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(n.invalid("its starts, ends, axes and steps are not as many"));
    }
    let (mut begin, mut stride) = (vec![0; shape.len()], vec![1; shape.len()]);
    let mut lengths = shape.to_vec();
    for (k, &at) in axes.iter().enumerate() {
        let at = axis(n, at, shape.len())?;
        let (size, step) = (i64::from(shape[at]), steps[k]);
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let inside = |index: i64| (if index < 0 { index.saturating_add(size) } else { index }).clamp(low, high);
        let (from, to) = (inside(starts[k]), inside(ends[k]));
        let (distance, positive) = match step {
            0 => return Err(n.invalid("a step is 0")),
            1.. => (to - from, step),
            _ => (from - to, step.saturating_neg()),
        };
        lengths[at] = u32::try_from((distance.max(0).saturating_add(positive - 1)) / positive).unwrap_or(0);
        begin[at] = from;
        stride[at] = if lengths[at] <= 1 { 1 } else { step };
    }
    Ok((begin, stride, lengths))
}

pub(super) fn slice(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let (begin, stride, lengths) = bounds(n, node, &shape)?;
    if let Value::Constant(constant) = value {
        n.make(constant.bytes.len())?;
        let part = if lengths.contains(&0) {
            Some(Constant { dtype: constant.dtype, shape: lengths, bytes: [].into() })
        } else {
            constant.sliced(&begin, &stride, &lengths)
        };
        return Ok(vec![Value::Constant(part.ok_or_else(|| n.invalid("its slice is not inside its input"))?)]);
    }
    if lengths.contains(&0) {
        return Err(n.refuse("a slice with elements"));
    }
    let order = n.order(value);
    let id = n.arrange(value, &order, "")?;
    let stored = |list: &[i64]| -> Vec<i64> { order.iter().map(|&axis| list[axis]).collect() };
    let dims: Vec<u32> = order.iter().map(|&axis| lengths[axis]).collect();
    let id = n.part(id, &stored(&begin), &stored(&stride), dims)?;
    Ok(vec![Network::stored(id, order)])
}

pub(super) fn gather(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let axis = axis(n, node.int("axis", 0), shape.len())?;
    if let (Value::Constant(table), Some(Value::Stored(indices)), 0) =
        (value, node.inputs.get(1).and_then(Option::as_ref), axis)
    {
        return embedding(n, node, table, indices);
    }
    let indices = n.constant(node, 1)?;
    let rows = i64::from(shape[axis]);
    let list = indices.as_ints().ok_or_else(|| n.invalid("its indices are no integers"))?;
    let list: Vec<i64> = list.into_iter().map(|index| if index < 0 { index + rows } else { index }).collect();
    if list.is_empty() || list.iter().any(|index| !(0..rows).contains(index)) {
        return Err(n.invalid(format!("its indices {:?} are not in 0 to {rows}", &list[..list.len().min(8)])));
    }
    let taken = n.taken(value, axis, &list)?;
    let result = [&shape[..axis], &indices.shape, &shape[axis + 1..]].concat();
    Ok(vec![n.with_shape(&taken, result)?])
}

/// Rows of a constant table by indices that are known when the network runs. The runtime takes an index below 0 as 0.
fn embedding(n: &mut Network<'_>, node: &Node, table: &Constant, indices: &Stored) -> Outputs {
    let Some((&rows, rest)) = table.shape.split_first().filter(|_| table.dtype == ElementType::F32) else {
        return Err(n.refuse("a float32 table"));
    };
    if n.graph.tensors[indices.id].dtype != ElementType::I32 {
        return Err(n.refuse("integers as indices"));
    }
    let width = constant::count(rest).and_then(|width| u32::try_from(width).ok()).filter(|&width| width > 0);
    let width = width.ok_or_else(|| n.invalid("its table has no elements"))?;
    let table = n.add_constant(node.name(0), &table.reshaped(vec![rows, width]))?;
    let shape = [&n.graph.tensors[indices.id].shape[..], rest].concat();
    // Dimensions of the indices stay in the order in which they are stored.
    let first = indices.order.len();
    let order = indices.order.iter().copied().chain(first..first + rest.len()).collect();
    let output = n.emit(Operator::GatherF32(GatherF32), &[indices.id, table], shape)?;
    Ok(vec![Network::stored(output, order)])
}

pub(super) fn pad(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let mode = node.text("mode").unwrap_or("constant");
    if !["constant", "edge", "reflect", "wrap"].contains(&mode) {
        return Err(n.refuse(format!("mode `constant`, `edge`, `reflect` or `wrap`, not `{mode}`")));
    }
    let (list, border) = if node.opset < 11 {
        (node.ints("pads").map(<[i64]>::to_vec), node.float("value", 0.0))
    } else {
        (n.integers(node, 1)?, n.numbers(node, 2)?.and_then(|list| list.first().copied()).unwrap_or(0.0))
    };
    let list = list.ok_or_else(|| n.invalid("its pads are missing"))?;
    let axes = n.integers(node, 3)?.unwrap_or_else(|| (0..shape.len() as i64).collect());
    if list.len() != 2 * axes.len() {
        return Err(n.invalid(format!("it has {} pads for {} dimensions", list.len(), axes.len())));
    }
    let mut pads = vec![[0, 0]; shape.len()];
    for (k, &at) in axes.iter().enumerate() {
        pads[axis(n, at, shape.len())?] = [list[k], list[axes.len() + k]];
    }
    if pads.iter().flatten().any(|pad| !(0..1 << 24).contains(pad)) {
        return Err(n.refuse("padding of 0 or more"));
    }
    if pads.iter().flatten().all(|&pad| pad == 0) {
        return Ok(vec![value.clone()]);
    }
    if mode != "constant" {
        return mirrored(n, value, mode, &pads);
    }
    let order = n.order(value);
    let id = n.float(value)?;
    let padded: Vec<u32> =
        order.iter().map(|&at| shape[at].saturating_add((pads[at][0] + pads[at][1]) as u32)).collect();
    let list: Vec<i64> = order.iter().flat_map(|&at| pads[at]).collect();
    let list = n.axes(&list)?;
    let output = if border == 0.0 {
        n.emit(Op::Pad, &[id, list], padded)?
    } else {
        let border = n.add_constant("", &Constant::floats(&[1], &[border]))?;
        n.emit(Op::PadWith, &[id, list, border], padded)?
    };
    Ok(vec![Network::stored(output, order)])
}

/// Pads with elements of the value itself.
fn mirrored(n: &mut Network<'_>, value: &Value, mode: &str, pads: &[[i64; 2]]) -> Outputs {
    let mut result = value.clone();
    for (axis, &[before, after]) in pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
        let length = i64::from(n.shape(&result)[axis]);
        let longest = if mode == "reflect" { length - 1 } else { length };
        if mode != "edge" && (before > longest || after > longest) {
            return Err(n.refuse(format!("padding of at most {longest} for mode `{mode}` along dimension {axis}")));
        }
        let edge = |n: &mut Network<'_>, at: i64, count: i64| -> Result<Vec<Value>> {
            let copies = usize::try_from(count).ok().filter(|&copies| copies <= MAX_PIECES);
            let copies = copies.ok_or_else(|| n.refuse(format!("padding of at most {MAX_PIECES} for mode `edge`")))?;
            if copies == 0 { Ok(Vec::new()) } else { Ok(vec![n.along(&result, axis, at, 1, 1)?; copies]) }
        };
        let mut pieces = Vec::new();
        match mode {
            "edge" => {
                pieces = edge(n, 0, before)?;
                pieces.push(result.clone());
                pieces.extend(edge(n, length - 1, after)?);
            }
            _ => {
                let reflects = mode == "reflect";
                if before > 0 {
                    let (from, step) = if reflects { (before, -1) } else { (length - before, 1) };
                    pieces.push(n.along(&result, axis, from, before as u32, step)?);
                }
                pieces.push(result.clone());
                if after > 0 {
                    let (from, step) = if reflects { (length - 2, -1) } else { (0, 1) };
                    pieces.push(n.along(&result, axis, from, after as u32, step)?);
                }
            }
        }
        result = n.join(&pieces, &[], axis)?;
    }
    Ok(vec![result])
}

pub(super) fn expand(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let dims = n.integers(node, 1)?.ok_or_else(|| n.invalid("it has no shape"))?;
    let repeats = if node.op == "Tile" {
        dims
    } else {
        let to: Option<Vec<u32>> = dims.iter().map(|&dim| u32::try_from(dim).ok()).collect();
        let to = to.and_then(|to| broadcast_shape(&shape, &to));
        let to = to.ok_or_else(|| n.invalid(format!("it makes the shape {dims:?} from {shape:?}")))?;
        let from = padded(&shape, to.len());
        to.iter().zip(&from).map(|(&to, &from)| i64::from(to.checked_div(from).unwrap_or(1))).collect()
    };
    let mut result = n.of_rank(value, repeats.len())?;
    if n.shape(&result).len() != repeats.len() || repeats.iter().any(|&count| count < 1) {
        return Err(n.invalid(format!("it repeats {shape:?} by {repeats:?}")));
    }
    for (axis, &count) in repeats.iter().enumerate().filter(|(_, count)| **count > 1) {
        let copies = usize::try_from(count).ok().filter(|&copies| copies <= MAX_PIECES);
        let copies = copies.ok_or_else(|| n.refuse(format!("at most {MAX_PIECES} copies along a dimension")))?;
        result = n.join(&vec![result; copies], &[], axis)?;
    }
    Ok(vec![result])
}

pub(super) fn blocks(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let image = n.arrange(value, &NHWC, "").and_then(|_| n.image(value))?;
    let block = u32::try_from(node.int("blocksize", 0)).ok().filter(|&block| (1..1 << 12).contains(&block));
    let block = block.ok_or_else(|| n.invalid("its blocksize is not above 0"))?;
    let &[batch, rows, columns, channels] = &n.graph.tensors[image].shape[..] else {
        return Err(n.refuse("4 dimensions"));
    };
    let wrong =
        || n.invalid(format!("its blocks of {block} do not fit {rows} rows, {columns} columns, {channels} channels"));
    let square = block * block;
    let output = if node.op == "SpaceToDepth" {
        if !rows.is_multiple_of(block) || !columns.is_multiple_of(block) {
            return Err(wrong());
        }
        let depth = channels.checked_mul(square).ok_or_else(wrong)?;
        n.emit(
            Op::SpaceToDepth { block: block.cast_signed() },
            &[image],
            vec![batch, rows / block, columns / block, depth],
        )?
    } else {
        let depth = channels / square;
        let sides = rows.checked_mul(block).zip(columns.checked_mul(block));
        let (high, wide) = sides.filter(|_| channels.is_multiple_of(square)).ok_or_else(wrong)?;
        match node.text("mode").unwrap_or("DCR") {
            "DCR" => {
                n.emit(Op::DepthToSpace { block: block.cast_signed() }, &[image], vec![batch, high, wide, depth])?
            }
            "CRD" => {
                // [N * H, W, C, b, b] becomes [N * H, b, W, b, C].
                let rows = batch.checked_mul(rows).ok_or_else(wrong)?;
                let split = n.reshape(image, vec![rows, columns, depth, block, block])?;
                let moves = n.axes(&[0, 3, 1, 4, 2])?;
                let moved = n.emit(Op::Transpose, &[split, moves], vec![rows, block, columns, block, depth])?;
                n.reshape(moved, vec![batch, high, wide, depth])?
            }
            other => return Err(n.refuse(format!("mode DCR or CRD, not {other}"))),
        }
    };
    Ok(vec![n.of_image(output, 4)?])
}

#[cfg(test)]
mod tests {
    use super::{gathered_order, reshaped_order, runs};

    #[test]
    fn shapes_are_matched_run_by_run() {
        assert_eq!(runs(&[1, 6, 4], &[2, 3, 4]), [(vec![1], vec![0, 1]), (vec![2], vec![2])]);
        assert_eq!(runs(&[2, 6], &[4, 3]), [(vec![0, 1], vec![0, 1])]);
        assert_eq!(runs(&[1, 1], &[1]), []);
    }

    #[test]
    fn merged_dimensions_are_brought_together() {
        // A channel shuffle needs one transposition, and its result is an image again.
        let (from, to) = ([1, 2, 3, 8, 6], [1, 6, 8, 6]);
        let order = gathered_order(&from, &[0, 3, 4, 2, 1], &to);
        assert_eq!(order, [0, 3, 4, 1, 2]);
        assert_eq!(reshaped_order(&from, &order, &to), Some(vec![0, 2, 3, 1]));
        assert_eq!(gathered_order(&[1, 8, 4, 5], &[0, 2, 3, 1], &[1, 160]), [0, 1, 2, 3]);
    }

    #[test]
    fn a_reshape_keeps_the_order_where_it_can() {
        // A pooled image is flattened, a row becomes a sequence, and channels are split.
        assert_eq!(reshaped_order(&[1, 8, 1, 1], &[0, 2, 3, 1], &[1, 8]), Some(vec![0, 1]));
        assert_eq!(reshaped_order(&[1, 8, 1, 5], &[0, 2, 3, 1], &[1, 8, 5]), Some(vec![0, 2, 1]));
        assert_eq!(reshaped_order(&[1, 8, 4, 5], &[0, 2, 3, 1], &[1, 2, 4, 4, 5]), Some(vec![0, 3, 4, 1, 2]));
        // H and W are adjacent, C and H are not.
        assert_eq!(reshaped_order(&[1, 8, 4, 5], &[0, 2, 3, 1], &[1, 8, 20]), Some(vec![0, 2, 1]));
        assert_eq!(reshaped_order(&[1, 8, 4, 5], &[0, 2, 3, 1], &[1, 160]), None);
    }
}
