//! MIRROR_PAD, TILE, BROADCAST_TO and REVERSE_V2, as parts of a tensor one after another, and the matrices that BATCH_MATMUL
//! repeats.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, NodeOp, Tensor, TensorId, broadcast_shape, count_of};
use crate::ir::{Activation, Op, SliceMasks};
use crate::slice::dimension;

/// The maximum number of copies that are joined in one step: as many operators join them as there are tens of copies.
const MAX_PARTS: u32 = 64;

impl Expansion<'_> {
    /// Dimension by dimension: elements in reverse, the tensor, elements in reverse.
    pub(super) fn mirror_pad(&mut self, node: &Node, symmetric: bool) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let pads = self.graph.constant_integers(node, 1)?;
        let rank = self.graph.tensors[input].shape.len();
        if pads.len() != 2 * rank {
            return Err(self.graph.invalid(node, format!("it has {} paddings for {rank} dimensions", pads.len())));
        }
        let mut padded = input;
        for (axis, ends) in pads.chunks_exact(2).enumerate() {
            let length = self.graph.tensors[padded].shape[axis];
            let most = if symmetric { length } else { length.saturating_sub(1) };
            let of = |pad: i64| u32::try_from(pad).ok().filter(|&pad| pad <= most);
            let (Some(before), Some(after)) = (of(ends[0]), of(ends[1])) else {
                let what = format!("it pads {ends:?} along dimension {axis}, which has {length} elements");
                return Err(self.graph.invalid(node, what));
            };
            let skipped = length - most;
            let mut parts = Vec::new();
            if before > 0 {
                parts.push(self.reversed(node, padded, axis, skipped + before, before)?);
            }
            parts.push(padded);
            if after > 0 {
                parts.push(self.reversed(node, padded, axis, length - skipped, after)?);
            }
            padded = self.joined(node, padded, axis, &parts)?;
        }
        self.write(node, Op::Reshape { new_shape: None }, &[padded], output);
        Ok(())
    }

    /// Dimension by dimension, the tensor as often as there must be.
    pub(super) fn tile(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let counts = self.graph.constant_integers(node, 1)?;
        let rank = self.graph.tensors[input].shape.len();
        if counts.len() != rank {
            return Err(self.graph.invalid(node, format!("it has {} multiples for {rank} dimensions", counts.len())));
        }
        let mut tiled = input;
        for (axis, &count) in counts.iter().enumerate() {
            let count = u32::try_from(count)
                .ok()
                .filter(|&count| count > 0)
                .ok_or_else(|| self.graph.unsupported(node, "multiples of 1 and more"))?;
            tiled = self.repeated(node, tiled, axis, count)?;
        }
        self.write(node, Op::Reshape { new_shape: None }, &[tiled], output);
        Ok(())
    }

    /// Repeats input `k` to the shape of the output: dimensions of length 1, and such as it does not have.
    pub(super) fn broadcast_to(&mut self, node: &Node, k: usize) -> Result<()> {
        let (input, output) = (self.graph.input(node, k)?, self.graph.output(node)?);
        let [from, to] = [input, output].map(|id| &self.graph.tensors[id].shape);
        if broadcast_shape(from, to).as_ref() != Some(to) {
            let what = format!("{} cannot be repeated to {to:?}", self.graph.describe(input));
            return Err(self.graph.invalid(node, what));
        }
        let mut shape = vec![1; to.len() - from.len()];
        shape.extend(from);
        let to = to.clone();
        let mut repeated = self.graph.add(Tensor { shape: shape.clone(), ..self.graph.tensors[input].like() });
        self.write(node, Op::Reshape { new_shape: None }, &[input], repeated);
        for (axis, (&from, &to)) in shape.iter().zip(&to).enumerate() {
            if from != to {
                repeated = self.repeated(node, repeated, axis, to)?;
            }
        }
        self.write(node, Op::Reshape { new_shape: None }, &[repeated], output);
        Ok(())
    }

    /// Repeats the matrices of an operand of BATCH_MATMUL that has others than the output, but not one for all.
    pub(super) fn batch_matmul(&mut self, node: &Node) -> Result<()> {
        let mut node = node.clone();
        let output = self.graph.output(&node)?;
        let matrices = |shape: &[u32]| shape.split_last_chunk::<2>().map(|(matrices, _)| matrices.to_vec());
        for k in 0..node.inputs.len() {
            let id = self.graph.input(&node, k)?;
            let Tensor { shape, name, .. } = &self.graph.tensors[id];
            let (Some(from), Some(to)) = (matrices(shape), matrices(&self.graph.tensors[output].shape)) else {
                continue;
            };
            let one_for_each = count_of(&from) == count_of(&to);
            if count_of(&from) == 1 || one_for_each || broadcast_shape(&from, &to).as_ref() != Some(&to) {
                continue;
            }
            let shape = [&to[..], &shape[from.len()..]].concat();
            self.limit.make(STEP + name.len() as u64, || format!("the matrices of {}", self.graph.site(&node)))?;
            let repeated = self.graph.add(Tensor { shape, ..self.graph.tensors[id].like() });
            let inputs = vec![Some(id)];
            let repeat = Node { op: NodeOp::Ir(Op::BroadcastTo), inputs, outputs: vec![repeated], origin: node.origin };
            self.broadcast_to(&repeat, 0)?;
            node.inputs[k] = Some(repeated);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// The elements in reverse along the dimensions that input 1 names.
    pub(super) fn reverse(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let shape = self.graph.tensors[input].shape.clone();
        let (mut begin, mut step) = (vec![0; shape.len()], vec![1; shape.len()]);
        for axis in self.graph.constant_integers(node, 1)? {
            let axis = dimension(&self.graph, node, axis, shape.len())?;
            if step[axis] < 0 {
                return Err(self.graph.invalid(node, format!("it names dimension {axis} twice")));
            }
            (begin[axis], step[axis]) = (i64::from(shape[axis]) - 1, -1);
        }
        let reversed = self.strided(node, input, &begin, &step, shape)?;
        self.write(node, Op::Reshape { new_shape: None }, &[reversed], output);
        Ok(())
    }

    /// Adds the operators that repeat a tensor along a dimension, and returns their output. Many copies are joined in
    /// steps, from fewer copies of more.
    fn repeated(&mut self, node: &Node, id: TensorId, axis: usize, count: u32) -> Result<TensorId> {
        if count <= MAX_PARTS {
            return self.joined(node, id, axis, &vec![id; count as usize]);
        }
        let block = self.repeated(node, id, axis, MAX_PARTS)?;
        let mut parts = vec![self.repeated(node, block, axis, count / MAX_PARTS)?];
        if !count.is_multiple_of(MAX_PARTS) {
            parts.push(self.repeated(node, id, axis, count % MAX_PARTS)?);
        }
        self.joined(node, id, axis, &parts)
    }

    /// Adds the operator that takes `count` elements of a dimension in reverse, those before element `end`, and returns
    /// its output.
    fn reversed(&mut self, node: &Node, id: TensorId, axis: usize, end: u32, count: u32) -> Result<TensorId> {
        let mut shape = self.graph.tensors[id].shape.clone();
        let (mut begin, mut step) = (vec![0; shape.len()], vec![1; shape.len()]);
        (begin[axis], step[axis]) = (i64::from(end) - 1, -1);
        shape[axis] = count;
        self.strided(node, id, &begin, &step, shape)
    }

    /// Adds the operator that takes the elements from `begin` on in these steps, as many as `shape` says, and returns its
    /// output.
    pub(super) fn strided(
        &mut self,
        node: &Node,
        id: TensorId,
        begin: &[i64],
        step: &[i64],
        shape: Vec<u32>,
    ) -> Result<TensorId> {
        let bytes = STEP + self.graph.tensors[id].name.len() as u64;
        self.limit.make(bytes, || format!("{} as parts", self.graph.site(node)))?;
        let mut masked = 0;
        let mut ends = Vec::new();
        for (i, (&begin, &step)) in begin.iter().zip(step).enumerate() {
            let end = begin + step * i64::from(shape[i]);
            // The last index is that before the first element, if nothing is left before: no number states that.
            if end < 0 {
                masked |= 1 << i;
            }
            ends.push(end.max(0));
        }
        let mut list = |words: &[i64]| {
            let words: Vec<[u8; 4]> = words.iter().map(|&word| (word as i32).to_le_bytes()).collect();
            self.list("strided", ElementType::I32, vec![words.len() as u32], &words)
        };
        let lists = [list(begin)?, list(&ends)?, list(step)?];
        let part = Tensor { shape, ..self.graph.tensors[id].like() };
        let part = self.graph.add(part);
        let masks = SliceMasks { begin: 0, end: masked, ellipsis: 0, new_axis: 0, shrink_axis: 0 };
        self.write(node, Op::StridedSlice(masks), &[id, lists[0], lists[1], lists[2]], part);
        Ok(part)
    }

    /// Adds the operator that joins parts of a tensor `like` along a dimension, if there are several, and returns its
    /// output.
    pub(super) fn joined(&mut self, node: &Node, like: TensorId, axis: usize, parts: &[TensorId]) -> Result<TensorId> {
        if let &[only] = parts {
            return Ok(only);
        }
        let lengths = parts.iter().map(|&part| self.graph.tensors[part].shape[axis]);
        let Some(length) = lengths.clone().try_fold(0u32, u32::checked_add) else {
            return Err(self.graph.invalid(node, "its output is too large"));
        };
        let bytes = STEP + self.graph.tensors[like].name.len() as u64;
        self.limit.make(bytes, || format!("{} as parts", self.graph.site(node)))?;
        let mut shape = self.graph.tensors[like].shape.clone();
        shape[axis] = length;
        let whole = Tensor { shape, ..self.graph.tensors[like].like() };
        let whole = self.graph.add(whole);
        let op = Op::Concat { axis: axis as i32, activation: Activation::None };
        self.write(node, op, parts, whole);
        Ok(whole)
    }
}
