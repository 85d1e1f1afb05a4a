//! MIRROR_PAD and TILE, as parts of a tensor one after another.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::graph::{Node, Tensor, TensorId};
use crate::ir::{Activation, Op};

/// The maximum number of parts along a dimension: each is an operator of the model.
const MAX_PARTS: u32 = 64;

impl Expansion<'_> {
    /// Dimension by dimension: single elements before, the tensor, single elements after.
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
            if before.saturating_add(after) >= MAX_PARTS {
                let what = format!("paddings of fewer than {MAX_PARTS} elements along a dimension");
                return Err(self.graph.unsupported(node, what));
            }
            let skipped = length - most;
            let mut parts = Vec::new();
            for i in (0..before).rev() {
                parts.push(self.element(node, padded, axis, i + skipped)?);
            }
            parts.push(padded);
            for i in 0..after {
                parts.push(self.element(node, padded, axis, length - 1 - skipped - i)?);
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

    /// Adds the operator that takes the single element `index` of a dimension, and returns its output.
    fn element(&mut self, node: &Node, id: TensorId, axis: usize, index: u32) -> Result<TensorId> {
        let bytes = STEP + self.graph.tensors[id].name.len() as u64;
        self.limit.make(bytes, || format!("{} as single elements", self.graph.site(node)))?;
        self.part(node, id, axis, index, 1)
    }

    /// Adds the operator that joins parts of a tensor `like` along a dimension, if there are several, and returns its
    /// output.
    fn joined(&mut self, node: &Node, like: TensorId, axis: usize, parts: &[TensorId]) -> Result<TensorId> {
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
