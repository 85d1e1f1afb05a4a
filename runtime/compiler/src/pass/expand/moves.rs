//! MIRROR_PAD and TILE, as parts of a tensor one after another.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, Tensor, TensorId};
use crate::ir::{Activation, Op, SliceMasks};

/// The maximum number of copies along a dimension: as many operators join them as there are tens of copies.
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
                .filter(|count| (1..=MAX_PARTS).contains(count))
                .ok_or_else(|| self.graph.unsupported(node, format!("multiples of 1 to {MAX_PARTS}")))?;
            tiled = self.joined(node, tiled, axis, &vec![tiled; count as usize])?;
        }
        self.write(node, Op::Reshape { new_shape: None }, &[tiled], output);
        Ok(())
    }

    /// Adds the operator that takes `count` elements of a dimension in reverse, those before element `end`, and returns
    /// its output.
    fn reversed(&mut self, node: &Node, id: TensorId, axis: usize, end: u32, count: u32) -> Result<TensorId> {
        let bytes = STEP + self.graph.tensors[id].name.len() as u64;
        self.limit.make(bytes, || format!("{} as parts", self.graph.site(node)))?;
        let mut shape = self.graph.tensors[id].shape.clone();
        let rank = shape.len();
        let mut to: Vec<[u8; 4]> = shape.iter().map(|dim| dim.to_le_bytes()).collect();
        let (mut from, mut step) = (vec![[0; 4]; rank], vec![1i32.to_le_bytes(); rank]);
        from[axis] = (end - 1).to_le_bytes();
        step[axis] = (-1i32).to_le_bytes();
        // The last index is that before the first element, if nothing is left before: no number states that.
        let (masked, last) = if end == count { (1 << axis, 0) } else { (0, end - count - 1) };
        to[axis] = last.to_le_bytes();
        shape[axis] = count;
        let list = |words: &[[u8; 4]], expansion: &mut Self| {
            expansion.list("reversed", ElementType::I32, vec![rank as u32], words)
        };
        let lists = [list(&from, self)?, list(&to, self)?, list(&step, self)?];
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
