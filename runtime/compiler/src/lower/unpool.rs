//! The places of maxima, and images of zeros with maxima at their places.

use super::Lowering;
use crate::diag::Result;
use crate::ir::Window;
use crate::ir::graph::Node;
use tealight_format::Operator;
use tealight_format::ops::{MaxPoolIndices2dF32, MaxUnpool2dF32, MaxWindow2d};

impl Lowering<'_> {
    pub(super) fn max_pool_indices_f32(&mut self, node: &Node, window: &Window) -> Result<()> {
        let (input, output) = (self.input_f32(node, 0)?, self.output_f32(node)?);
        let size = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        let pad = self.window_pad(node, window, size)?;
        let attrs = MaxPoolIndices2dF32(MaxWindow2d { window: window.size, stride: window.stride, pad });
        self.emit(node, Operator::MaxPoolIndices2dF32(attrs), &[Some(input)], output);
        Ok(())
    }

    /// The result is as many times higher and wider as a window is.
    pub(super) fn max_unpool_f32(&mut self, node: &Node, window: &Window) -> Result<()> {
        let inputs = [self.input_f32(node, 0)?, self.input_f32(node, 1)?];
        let output = self.output_f32(node)?;
        let (&[_, h, w, _], &[_, oh, ow, _]) = (&self.tensor(inputs[0]).shape[..], &self.tensor(output).shape[..])
        else {
            return Err(self.wrong_rank(node, "maxima and an output of 4 dimensions"));
        };
        let mut pad = [0; 2];
        for (axis, (from, to)) in [(h, oh), (w, ow)].into_iter().enumerate() {
            let (size, stride) = (i64::from(window.size[axis]), i64::from(window.stride[axis]));
            let (from, to) = (i64::from(from), i64::from(to));
            if size < 1 || stride < 1 || from.checked_mul(size) != Some(to) {
                let operands = self.graph.describe_operands(node);
                let what = format!("a window of {size} and a stride of {stride} do not fit its shapes: {operands}");
                return Err(self.graph.invalid(node, what));
            }
            pad[axis] = i32::try_from(((from - 1).saturating_mul(stride).saturating_add(size) - to).max(0) / 2)
                .unwrap_or(i32::MAX);
        }
        let attrs = MaxUnpool2dF32(MaxWindow2d { window: window.size, stride: window.stride, pad });
        self.emit(node, Operator::MaxUnpool2dF32(attrs), &inputs.map(Some), output);
        Ok(())
    }
}
