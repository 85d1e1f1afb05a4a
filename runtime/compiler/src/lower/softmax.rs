//! Softmax and its logarithm.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::Node;
use tealight_format::ops::{LogSoftmax, Multiplier, Softmax, SoftmaxF32};
use tealight_format::{Operator, Quantization};

/// Integer bits of a scaled difference.
const INTEGER_BITS: i32 = 5;

impl Lowering<'_> {
    pub(super) fn softmax(&mut self, node: &Node, beta: f32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let softmax = self.softmax_of(node, beta)?;
        self.output_is(node, Quantization::new(1.0 / 256.0, -128), "1/256")?;
        self.emit(node, Operator::Softmax(softmax), &[Some(input)], output);
        Ok(())
    }

    /// TensorFlow Lite's `PreprocessLogSoftmaxScalingExp`.
    pub(super) fn log_softmax(&mut self, node: &Node) -> Result<()> {
        let (id, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let input = self.softmax_of(node, 1.0)?;
        self.output_is(node, Quantization::new(1.0 / 16.0, 127), "1/16")?;
        let reverse = f64::from(1u32 << (31 - input.input_left_shift)) / f64::from(input.input_multiplier);
        let (multiplier, shift) = tealight_kernels::quant::quantize_multiplier(reverse);
        let reverse = Multiplier { multiplier, shift: shift.min(0) };
        self.emit(node, Operator::LogSoftmax(LogSoftmax { input, reverse }), &[Some(id)], output);
        Ok(())
    }

    /// TensorFlow Lite's `PreprocessSoftmaxScaling` and `CalculateInputRadius`.
    fn softmax_of(&self, node: &Node, beta: f32) -> Result<Softmax> {
        let input = self.graph.input(node, 0)?;
        let Quantization { scale, .. } = self.int8(node, input)?;
        let max = f64::from(i32::MAX);
        let factor = f64::from(beta) * f64::from(scale) * f64::from(1 << (31 - INTEGER_BITS));
        // `min` would turn NaN into a number, so it is not used.
        let factor = if factor > max { max } else { factor };
        let [input_multiplier, input_left_shift] = self.factor_up_to_31(node, factor)?;
        let radius = f64::from((1 << INTEGER_BITS) - 1) * f64::from(1 << (31 - INTEGER_BITS));
        let diff_min = -((radius / f64::from(1u32 << input_left_shift)).floor() as i32);
        Ok(Softmax { input_multiplier, input_left_shift, diff_min })
    }

    /// A factor above 1 and below 2^31.
    fn factor_up_to_31(&self, node: &Node, factor: f64) -> Result<[i32; 2]> {
        let (multiplier, shift) = tealight_kernels::quant::quantize_multiplier(factor);
        if factor > 1.0 && (0..=31).contains(&shift) {
            Ok([multiplier, shift])
        } else {
            let product = factor / f64::from(1 << (31 - INTEGER_BITS));
            let what = format!("beta times its input's scale is {product:.3e}; accepted: above 1.5e-8");
            Err(self.graph.invalid(node, what))
        }
    }

    pub(super) fn softmax_f32(&mut self, node: &Node, beta: f32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.output_f32(node)?);
        self.emit(node, Operator::SoftmaxF32(SoftmaxF32 { beta }), &[Some(input)], output);
        Ok(())
    }
}
