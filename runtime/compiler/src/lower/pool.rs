//! Average and maximum pooling.

use super::Lowering;
use crate::error::Result;
use crate::graph::Node;
use crate::tflite::Window;
use tealight_format::Operator;
use tealight_format::ops::{MOST_AVERAGED, Pool2d};

impl Lowering<'_> {
    pub(super) fn pool(&mut self, node: &Node, window: &Window, kind: fn(Pool2d) -> Operator) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.int8(node, input)?;
        let [height, width] = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        if let [_, rows, columns, _] = self.tensor(input).shape[..] {
            let taps = u64::from(height.min(rows)) * u64::from(width.min(columns));
            if taps > u64::from(MOST_AVERAGED) {
                let accepted = format!("a window of up to {MOST_AVERAGED} int8 elements, not {taps}");
                return Err(self.graph.unsupported(node, accepted));
            }
        }
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
