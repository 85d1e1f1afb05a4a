//! The operators that extract slices of a tensor, in one form: STRIDED_SLICE, SLICE, SPLIT, SPLIT_V, UNPACK.

use crate::diag::Result;
use crate::ir::graph::{Graph, Node, TensorId};
use crate::ir::{Op, SliceMasks};

/// A slice of a tensor: along dimension i the indices `begin[i] + k * stride[i]` for k below `shape[i]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) begin: Vec<i64>,
    pub(crate) stride: Vec<i64>,
    /// As many dimensions as the input has, even if the output drops some.
    pub(crate) shape: Vec<u32>,
}

impl Slice {
    /// Returns the slice that is all of a tensor of this shape.
    fn whole(shape: &[u32]) -> Self {
        Self { begin: vec![0; shape.len()], stride: vec![1; shape.len()], shape: shape.to_vec() }
    }

    /// Returns whether it is all of a tensor of this shape.
    pub(crate) fn is_whole(&self, shape: &[u32]) -> bool {
        *self == Self::whole(shape)
    }

    /// Returns the slice's elements, `item` bytes each, of a tensor of shape `from`; `None` if it is not inside.
    pub(crate) fn take(&self, bytes: &[u8], from: &[u32], item: usize) -> Option<Vec<u8>> {
        let mut steps = vec![0i64; from.len()];
        let (mut start, mut step) = (0i64, 1i64);
        for i in (0..from.len()).rev() {
            start = start.checked_add(self.begin[i].checked_mul(step)?)?;
            steps[i] = self.stride[i].checked_mul(step)?;
            let last = self.begin[i].checked_add(self.stride[i].checked_mul(i64::from(self.shape[i]) - 1)?)?;
            if self.shape[i] > 0 && !(0..i64::from(from[i])).contains(&last) {
                return None;
            }
            step = step.checked_mul(i64::from(from[i]))?;
        }
        walk(bytes, item, start, &self.shape, &steps)
    }
}

/// Collects elements of `item` bytes: element [i, j, ..] of the result is at `start + i * steps[0] + j * steps[1] ..`.
/// Contiguous elements of the last dimension are copied together.
pub(crate) fn walk(bytes: &[u8], item: usize, start: i64, shape: &[u32], steps: &[i64]) -> Option<Vec<u8>> {
    let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize))?;
    let mut out = Vec::with_capacity(count.checked_mul(item)?.min(bytes.len().saturating_mul(4)));
    if count == 0 {
        return Some(out);
    }
    let (&length, outer_shape) = shape.split_last().unwrap_or((&1, &[]));
    let (&step, outer_steps) = steps.split_last().unwrap_or((&1, &[]));
    let (run, runs) = if step == 1 { (length as usize, 1) } else { (1, length) };
    let mut index = vec![0u32; outer_shape.len()];
    let mut row = start;
    for _ in 0..count / length as usize {
        let mut at = row;
        for _ in 0..runs {
            let from = usize::try_from(at).ok()?.checked_mul(item)?;
            out.extend_from_slice(bytes.get(from..from.checked_add(run.checked_mul(item)?)?)?);
            at = at.checked_add(step)?;
        }
        // Advance to the next row, like an odometer.
        for ((index, &dim), &step) in index.iter_mut().zip(outer_shape).zip(outer_steps).rev() {
            *index += 1;
            row = row.checked_add(step)?;
            if *index < dim {
                break;
            }
            *index = 0;
            row = row.checked_sub(step.checked_mul(dim.into())?)?;
        }
    }
    Some(out)
}

/// The maximum number of pieces that a tensor is cut into or joined from.
pub(crate) const MAX_PIECES: usize = 256;

/// Splits a list into runs of equal distance: the first element, the number of them, and the distance.
pub(crate) fn runs(list: &[i64]) -> Vec<[i64; 3]> {
    let mut runs: Vec<[i64; 3]> = Vec::new();
    for &index in list {
        match runs.last_mut() {
            Some([first, count @ 1, step]) if index != *first => (*count, *step) = (2, index - *first),
            Some([first, count, step]) if *count > 1 && index == *first + *count * *step => *count += 1,
            _ => runs.push([index, 1, 1]),
        }
    }
    runs
}

/// Returns the elements from one index of each dimension to the next.
pub(crate) fn strides(shape: &[u32]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(i64::from(shape[i]));
    }
    strides
}

/// Returns the tensor that `node` slices, and the slice for each output; `None` if it is not one of these operators.
///
/// # Errors
/// If begins, sizes or axes are not constant, or do not match the outputs' shapes.
pub(crate) fn slices(graph: &Graph, node: &Node, op: &Op) -> Result<Option<(TensorId, Vec<Slice>)>> {
    let (input, slices) = match op {
        Op::StridedSlice(masks) => (0, vec![strided_slice(graph, node, masks)?.0]),
        Op::Slice => (0, vec![slice(graph, node)?]),
        Op::Split => (1, split(graph, node, 1, 0)?),
        Op::SplitV => (0, split(graph, node, 0, 2)?),
        Op::Unpack { axis } => (0, unpack(graph, node, *axis)?),
        _ => return Ok(None),
    };
    if slices.len() != node.outputs.len() {
        return Err(graph.invalid(node, format!("it has {} outputs instead of {}", node.outputs.len(), slices.len())));
    }
    for (slice, &output) in slices.iter().zip(&node.outputs) {
        let count = slice.shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize));
        if count != Some(graph.tensors[output].elements()) {
            let (name, shape) = (&graph.tensors[output].name, &graph.tensors[output].shape);
            let what = format!("it slices out {:?}, but its output `{name}` is {shape:?}", slice.shape);
            return Err(graph.invalid(node, what));
        }
    }
    Ok(Some((graph.input(node, input)?, slices)))
}

/// Returns the shapes of the outputs of `node`, from its input alone; `None` if it is not one of these operators, or
/// they do not follow.
pub(crate) fn sliced_shapes(graph: &Graph, node: &Node, op: &Op) -> Option<Vec<Vec<u32>>> {
    let shape = |k: usize| graph.input(node, k).ok().map(|id| &graph.tensors[id].shape);
    let parts = |input: usize, axis: usize, sizes: &dyn Fn(u32) -> Option<Vec<i64>>| {
        let from = shape(input)?;
        let axis = *graph.constant_integers(node, axis).ok()?.first()?;
        let axis = dimension(graph, node, axis, from.len()).ok()?;
        let sizes = sizes(from[axis])?;
        // One part may be what the others leave.
        let known = sizes.iter().filter(|&&size| size >= 0).try_fold(0i64, |sum, &size| sum.checked_add(size))?;
        let rest = i64::from(from[axis]) - known;
        let part = |&size: &i64| {
            let mut part = from.clone();
            part[axis] = u32::try_from(if size == -1 { rest } else { size }).ok()?;
            Some(part)
        };
        sizes.iter().map(part).collect::<Option<Vec<_>>>()
    };
    match op {
        Op::StridedSlice(masks) => Some(vec![strided_slice(graph, node, masks).ok()?.1]),
        Op::Slice => Some(vec![slice(graph, node).ok()?.shape]),
        Op::Split => {
            let count = u32::try_from(node.outputs.len()).ok()?;
            let each =
                |length: u32| length.is_multiple_of(count).then(|| vec![i64::from(length / count); node.outputs.len()]);
            parts(1, 0, &each)
        }
        Op::SplitV => parts(0, 2, &|_| graph.constant_integers(node, 1).ok()),
        Op::Unpack { axis } => {
            let from = shape(0)?;
            let axis = dimension(graph, node, i64::from(*axis), from.len()).ok()?;
            let part = [&from[..axis], &from[axis + 1..]].concat();
            Some(vec![part; node.outputs.len()])
        }
        _ => None,
    }
}

/// Returns a constant index list with one entry for each dimension of input 0.
fn per_dimension(graph: &Graph, node: &Node, k: usize) -> Result<Vec<i64>> {
    let rank = graph.tensors[graph.input(node, 0)?].shape.len();
    let list = graph.constant_integers(node, k)?;
    if list.len() != rank {
        return Err(graph.unsupported(node, format!("{rank} integers for input {k}, one for each dimension")));
    }
    Ok(list)
}

/// Returns the slice of STRIDED_SLICE, and the shape of its output.
///
/// The lists have an entry for each dimension in turn, with two exceptions: an entry of `new_axis` adds a dimension of
/// length 1, and one of `ellipsis` stands for all the dimensions that no other entry is for. Without the latter, those are
/// the last ones.
fn strided_slice(graph: &Graph, node: &Node, masks: &SliceMasks) -> Result<(Slice, Vec<u32>)> {
    let shape = &graph.tensors[graph.input(node, 0)?].shape;
    let [begin, end, stride] = [1, 2, 3].map(|k| graph.constant_integers(node, k));
    let (begin, end, stride) = (begin?, end?, stride?);
    let has = |mask: i32, i: usize| i < 32 && mask >> i & 1 == 1;
    let is_new = |i: usize| has(masks.new_axis, i) && !has(masks.ellipsis, i);
    let listed = (0..begin.len()).filter(|&i| !is_new(i) && !has(masks.ellipsis, i)).count();
    let Some(rest) =
        shape.len().checked_sub(listed).filter(|_| end.len() == begin.len() && stride.len() == begin.len())
    else {
        let what = format!("it has {} begins, {} ends and {} strides", begin.len(), end.len(), stride.len());
        return Err(graph.invalid(node, format!("{what} for {} dimensions", shape.len())));
    };
    if masks.ellipsis.count_ones() > 1 {
        return Err(graph.invalid(node, "it has more than one ellipsis"));
    }
    let mut slice = Slice { begin: Vec::new(), stride: Vec::new(), shape: Vec::new() };
    let mut output = Vec::new();
    let whole = |slice: &mut Slice, output: &mut Vec<u32>| {
        for _ in 0..rest {
            let length = shape[slice.shape.len()];
            slice.begin.push(0);
            slice.stride.push(1);
            slice.shape.push(length);
            output.push(length);
        }
    };
    for i in 0..begin.len() {
        if has(masks.ellipsis, i) {
            whole(&mut slice, &mut output);
            continue;
        }
        if is_new(i) {
            output.push(1);
            continue;
        }
        let (size, step) = (i64::from(shape[slice.shape.len()]), stride[i]);
        if step == 0 || size == 0 {
            return Err(graph.invalid(node, "a stride or dimension is 0"));
        }
        // The valid range of an index; with a negative step it includes the position before the first element.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let inside = |index: i64| (if index < 0 { index.saturating_add(size) } else { index }).clamp(low, high);
        let from = if has(masks.begin, i) { if step > 0 { 0 } else { size - 1 } } else { inside(begin[i]) };
        let count = if has(masks.shrink_axis, i) {
            1
        } else {
            let to = if has(masks.end, i) { if step > 0 { size } else { -1 } } else { inside(end[i]) };
            let (distance, step) = if step > 0 { (to - from, step) } else { (from - to, step.saturating_neg()) };
            (distance.max(0).saturating_add(step - 1)) / step
        };
        slice.begin.push(from);
        slice.stride.push(if count == 1 { 1 } else { step });
        slice.shape.push(count as u32);
        if !has(masks.shrink_axis, i) {
            output.push(count as u32);
        }
    }
    if slice.shape.len() < shape.len() {
        whole(&mut slice, &mut output);
    }
    Ok((slice, output))
}

fn slice(graph: &Graph, node: &Node) -> Result<Slice> {
    let shape = &graph.tensors[graph.input(node, 0)?].shape;
    let (begin, size) = (per_dimension(graph, node, 1)?, per_dimension(graph, node, 2)?);
    let mut slice = Slice::whole(shape);
    for (i, &dim) in shape.iter().enumerate() {
        // Size -1 means everything from `begin` to the end.
        let left = i64::from(dim).saturating_sub(begin[i]);
        let size = if size[i] == -1 { left } else { size[i] };
        if begin[i] < 0 || size < 0 || size > left {
            return Err(graph.invalid(
                node,
                format!("it takes {size} elements from index {} of dimension {i}, which has {dim}", begin[i]),
            ));
        }
        slice.begin[i] = begin[i];
        slice.shape[i] = size as u32;
    }
    Ok(slice)
}

/// Returns the dimension for an `axis` that may be negative.
pub(crate) fn dimension(graph: &Graph, node: &Node, axis: i64, rank: usize) -> Result<usize> {
    let index = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(index) {
        Ok(index) if index < rank => Ok(index),
        _ => Err(graph.invalid(node, format!("axis {axis} is out of range for {rank} dimensions"))),
    }
}

/// Returns the dimension that input `k` of `node` names, a constant of one number.
pub(crate) fn axis_of(graph: &Graph, node: &Node, k: usize, rank: usize) -> Result<usize> {
    match graph.constant_integers(node, k)?[..] {
        [axis] => dimension(graph, node, axis, rank),
        ref axes => Err(graph.invalid(node, format!("its axis is {axes:?} instead of one number"))),
    }
}

fn split(graph: &Graph, node: &Node, input: usize, axis: usize) -> Result<Vec<Slice>> {
    let shape = &graph.tensors[graph.input(node, input)?].shape;
    let Some(&axis) = graph.constant_integers(node, axis)?.first() else {
        return Err(graph.invalid(node, "its axis input is empty"));
    };
    let axis = dimension(graph, node, axis, shape.len())?;
    let mut slices = Vec::new();
    let mut begin = 0i64;
    for &output in &node.outputs {
        let Some(&size) = graph.tensors[output].shape.get(axis) else {
            return Err(graph.invalid(node, "its outputs have fewer dimensions than its input"));
        };
        let mut slice = Slice::whole(shape);
        slice.begin[axis] = begin;
        slice.shape[axis] = size;
        begin += i64::from(size);
        slices.push(slice);
    }
    if begin != i64::from(shape[axis]) {
        return Err(graph.invalid(
            node,
            format!("its outputs have {begin} elements along the axis; its input has {}", shape[axis]),
        ));
    }
    Ok(slices)
}

fn unpack(graph: &Graph, node: &Node, axis: i32) -> Result<Vec<Slice>> {
    let shape = &graph.tensors[graph.input(node, 0)?].shape;
    let axis = dimension(graph, node, i64::from(axis), shape.len())?;
    if shape[axis] as usize != node.outputs.len() {
        return Err(
            graph.invalid(node, format!("it has {} outputs for an axis of length {}", node.outputs.len(), shape[axis]))
        );
    }
    let slice = |index: usize| {
        let mut slice = Slice::whole(shape);
        slice.begin[axis] = index as i64;
        slice.shape[axis] = 1;
        slice
    };
    Ok((0..node.outputs.len()).map(slice).collect())
}

#[cfg(test)]
mod tests {
    use super::{Slice, runs, sliced_shapes, slices};
    use crate::ir::{Op, SliceMasks};
    use crate::testing::Builder;

    /// The slice of a [4, 5] tensor by STRIDED_SLICE with these begins, ends, strides and masks.
    fn slice(begin: [i32; 2], end: [i32; 2], stride: [i32; 2], masks: [i32; 3], to: &[u32]) -> Slice {
        let mut b = Builder::default();
        let (x, y) = (b.input(&[4, 5]), b.int8(to));
        let [begin, end, stride] = [begin, end, stride].map(|words| b.ints(&words));
        let masks = SliceMasks { begin: masks[0], end: masks[1], ellipsis: 0, new_axis: 0, shrink_axis: masks[2] };
        let op = Op::StridedSlice(masks);
        b.node(op.clone(), &[x, begin, end, stride], &[y]);
        let graph = b.output(y);
        slices(&graph, &graph.nodes[0], &op).unwrap().unwrap().1.remove(0)
    }

    #[test]
    fn strided_slices_follow_the_index_rules_of_tensorflow() {
        let found = slice([1, -4], [3, 5], [1, 2], [0, 0, 0], &[2, 2]);
        assert_eq!((found.begin, found.stride, found.shape), (vec![1, 1], vec![1, 2], vec![2, 2]));
        // Backwards over a whole dimension, by masks.
        let found = slice([0, 0], [4, 0], [1, -2], [2, 2, 0], &[4, 3]);
        assert_eq!((found.begin, found.stride, found.shape), (vec![0, 4], vec![1, -2], vec![4, 3]));
        // One row, whose dimension is removed in the output.
        let found = slice([-1, 0], [0, 5], [1, 1], [0, 0, 1], &[5]);
        assert_eq!((found.begin, found.shape), (vec![3, 0], vec![1, 5]));
        // Ends beyond the tensor are clamped.
        let found = slice([2, 3], [100, 100], [1, 1], [0, 0, 0], &[2, 2]);
        assert_eq!((found.begin, found.shape), (vec![2, 3], vec![2, 2]));
    }

    #[test]
    fn an_ellipsis_and_new_axes_leave_the_other_dimensions_in_place() {
        let sliced = |begin: &[i32], ellipsis: i32, new_axis: i32, shrink_axis: i32, to: &[u32]| {
            let mut b = Builder::default();
            let (x, y) = (b.input(&[2, 3, 4, 5]), b.int8(to));
            let ends: Vec<i32> = begin.iter().map(|begin| begin + 2).collect();
            let (begins, ends, strides) = (b.ints(begin), b.ints(&ends), b.ints(&vec![1; begin.len()]));
            let op = Op::StridedSlice(SliceMasks { begin: 0, end: 0, ellipsis, new_axis, shrink_axis });
            b.node(op.clone(), &[x, begins, ends, strides], &[y]);
            let graph = b.output(y);
            let shapes = sliced_shapes(&graph, &graph.nodes[0], &op)?;
            assert_eq!(shapes, [to]);
            let slice = slices(&graph, &graph.nodes[0], &op).ok()??.1.remove(0);
            Some((slice.begin, slice.shape))
        };
        // x[1:3, ..., 2:4], x[..., 1], x[1:3], x[None, ..., 1:3, None], x[1, None, 2:4].
        assert_eq!(sliced(&[1, 0, 2], 2, 0, 0, &[1, 3, 4, 2]), Some((vec![1, 0, 0, 2], vec![1, 3, 4, 2])));
        assert_eq!(sliced(&[0, 1], 1, 0, 2, &[2, 3, 4]), Some((vec![0, 0, 0, 1], vec![2, 3, 4, 1])));
        assert_eq!(sliced(&[1], 0, 0, 0, &[1, 3, 4, 5]), Some((vec![1, 0, 0, 0], vec![1, 3, 4, 5])));
        assert_eq!(sliced(&[0, 0, 1, 0], 2, 9, 0, &[1, 2, 3, 4, 2, 1]), Some((vec![0, 0, 0, 1], vec![2, 3, 4, 2])));
        assert_eq!(sliced(&[1, 0, 1], 0, 2, 1, &[1, 2, 4, 5]), Some((vec![1, 1, 0, 0], vec![1, 2, 4, 5])));
        assert_eq!(sliced(&[0; 5], 0, 0, 0, &[2]), None);
        assert_eq!(sliced(&[0, 0], 3, 0, 0, &[2]), None);
    }

    #[test]
    fn indices_are_split_into_runs_of_equal_distance() {
        assert_eq!(runs(&[3, 4, 5, 9, 7, 5, 5]), [[3, 3, 1], [9, 3, -2], [5, 1, 1]]);
        assert_eq!(runs(&[2, 2]), [[2, 1, 1], [2, 1, 1]]);
        assert_eq!(runs(&[]), [[0i64; 3]; 0]);
    }

    #[test]
    fn take_returns_the_slice_and_refuses_one_outside_the_tensor() {
        let found = Slice { begin: vec![1, 2], stride: vec![1, -2], shape: vec![2, 2] };
        let bytes: Vec<u8> = (0..12).collect();
        assert_eq!(found.take(&bytes, &[3, 4], 1), Some(vec![6, 4, 10, 8]));
        assert_eq!(found.take(&bytes, &[2, 4], 1), None);
    }
}
