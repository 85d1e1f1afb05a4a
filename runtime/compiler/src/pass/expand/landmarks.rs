//! MediaPipe's TransformLandmarks.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::graph::{Node, Tensor, TensorId};
use crate::ir::{Activation, Op};

impl Expansion<'_> {
    /// `(a·x + b·y + t, c·x + d·y + u)` for each landmark, by the first two rows `(a, b, _, t)` and `(c, d, _, u)` of a matrix;
    /// z stays.
    pub(super) fn transform_landmarks(&mut self, node: &Node) -> Result<()> {
        let (landmarks, matrix, output) =
            (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let &[batch, count, depth @ (2 | 3)] = &self.graph.tensors[landmarks].shape[..] else {
            return Err(self.graph.unsupported(node, "landmarks `[1, n, 2]` or `[1, n, 3]`"));
        };
        if batch != 1 || self.graph.tensors[matrix].elements() != 16 {
            let what = format!("it needs one list of landmarks and a matrix: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        self.limit.make(8 * STEP, || format!("{} as products", self.graph.site(node)))?;
        let shaped = |expansion: &mut Self, id: TensorId, shape: &[u32]| {
            let like = Tensor { shape: shape.to_vec(), ..expansion.graph.tensors[id].like() };
            let view = expansion.graph.add(like);
            expansion.write(node, Op::Reshape { new_shape: None }, &[id], view);
            view
        };
        let matrix = shaped(self, matrix, &[1, 4, 4]);
        let rows = self.part(node, matrix, 1, 0, 2)?;
        let turn = self.part(node, rows, 2, 0, 2)?;
        let shift = self.part(node, rows, 2, 3, 1)?;
        let shift = shaped(self, shift, &[1, 1, 2]);
        let places = if depth == 2 { landmarks } else { self.part(node, landmarks, 2, 0, 2)? };
        let turned = Tensor { shape: vec![1, count, 2], ..self.graph.tensors[output].like() };
        let (turned, moved) = (self.graph.add(turned.clone()), self.graph.add(turned));
        self.write(node, Op::BatchMatMul { transposed: [false, true] }, &[places, turn], turned);
        if depth == 2 {
            self.write(node, Op::Add(Activation::None), &[turned, shift], output);
            return Ok(());
        }
        self.write(node, Op::Add(Activation::None), &[turned, shift], moved);
        let heights = self.part(node, landmarks, 2, 2, 1)?;
        self.write(node, Op::Concat { axis: 2, activation: Activation::None }, &[moved, heights], output);
        Ok(())
    }
}
