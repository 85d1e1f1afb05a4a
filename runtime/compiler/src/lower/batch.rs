//! Space to batch and back: every n-th pixel of an image becomes an image of its own.
//!
//! Converters write a dilated convolution as one between these two; the pass `fuse_dilation` undoes that. What is left is
//! padding, a transposition and a slice.

use super::Lowering;
use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{Graph, Node, NodeOp, Tensor, TensorId};
use tealight_format::ops::{Pad, StridedSlice, Transpose};
use tealight_format::{MAX_RANK, Operator};

/// How an image is cut into batches: for each of the one or two dimensions after the batch.
pub(crate) struct Blocks {
    /// Image with its batch first: the input of one operator, the output of the other.
    pub(crate) image: Vec<u32>,
    /// What images become: the output of one operator, the input of the other.
    pub(crate) batches: Vec<u32>,
    /// From one pixel to the next of the same batch.
    pub(crate) sizes: Vec<u32>,
    /// Pixels before and after the image: added before, or cut off afterwards.
    pub(crate) border: Vec<[u32; 2]>,
}

impl Blocks {
    /// Returns how `node`, one of the two operators, cuts.
    ///
    /// # Errors
    /// Its operands do not fit together.
    pub(crate) fn of(graph: &Graph, node: &Node) -> Result<Self> {
        let (input, output) = (graph.input(node, 0)?, graph.output(node)?);
        let shape = |id: TensorId| graph.tensors[id].shape.clone();
        let [image, batches] = match node.op {
            NodeOp::Ir(Op::SpaceToBatch) => [shape(input), shape(output)],
            _ => [shape(output), shape(input)],
        };
        let list = |k| -> Result<Vec<u32>> {
            let wrong = || graph.invalid(node, format!("its input {k} has a number that is not positive"));
            graph.constant_integers(node, k)?.into_iter().map(|n| u32::try_from(n).map_err(|_| wrong())).collect()
        };
        let (sizes, flat) = (list(1)?, list(2)?);
        let border: Vec<[u32; 2]> = flat.as_chunks().0.to_vec();
        let cut = sizes.len();
        if !(1..=2).contains(&cut) || image.len() <= cut || image.len() + cut > MAX_RANK || flat.len() != 2 * cut {
            let what = "images of 3 or 4 dimensions, of which the second, or the second and the third, are cut";
            return Err(graph.unsupported(node, what));
        }
        let blocks = Self { image, batches, sizes, border };
        match blocks.expected_batches() {
            Some(expected) if expected == blocks.batches => Ok(blocks),
            _ => {
                let (sizes, border) = (&blocks.sizes, &blocks.border);
                let what = format!("blocks {sizes:?} and borders {border:?}: {}", graph.describe_operands(node));
                Err(graph.invalid(node, what))
            }
        }
    }

    /// Returns the image with its border.
    fn padded(&self) -> Option<Vec<u32>> {
        let mut padded = self.image.clone();
        for (dim, &[before, after]) in padded[1..].iter_mut().zip(&self.border) {
            *dim = dim.checked_add(before)?.checked_add(after)?;
        }
        Some(padded)
    }

    fn expected_batches(&self) -> Option<Vec<u32>> {
        let mut batches = self.padded()?;
        for (i, &size) in self.sizes.iter().enumerate() {
            if size == 0 || !batches[i + 1].is_multiple_of(size) {
                return None;
            }
            batches[i + 1] /= size;
            batches[0] = batches[0].checked_mul(size)?;
        }
        Some(batches)
    }

    /// Returns the padded image with each dimension that is cut as two, and the order of these dimensions in the batches.
    fn cut(&self, padded: &[u32]) -> (Vec<u32>, Vec<usize>) {
        let (mut dims, mut blocks, mut pixels) = (vec![padded[0]], Vec::new(), vec![0]);
        for (&dim, &size) in padded[1..].iter().zip(&self.sizes) {
            pixels.push(dims.len());
            blocks.push(dims.len() + 1);
            dims.extend([dim / size, size]);
        }
        pixels.extend(dims.len()..dims.len() + padded.len() - 1 - self.sizes.len());
        dims.extend(&padded[1 + self.sizes.len()..]);
        (dims, [blocks, pixels].concat())
    }

    /// Returns the border before the image, one word for each dimension.
    fn before(&self) -> [i32; MAX_RANK] {
        let mut words = [0; MAX_RANK];
        for (word, &[before, _]) in words[1..].iter_mut().zip(&self.border) {
            // A border is part of a shape, which has at most 2^28 elements.
            *word = before.cast_signed();
        }
        words
    }
}

impl Lowering<'_> {
    /// Emits padding and a transposition.
    pub(super) fn space_to_batch(&mut self, node: &Node) -> Result<()> {
        let (mut input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let blocks = self.blocks_of(node, [input, output])?;
        let padded = blocks.padded().unwrap_or_default();
        if padded != blocks.image {
            let tensor = Tensor { shape: padded.clone(), ..self.tensor(output).like() };
            let id = self.graph.add(tensor);
            // TensorFlow Lite Micro adds the code 0 to int8 images, too.
            let pad = Pad { before: blocks.before(), value: 0 };
            self.emit(node, Operator::Pad(pad), &[Some(input)], id);
            input = id;
        }
        let (dims, order) = blocks.cut(&padded);
        let to: Vec<u32> = order.iter().map(|&dim| dims[dim]).collect();
        let (from, to) = (self.view(input, dims), self.written(output, &to));
        self.permute(node, &order, from, to);
        Ok(())
    }

    /// The inverse of [`Self::space_to_batch`].
    pub(super) fn batch_to_space(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let blocks = self.blocks_of(node, [input, output])?;
        let padded = blocks.padded().unwrap_or_default();
        let (dims, order) = blocks.cut(&padded);
        let from: Vec<u32> = order.iter().map(|&dim| dims[dim]).collect();
        let inverse: Vec<usize> = (0..order.len()).filter_map(|dim| order.iter().position(|&at| at == dim)).collect();
        let whole = if padded == blocks.image {
            output
        } else {
            let tensor = Tensor { shape: padded, ..self.tensor(output).like() };
            self.graph.add(tensor)
        };
        let (from, to) = (self.view(input, from), self.written(whole, &dims));
        self.permute(node, &inverse, from, to);
        if whole != output {
            let slice = StridedSlice { begin: blocks.before(), stride: [1; MAX_RANK] };
            self.emit(node, Operator::StridedSlice(slice), &[Some(whole)], output);
        }
        Ok(())
    }

    fn blocks_of(&self, node: &Node, [input, output]: [TensorId; 2]) -> Result<Blocks> {
        if self.tensor(input).dtype != self.tensor(output).dtype {
            return Err(self.type_error(node, output, "the type of its input"));
        }
        Blocks::of(&self.graph, node)
    }

    /// Emits a transposition: dimension i of `to` is `order[i]` of `from`.
    fn permute(&mut self, node: &Node, order: &[usize], from: TensorId, to: TensorId) {
        let mut perm = [0, 1, 2, 3, 4, 5];
        for (word, &dim) in perm.iter_mut().zip(order) {
            *word = dim as i32;
        }
        self.emit(node, Operator::Transpose(Transpose { perm }), &[Some(from)], to);
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::graph::Graph;
    use crate::ir::{Op, Padding};
    use crate::testing::{Builder, lower, names, window};

    fn around(op: &Op, image: &[u32], batches: &[u32], sizes: &[i32], border: &[i32]) -> Graph {
        let mut b = Builder::default();
        let [from, to] = if *op == Op::SpaceToBatch { [image, batches] } else { [batches, image] };
        let (x, y) = (b.input(from), b.int8(to));
        let (sizes, border) = (b.ints(sizes), b.ints(border));
        b.node(op.clone(), &[x, sizes, border], &[y]);
        b.output(y)
    }

    #[test]
    fn they_are_padding_a_transposition_and_a_slice() {
        let cut = |op, border: &[i32], image: &[u32]| {
            let graph = lower(around(&op, image, &[4, 2, 3, 5], &[2, 2], border)).unwrap();
            names(&graph).iter().map(|name| (*name).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(cut(Op::SpaceToBatch, &[0; 4], &[1, 4, 6, 5]), ["Transpose"]);
        assert_eq!(cut(Op::SpaceToBatch, &[1, 0, 0, 2], &[1, 3, 4, 5]), ["Pad", "Transpose"]);
        assert_eq!(cut(Op::BatchToSpace, &[0; 4], &[1, 4, 6, 5]), ["Transpose"]);
        assert_eq!(cut(Op::BatchToSpace, &[1, 0, 0, 2], &[1, 3, 4, 5]), ["Transpose", "StridedSlice"]);
        let series = lower(around(&Op::SpaceToBatch, &[1, 5, 3], &[2, 3, 3], &[2], &[1, 0])).unwrap();
        assert_eq!(names(&series), ["Pad", "Transpose"]);
    }

    #[test]
    fn what_does_not_divide_or_fit_is_refused() {
        let refused = |sizes: &[i32], border: &[i32]| {
            lower(around(&Op::SpaceToBatch, &[1, 4, 6, 5], &[4, 2, 3, 5], sizes, border)).unwrap_err().to_string()
        };
        assert!(refused(&[3, 2], &[0; 4]).contains("blocks [3, 2]"));
        assert!(refused(&[2, 2], &[1, 1, 0, 0]).contains("borders [[1, 1], [0, 0]]"));
        assert!(refused(&[0, 2], &[0; 4]).contains("blocks [0, 2]"));
        assert!(refused(&[2, -2], &[0; 4]).contains("not positive"));
        assert!(refused(&[2, 2], &[0; 3]).contains("are cut"));
    }

    #[test]
    fn with_a_convolution_between_they_are_its_dilation() {
        let dilated = |zero_point, border: [i32; 4], crops: [i32; 4], padding, out: [u32; 2]| {
            let mut b = Builder::default();
            let x = b.int8_with(&[1, 8, 8, 1], 0.5, zero_point);
            b.graph.inputs.push(x);
            let (sizes, border, crops) = (b.ints(&[2, 2]), b.ints(&border), b.ints(&crops));
            let batches = b.int8_with(&[4, 5, 5, 1], 0.5, zero_point);
            b.node(Op::SpaceToBatch, &[x, sizes, border], &[batches]);
            let w = b.weights(&[1, 3, 3, 1], &[1; 9]);
            let side = if padding == Padding::Same { 5 } else { 3 };
            let inner = b.int8(&[4, side, side, 1]);
            b.node(Op::Conv2d(window(padding, 1)), &[batches, w], &[inner]);
            let y = b.int8(&[1, out[0], out[1], 1]);
            b.node(Op::BatchToSpace, &[inner, sizes, crops], &[y]);
            crate::pass::fuse_dilation::fuse_dilation(b.output(y))
        };
        let graph = dilated(0, [2, 0, 1, 1], [0, 0, 0, 1], Padding::Valid, [6, 5]);
        assert_eq!(names(&graph), ["Conv2d"]);
        let crate::ir::graph::NodeOp::Ir(Op::Conv2d(window)) = &graph.nodes[0].op else { panic!() };
        assert_eq!((window.dilation, window.explicit), ([2, 2], [2, 1, 0, 0]));
        assert_eq!(graph.nodes[0].inputs[0], Some(graph.inputs[0]));
        assert_eq!(graph.nodes[0].outputs, graph.outputs);
        // A code 0 that is not a real zero.
        let graph = dilated(3, [2, 0, 1, 1], [0, 0, 0, 1], Padding::Valid, [6, 5]);
        assert_eq!(names(&graph), ["PadWith", "Conv2d"]);
        assert_eq!(graph.tensors[graph.nodes[0].outputs[0]].shape, [1, 10, 9, 1]);
        // Cut off more than was added, and padding of the small images themselves.
        let whole = ["SpaceToBatch", "Conv2d", "BatchToSpace"];
        assert_eq!(names(&dilated(0, [0, 2, 0, 2], [1, 0, 0, 0], Padding::Valid, [5, 6])), whole);
        assert_eq!(names(&dilated(0, [1, 1, 1, 1], [0, 0, 0, 0], Padding::Same, [10, 10])), whole);
    }
}
