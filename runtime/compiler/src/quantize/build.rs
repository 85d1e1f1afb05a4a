//! The int8 graph: TensorFlow Lite's operators on quantized tensors, activations fused into what they follow.

use super::calibrate::Calibration;
use super::range::{Params, Ranges};
use crate::float::{self, Constant, Layer, Network, ValueId};
use crate::graph::{ElementType, Graph, Node, Op, Quantization, Tensor, TensorId};
use crate::tflite::{Activation, Padding, TfliteOp, Window};
use std::collections::HashMap;

/// A built graph, and which of its tensors are which values of the float network.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) graph: Graph,
    /// The tensor of each value; values inside fused layers have none.
    pub(super) tensors: Vec<Option<TensorId>>,
    /// The quantization of each value.
    pub(super) params: Vec<Params>,
}

/// Builds the graph.
pub(super) fn build(network: &Network, calibration: &Calibration<'_>, ranges: Ranges, correct_bias: bool) -> Built {
    let fused = fused(network);
    let params = params(network, &fused, calibration, ranges);
    let quantized: HashMap<usize, Weights> = (0..network.nodes().len())
        .filter_map(|index| Some((index, Weights::of(&network.nodes()[index], &params)?)))
        .collect();
    let shifts = if correct_bias {
        let layers = quantized.iter().map(|(&index, weights)| (index, weights.error(&network.nodes()[index].layer)));
        calibration.means(&layers.collect())
    } else {
        HashMap::new()
    };
    let mut builder = Builder { network, graph: Graph::default(), tensors: vec![None; network.values().len()], params };
    let input = builder.tensor(network.input());
    builder.graph.inputs.push(input);
    for (index, node) in network.nodes().iter().enumerate() {
        if fused.iter().flatten().any(|&(by, _)| by == index) {
            continue;
        }
        let (output, activation) = match fused[index] {
            Some((by, activation)) => (network.nodes()[by].output, activation),
            None => (node.output, Activation::None),
        };
        builder.node(index, node, output, activation, quantized.get(&index), shifts.get(&index));
    }
    let output = builder.tensor(network.output());
    builder.graph.outputs.push(output);
    let Builder { graph, tensors, params, .. } = builder;
    Built { graph, tensors, params }
}

/// For each node the activation that it can apply itself: the activation's node, which alone reads its output.
fn fused(network: &Network) -> Vec<Option<(usize, Activation)>> {
    let nodes = network.nodes();
    let fuse = |node: &float::Node| {
        let takes = node.layer.weights().is_some() || matches!(node.layer, Layer::Add);
        let mut readers = nodes.iter().enumerate().filter(|(_, reader)| reader.inputs.contains(&node.output));
        let (Some((by, reader)), None) = (readers.next(), readers.next()) else { return None };
        let activation = match reader.layer {
            Layer::Relu => Activation::Relu,
            Layer::Relu6 => Activation::Relu6,
            _ => return None,
        };
        (takes && network.output() != node.output).then_some((by, activation))
    };
    nodes.iter().map(fuse).collect()
}

/// The quantization of each value: what the operator prescribes, its input's where it only moves numbers, or by range.
fn params(
    network: &Network,
    fused: &[Option<(usize, Activation)>],
    calibration: &Calibration<'_>,
    ranges: Ranges,
) -> Vec<Params> {
    let mut params = vec![calibration.params(network.input(), ranges)];
    for (index, node) in network.nodes().iter().enumerate() {
        params.push(match node.layer {
            // Alone, it clamps the integers as they are.
            Layer::Relu6 if !fused.iter().flatten().any(|&(by, _)| by == index) => params[node.inputs[0]],
            Layer::Softmax | Layer::Logistic => Params { scale: 1.0 / 256.0, zero_point: -128 },
            Layer::Tanh => Params { scale: 1.0 / 128.0, zero_point: 0 },
            Layer::Reshape { .. } | Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } => params[node.inputs[0]],
            _ => calibration.params(node.output, ranges),
        });
    }
    params
}

/// The int8 weights of a layer: symmetric, a scale for each output channel.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) bytes: Vec<i8>,
    pub(super) scales: Vec<f32>,
    input_scale: f32,
}

impl Weights {
    fn of(node: &float::Node, params: &[Params]) -> Option<Self> {
        let (weights, bias) = node.layer.weights()?;
        let input_scale = params[node.inputs[0]].scale;
        Some(Self::new(&weights.data, bias, input_scale, &|index| node.layer.channel_of(index)))
    }

    /// The weights `data`, of which number `index` belongs to the output channel `channel_of(index)`.
    pub(super) fn new(data: &[f32], bias: &[f32], input_scale: f32, channel_of: &dyn Fn(usize) -> usize) -> Self {
        let mut greatest = vec![0f32; bias.len()];
        for (index, weight) in data.iter().enumerate() {
            let channel = &mut greatest[channel_of(index)];
            *channel = channel.max(weight.abs());
        }
        let scale = |(&greatest, &bias): (&f32, &f32)| {
            // Fine enough for the weights, coarse enough for the bias to fit into int32 with room for the products.
            let scale = (greatest / 127.0).max(bias.abs() / (input_scale * (1 << 30) as f32));
            if scale >= f32::MIN_POSITIVE { scale } else { 1.0 }
        };
        let scales: Vec<f32> = greatest.iter().zip(bias).map(scale).collect();
        let quantize = |(index, weight): (usize, &f32)| {
            (f64::from(*weight) / f64::from(scales[channel_of(index)])).round().clamp(-127.0, 127.0) as i8
        };
        Self { bytes: data.iter().enumerate().map(quantize).collect(), scales, input_scale }
    }

    /// How far each weight is off.
    pub(super) fn errors(&self, data: &[f32], channel_of: &dyn Fn(usize) -> usize) -> Vec<f32> {
        let error =
            |(index, (weight, byte)): (usize, (&f32, &i8))| self.scales[channel_of(index)] * f32::from(*byte) - weight;
        data.iter().zip(&self.bytes).enumerate().map(error).collect()
    }

    /// The biases less `shift`, as little-endian int32 in the scale of the products.
    pub(super) fn bias(&self, bias: &[f32], shift: Option<&Vec<f64>>) -> Vec<u8> {
        let quantize = |(channel, &bias): (usize, &f32)| {
            let shift = shift.map_or(0.0, |shift| shift[channel]);
            let scale = f64::from(self.input_scale) * f64::from(self.scales[channel]);
            ((f64::from(bias) - shift) / scale).round() as i32
        };
        bias.iter().enumerate().map(quantize).flat_map(i32::to_le_bytes).collect()
    }

    /// The layer with the rounding errors of the weights as its weights.
    fn error(&self, layer: &Layer) -> Layer {
        let mut layer = layer.clone();
        let errors = match layer.weights() {
            Some((weights, _)) => self.errors(&weights.data, &|index| layer.channel_of(index)),
            None => return layer,
        };
        if let Layer::Conv2d { weights, bias, .. }
        | Layer::DepthwiseConv2d { weights, bias, .. }
        | Layer::FullyConnected { weights, bias } = &mut layer
        {
            weights.data = errors;
            bias.fill(0.0);
        }
        layer
    }
}

struct Builder<'a> {
    network: &'a Network,
    graph: Graph,
    tensors: Vec<Option<TensorId>>,
    params: Vec<Params>,
}

impl Builder<'_> {
    /// The int8 tensor of a value.
    fn tensor(&mut self, value: ValueId) -> TensorId {
        if let Some(tensor) = self.tensors[value] {
            return tensor;
        }
        let float::Value { name, shape } = &self.network.values()[value];
        let mut tensor = Tensor::computed(name.clone(), ElementType::I8, shape.clone());
        let Params { scale, zero_point } = self.params[value];
        tensor.quantization = Some(Quantization { scales: vec![scale], zero_points: vec![zero_point], axis: 0 });
        let id = self.graph.add(tensor);
        self.tensors[value] = Some(id);
        id
    }

    fn node(
        &mut self,
        origin: usize,
        node: &float::Node,
        output: ValueId,
        activation: Activation,
        quantized: Option<&Weights>,
        shift: Option<&Vec<f64>>,
    ) {
        let mut inputs: Vec<Option<TensorId>> = node.inputs.iter().map(|&value| Some(self.tensor(value))).collect();
        if let (Some((weights, bias)), Some(quantized)) = (node.layer.weights(), quantized) {
            let axis = if matches!(node.layer, Layer::DepthwiseConv2d { .. }) { 3 } else { 0 };
            inputs.push(Some(self.weights(&node.name, weights, quantized, axis)));
            inputs.push(Some(self.bias(&node.name, bias, quantized, shift)));
        }
        let output = self.tensor(output);
        let op = Op::Tflite(operator(&node.layer, activation));
        self.graph.nodes.push(Node { op, inputs, outputs: vec![output], origin });
    }

    fn weights(&mut self, name: &str, weights: &Constant, quantized: &Weights, axis: usize) -> TensorId {
        let bytes: Vec<u8> = quantized.bytes.iter().map(|byte| byte.cast_unsigned()).collect();
        let mut tensor = Tensor::constant(name, ElementType::I8, weights.shape.clone(), bytes);
        let zero_points = vec![0; quantized.scales.len()];
        tensor.quantization = Some(Quantization { scales: quantized.scales.clone(), zero_points, axis });
        self.graph.add(tensor)
    }

    fn bias(&mut self, name: &str, bias: &[f32], quantized: &Weights, shift: Option<&Vec<f64>>) -> TensorId {
        let bytes = quantized.bias(bias, shift);
        self.graph.add(Tensor::constant(format!("{name}/bias"), ElementType::I32, vec![bias.len() as u32], bytes))
    }
}

/// TensorFlow Lite's operator for a layer.
fn operator(layer: &Layer, activation: Activation) -> TfliteOp {
    let over = |window: &float::Window, size: [u32; 2]| Window {
        padding: Padding::Valid,
        stride: window.stride.map(|stride| stride as i32),
        dilation: window.dilation.map(|dilation| dilation as i32),
        size: size.map(|size| size as i32),
        explicit: window.pad,
        activation,
    };
    match layer {
        Layer::Conv2d { window, .. } => TfliteOp::Conv2d(over(window, [0; 2])),
        Layer::DepthwiseConv2d { window, .. } => TfliteOp::DepthwiseConv2d(over(window, [0; 2])),
        Layer::FullyConnected { .. } => TfliteOp::FullyConnected(activation),
        Layer::AvgPool2d { size, window } => TfliteOp::AveragePool2d(over(window, *size)),
        Layer::MaxPool2d { size, window } => TfliteOp::MaxPool2d(over(window, *size)),
        Layer::Add => TfliteOp::Add(activation),
        Layer::Mul => TfliteOp::Mul(activation),
        Layer::Relu => TfliteOp::Relu,
        Layer::Relu6 => TfliteOp::Relu6,
        Layer::Logistic => TfliteOp::Logistic,
        Layer::Tanh => TfliteOp::Tanh,
        Layer::HardSwish => TfliteOp::HardSwish,
        Layer::Softmax => TfliteOp::Softmax { beta: 1.0 },
        Layer::Reshape { shape } => {
            TfliteOp::Reshape { new_shape: Some(shape.iter().map(|&dim| dim as i32).collect()) }
        }
    }
}
