//! Layers and functions of int16 activations with int8 weights ("16x8").
//!
//! Activations are symmetric, so no zero point is folded into a bias. The type of a layer's bias says how wide its sums are,
//! as in TensorFlow Lite Micro: 64 bits for int64 and for none, 32 bits for int32. Where a file asks for int32 without a
//! bias, its importer adds one of zeros. What is computed is TensorFlow Lite Micro's; what it refuses, is refused.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, TensorId};
use crate::ir::{Activation, Window};
use crate::sigmoids::{self, power_of_two};
use tealight_format::ops::{
    ActivationRangeI16, AddSubI16, Conv2dI16, DepthwiseConv2dI16, DequantizeI16, FullyConnectedI16, MAX_AVERAGED_I16,
    MAX_WIDE_SHIFT, Mean, MeanI16, MulI16, Multiplier, Pool2dI16, QuantizeI16, RequantizeI16, SigmoidI16, SoftmaxI16,
    UnaryFunction,
};
use tealight_format::{Operator, Quantization};
use tealight_kernels::float;
use tealight_kernels::int16::INTERPOLATED;

/// Left shift of the operands before a sum, for precision.
const LEFT_SHIFT: i32 = 15;

/// The largest factor between two scales: that of two 16-bit codes' difference fits in 32 bits.
const LARGEST_FACTOR: f64 = 32_768.0;

/// The scale of Softmax's, Logistic's and Tanh's results.
const UNIT: f32 = 1.0 / 32_768.0;

/// The width of a layer's sums.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sums {
    Narrow,
    Wide,
}

impl Lowering<'_> {
    /// Returns whether the first input of `node` is int16. If so, operators that have an int16 form are lowered to that.
    pub(super) fn of_i16(&self, node: &Node) -> bool {
        matches!(node.inputs.first(), Some(&Some(input)) if self.tensor(input).dtype == ElementType::I16)
    }

    /// Returns the scale of an int16 tensor, which must be symmetric and quantized as a whole.
    fn scale_i16(&self, node: &Node, id: TensorId) -> Result<f32> {
        let tensor = self.tensor(id);
        if tensor.dtype != ElementType::I16 {
            return Err(self.type_error(node, id, "int16"));
        }
        match tensor.per_tensor() {
            Some(Quantization { scale, zero_point: 0 }) if scale.is_finite() && scale > 0.0 => Ok(scale),
            _ => {
                let found = tensor.quantization.as_ref().map_or("no scale".to_string(), ToString::to_string);
                let what =
                    format!("tensor `{}` has {found}; accepted: one scale above 0, and zero point 0", tensor.name);
                Err(self.graph.invalid(node, what))
            }
        }
    }

    /// Returns the scales of the only input and of the output.
    fn ends_i16(&self, node: &Node) -> Result<[f32; 2]> {
        Ok([self.scale_i16(node, self.graph.input(node, 0)?)?, self.scale_i16(node, self.graph.output(node)?)?])
    }

    /// Returns the range of the output after a fused activation.
    fn activation_i16(&self, node: &Node, activation: Activation) -> Result<ActivationRangeI16> {
        let output = self.graph.output(node)?;
        let scale = self.scale_i16(node, output)?;
        let bounds = match activation {
            Activation::None => return Ok(ActivationRangeI16::FULL),
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
            Activation::ReluN1To1 => [-1.0, 1.0],
            Activation::Other(code) => return Err(self.unknown_activation(node, code)),
        };
        Ok(self.codes_i16(bounds, scale))
    }

    /// Returns the codes from the first of two f32 bounds to the second.
    fn codes_i16(&self, bounds: [f32; 2], scale: f32) -> ActivationRangeI16 {
        let [min, max] = bounds.map(|bound| Quantization::new(scale, 0).quantize_i16(bound));
        ActivationRangeI16::new(min, max).unwrap_or(ActivationRangeI16::FULL)
    }

    /// Checks that the output has the only scale that the operator can produce.
    fn output_is_unit(&self, node: &Node) -> Result<()> {
        let output = self.graph.output(node)?;
        let scale = self.scale_i16(node, output)?;
        if scale == UNIT {
            return Ok(());
        }
        let what = format!("its output `{}` has scale {scale}; accepted: scale 1/32768", self.tensor(output).name);
        Err(self.graph.invalid(node, what))
    }

    pub(super) fn conv2d_i16(&mut self, node: &Node, window: &Window) -> Result<()> {
        let conv = self.convolution_i16(node, window)?;
        let channels = self.channels_i16(node, 0, 0, &[Sums::Wide, Sums::Narrow])?;
        self.emit_with_channels(node, Operator::Conv2dI16(conv), channels)
    }

    pub(super) fn depthwise_conv2d_i16(&mut self, node: &Node, window: &Window) -> Result<()> {
        let conv = self.convolution_i16(node, window)?;
        let channels = self.channels_i16(node, 3, 3, &[Sums::Wide])?;
        self.emit_with_channels(node, Operator::DepthwiseConv2dI16(DepthwiseConv2dI16(conv)), channels)
    }

    fn convolution_i16(&self, node: &Node, window: &Window) -> Result<Conv2dI16> {
        let weights = self.graph.input(node, 1)?;
        let &[_, height, width, _] = &self.tensor(weights).shape[..] else {
            return Err(self.wrong_rank(node, "weights of 4 dimensions"));
        };
        Ok(Conv2dI16 {
            stride: window.stride,
            dilation: window.dilation,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.activation_i16(node, window.activation)?,
        })
    }

    pub(super) fn fully_connected_i16(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let weights = self.graph.input(node, 1)?;
        if self.tensor(weights).shape.len() != 2 {
            return Err(self.wrong_rank(node, "weights of 2 dimensions"));
        }
        let activation = self.activation_i16(node, activation)?;
        self.check_dense_bias(node)?;
        let channels = self.channels_i16(node, 0, 0, &[Sums::Wide, Sums::Narrow])?;
        self.emit_with_channels(node, Operator::FullyConnectedI16(FullyConnectedI16 { activation }), channels)
    }

    /// Checks that the bias of a FULLY_CONNECTED with one scale for all weights has the scale of its sums, as TensorFlow
    /// Lite Micro does.
    fn check_dense_bias(&self, node: &Node) -> Result<()> {
        const TOLERANCE: f64 = 0.02;
        let (Some(bias), Some(Quantization { scale: weights, .. })) =
            (node.inputs.get(2).copied().flatten(), self.tensor(self.graph.input(node, 1)?).per_tensor())
        else {
            return Ok(());
        };
        let Some(Quantization { scale, .. }) = self.tensor(bias).per_tensor() else { return Ok(()) };
        let [input, output] = self.ends_i16(node)?.map(f64::from);
        let sums = input * f64::from(weights);
        if (sums - f64::from(scale)).abs() <= TOLERANCE * output {
            return Ok(());
        }
        let name = &self.tensor(bias).name;
        let what = format!("its bias `{name}` has scale {scale:.3e}; accepted: that of its sums, {sums:.3e}");
        Err(self.graph.invalid(node, what))
    }

    /// Adds the channel table of a layer whose output channels are dimension `dimension` of its weights, with scales
    /// along `axis`.
    fn channels_i16(&mut self, node: &Node, dimension: usize, axis: usize, accepted: &[Sums]) -> Result<TensorId> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let [input_scale, output_scale] =
            [self.scale_i16(node, input)?, self.scale_i16(node, self.graph.output(node)?)?];
        let outputs = self.tensor(weights).shape.get(dimension).copied().unwrap_or(0) as usize;
        self.constant(node, 1, ElementType::I8)?;
        let scales = self.weight_scales(node, outputs, axis, 0)?;
        let (sums, biases) = self.biases_i16(node, outputs, accepted)?;
        self.note_bias_scale(node, f64::from(input_scale), &scales)?;
        let mut rows = Vec::with_capacity(4 * outputs);
        for (scale, bias) in scales.into_iter().zip(biases) {
            let factor = f64::from(input_scale) * f64::from(scale) / f64::from(output_scale);
            let Multiplier { multiplier, shift } = self.factor(node, factor)?;
            if sums == Sums::Wide && shift > MAX_WIDE_SHIFT {
                let what =
                    format!("its scales give the factor {factor:.3e}; at most 2^7 is accepted: {}", self.scales(node));
                return Err(self.graph.invalid(node, what));
            }
            rows.push(bias as i32);
            if sums == Sums::Wide {
                rows.push((bias >> 32) as i32);
            }
            rows.extend([multiplier, shift]);
        }
        let words = if sums == Sums::Wide { 4 } else { 3 };
        let bytes = rows.into_iter().flat_map(i32::to_le_bytes).collect();
        self.add_constant(weights, "channels", ElementType::I32, vec![outputs as u32, words], bytes)
    }

    /// Returns the biases of `outputs` channels, zeros if the node has none, and the width of the sums.
    fn biases_i16(&self, node: &Node, outputs: usize, accepted: &[Sums]) -> Result<(Sums, Vec<i64>)> {
        let Some(id) = node.inputs.get(2).copied().flatten() else { return Ok((Sums::Wide, vec![0; outputs])) };
        let bias = self.tensor(id);
        let sums = match bias.dtype {
            ElementType::I32 => Sums::Narrow,
            _ => Sums::Wide,
        };
        if !accepted.contains(&sums) {
            return Err(self.type_error(node, id, "int64, as TensorFlow Lite has it here"));
        }
        let dtype = if sums == Sums::Narrow { ElementType::I32 } else { ElementType::I64 };
        self.constant(node, 2, dtype)?;
        let biases = bias.integers().unwrap_or_default();
        if biases.len() != outputs {
            return Err(self.graph.invalid(node, format!("it has {} biases for {outputs} channels", biases.len())));
        }
        self.bias_has_no_zero_point(node, id)?;
        Ok((sums, biases))
    }

    pub(super) fn pool_i16(&mut self, node: &Node, window: &Window, kind: fn(Pool2dI16) -> Operator) -> Result<()> {
        let input = self.graph.input(node, 0)?;
        self.same_scale_i16(node)?;
        let [height, width] = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        if let [_, rows, columns, _] = self.tensor(input).shape[..] {
            self.check_averaged_i16(node, u64::from(height.min(rows)) * u64::from(width.min(columns)))?;
        }
        let pool = Pool2dI16 {
            window: window.size,
            stride: window.stride,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.activation_i16(node, window.activation)?,
        };
        self.emit(node, kind(pool), &[Some(input)], self.graph.output(node)?);
        Ok(())
    }

    /// Checks that a sum of `count` elements fits in 32 bits.
    fn check_averaged_i16(&self, node: &Node, count: u64) -> Result<()> {
        if count <= u64::from(MAX_AVERAGED_I16) {
            return Ok(());
        }
        let accepted = format!("an average of up to {MAX_AVERAGED_I16} int16 elements, not {count}");
        Err(self.graph.unsupported(node, accepted))
    }

    /// Checks that input and output have one scale.
    fn same_scale_i16(&self, node: &Node) -> Result<()> {
        let [from, to] = self.ends_i16(node)?;
        if from == to {
            return Ok(());
        }
        Err(self.graph.invalid(node, format!("{}; accepted: one scale", self.scales(node))))
    }

    /// ADD or SUB.
    pub(super) fn sum_i16(
        &mut self,
        node: &Node,
        activation: Activation,
        kind: fn(AddSubI16) -> Operator,
    ) -> Result<()> {
        let (a, b, output) = self.operands_i16(node)?;
        let [a, b, output] = [a, b, output].map(|id| self.scale_i16(node, id).map(f64::from));
        let (a, b, output) = (a?, b?, output?);
        let twice = 2.0 * a.max(b);
        let operator = kind(AddSubI16 {
            a: self.factor_below_one(node, a / twice)?,
            b: self.factor_below_one(node, b / twice)?,
            output: self.factor_below_one(node, twice / (f64::from(1 << LEFT_SHIFT) * output))?,
            activation: self.activation_i16(node, activation)?,
        });
        self.emit_binary_i16(node, operator)
    }

    pub(super) fn mul_i16(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (a, b, output) = self.operands_i16(node)?;
        let [scale_a, scale_b, scale] = [a, b, output].map(|id| self.scale_i16(node, id).map(f64::from));
        let output = self.factor(node, scale_a? * scale_b? / scale?)?;
        let activation = self.activation_i16(node, activation)?;
        self.emit_binary_i16(node, Operator::MulI16(MulI16 { output, activation }))
    }

    fn operands_i16(&self, node: &Node) -> Result<(TensorId, TensorId, TensorId)> {
        Ok((self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?))
    }

    fn emit_binary_i16(&mut self, node: &Node, operator: Operator) -> Result<()> {
        let (a, b, output) = self.operands_i16(node)?;
        self.emit(node, operator, &[Some(a), Some(b)], output);
        Ok(())
    }

    pub(super) fn mean_i16(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let [from, to] = self.ends_i16(node)?.map(f64::from);
        let (reduced, count) = self.reduced_and_count(node, input)?;
        self.check_averaged_i16(node, count as u64)?;
        // The kernel itself divides by the number of elements.
        let mean = MeanI16(Mean { reduced, output: self.factor(node, from / to)? });
        self.emit(node, Operator::MeanI16(mean), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn softmax_i16(&mut self, node: &Node, beta: f32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let scale = f64::from(self.scale_i16(node, input)?);
        self.output_is_unit(node)?;
        let factor = scale * f64::from(beta) / (10.0 / 65_535.0);
        if !(factor > 0.0 && factor <= LARGEST_FACTOR) {
            let what =
                format!("beta times its input's scale is {:.3e}; accepted: above 0, below 5", scale * f64::from(beta));
            return Err(self.graph.invalid(node, what));
        }
        let input_factor = self.factor(node, factor)?;
        let range = 65_535.0f32;
        let exponentials = populated(10.0 / range, 32_767, 2.0 / range, |x| evaluated(UnaryFunction::Exp, x));
        let reciprocals = populated(1.0 / range, -32_768, 2.0 / range, |x| 1.0 / (1.0 + x));
        let bytes = exponentials.into_iter().chain(reciprocals).flat_map(i16::to_le_bytes).collect();
        let table = self.add_constant(output, "table", ElementType::I16, vec![SoftmaxI16::TABLE], bytes)?;
        let operator = Operator::SoftmaxI16(SoftmaxI16 { input: input_factor });
        self.emit(node, operator, &[Some(input), Some(table)], output);
        Ok(())
    }

    pub(super) fn logistic_i16(&mut self, node: &Node) -> Result<()> {
        self.sigmoid_i16(node, 0, Operator::LogisticI16)
    }

    pub(super) fn tanh_i16(&mut self, node: &Node) -> Result<()> {
        self.sigmoid_i16(node, 1, Operator::TanhI16)
    }

    /// The logistic function or the hyperbolic tangent. A power of two as scale, from 2^-12 on by up to `powers` powers, is
    /// exact; of any other the factor is rounded to 15 bits.
    fn sigmoid_i16(&mut self, node: &Node, powers: i32, kind: fn(SigmoidI16) -> Operator) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let scale = self.scale_i16(node, input)?;
        self.output_is_unit(node)?;
        let mut attrs = SigmoidI16 { multiplier: 0, shift: 0 };
        match power_of_two(scale) {
            Some(power) if (0..=powers).contains(&(power + 12)) => attrs.multiplier = 3 << (power + 12),
            _ => {
                let mut multiplier = f64::from(scale) * 4096.0 * 3.0;
                while multiplier <= 32_767.0 / 2.0 && attrs.shift <= 30 {
                    attrs.shift += 1;
                    multiplier *= 2.0;
                }
                if multiplier >= 32_768.0 {
                    let what = format!("its input's scale is {scale:.3e}; accepted: below 2.66");
                    return Err(self.graph.invalid(node, what));
                }
                attrs.multiplier = multiplier as i32;
            }
        }
        let table = self.add_constant(output, "table", ElementType::I16, vec![SigmoidI16::TABLE], sigmoids::bytes())?;
        self.emit(node, kind(attrs), &[Some(input), Some(table)], output);
        Ok(())
    }

    pub(super) fn relu_i16(&mut self, node: &Node) -> Result<()> {
        let [from, to] = self.ends_i16(node)?;
        let factor = self.table_factor_i16(node, f64::from(from) / f64::from(to))?;
        self.requantize_i16(node, [factor; 2], self.codes_i16([0.0, f32::INFINITY], to))
    }

    /// RELU6 and RELU_N1_TO_1: codes are clamped, so input and output need one scale.
    pub(super) fn clamp_i16(&mut self, node: &Node, bounds: [f32; 2]) -> Result<()> {
        self.same_scale_i16(node)?;
        let [scale, _] = self.ends_i16(node)?;
        self.requantize_i16(node, [ONE; 2], self.codes_i16(bounds, scale))
    }

    pub(super) fn leaky_relu_i16(&mut self, node: &Node, alpha: f32) -> Result<()> {
        let [from, to] = self.ends_i16(node)?.map(f64::from);
        if alpha < 0.0 {
            return Err(self.graph.unsupported(node, format!("a slope of at least 0 for int16, not {alpha}")));
        }
        let positive = self.table_factor_i16(node, from / to)?;
        let negative = self.table_factor_i16(node, from * f64::from(alpha) / to)?;
        self.requantize_i16(node, [positive, negative], ActivationRangeI16::FULL)
    }

    /// A conversion between int16 and int16 or int8, as TensorFlow Lite Micro computes QUANTIZE.
    pub(super) fn convert_i16(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let scale = |id: TensorId| match self.tensor(id).dtype {
            ElementType::I8 => self.int8(node, id).map(|quantization| quantization.scale),
            _ => self.scale_i16(node, id),
        };
        let (from, to) = (scale(input)?, scale(output)?);
        let factor = self.table_factor_i16(node, f64::from(from) / f64::from(to))?;
        let range = match self.tensor(output).dtype {
            ElementType::I8 => ActivationRangeI16::new(-128, 127).unwrap_or(ActivationRangeI16::FULL),
            _ => ActivationRangeI16::FULL,
        };
        self.requantize_i16(node, [factor; 2], range)
    }

    pub(super) fn quantize_to_i16(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.scale_i16(node, output)?;
        self.emit(node, Operator::QuantizeI16(QuantizeI16), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn dequantize_i16(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.output_f32(node)?);
        self.scale_i16(node, input)?;
        self.emit(node, Operator::DequantizeI16(DequantizeI16), &[Some(input)], output);
        Ok(())
    }

    /// Returns a factor that is not too large for a change of scale.
    fn table_factor_i16(&self, node: &Node, factor: f64) -> Result<Multiplier> {
        if factor.is_finite() && factor <= LARGEST_FACTOR {
            return self.factor(node, factor);
        }
        let what = format!("its scales are too far apart, by a factor of {factor:.3e}: {}", self.scales(node));
        Err(self.graph.invalid(node, what))
    }

    fn requantize_i16(&mut self, node: &Node, factors: [Multiplier; 2], activation: ActivationRangeI16) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let [positive, negative] = factors;
        let operator = Operator::RequantizeI16(RequantizeI16 { positive, negative, activation });
        self.emit(node, operator, &[Some(input)], output);
        Ok(())
    }
}

/// The factor 1.
const ONE: Multiplier = Multiplier::new(1 << 30, 1);

/// Returns the value of a function of the runtime, whose bits are the same on every machine.
fn evaluated(function: UnaryFunction, x: f32) -> f32 {
    let mut value = [0.0];
    float::unary(function, &[x], &mut value);
    value[0]
}

/// Returns the values of a function for interpolation, each moved by half of the error midway to the next: TensorFlow
/// Lite's `LUTPopulate` for int16, in f32.
fn populated(input_scale: f32, input_zero: i32, output_scale: f32, f: impl Fn(f32) -> f32) -> [i16; INTERPOLATED] {
    const STEPS: usize = INTERPOLATED - 1;
    let input = |code: i32| input_scale * (code - input_zero) as f32;
    let [input_min, input_max] = [input(-32_768), input(32_767)];
    let [output_min, output_max] = [output_scale * -32_768.0, output_scale * 32_767.0];
    let step = (input_max - input_min) / STEPS as f32;
    let half_step = step / 2.0;
    let inverse = 65_536.0 / (output_max - output_min);
    let code = |x: f32| x.clamp(-32_768.0, 32_767.0) as i16;
    std::array::from_fn(|k| {
        if k == STEPS {
            return code((f(input_max) * inverse).round());
        }
        let at = input_min + k as f32 * step;
        let [here, midway, next] = [f(at), f(at + half_step), f(input_min + (k + 1) as f32 * step)];
        let sample = (here * inverse).round();
        let interpolated = ((next * inverse + sample) / 2.0).round();
        let error = interpolated - (midway * inverse).round();
        code(sample - (error / 2.0).round())
    })
}
