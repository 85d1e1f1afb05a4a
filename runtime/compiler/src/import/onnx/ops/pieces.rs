//! Operators that put a tensor together from pieces at constant places, and sums along a dimension.

use super::Outputs;
use super::movement::axis;
use crate::diag::Result;
use crate::import::onnx::constant::{self, Constant};
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::{ElementType, count_of, dimension_of};
use crate::ir::{Activation, Op};
use crate::slice::strides;
use std::collections::HashMap;

/// The maximum number of updates of one place that are combined.
const MAX_ROUNDS: usize = 64;

impl Network<'_> {
    /// Returns the elements of a value that `indices` name, counted in its own order, in this shape.
    fn pick_elements(&mut self, value: &Value, indices: &[i64], shape: &[u32]) -> Result<Value> {
        let count = self.count(value)?;
        let flat = self.with_shape(value, vec![count])?;
        let picked = self.taken(&flat, 0, indices)?;
        self.with_shape(&picked, shape.to_vec())
    }

    /// Returns the number of elements of a value, which fits 32 bits.
    fn count(&self, value: &Value) -> Result<u32> {
        let count = constant::count(&self.shape(value)).and_then(|count| u32::try_from(count).ok());
        count.filter(|&count| count > 0).ok_or_else(|| self.refuse("tensors with elements"))
    }

    /// Returns the sums of the elements up to each along an axis: without the element itself if `exclusive`, from the
    /// end if `reverse`.
    pub(super) fn running_sum(&mut self, value: &Value, axis: usize, exclusive: bool, reverse: bool) -> Result<Value> {
        let order = self.order(value);
        let id = self.float(value)?;
        let shape = self.graph.tensors[id].shape.clone();
        let place = order.iter().position(|&stored| stored == axis).unwrap_or(0);
        let place = self.axes(&[place as i64])?;
        Ok(Self::stored(self.emit(Op::CumSum { exclusive, reverse }, &[id, place], shape)?, order))
    }

    /// Returns a value moved by `distance` along an axis, with zeros where it was.
    pub(super) fn shifted(&mut self, value: &Value, axis: usize, distance: u32, reverse: bool) -> Result<Value> {
        let shape = self.shape(value);
        let rest = shape[axis].saturating_sub(distance);
        if rest == 0 {
            return self.with_number(Op::Mul(Activation::None), value, 0.0);
        }
        let part = self.along(value, axis, if reverse { distance.into() } else { 0 }, rest, 1)?;
        let order = self.order(&part);
        let id = self.float(&part)?;
        let gap = i64::from(shape[axis] - rest);
        let pads = order.iter().flat_map(|&at| match (at == axis, reverse) {
            (false, _) => [0, 0],
            (true, false) => [gap, 0],
            (true, true) => [0, gap],
        });
        let pads = pads.collect::<Vec<_>>();
        let pads = self.axes(&pads)?;
        let dims = order.iter().map(|&at| shape[at]).collect();
        Ok(Self::stored(self.emit(Op::Pad, &[id, pads], dims)?, order))
    }
}

/// Returns the integers of a constant, each from the end if it is negative, checked against the length that each counts
/// in.
fn indices(n: &Network<'_>, node: &Node, k: usize, length: impl Fn(usize) -> u32) -> Result<Vec<i64>> {
    let constant = n.constant(node, k)?;
    if constant.elements() > constant::MAX_ELEMENTS {
        return Err(n.refuse("fewer indices"));
    }
    let list = constant.as_ints().ok_or_else(|| n.invalid("its indices are no integers"))?;
    let inside = |(i, index): (usize, i64)| {
        let length = i64::from(length(i));
        let index = if index < 0 { index.saturating_add(length) } else { index };
        (0..length).contains(&index).then_some(index)
    };
    let list: Option<Vec<i64>> = list.into_iter().enumerate().map(inside).collect();
    list.ok_or_else(|| n.invalid("an index is not inside its input"))
}

/// Calls `visit` with the number and the coordinates of each element of a shape.
fn each(shape: &[u32], mut visit: impl FnMut(usize, &[i64])) {
    let mut at = vec![0i64; shape.len()];
    for i in 0..constant::count(shape).unwrap_or(0) {
        visit(i, &at);
        for (index, &dim) in at.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < i64::from(dim) {
                break;
            }
            *index = 0;
        }
    }
}

/// Returns, for each of constant indices along an axis, the number of the element of `shape` that it names.
fn places(n: &Network<'_>, node: &Node, at: usize, shape: &[u32]) -> Result<(Vec<u32>, Vec<i64>)> {
    let of = n.constant(node, 1)?.shape.clone();
    let fits = of.len() == shape.len() && (0..of.len()).all(|i| i == at || of[i] <= shape[i]);
    if !fits {
        return Err(n.invalid(format!("its indices {of:?} do not fit {shape:?}")));
    }
    let list = indices(n, node, 1, |_| shape[at])?;
    n.make(8 * list.len())?;
    let strides = strides(shape);
    let mut places = Vec::new();
    each(&of, |i, coordinates| {
        let place =
            coordinates.iter().enumerate().map(|(axis, &x)| strides[axis] * if axis == at { list[i] } else { x });
        places.push(place.sum());
    });
    Ok((of, places))
}

pub(super) fn gather_elements(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    n.count(value)?;
    let shape = n.shape(value);
    let at = axis(n, node.int("axis", 0), shape.len())?;
    let (of, places) = places(n, node, at, &shape)?;
    Ok(vec![n.pick_elements(value, &places, &of)?])
}

/// Returns what the last dimension of constant indices names: the rows of `shape` behind its first dimensions, and how
/// many dimensions those are.
fn rows(n: &Network<'_>, node: &Node, shape: &[u32], batch: usize) -> Result<(Vec<u32>, Vec<i64>, usize)> {
    let of = n.constant(node, 1)?.shape.clone();
    let depth = of.last().map_or(0, |&depth| depth as usize);
    if depth == 0 || batch >= of.len() || batch + depth > shape.len() || of[..batch] != shape[..batch] {
        return Err(n.invalid(format!("its indices {of:?} do not fit {shape:?}")));
    }
    let list = indices(n, node, 1, |i| shape[batch + i % depth])?;
    n.make(8 * list.len())?;
    let strides = strides(&shape[..batch + depth]);
    let outer = count_of(&of[..batch]);
    let each = (list.len() / depth).checked_div(outer).unwrap_or(0).max(1);
    let row = |(i, coordinates): (usize, &[i64])| {
        let inner: i64 = coordinates.iter().zip(&strides[batch..]).map(|(x, stride)| x * stride).sum();
        let before = if batch > 0 { (i / each) as i64 * strides[batch - 1] } else { 0 };
        before + inner
    };
    let rows = list.chunks_exact(depth).enumerate().map(row).collect();
    Ok((of[..of.len() - 1].to_vec(), rows, batch + depth))
}

/// Returns a value as rows `[N, ..]`, with its first `depth` dimensions as one.
fn as_rows(n: &mut Network<'_>, value: &Value, depth: usize) -> Result<Value> {
    let shape = n.shape(value);
    n.with_shape(value, vec![dimension_of(&shape[..depth]), dimension_of(&shape[depth..])])
}

pub(super) fn gather_nd(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    n.count(value)?;
    let shape = n.shape(value);
    let batch = usize::try_from(node.int("batch_dims", 0)).map_err(|_| n.invalid("its batch_dims are below 0"))?;
    let (of, rows, depth) = rows(n, node, &shape, batch)?;
    let flat = as_rows(n, value, depth)?;
    let picked = n.taken(&flat, 0, &rows)?;
    Ok(vec![n.with_shape(&picked, [&of, &shape[depth..]].concat())?])
}

/// Replaces rows of a value by updates: of several for one row, the last counts.
fn replace(n: &mut Network<'_>, value: &Value, updates: &Value, rows: &[i64], shape: &[u32]) -> Result<Value> {
    let (count, added) = (n.shape(value)[0], n.shape(updates)[0]);
    if added as usize != rows.len() {
        return Err(n.invalid(format!("it has {added} updates for {} indices", rows.len())));
    }
    n.make(8 * count as usize)?;
    let mut from: Vec<i64> = (0..i64::from(count)).collect();
    for (k, &row) in rows.iter().enumerate() {
        from[row as usize] = i64::from(count) + k as i64;
    }
    let both = match (value, updates) {
        (Value::Constant(a), Value::Constant(b)) => {
            Value::Constant(constant::concat(&[a, b], 0).ok_or_else(|| n.refuse("updates of the type of its input"))?)
        }
        _ => n.join(&[value.clone(), updates.clone()], &[], 0)?,
    };
    let picked = n.taken(&both, 0, &from)?;
    n.with_shape(&picked, shape.to_vec())
}

pub(super) fn scatter(n: &mut Network<'_>, node: &Node) -> Outputs {
    let (value, updates) = (n.input(node, 0)?, n.input(node, 2)?);
    n.count(value)?;
    let shape = n.shape(value);
    let reduction = match node.text("reduction").unwrap_or("none") {
        "none" => None,
        "add" => Some(Op::Add(Activation::None)),
        "mul" => Some(Op::Mul(Activation::None)),
        "max" => Some(Op::Maximum),
        "min" => Some(Op::Minimum),
        other => return Err(n.refuse(format!("reduction none, add, mul, max or min, not {other}"))),
    };
    if n.constant(node, 1)?.elements() == 0 {
        return Ok(vec![value.clone()]);
    }
    let (places, depth) = if node.op == "ScatterND" {
        let (_, rows, depth) = rows(n, node, &shape, 0)?;
        (rows, depth)
    } else {
        let at = axis(n, node.int("axis", 0), shape.len())?;
        (places(n, node, at, &shape)?.1, shape.len())
    };
    let flat = as_rows(n, value, depth)?;
    let width = n.shape(&flat)[1];
    let count = n.count(updates)?;
    if !count.is_multiple_of(width) {
        return Err(n.invalid(format!("its updates {:?} do not fit {shape:?}", n.shape(updates))));
    }
    let updates = n.with_shape(updates, vec![count / width, width])?;
    let Some(reduction) = reduction else { return Ok(vec![replace(n, &flat, &updates, &places, &shape)?]) };
    // Updates of one place come one after another: the first of each, the second, and so on.
    let mut seen: HashMap<i64, usize> = HashMap::new();
    let mut rounds: Vec<(Vec<i64>, Vec<i64>)> = Vec::new();
    for (at, &place) in places.iter().enumerate() {
        let round = seen.entry(place).or_default();
        if *round == rounds.len() {
            rounds.push((Vec::new(), Vec::new()));
        }
        rounds[*round].0.push(place);
        rounds[*round].1.push(at as i64);
        *round += 1;
    }
    if rounds.len() > MAX_ROUNDS {
        return Err(n.refuse(format!("at most {MAX_ROUNDS} updates of one place, not {}", rounds.len())));
    }
    let (mut value, rows) = (flat.clone(), n.shape(&flat));
    for (places, updated) in rounds {
        let (before, new) = (n.taken(&value, 0, &places)?, n.taken(&updates, 0, &updated)?);
        let after = n.pairwise(reduction.clone(), [&before, &new], ["", ""])?;
        value = replace(n, &value, &after, &places, &rows)?;
    }
    Ok(vec![n.with_shape(&value, shape)?])
}

pub(super) fn compress(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    n.count(value)?;
    let condition = n.constant(node, 1)?;
    let condition = condition.as_ints().filter(|list| list.len() <= constant::MAX_ELEMENTS);
    let condition = condition.ok_or_else(|| n.refuse("a condition of bool"))?;
    let kept = condition.iter().enumerate().filter(|(_, holds)| **holds != 0).map(|(i, _)| i as i64);
    let kept: Vec<i64> = kept.collect();
    let (value, at) = match node.attribute("axis") {
        None => {
            let count = n.count(value)?;
            (n.with_shape(value, vec![count])?, 0)
        }
        Some(_) => (value.clone(), axis(n, node.int("axis", 0), n.shape(value).len())?),
    };
    let length = i64::from(n.shape(&value)[at]);
    if kept.is_empty() || kept.iter().any(|&index| index >= length) {
        return Err(n.refuse("a condition that holds for some of its elements"));
    }
    Ok(vec![n.taken(&value, at, &kept)?])
}

pub(super) fn reverse_sequence(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    n.count(value)?;
    let shape = n.shape(value);
    let (time, batch) = (node.int("time_axis", 0), node.int("batch_axis", 1));
    if shape.len() < 2 || !matches!((time, batch), (0, 1) | (1, 0)) {
        return Err(n.refuse("time and batch as the first two dimensions"));
    }
    let lengths = n.integers(node, 1)?.unwrap_or_default();
    let (steps, sequences) = (i64::from(shape[time as usize]), i64::from(shape[batch as usize]));
    if lengths.len() as i64 != sequences || lengths.iter().any(|length| !(0..=steps).contains(length)) {
        return Err(n.invalid(format!("its lengths {lengths:?} do not fit {shape:?}")));
    }
    let mut rows = Vec::new();
    each(&shape[..2], |_, at| {
        let (step, sequence) = (at[time as usize], at[batch as usize]);
        let length = lengths[sequence as usize];
        let step = if step < length { length - 1 - step } else { step };
        rows.push(if time == 0 { step * sequences + sequence } else { sequence * steps + step });
    });
    let flat = as_rows(n, value, 2)?;
    let picked = n.taken(&flat, 0, &rows)?;
    Ok(vec![n.with_shape(&picked, shape)?])
}

/// The triangle above or below a diagonal; zeros elsewhere.
pub(super) fn triangle(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let &[.., rows, columns] = &shape[..] else { return Err(n.refuse("matrices")) };
    let diagonal = n.integers(node, 1)?.and_then(|list| list.first().copied()).unwrap_or(0);
    let upper = node.int("upper", 1) != 0;
    let cells = rows as usize * columns as usize;
    if cells > constant::MAX_ELEMENTS {
        return Err(n.refuse("smaller matrices"));
    }
    n.make(4 * cells)?;
    let mut kept = Vec::with_capacity(cells);
    each(&[rows, columns], |_, at| {
        let distance = at[1] - at[0];
        kept.push(i64::from(if upper { distance >= diagonal } else { distance <= diagonal }));
    });
    let mask = Constant::ints(ElementType::Bool, &[rows, columns], &kept);
    let mask = mask.ok_or_else(|| n.invalid("its matrix is too large"))?;
    if let Value::Constant(constant) = value {
        let zero = Constant {
            dtype: constant.dtype,
            shape: vec![],
            bytes: vec![0; constant.dtype.size().unwrap_or(0)].into(),
        };
        n.make(constant.bytes.len())?;
        let chosen = constant::select(&mask, constant, &zero);
        return Ok(vec![Value::Constant(chosen.ok_or_else(|| n.refuse("fewer elements"))?)]);
    }
    Ok(vec![n.choose(&Value::Constant(mask), value, &Network::scalar(0.0))?])
}

pub(super) fn cumulative_sum(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let at = n.integers(node, 1)?.and_then(|list| list.first().copied()).ok_or_else(|| n.invalid("it has no axis"))?;
    let at = axis(n, at, n.shape(value).len())?;
    Ok(vec![n.running_sum(value, at, node.int("exclusive", 0) != 0, node.int("reverse", 0) != 0)?])
}
