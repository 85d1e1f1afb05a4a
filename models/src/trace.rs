//! Records the network that a model's `forward` computes.

mod steps;

pub use steps::trace_step;

use crate::array::Array;
use crate::layers::{Conv2d, Linear};
use crate::layout::{self, Layout};
use crate::sequence::{Attention, Embedding, RmsNorm};
use candle_core::{Result, Tensor, bail};
use std::cell::RefCell;
use std::rc::Rc;
use tealight_compiler::graph::{self, ElementType, Graph, Node, NodeOp, TensorId};
use tealight_compiler::ir::{Activation, Op, Padding, Window};
use tealight_format::ops::UnaryFunction;

/// A value of a network that is being recorded.
#[derive(Debug, Clone)]
pub struct Traced {
    network: Rc<RefCell<Graph>>,
    value: TensorId,
    /// Candle's dimensions.
    dims: Vec<usize>,
    layout: Layout,
}

/// Returns the network that `forward` computes from an input of Candle's `dims`, such as `[1, 3, 96, 96]`: a graph of
/// float tensors, to be compiled by [`compile_kernel_graph`](tealight_compiler::builder::compile_kernel_graph) or
/// quantized by [`compile_float`](tealight_compiler::quantize::compile_float).
///
/// # Errors
/// If layers do not fit together, or the output is a flattened image.
pub fn trace(dims: &[usize], forward: impl FnOnce(&Traced) -> Result<Traced>) -> Result<Graph> {
    let input = graph::Tensor::computed("input", ElementType::F32, layout::shape(dims));
    written(input, dims, Layout::of(dims), forward)
}

/// Returns the network that `forward` computes from `input`, which has Candle's `dims`.
fn written(
    input: graph::Tensor,
    dims: &[usize],
    layout: Layout,
    forward: impl FnOnce(&Traced) -> Result<Traced>,
) -> Result<Graph> {
    let mut network = Graph::default();
    let value = network.add(input);
    network.inputs.push(value);
    let network = Rc::new(RefCell::new(network));
    let output = forward(&Traced { network: network.clone(), value, dims: dims.to_vec(), layout })?;
    if !Rc::ptr_eq(&network, &output.network) {
        bail!("the output was not computed from the input");
    }
    if let Layout::Flat { .. } = output.layout {
        bail!("the output is a flattened image: do not flatten it, or add a linear layer after it");
    }
    network.borrow_mut().outputs.push(output.value);
    Ok(network.take())
}

/// Returns the elements of a weight.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()
}

/// Creates a window over an image, padded by `pad` on all sides.
fn window(size: [usize; 2], stride: [usize; 2], dilation: usize, pad: usize) -> Window {
    Window {
        padding: Padding::Valid,
        stride: stride.map(|stride| stride as i32),
        dilation: [dilation as i32; 2],
        size: size.map(|size| size as i32),
        explicit: [pad as u32; 4],
        activation: Activation::None,
    }
}

impl Traced {
    /// Adds a node that reads this value, `others` and the constants of the layer `name`. `dims` are Candle's
    /// dimensions of its output.
    fn push(
        &self,
        name: &str,
        op: Op,
        others: &[&Self],
        constants: Vec<graph::Tensor>,
        dims: Vec<usize>,
        layout: Layout,
    ) -> Result<Self> {
        for other in others {
            if !Rc::ptr_eq(&self.network, &other.network) {
                bail!("{}: its inputs belong to different networks", op.name());
            }
            if self.layout != other.layout {
                bail!("{}: one input is a flattened image, the other is not", op.name());
            }
            if self.dims != other.dims {
                bail!("{}: its inputs are {:?} and {:?}", op.name(), self.dims, other.dims);
            }
        }
        let mut inputs: Vec<_> = std::iter::once(self.value).chain(others.iter().map(|other| other.value)).collect();
        let mut network = self.network.borrow_mut();
        inputs.extend(constants.into_iter().map(|constant| network.add(constant)));
        drop(network);
        self.node(name, NodeOp::Ir(op), inputs, dims, layout)
    }

    /// Adds a node that reads `inputs` and has a float output.
    fn node(&self, name: &str, op: NodeOp, inputs: Vec<TensorId>, dims: Vec<usize>, layout: Layout) -> Result<Self> {
        let mut network = self.network.borrow_mut();
        let origin = network.nodes.len();
        let inputs = inputs.into_iter().map(Some).collect();
        let name = match name {
            // A layer without weights has no name in the checkpoint.
            "" => format!("{}_{origin}", snake_case(op.name())),
            name => name.to_string(),
        };
        let shape = if layout == Layout::ChannelsLast { layout::shape(&dims) } else { plain(&dims) };
        let value = network.add(graph::Tensor::computed(name, ElementType::F32, shape));
        network.nodes.push(Node { op, inputs, outputs: vec![value], origin });
        drop(network);
        Ok(Self { network: self.network.clone(), value, dims, layout })
    }

    /// Adds a function of each element, or of each row.
    fn same_shape(&self, op: Op) -> Result<Self> {
        self.push("", op, &[], Vec::new(), self.dims.clone(), self.layout)
    }

    /// Returns the number of rows and columns at which a window of `size` fits in this image.
    fn places(&self, name: &str, size: [usize; 2], window: &Window) -> Result<[usize; 2]> {
        let &[_, _, h, w] = &self.dims[..] else { bail!("{name}: its input is {:?}, not an image", self.dims) };
        let paths = |axis: usize, length: usize| {
            let extent = size[axis].checked_sub(1)? * window.dilation[axis] as usize + 1;
            let around = (window.explicit[axis] + window.explicit[axis + 2]) as usize;
            Some((length + around).checked_sub(extent)?.checked_div(window.stride[axis] as usize)? + 1)
        };
        match (paths(0, h), paths(1, w)) {
            (Some(h), Some(w)) => Ok([h, w]),
            _ => bail!("{name}: its window {size:?} does not fit into {:?}", self.dims),
        }
    }

    fn pool(&self, size: [usize; 2], stride: [usize; 2], op: fn(Window) -> Op) -> Result<Self> {
        let window = window(size, stride, 1, 0);
        let [h, w] = self.places(op(window).name(), size, &window)?;
        let dims = vec![self.dims[0], self.dims[1], h, w];
        self.push("", op(window), &[], Vec::new(), dims, Layout::ChannelsLast)
    }
}

/// Converts `MaxPool2d` to `max_pool2d`.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for (i, letter) in name.char_indices() {
        if i > 0 && letter.is_ascii_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// Returns dimensions in Candle's order.
fn plain(dims: &[usize]) -> Vec<u32> {
    dims.iter().map(|&dim| dim as u32).collect()
}

fn f32_constant(name: String, shape: Vec<u32>, numbers: &[f32]) -> graph::Tensor {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    graph::Tensor::constant(name, ElementType::F32, shape, bytes)
}

/// Returns weights and bias of the layer `name`, for the graph.
fn constants(name: &str, shape: Vec<u32>, weights: &[f32], bias: Option<&Tensor>) -> Result<Vec<graph::Tensor>> {
    let mut constants = vec![f32_constant(name.to_string(), shape, weights)];
    if let Some(bias) = bias {
        constants.push(f32_constant(format!("{name}/bias"), plain(bias.dims()), &numbers(bias)?));
    }
    Ok(constants)
}

impl Array for Traced {
    fn dims(&self) -> Vec<usize> {
        self.dims.clone()
    }

    fn conv2d(&self, layer: &Conv2d) -> Result<Self> {
        let (candle, name) = (layer.candle(), layer.name());
        let config = candle.config();
        let channels = self.dims.get(1).copied().unwrap_or(0);
        let dims = candle.weight().dims();
        let &[outputs, inputs, height, width] = dims else { bail!("{name}: weights {dims:?} are not of rank 4") };
        if inputs * config.groups != channels || !outputs.is_multiple_of(config.groups) {
            bail!("{name}: weights {dims:?} in {} groups do not fit {:?}", config.groups, self.dims);
        }
        let depthwise = config.groups > 1 && config.groups == channels;
        let (shape, weights) = layout::kernel(&numbers(candle.weight())?, dims, depthwise)?;
        let window =
            Window { size: [0; 2], ..window([height, width], [config.stride; 2], config.dilation, config.padding) };
        let [h, w] = self.places(name, [height, width], &window)?;
        let op = if depthwise { Op::DepthwiseConv2d(window) } else { Op::Conv2d(window) };
        let constants = constants(name, shape, &weights, candle.bias())?;
        self.push(name, op, &[], constants, vec![self.dims[0], outputs, h, w], Layout::ChannelsLast)
    }

    fn linear(&self, layer: &Linear) -> Result<Self> {
        let (candle, name) = (layer.candle(), layer.name());
        let &[outputs, inputs] = candle.weight().dims() else { bail!("{name}: its weights are not a matrix") };
        if self.layout == Layout::ChannelsLast || self.dims.len() < 2 {
            bail!("{name}: its input is {:?}, not [N, in] or [N, T, in]", self.dims);
        }
        let mut dims = self.dims.clone();
        if dims.pop() != Some(inputs) {
            bail!("{name}: weights {:?} do not fit {:?}", candle.weight().dims(), self.dims);
        }
        dims.push(outputs);
        let weights = self.layout.columns(&numbers(candle.weight())?);
        let constants = constants(name, plain(&[outputs, inputs]), &weights, candle.bias())?;
        let op = Op::FullyConnected(Activation::None);
        self.push(name, op, &[], constants, dims, Layout::Same)
    }

    fn relu(&self) -> Result<Self> {
        self.same_shape(Op::Relu)
    }

    fn relu6(&self) -> Result<Self> {
        self.same_shape(Op::Relu6)
    }

    fn sigmoid(&self) -> Result<Self> {
        self.same_shape(Op::Logistic)
    }

    fn tanh(&self) -> Result<Self> {
        self.same_shape(Op::Tanh)
    }

    fn hard_swish(&self) -> Result<Self> {
        self.same_shape(Op::HardSwish)
    }

    fn max_pool2d(&self, window: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        self.pool(window, stride, Op::MaxPool2d)
    }

    fn avg_pool2d(&self, window: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        self.pool(window, stride, Op::AvgPool2d)
    }

    fn add(&self, other: &Self) -> Result<Self> {
        let op = Op::Add(Activation::None);
        self.push("", op, &[other], Vec::new(), self.dims.clone(), self.layout)
    }

    fn mul(&self, other: &Self) -> Result<Self> {
        let op = Op::Mul(Activation::None);
        self.push("", op, &[other], Vec::new(), self.dims.clone(), self.layout)
    }

    fn flatten(&self) -> Result<Self> {
        let Some((&n, rest)) = self.dims.split_first() else { bail!("flatten: a scalar has no dimensions") };
        let dims = vec![n, rest.iter().product::<usize>()];
        let op = Op::Reshape { new_shape: Some(dims.iter().map(|&dim| dim as i32).collect()) };
        self.push("", op, &[], Vec::new(), dims, self.layout.flattened(&self.dims))
    }

    fn softmax(&self) -> Result<Self> {
        if self.layout != Layout::Same {
            bail!("softmax: its input is an image or a flattened one, whose last dimension is elsewhere");
        }
        self.same_shape(Op::Softmax { beta: 1.0 })
    }

    fn silu(&self) -> Result<Self> {
        self.same_shape(Op::Unary(UnaryFunction::Silu))
    }

    fn embedding(&self, layer: &Embedding) -> Result<Self> {
        self.gathered(layer)
    }

    fn products(&self, layer: &Embedding) -> Result<Self> {
        self.products_with(layer)
    }

    fn rms_norm(&self, layer: &RmsNorm) -> Result<Self> {
        self.normed(layer)
    }

    fn attention(&self, keys: &Self, values: &Self, layer: &Attention) -> Result<Self> {
        self.attending(keys, values, layer)
    }
}
