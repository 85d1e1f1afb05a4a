//! Convolutions, plain and depthwise, and the table of output channels that they share with FullyConnected.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Content, ElementType, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Op, Padding, Window};
use std::rc::Rc;
use tealight_format::ops::{self, Conv2dF32, Multiplier};
use tealight_format::{Operator, Quantization};

/// The memory layout of a layer's weights by output channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// A channel's weights are contiguous (OHWI, OI).
    Together,
    /// The weights of a tap are contiguous, one for each channel (1HWO).
    ByTap,
}

/// Key of a sum of weights by channel: the bytes (their identity), channels, layout and zero point.
pub(super) type Summed = (usize, usize, Layout, i32);

impl Lowering<'_> {
    pub(super) fn conv2d(&mut self, node: &Node, window: &Window) -> Result<()> {
        // OHWI: a channel's weights are contiguous.
        let conv = self.convolution(node, window)?;
        let weights = self.graph.input(node, 1)?;
        let outputs = self.tensor(weights).shape[0] as usize;
        let channels = self.channels(node, outputs, 0, 0, Layout::Together)?;
        self.emit_with_channels(node, Operator::Conv2d(conv), channels)
    }

    pub(super) fn depthwise_conv2d(&mut self, node: &Node, window: &Window) -> Result<()> {
        // 1HWO: a tap's weights are contiguous.
        let conv = self.convolution(node, window)?;
        let weights = self.graph.input(node, 1)?;
        let outputs = self.tensor(weights).shape[3] as usize;
        let channels = self.channels(node, outputs, 3, 0, Layout::ByTap)?;
        self.emit_with_channels(node, Operator::DepthwiseConv2d(ops::DepthwiseConv2d(conv)), channels)
    }

    pub(super) fn emit_with_channels(&mut self, node: &Node, operator: Operator, channels: TensorId) -> Result<()> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        self.emit(node, operator, &[Some(input), Some(weights), Some(channels)], self.graph.output(node)?);
        Ok(())
    }

    fn convolution(&mut self, node: &Node, window: &Window) -> Result<ops::Conv2d> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let output = self.graph.output(node)?;
        self.int8(node, input)?;
        let &[_, height, width, _] = &self.tensor(weights).shape[..] else {
            return Err(self.wrong_rank(node, "weights of 4 dimensions"));
        };
        Ok(ops::Conv2d {
            stride: window.stride,
            dilation: window.dilation,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.activation_range(node, window.activation, output)?,
        })
    }

    /// Returns the padding above and to the left of the input, after checking the output's size: TensorFlow Lite's
    /// `ComputePaddingHeightWidth`.
    pub(super) fn window_pad(&self, node: &Node, window: &Window, size: [u32; 2]) -> Result<[i32; 2]> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let (&[_, h, w, _], &[_, oh, ow, _]) = (&self.tensor(input).shape[..], &self.tensor(output).shape[..]) else {
            return Err(self.wrong_rank(node, "an input and an output of 4 dimensions"));
        };
        let [top, left, bottom, right] = window.explicit.map(i64::from);
        let mut pad = [0; 2];
        let sides = [(h, oh, top, bottom), (w, ow, left, right)];
        for (axis, (input, output, before, after)) in sides.into_iter().enumerate() {
            let (stride, dilation) = (i64::from(window.stride[axis]), i64::from(window.dilation[axis]));
            if stride < 1 || dilation < 1 || size[axis] < 1 {
                return Err(self.graph.invalid(node, "a stride, dilation or window size is below 1"));
            }
            let extent = (i64::from(size[axis]) - 1).saturating_mul(dilation).saturating_add(1);
            let (input, output) = (i64::from(input), i64::from(output));
            let expected = match window.padding {
                Padding::Same => (input + stride - 1) / stride,
                Padding::Valid => (input + before + after - extent).div_euclid(stride) + 1,
            };
            if output != expected {
                let what = format!(
                    "its output has {output} {} where its window requires {expected}: {}",
                    ["rows", "columns"][axis],
                    self.graph.describe_operands(node)
                );
                return Err(self.graph.invalid(node, what));
            }
            let around = match window.padding {
                Padding::Same => (((output - 1) * stride).saturating_add(extent) - input).max(0) / 2,
                Padding::Valid => before,
            };
            pad[axis] = i32::try_from(around).map_err(|_| self.graph.invalid(node, "its window is too large"))?;
        }
        Ok(pad)
    }

    /// Adds the table (bias, multiplier, shift) of `outputs` output channels. The constant products of zero points are
    /// folded into the bias, because a kernel sums products of weights and raw inputs. Per-channel scales go along
    /// `axis`. All scales are multiplied in double precision, as in TensorFlow Lite Micro, but for
    /// [`f32_products`](crate::ir::graph::Graph::f32_products).
    pub(super) fn channels(
        &mut self,
        node: &Node,
        outputs: usize,
        axis: usize,
        weights_zero_point: i32,
        layout: Layout,
    ) -> Result<TensorId> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let output = self.graph.output(node)?;
        let Quantization { scale: input_scale, zero_point: input_zero } = self.int8(node, input)?;
        let scales = self.weight_scales(node, outputs, axis, weights_zero_point)?;
        let mut biases = self.biases(node, outputs)?;
        if matches!(node.op, NodeOp::Ir(Op::FullyConnected(_))) {
            biases = self.dense_biases(node, biases)?;
        } else {
            self.note_bias_scale(node, f64::from(input_scale), &scales)?;
        }
        for (bias, sum) in biases.iter_mut().zip(self.sums(weights, outputs, layout, weights_zero_point).iter()) {
            *bias = bias.wrapping_sub(input_zero.wrapping_mul(*sum));
        }
        let mut factors = Vec::with_capacity(outputs);
        for scale in scales {
            let factor = self.over_scale_of(node, self.product(input_scale, scale), output)?;
            factors.push(self.factor(node, factor)?);
        }
        self.add_channels(weights, &biases, &factors)
    }

    /// Returns the scales of int8 weights, one for each of `outputs` output channels along `axis`, after checking that
    /// all zero points are the one given.
    pub(super) fn weight_scales(
        &self,
        node: &Node,
        outputs: usize,
        axis: usize,
        weights_zero_point: i32,
    ) -> Result<Vec<f32>> {
        let weights = self.graph.input(node, 1)?;
        let dtype = if self.tensor(weights).dtype == ElementType::I4 { ElementType::I4 } else { ElementType::I8 };
        if self.constant(node, 1, dtype)?.len() < outputs {
            return Err(self.graph.invalid(node, "it has no weights"));
        }
        let quantization = self.tensor(weights).quantization.as_ref();
        let scales = match quantization {
            Some(q) if q.scales.len() == 1 => vec![q.scales[0]; outputs],
            Some(q) if q.scales.len() == outputs && q.axis == axis => q.scales.clone(),
            _ => {
                let found = quantization.map_or("no scale".to_string(), ToString::to_string);
                let what = format!(
                    "its weights {} have {found}; accepted: one scale, or {outputs} along dimension {axis}",
                    self.graph.describe(weights)
                );
                return Err(self.graph.invalid(node, what));
            }
        };
        let mut zero_points = quantization.iter().flat_map(|q| &q.zero_points);
        if let Some(other) = zero_points.find(|&&zero_point| zero_point != weights_zero_point) {
            let what = format!("its weights `{}` have zero point {other}; accepted: 0", self.tensor(weights).name);
            return Err(self.graph.invalid(node, what));
        }
        Ok(scales)
    }

    /// Returns the sum of the weights of each of `outputs` channels, each weight less the zero point, modulo 2^32.
    fn sums(&mut self, weights: TensorId, outputs: usize, layout: Layout, zero_point: i32) -> Rc<[i32]> {
        let Content::Constant(bytes) = &self.graph.tensors[weights].content else { return Rc::default() };
        let key = (bytes.identity(), outputs, layout, zero_point);
        let sum = || {
            let each = (bytes.len() / outputs.max(1)).max(1);
            let mut sums = vec![0i32; outputs];
            for (index, &weight) in bytes.iter().enumerate() {
                let channel = match layout {
                    Layout::Together => index / each,
                    Layout::ByTap => index % outputs.max(1),
                };
                if let Some(sum) = sums.get_mut(channel) {
                    *sum = sum.wrapping_add(i32::from(weight.cast_signed()) - zero_point);
                }
            }
            sums.into()
        };
        self.sums.entry(key).or_insert_with(sum).clone()
    }

    /// Returns the biases of `outputs` channels; zeros if the node has none.
    fn biases(&self, node: &Node, outputs: usize) -> Result<Vec<i32>> {
        let Some(id) = node.inputs.get(2).copied().flatten() else { return Ok(vec![0; outputs]) };
        let (biases, _) = self.constant(node, 2, ElementType::I32)?.as_chunks::<4>();
        if biases.len() != outputs {
            return Err(self.graph.invalid(node, format!("it has {} biases for {outputs} channels", biases.len())));
        }
        self.bias_has_no_zero_point(node, id)?;
        Ok(biases.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// Checks that a bias has zero point 0: sums start from its codes unchanged.
    pub(super) fn bias_has_no_zero_point(&self, node: &Node, id: TensorId) -> Result<()> {
        let zero_points = self.tensor(id).quantization.iter().flat_map(|q| &q.zero_points);
        match zero_points.copied().find(|&zero_point| zero_point != 0) {
            Some(zero_point) => {
                let what = format!("its bias `{}` has zero point {zero_point}; accepted: 0", self.tensor(id).name);
                Err(self.graph.invalid(node, what))
            }
            None => Ok(()),
        }
    }

    /// Returns the biases of a FULLY_CONNECTED, converted to the scale of its sums (input times weights) if the file
    /// states another one.
    ///
    /// TensorFlow Lite Micro adds a bias unchanged. With one scale for all weights it refuses a bias whose scale
    /// differs from that of the sums by more than 0.02 of the output's; such a bias is rescaled here. With scales by
    /// channel, and in convolutions, it does not check the bias's scale.
    fn dense_biases(&self, node: &Node, biases: Vec<i32>) -> Result<Vec<i32>> {
        const TOLERANCE: f64 = 0.02;
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let (Some(bias), Some(Quantization { scale: weights_scale, .. })) =
            (node.inputs.get(2).copied().flatten(), self.tensor(weights).per_tensor())
        else {
            return Ok(biases);
        };
        let sums = f64::from(self.int8(node, input)?.scale) * f64::from(weights_scale);
        let output = f64::from(self.int8(node, self.graph.output(node)?)?.scale);
        self.in_scale_of_sums(node, bias, biases, sums, TOLERANCE * output)
    }

    /// Adds a note if a bias that is added unchanged, as in TensorFlow Lite Micro, has another scale than its sums.
    pub(super) fn note_bias_scale(&mut self, node: &Node, input: f64, weights: &[f32]) -> Result<()> {
        const TOLERANCE: f64 = 0.01;
        let Some(bias) = node.inputs.get(2).copied().flatten() else { return Ok(()) };
        let Tensor { name, quantization: Some(quantization), .. } = self.tensor(bias) else { return Ok(()) };
        let scales = quantization.scales.iter().cycle();
        let is_far = |(&weight, &scale): (&f32, &f32)| {
            let sums = input * f64::from(weight);
            (sums - f64::from(scale)).abs() > TOLERANCE * sums
        };
        if weights.iter().zip(scales).any(is_far) {
            let note = format!(
                "{}: its bias `{name}` does not have the scale of its sums (input times weights), but is added as it is, as \
                 TensorFlow Lite Micro does",
                self.graph.site(node)
            );
            self.graph.notes.push(note);
        }
        Ok(())
    }

    /// Returns the codes `biases` of the tensor `bias` in the scale `sums`, if its own scale differs from that by more
    /// than `tolerance`.
    pub(super) fn in_scale_of_sums(
        &self,
        node: &Node,
        bias: TensorId,
        biases: Vec<i32>,
        sums: f64,
        tolerance: f64,
    ) -> Result<Vec<i32>> {
        let Tensor { name, quantization: Some(quantization), .. } = self.tensor(bias) else { return Ok(biases) };
        let scale = |index: usize| {
            let scales = &quantization.scales;
            f64::from(if scales.len() == 1 { scales[0] } else { scales.get(index).copied().unwrap_or(0.0) })
        };
        if (sums - scale(0)).abs() <= tolerance {
            return Ok(biases);
        }
        let rescaled = |(index, code): (usize, i32)| {
            let real = f64::from(code) * scale(index);
            let code = if real == 0.0 { 0.0 } else { (real / sums).round() };
            (code.abs() <= f64::from(i32::MAX)).then_some(code as i32)
        };
        biases.into_iter().enumerate().map(rescaled).collect::<Option<Vec<i32>>>().ok_or_else(|| {
            let what = format!(
                "its bias `{name}` has {quantization}, and does not fit 32 bits in the scale of its sums, {sums:.3e}; \
                 accepted: a bias with that scale"
            );
            self.graph.invalid(node, what)
        })
    }

    fn add_channels(&mut self, weights: TensorId, biases: &[i32], factors: &[Multiplier]) -> Result<TensorId> {
        let rows = biases.iter().zip(factors).flat_map(|(&bias, factor)| [bias, factor.multiplier, factor.shift]);
        let bytes = rows.flat_map(i32::to_le_bytes).collect();
        self.add_constant(weights, "channels", ElementType::I32, vec![biases.len() as u32, 3], bytes)
    }

    pub(super) fn conv2d_f32(&mut self, node: &Node, window: &Window, kind: fn(Conv2dF32) -> Operator) -> Result<()> {
        let weights = self.graph.input(node, 1)?;
        let &[_, height, width, _] = &self.tensor(weights).shape[..] else {
            return Err(self.wrong_rank(node, "weights of 4 dimensions"));
        };
        let conv = Conv2dF32 {
            stride: window.stride,
            dilation: window.dilation,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.range_f32(node, window.activation)?,
        };
        self.emit_layer_f32(node, kind(conv))
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::{Activation, Op, Padding};
    use crate::testing::{Builder, lower, window};

    #[test]
    fn layers_that_share_weights_share_their_sums() {
        let mut b = Builder::default();
        let (mut y, w) = (b.input(&[1, 1000]), b.weights(&[1000, 1000], &vec![1; 1_000_000]));
        for _ in 0..10 {
            let next = b.int8(&[1, 1000]);
            b.node(Op::FullyConnected(Activation::None), &[y, w], &[next]);
            y = next;
        }
        let graph = lower(b.output(y)).unwrap();
        let channels = graph.tensors[graph.nodes[9].inputs[2].unwrap()].integers().unwrap();
        assert_eq!(channels[..3], [-3 * 1000, 1 << 30, -1]);
    }

    #[test]
    fn sums_shared_bytes_for_the_shape_of_each_layer() {
        // As 1HWO, channel k has weights k and k + 2; as OHWI, 2 * k and 2 * k + 1.
        for (depthwise, sums) in [(true, [1 + 3, 2 + 4]), (false, [1 + 2, 3 + 4])] {
            let mut b = Builder::default();
            let shape = if depthwise { [1, 1, 2, 2] } else { [2, 1, 2, 1] };
            let (x, w, y) = (b.input(&[1, 1, 2, 2]), b.weights(&shape, &[1, 2, 3, 4]), b.int8(&[1, 1, 1, 2]));
            b.graph.tensors[x].shape[3] = if depthwise { 2 } else { 1 };
            let window = window(Padding::Valid, 1);
            let op = if depthwise { Op::DepthwiseConv2d(window) } else { Op::Conv2d(window) };
            b.node(op, &[x, w], &[y]);
            let graph = lower(b.output(y)).unwrap();
            let channels = graph.tensors[graph.nodes[0].inputs[2].unwrap()].integers().unwrap();
            assert_eq!([channels[0], channels[3]], sums.map(|sum| -3 * sum));
        }
    }
}
