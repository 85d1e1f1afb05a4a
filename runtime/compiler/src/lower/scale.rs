//! The derived quantities of quantized operators: requantization factors, activation ranges.

use super::Lowering;
use crate::diag::{CompileError, Result};
use crate::ir::Activation;
use crate::ir::graph::{Node, TensorId};
use tealight_format::ops::{ActivationRange, Multiplier};
use tealight_kernels::quant::quantize_multiplier;

impl Lowering<'_> {
    /// Returns `numerator` divided by the scale of the int8 tensor `output`. For an output with scale 0, which is
    /// always 0, the factor is 0, as in TensorFlow Lite Micro.
    pub(super) fn over_scale_of(&self, node: &Node, numerator: f64, output: TensorId) -> Result<f64> {
        let scale = f64::from(self.int8(node, output)?.scale);
        Ok(if scale > 0.0 { numerator / scale } else { 0.0 })
    }

    /// Returns the product of two scales.
    pub(super) fn product(&self, a: f32, b: f32) -> f64 {
        if self.graph.f32_products { f64::from(a * b) } else { f64::from(a) * f64::from(b) }
    }

    /// Returns a real factor as (Q31 multiplier, shift): TensorFlow Lite's `QuantizeMultiplier`.
    pub(super) fn factor(&self, node: &Node, factor: f64) -> Result<Multiplier> {
        let (multiplier, shift) = quantize_multiplier(factor);
        // The kernels shift by at most 31 bits to the right and 30 to the left.
        if !(factor >= 0.0 && factor.is_finite() && shift <= 30) {
            let what =
                format!("its scales give the factor {factor:.3e}; at most 2^30 is accepted: {}", self.scales(node));
            return Err(self.graph.invalid(node, what));
        }
        Ok(Multiplier { multiplier, shift })
    }

    /// Describes the scales of what `node` reads and writes.
    pub(super) fn scales(&self, node: &Node) -> String {
        let words = |id: &TensorId| {
            let tensor = self.tensor(*id);
            Some(format!("`{}` has {}", tensor.name, tensor.quantization.as_ref()?))
        };
        let list: Vec<String> = node.inputs.iter().flatten().chain(&node.outputs).filter_map(words).collect();
        list.join(", ")
    }

    /// Returns a factor that the operator requires to be below one.
    pub(super) fn factor_below_one(&self, node: &Node, factor: f64) -> Result<Multiplier> {
        match self.factor(node, factor)? {
            below if below.shift <= 0 => Ok(below),
            _ => {
                let what =
                    format!("its scales give the factor {factor:.3e}, which must be below 1: {}", self.scales(node));
                Err(self.graph.invalid(node, what))
            }
        }
    }

    /// Returns the range of an int8 output after a fused activation: TensorFlow Lite's
    /// `CalculateActivationRangeQuantized`.
    pub(super) fn activation_range(
        &self,
        node: &Node,
        activation: Activation,
        output: TensorId,
    ) -> Result<ActivationRange> {
        let bounds = match activation {
            Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
            Activation::ReluN1To1 => [-1.0, 1.0],
            Activation::Other(code) => return Err(self.unknown_activation(node, code)),
        };
        self.codes_between(node, bounds, output)
    }

    /// Returns the codes from the first of two f32 bounds to the second, in the quantization of the int8 tensor `id`.
    pub(super) fn codes_between(&self, node: &Node, bounds: [f32; 2], id: TensorId) -> Result<ActivationRange> {
        let quantization = self.int8(node, id)?;
        let [min, max] = bounds.map(|bound| quantization.quantize(bound));
        ActivationRange::new(min, max).ok_or_else(|| {
            self.graph.invalid(node, format!("its activation's bounds are out of order: {}", self.scales(node)))
        })
    }

    pub(super) fn unknown_activation(&self, node: &Node, code: i8) -> CompileError {
        let accepted = format!("the fused activations NONE, RELU, RELU_N1_TO_1 and RELU6, not number {code}");
        self.graph.unsupported(node, accepted)
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::{Activation, Op, Padding};
    use crate::testing::{Builder, lower, window};
    use tealight_format::{Operator, ops};
    use tealight_kernels::quant::quantize_multiplier;

    #[test]
    fn factors_are_the_known_ones() {
        // From the definition: a mantissa in [0.5, 1) of 31 bits, halves away from zero, times a power of two.
        for (factor, multiplier, shift) in [
            (0.5, 1 << 30, 0),
            (1.0, 1 << 30, 1),
            (0.1, 1_717_986_918, -3),
            (0.3, 1_288_490_189, -1),
            (3.0, 3 << 29, 2),
            // Rounds up to 2^31, which is the next power of two.
            (1.0 - 1e-11, 1 << 30, 1),
            (2f64.powi(-33), 0, 0),
            (0.0, 0, 0),
        ] {
            assert_eq!(quantize_multiplier(factor), (multiplier, shift), "{factor}");
        }
    }

    #[test]
    fn a_convolution_folds_its_input_zero_point_into_the_bias() {
        let mut b = Builder::default();
        let x = b.input(&[1, 4, 4, 2]);
        let w = b.weights(&[2, 1, 1, 2], &[1, 2, -3, 4]);
        let bias = b.ints(&[100, -50]);
        let y = b.int8(&[1, 4, 4, 2]);
        let window = crate::ir::Window { activation: Activation::Relu6, ..window(Padding::Same, 1) };
        b.node(Op::Conv2d(window), &[x, w, bias], &[y]);
        let graph = lower(b.output(y)).unwrap();
        let channels = graph.tensors[graph.nodes[0].inputs[2].unwrap()].integers().unwrap();
        // Zero point 3; factor 0.5 * 0.25 / 0.5 = 0.25.
        assert_eq!(channels, [100 - 3 * 3, 1 << 30, -1, -50 - 3, 1 << 30, -1]);
        let crate::ir::graph::NodeOp::Kernel(Operator::Conv2d(conv)) = graph.nodes[0].op else { panic!() };
        let activation = ops::ActivationRange::new(3, 15).unwrap();
        assert_eq!(conv, ops::Conv2d { stride: [1, 1], dilation: [1, 1], pad: [0, 0], activation });
    }

    #[test]
    fn same_padding_starts_the_window_where_tensorflow_does() {
        let mut b = Builder::default();
        let (x, w, y) = (b.input(&[1, 5, 6, 1]), b.weights(&[1, 3, 3, 1], &[0; 9]), b.int8(&[1, 3, 3, 1]));
        b.node(Op::Conv2d(window(Padding::Same, 2)), &[x, w], &[y]);
        let graph = lower(b.output(y)).unwrap();
        let crate::ir::graph::NodeOp::Kernel(Operator::Conv2d(conv)) = graph.nodes[0].op else { panic!() };
        // Rows: 2 * 2 + 3 - 5 = 2, one of them above; columns: 2 * 2 + 3 - 6 = 1, to the right.
        assert_eq!(conv.pad, [1, 0]);
    }

    #[test]
    fn a_float_layer_with_quantized_weights_is_refused_with_what_to_do() {
        let mut b = Builder::default();
        let (x, w, y) = (b.input(&[1, 4, 4, 1]), b.weights(&[1, 1, 1, 1], &[1]), b.int8(&[1, 4, 4, 1]));
        b.graph.tensors[x].dtype = crate::ir::graph::ElementType::F32;
        b.node(Op::Conv2d(window(Padding::Same, 1)), &[x, w], &[y]);
        let error = lower(b.output(y)).unwrap_err().to_string();
        assert!(error.starts_with("node 0 (Conv2d): tensor `weights` is int8; accepted: float32 weights"), "{error}");
        assert!(error.contains("dynamic-range quantization; export it in float32"), "{error}");
    }
}
