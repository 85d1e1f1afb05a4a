//! Operators that only move elements.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Bytes, Content, ElementType, Node, Tensor, TensorId};
use crate::ir::{Activation, Op};
use crate::slice::{self, Slice};
use tealight_format::ops::{Concat, Pad, StridedSlice, Transpose};
use tealight_format::{MAX_INPUTS, MAX_RANK, Operator};

impl Lowering<'_> {
    /// Adds a tensor that is a view of `id` in another shape.
    pub(super) fn view(&mut self, id: TensorId, shape: Vec<u32>) -> TensorId {
        let base = self.graph.base(id);
        let from = self.tensor(id);
        let mut tensor = Tensor { shape, content: from.content.clone(), ..from.like() };
        if !tensor.is_constant() {
            tensor.alias = Some(base);
        }
        self.graph.add(tensor)
    }

    /// Makes `view` a view of `id`, which has as many elements.
    pub(super) fn make_view(&mut self, view: TensorId, id: TensorId) {
        let content = self.tensor(self.graph.base(id)).content.clone();
        if !matches!(content, Content::Constant(_)) {
            self.graph.tensors[view].alias = Some(self.graph.base(id));
        }
        self.graph.tensors[view].content = content;
    }

    /// Returns a tensor for a node to write, with the elements of `like` in the shape `shape`. If the shape of `like`
    /// is another one, it becomes a view of the new tensor.
    pub(super) fn written(&mut self, like: TensorId, shape: &[u32]) -> TensorId {
        if self.tensor(like).shape == shape {
            return like;
        }
        let tensor = Tensor { shape: shape.to_vec(), ..self.tensor(like).like() };
        let id = self.graph.add(tensor);
        self.make_view(like, id);
        id
    }

    fn word(&self, node: &Node, value: i64) -> Result<i32> {
        i32::try_from(value).map_err(|_| self.graph.invalid(node, format!("the index {value} is out of range")))
    }

    /// Returns `values` as one word for each dimension, the rest filled by `fill`.
    fn words(&self, node: &Node, values: &[i64], fill: impl Fn(usize) -> i32) -> Result<[i32; MAX_RANK]> {
        let mut words: [i32; MAX_RANK] = std::array::from_fn(fill);
        if values.len() > MAX_RANK {
            return Err(self.graph.unsupported(node, format!("at most {MAX_RANK} dimensions")));
        }
        for (word, &value) in words.iter_mut().zip(values) {
            *word = self.word(node, value)?;
        }
        Ok(words)
    }

    /// Emits a slice for each output of STRIDED_SLICE, SLICE, SPLIT, SPLIT_V and UNPACK.
    pub(super) fn slice(&mut self, node: &Node, op: &Op) -> Result<()> {
        let Some((input, slices)) = slice::slices(&self.graph, node, op)? else {
            return Err(self.graph.unsupported(node, super::ACCEPTED));
        };
        for (slice, &output) in slices.iter().zip(&node.outputs) {
            self.slice_one(node, input, slice, output)?;
        }
        Ok(())
    }

    fn slice_one(&mut self, node: &Node, input: TensorId, slice: &Slice, output: TensorId) -> Result<()> {
        if self.tensor(input).dtype != self.tensor(output).dtype {
            return Err(self.type_error(node, output, "the type of its input"));
        }
        if slice.shape.contains(&0) {
            self.graph.tensors[output].content = Content::Constant(Bytes::from([]));
            return Ok(());
        }
        if slice.is_whole(&self.tensor(input).shape) {
            self.make_view(output, input);
            return Ok(());
        }
        let operator = StridedSlice {
            begin: self.words(node, &slice.begin, |_| 0)?,
            stride: self.words(node, &slice.stride, |_| 1)?,
        };
        let written = self.written(output, &slice.shape);
        self.emit(node, Operator::StridedSlice(operator), &[Some(input)], written);
        Ok(())
    }

    pub(super) fn concatenation(&mut self, node: &Node, axis: i32, activation: Activation) -> Result<()> {
        if activation != Activation::None {
            return Err(self.graph.unsupported(node, "no fused activation"));
        }
        let output = self.graph.output(node)?;
        let axis = slice::dimension(&self.graph, node, i64::from(axis), self.tensor(output).shape.len())?;
        let inputs = (0..node.inputs.len()).map(|k| self.graph.input(node, k)).collect::<Result<Vec<_>>>()?;
        self.concat(node, inputs, axis, output)
    }

    /// Concatenates any number of tensors, in several steps if there are more than an operator accepts.
    fn concat(&mut self, node: &Node, mut inputs: Vec<TensorId>, axis: usize, output: TensorId) -> Result<()> {
        let operator = Operator::Concat(Concat { axis: axis as i32 });
        // Tensors without elements add nothing.
        if inputs.iter().any(|&id| self.tensor(id).elements() > 0) {
            inputs.retain(|&id| self.tensor(id).elements() > 0);
        }
        while inputs.len() > MAX_INPUTS {
            let mut groups = Vec::new();
            for group in inputs.chunks(MAX_INPUTS) {
                if let &[single] = group {
                    groups.push(single);
                    continue;
                }
                let sizes = group.iter().map(|&id| self.tensor(id).shape.get(axis).copied().unwrap_or(0));
                let size = sizes.fold(0u32, u32::saturating_add);
                let mut tensor = self.tensor(output).like();
                tensor.shape[axis] = size;
                let part = self.graph.add(tensor);
                self.emit(node, operator, &group.iter().copied().map(Some).collect::<Vec<_>>(), part);
                groups.push(part);
            }
            inputs = groups;
        }
        self.emit(node, operator, &inputs.into_iter().map(Some).collect::<Vec<_>>(), output);
        Ok(())
    }

    /// PACK: inserts the new dimension in each input, then concatenates them along it.
    pub(super) fn pack(&mut self, node: &Node, axis: i32) -> Result<()> {
        let output = self.graph.output(node)?;
        let axis = slice::dimension(&self.graph, node, i64::from(axis), self.tensor(output).shape.len())?;
        let mut inputs = Vec::new();
        for k in 0..node.inputs.len() {
            let input = self.graph.input(node, k)?;
            let mut shape = self.tensor(input).shape.clone();
            if axis > shape.len() {
                return Err(self.graph.invalid(node, "its inputs have fewer dimensions than its axis needs"));
            }
            shape.insert(axis, 1);
            inputs.push(self.view(input, shape));
        }
        self.concat(node, inputs, axis, output)
    }

    pub(super) fn pad(&mut self, node: &Node, op: &Op) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let pads = pads(&self.graph, node)?;
        let value = pad_value(&self.graph, node, op)?;
        for (i, &[before, after]) in pads.iter().enumerate() {
            let size = i64::from(self.tensor(input).shape[i]);
            let padded = before.checked_add(size).and_then(|size| size.checked_add(after));
            if before < 0 || after < 0 || padded != self.tensor(output).shape.get(i).map(|&dim| i64::from(dim)) {
                let what = format!(
                    "its padding {before}, {after} of dimension {i} does not fit: {}",
                    self.graph.describe_operands(node)
                );
                return Err(self.graph.invalid(node, what));
            }
        }
        let before: Vec<i64> = pads.iter().map(|pad| pad[0]).collect();
        let pad = Pad { before: self.words(node, &before, |_| 0)?, value };
        self.emit(node, Operator::Pad(pad), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn transpose(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let perm = self.graph.constant_integers(node, 1)?;
        let mut named = perm.clone();
        named.sort_unstable();
        if !named.iter().copied().eq((0i64..).take(self.tensor(input).shape.len())) {
            let what =
                format!("its permutation {perm:?} does not name each dimension of {} once", self.graph.describe(input));
            return Err(self.graph.invalid(node, what));
        }
        let transpose = Transpose { perm: self.words(node, &perm, |i| i as i32)? };
        self.emit(node, Operator::Transpose(transpose), &[Some(input)], output);
        Ok(())
    }

    /// Emits a transposition of the second and third of four dimensions, in which each square of pixels is two of them.
    pub(super) fn depth_to_space(&mut self, node: &Node, block: i32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let [n, height, width, depth] = self.blocks(node, [input, output], block)?;
        // Rows of squares, squares of a row, rows of a square, the rest of a square's row.
        self.exchange(node, [input, output], [n * height, width, block.cast_unsigned(), depth])
    }

    /// The inverse of [`Self::depth_to_space`].
    pub(super) fn space_to_depth(&mut self, node: &Node, block: i32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let [n, height, width, depth] = self.blocks(node, [output, input], block)?;
        self.exchange(node, [input, output], [n * height, block.cast_unsigned(), width, depth])
    }

    /// Emits the transposition of the second and third of these dimensions of an input.
    fn exchange(&mut self, node: &Node, [input, output]: [TensorId; 2], dims: [u32; 4]) -> Result<()> {
        if self.tensor(input).dtype != self.tensor(output).dtype {
            return Err(self.type_error(node, output, "the type of its input"));
        }
        let [a, b, c, d] = dims;
        let (from, to) = (self.view(input, dims.to_vec()), self.written(output, &[a, c, b, d]));
        let transpose = Transpose { perm: [0, 2, 1, 3, 4, 5] };
        self.emit(node, Operator::Transpose(transpose), &[Some(from)], to);
        Ok(())
    }

    /// Returns N, height and width of the tensor `deep`, and the elements of a row of one of its squares in `wide`,
    /// which has `block` times its height and width.
    fn blocks(&self, node: &Node, [deep, wide]: [TensorId; 2], block: i32) -> Result<[u32; 4]> {
        let wrong =
            || self.graph.invalid(node, format!("its block size is {block}: {}", self.graph.describe_operands(node)));
        let (&[n, height, width, channels], wide) = (&self.tensor(deep).shape[..], &self.tensor(wide).shape) else {
            return Err(wrong());
        };
        let side = u32::try_from(block).ok().filter(|&side| side > 0).ok_or_else(wrong)?;
        let square = side.checked_mul(side).ok_or_else(wrong)?;
        let of_wide = [Some(n), height.checked_mul(side), width.checked_mul(side), Some(channels / square)];
        if !channels.is_multiple_of(square) || !of_wide.iter().copied().eq(wide.iter().map(|&dim| Some(dim))) {
            return Err(wrong());
        }
        let rows = n.checked_mul(height).and(channels.checked_div(side));
        Ok([n, height, width, rows.ok_or_else(wrong)?])
    }
}

/// Returns the numbers of elements before and after, for each dimension of a PAD or PADV2.
pub(crate) fn pads(graph: &crate::ir::graph::Graph, node: &Node) -> Result<Vec<[i64; 2]>> {
    let rank = graph.tensors[graph.input(node, 0)?].shape.len();
    let flat = graph.constant_integers(node, 1)?;
    if flat.len() != 2 * rank {
        return Err(graph.invalid(node, format!("it has {} paddings for {rank} dimensions", flat.len())));
    }
    Ok(flat.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
}

/// Returns the padding element of a PAD or PADV2, in the low bytes of the word: a real zero unless the node states
/// another value.
pub(crate) fn pad_value(graph: &crate::ir::graph::Graph, node: &Node, op: &Op) -> Result<i32> {
    let output = &graph.tensors[graph.output(node)?];
    if matches!(op, Op::PadWith) && node.inputs.get(2).copied().flatten().is_some() {
        let value = &graph.tensors[graph.input(node, 2)?];
        return match value.bytes() {
            // It already has the quantization of the output: the pass `requantize` has converted it.
            Some(bytes) if value.dtype == output.dtype && value.elements() == 1 && bytes.len() <= 4 => {
                let mut word = [0; 4];
                word[..bytes.len()].copy_from_slice(bytes);
                Ok(i32::from_le_bytes(word))
            }
            _ => Err(graph.unsupported(node, format!("one constant {} as padding value", output.dtype))),
        };
    }
    match (output.dtype, output.per_tensor()) {
        (ElementType::I8 | ElementType::U8, Some(quantization)) => Ok(quantization.zero_point & 0xff),
        (ElementType::I8 | ElementType::U8, None) => {
            Err(graph.invalid(node, format!("`{}` needs one scale and zero point", output.name)))
        }
        _ => Ok(0),
    }
}
