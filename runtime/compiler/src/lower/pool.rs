//! Average and maximum pooling.

use super::Lowering;
use crate::error::Result;
use crate::graph::Node;
use crate::tflite::Window;
use tealight_format::Operator;
use tealight_format::ops::Pool2d;

impl Lowering {
    pub(super) fn pool(&mut self, node: &Node, window: &Window, kind: fn(Pool2d) -> Operator) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.int8(node, input)?;
        let [height, width] = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        let pool = Pool2d {
            window: window.size,
            stride: window.stride,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.activation_range(node, window.activation, output)?,
        };
        self.emit(node, kind(pool), &[Some(input)], output);
        Ok(())
    }
}
