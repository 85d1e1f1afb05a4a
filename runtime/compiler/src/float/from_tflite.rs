//! Float `.tflite` files as float networks, to be quantized here.

use super::{Constant, FloatError, Layer, Network, ValueId, Window};
use crate::error::{CompileError, Result};
use crate::graph::{ElementType, Graph, Node, Op, TensorId};
use crate::pass::{dead, fold};
use crate::tflite::{self, Activation, Padding, TfliteOp};
use std::collections::HashMap;

/// What is accepted, for errors.
const ACCEPTED: &str = "float networks of ADD, AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, EXPAND_DIMS, \
    FULLY_CONNECTED, HARD_SWISH, LOGISTIC, MAX_POOL_2D, MEAN over height and width, MUL, RELU, RELU6, RESHAPE, SOFTMAX, \
    SQUEEZE, TANH, with one input and one output; convert others to int8 with TensorFlow Lite";

/// Reads a float network. One that is int8 already is for [`compile_tflite`](crate::compile_tflite).
///
/// # Errors
/// [`CompileError`] names the node that cannot be taken.
pub fn from_tflite(bytes: &[u8]) -> Result<Network> {
    convert(&dead::remove_dead(fold::fold(tflite::import(bytes)?)?))
}

struct Converter<'a> {
    graph: &'a Graph,
    network: Network,
    values: HashMap<TensorId, ValueId>,
}

fn convert(graph: &Graph) -> Result<Network> {
    let (&[input], &[output]) = (&graph.inputs[..], &graph.outputs[..]) else {
        let what =
            format!("it has {} inputs and {} outputs instead of one each", graph.inputs.len(), graph.outputs.len());
        return Err(CompileError::InvalidModel { site: crate::Site::Graph, what });
    };
    let tensor = &graph.tensors[input];
    if tensor.dtype != ElementType::F32 {
        return Err(CompileError::UnsupportedType {
            site: crate::Site::Graph,
            tensor: tensor.name.clone(),
            found: tensor.dtype.to_string(),
            accepted: "a float32 network: one that is int8 already needs no calibration".into(),
        });
    }
    let invalid = |error: FloatError| CompileError::InvalidModel { site: crate::Site::Graph, what: error.to_string() };
    let network = Network::new(&tensor.name, &tensor.shape).map_err(invalid)?;
    let values = HashMap::from([(input, network.input())]);
    let mut converter = Converter { graph, network, values };
    for node in &graph.nodes {
        converter.node(node)?;
    }
    let Some(&value) = converter.values.get(&output) else {
        let what = "its output is a constant".to_string();
        return Err(CompileError::InvalidModel { site: crate::Site::Graph, what });
    };
    converter.network.set_output(value);
    Ok(converter.network)
}

impl Converter<'_> {
    fn node(&mut self, node: &Node) -> Result<()> {
        let Op::Tflite(op) = &node.op else { return Err(self.graph.unsupported(node, ACCEPTED)) };
        let output = self.graph.output(node)?;
        let to = &self.graph.tensors[output];
        if to.dtype != ElementType::F32 {
            return Err(self.graph.unsupported(node, format!("float32 for `{}`; {ACCEPTED}", to.name)));
        }
        let name = to.name.clone();
        let shape = to.shape.clone();
        let mut values = vec![self.value(node, 0)?];
        let (layer, activation) = match op {
            TfliteOp::Conv2d(window) => {
                let weights = self.weights(node)?;
                let bias = self.bias(node, weights.shape.first())?;
                let size = [weights.shape.get(1), weights.shape.get(2)].map(|side| side.copied().unwrap_or(0));
                let window = self.window(node, window, size)?;
                (Layer::Conv2d { window: window.0, weights, bias }, window.1)
            }
            TfliteOp::DepthwiseConv2d(window) => {
                let weights = self.weights(node)?;
                let bias = self.bias(node, weights.shape.get(3))?;
                let size = [weights.shape.get(1), weights.shape.get(2)].map(|side| side.copied().unwrap_or(0));
                let window = self.window(node, window, size)?;
                (Layer::DepthwiseConv2d { window: window.0, weights, bias }, window.1)
            }
            TfliteOp::FullyConnected(activation) => {
                let weights = self.weights(node)?;
                let bias = self.bias(node, weights.shape.first())?;
                values[0] = self.as_matrix(node, values[0], weights.shape.get(1).copied().unwrap_or(0))?;
                (Layer::FullyConnected { weights, bias }, *activation)
            }
            TfliteOp::AveragePool2d(window) | TfliteOp::MaxPool2d(window) => {
                let size = window.size.map(|side| u32::try_from(side).unwrap_or(0));
                let (over, activation) = self.window(node, window, size)?;
                match op {
                    TfliteOp::MaxPool2d(_) => (Layer::MaxPool2d { size, window: over }, activation),
                    _ => (Layer::AvgPool2d { size, window: over }, activation),
                }
            }
            TfliteOp::Mean => {
                let axes = self.graph.constant_integers(node, 1)?;
                let mut axes: Vec<i64> = axes.iter().map(|axis| axis.rem_euclid(4)).collect();
                axes.sort_unstable();
                let (&[_, h, w, _], [1, 2]) = (&self.network.values()[values[0]].shape[..], &axes[..]) else {
                    return Err(self.graph.unsupported(node, ACCEPTED));
                };
                let window = Window { stride: [h, w], ..Window::default() };
                values[0] = self.add(node, &name, Layer::AvgPool2d { size: [h, w], window }, &values)?;
                (Layer::Reshape { shape }, Activation::None)
            }
            TfliteOp::Add(activation) | TfliteOp::Mul(activation) => {
                values.push(self.value(node, 1)?);
                (if matches!(op, TfliteOp::Add(_)) { Layer::Add } else { Layer::Mul }, *activation)
            }
            TfliteOp::Relu => (Layer::Relu, Activation::None),
            TfliteOp::Relu6 => (Layer::Relu6, Activation::None),
            TfliteOp::Logistic => (Layer::Logistic, Activation::None),
            TfliteOp::Tanh => (Layer::Tanh, Activation::None),
            TfliteOp::HardSwish => (Layer::HardSwish, Activation::None),
            TfliteOp::Softmax { beta } if *beta == 1.0 => (Layer::Softmax, Activation::None),
            TfliteOp::Reshape { .. } | TfliteOp::Squeeze { .. } | TfliteOp::ExpandDims => {
                (Layer::Reshape { shape }, Activation::None)
            }
            _ => return Err(self.graph.unsupported(node, ACCEPTED)),
        };
        let mut value = self.add(node, &name, layer, &values)?;
        match activation {
            Activation::None => {}
            Activation::Relu => value = self.add(node, &name, Layer::Relu, &[value])?,
            Activation::Relu6 => value = self.add(node, &name, Layer::Relu6, &[value])?,
            _ => return Err(self.graph.unsupported(node, "the fused activations NONE, RELU and RELU6")),
        }
        let found = &self.network.values()[value].shape;
        if *found != to.shape {
            let what = format!("its output is {:?} where its inputs give {found:?}", to.shape);
            return Err(self.graph.invalid(node, what));
        }
        self.values.insert(output, value);
        Ok(())
    }

    fn add(&mut self, node: &Node, name: &str, layer: Layer, inputs: &[ValueId]) -> Result<ValueId> {
        self.network.add(name, layer, inputs).map_err(|error| self.graph.invalid(node, error.to_string()))
    }

    /// The value of input `k`.
    fn value(&self, node: &Node, k: usize) -> Result<ValueId> {
        let tensor = self.graph.input(node, k)?;
        self.values.get(&tensor).copied().ok_or_else(|| {
            let accepted = format!("a computed tensor for input {k}, `{}`", self.graph.tensors[tensor].name);
            self.graph.unsupported(node, accepted)
        })
    }

    /// FullyConnected takes any shape and reads it as rows of `depth`.
    fn as_matrix(&mut self, node: &Node, value: ValueId, depth: u32) -> Result<ValueId> {
        let from = &self.network.values()[value];
        if from.shape.len() == 2 || depth == 0 {
            return Ok(value);
        }
        let shape = vec![from.len() as u32 / depth, depth];
        let name = from.name.clone();
        self.add(node, &name, Layer::Reshape { shape }, &[value])
    }

    /// The float constant that is input `k`.
    fn constant(&self, node: &Node, k: usize) -> Result<Constant> {
        let tensor = &self.graph.tensors[self.graph.input(node, k)?];
        match (tensor.dtype, tensor.bytes()) {
            (ElementType::F32, Some(bytes)) => {
                let data = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                Ok(Constant::new(&tensor.shape, data))
            }
            _ => Err(self.graph.unsupported(node, format!("a float32 constant for input {k}, `{}`", tensor.name))),
        }
    }

    fn weights(&self, node: &Node) -> Result<Constant> {
        self.constant(node, 1)
    }

    /// The bias; zeros if there is none.
    fn bias(&self, node: &Node, outputs: Option<&u32>) -> Result<Vec<f32>> {
        match node.inputs.get(2).copied().flatten() {
            Some(_) => Ok(self.constant(node, 2)?.data),
            None => Ok(vec![0.0; outputs.map_or(0, |&outputs| outputs as usize)]),
        }
    }

    /// The window, its padding explicit: TensorFlow puts an odd row or column below or to the right.
    fn window(&self, node: &Node, window: &tflite::Window, size: [u32; 2]) -> Result<(Window, Activation)> {
        let positive = |pair: [i32; 2]| match pair.map(u32::try_from) {
            [Ok(a), Ok(b)] if a > 0 && b > 0 => Ok([a, b]),
            _ => Err(self.graph.invalid(node, "a stride or dilation is below 1")),
        };
        let (stride, dilation) = (positive(window.stride)?, positive(window.dilation)?);
        let mut pad = window.explicit;
        if window.padding == Padding::Same {
            let input = &self.network.values()[self.value(node, 0)?].shape;
            for axis in 0..2 {
                let length = input.get(axis + 1).copied().map_or(0, u64::from);
                let (stride, dilation) = (u64::from(stride[axis]), u64::from(dilation[axis]));
                let extent = u64::from(size[axis]).saturating_sub(1) * dilation + 1;
                let needed = (length.div_ceil(stride).saturating_sub(1) * stride + extent).saturating_sub(length);
                pad[axis] = (needed / 2) as u32;
                pad[axis + 2] = (needed - needed / 2) as u32;
            }
        }
        Ok((Window { stride, dilation, pad }, window.activation))
    }
}
