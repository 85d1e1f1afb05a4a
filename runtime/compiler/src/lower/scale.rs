//! The derived quantities of quantized operators: requantization factors, activation ranges.

use super::Lowering;
use crate::error::Result;
use crate::graph::{Node, TensorId};
use crate::tflite::Activation;
use tealight_kernels::quant::quantize_multiplier;

impl Lowering {
    /// A real factor as (Q31 multiplier, shift): TensorFlow Lite's `QuantizeMultiplier`.
    pub(super) fn factor(&self, node: &Node, factor: f64) -> Result<[i32; 2]> {
        let (multiplier, shift) = quantize_multiplier(factor);
        // The kernels shift by at most 31 bits to the right and 30 to the left.
        if !factor.is_finite() || factor < 0.0 || shift > 30 {
            return Err(self.graph.invalid(node, format!("its scales give the factor {factor}")));
        }
        Ok([multiplier, shift])
    }

    /// A factor that the operator needs to be below one.
    pub(super) fn factor_below_one(&self, node: &Node, factor: f64) -> Result<[i32; 2]> {
        match self.factor(node, factor)? {
            [multiplier, shift] if shift <= 0 => Ok([multiplier, shift]),
            _ => Err(self.graph.invalid(node, format!("its scales give the factor {factor}, which must be below 1"))),
        }
    }

    /// The range that a fused activation leaves of an int8 output: TensorFlow Lite's
    /// `CalculateActivationRangeQuantized`.
    pub(super) fn activation_range(&self, node: &Node, activation: Activation, output: TensorId) -> Result<[i32; 2]> {
        let (scale, zero_point) = self.int8(node, output)?;
        let [low, high] = match activation {
            Activation::None => return Ok([-128, 127]),
            Activation::Relu => [quantize(0.0, scale, zero_point), 127],
            Activation::Relu6 => [quantize(0.0, scale, zero_point), quantize(6.0, scale, zero_point)],
            Activation::ReluN1To1 => [quantize(-1.0, scale, zero_point), quantize(1.0, scale, zero_point)],
            Activation::Other(code) => {
                return Err(self.graph.unsupported(
                    node,
                    format!("the fused activations NONE, RELU, RELU_N1_TO_1 and RELU6, not number {code}"),
                ));
            }
        };
        Ok([low.clamp(-128, 127), high.clamp(-128, 127)])
    }
}

/// A real number in a quantization, rounded half away from zero.
pub(super) fn quantize(real: f32, scale: f32, zero_point: i32) -> i32 {
    ((real / scale).round() as i32).saturating_add(zero_point)
}
