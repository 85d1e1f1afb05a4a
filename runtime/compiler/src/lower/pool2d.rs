//! Average and maximum pooling.
//!
//! A kernel computes in its input's quantization. Where the output has another, a table converts the pooled codes. The
//! result is exact for a maximum, and within one step for an average if the output's scale is not finer than the
//! input's; a finer one is refused. (TensorFlow Lite Micro refuses all of these.)

use super::Lowering;
use crate::diag::Result;
use crate::ir::Window;
use crate::ir::graph::Node;
use tealight_format::Operator;
use tealight_format::ops::{ActivationRange, MAX_AVERAGED, Pool2d, Pool2dF32};

impl Lowering<'_> {
    pub(super) fn pool(&mut self, node: &Node, window: &Window, kind: fn(Pool2d) -> Operator) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let (from, to) = (self.int8(node, input)?, self.int8(node, output)?);
        let [height, width] = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        if let [_, rows, columns, _] = self.tensor(input).shape[..] {
            let taps = u64::from(height.min(rows)) * u64::from(width.min(columns));
            if taps > u64::from(MAX_AVERAGED) {
                let accepted = format!("a window of up to {MAX_AVERAGED} int8 elements, not {taps}");
                return Err(self.graph.unsupported(node, accepted));
            }
        }
        let activation = self.activation_range(node, window.activation, output)?;
        let pool = Pool2d {
            window: window.size,
            stride: window.stride,
            pad: self.window_pad(node, window, [height, width])?,
            activation: if from == to { activation } else { ActivationRange::FULL },
        };
        let operator = kind(pool);
        if from == to {
            self.emit(node, operator, &[Some(input)], output);
            return Ok(());
        }
        if matches!(operator, Operator::AvgPool2d(_)) && to.scale < from.scale {
            let what =
                format!("its output has a finer scale than its input: {}; accepted: one scale", self.scales(node));
            return Err(self.graph.invalid(node, what));
        }
        let mut pooled = self.tensor(output).clone();
        pooled.quantization = self.tensor(input).quantization.clone();
        let pooled = self.graph.add(pooled);
        self.emit(node, operator, &[Some(input)], pooled);
        self.convert(node, pooled, output, activation.bounds())
    }

    pub(super) fn pool_f32(&mut self, node: &Node, window: &Window, kind: fn(Pool2dF32) -> Operator) -> Result<()> {
        let input = self.graph.input(node, 0)?;
        let [height, width] = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        let pool = Pool2dF32 {
            window: window.size,
            stride: window.stride,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.range_f32(node, window.activation)?,
        };
        let output = self.output_f32(node)?;
        self.emit(node, kind(pool), &[Some(input)], output);
        Ok(())
    }
}
