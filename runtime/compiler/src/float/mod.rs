//! Float networks: what a framework hands over to be quantized.
//!
//! A [`Network`] grows by one node at a time; each node's shape is inferred and its weights are checked as it is added,
//! so a finished network is sound. Pictures are `[N, H, W, C]`, weights as TensorFlow Lite lays them out.
//!
//! ```
//! use tealight_compiler::float::{Constant, Layer, Network};
//!
//! let mut network = Network::new("x", &[1, 2])?;
//! let weights = Constant::new(&[1, 2], vec![0.5, -1.0]);
//! let y = network.add("fc", Layer::FullyConnected { weights, bias: vec![1.0] }, &[network.input()])?;
//! let y = network.add("relu", Layer::Relu, &[y])?;
//! network.set_output(y);
//! assert_eq!(network.run(&[4.0, 1.0])?[y], [2.0]);
//! # Ok::<(), tealight_compiler::float::FloatError>(())
//! ```

mod from_tflite;
mod run;
mod shape;

pub use from_tflite::from_tflite;

use std::fmt;

/// Index of a value in [`Network::values`].
pub type ValueId = usize;

/// A float network with one input and one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    values: Vec<Value>,
    nodes: Vec<Node>,
    output: ValueId,
}

/// A tensor that the network computes, or its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The name of the node that writes it.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<u32>,
}

/// A layer at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in the checkpoint.
    pub name: String,
    /// What it does.
    pub layer: Layer,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it writes.
    pub output: ValueId,
}

/// A constant tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Dimensions, outermost first.
    pub shape: Vec<u32>,
    /// Elements, the last dimension fastest.
    pub data: Vec<f32>,
}

/// How a window goes over a picture: rows, then columns. In the padding a convolution counts zeros; pooling counts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From one output to the next.
    pub stride: [u32; 2],
    /// From one tap to the next.
    pub dilation: [u32; 2],
    /// Rows and columns around the picture: above, left, below, right. A window of pooling must reach into the picture.
    pub pad: [u32; 4],
}

/// What a node does.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Convolution; weights `[out, height, width, in / groups]`.
    Conv2d {
        /// The window.
        window: Window,
        /// Weights.
        weights: Constant,
        /// One number for each output channel.
        bias: Vec<f32>,
    },
    /// Convolution of each channel alone; weights `[1, height, width, channels * multiplier]`.
    DepthwiseConv2d {
        /// The window.
        window: Window,
        /// Weights.
        weights: Constant,
        /// One number for each output channel.
        bias: Vec<f32>,
    },
    /// Product with a matrix `[out, in]`.
    FullyConnected {
        /// The matrix.
        weights: Constant,
        /// One number for each output.
        bias: Vec<f32>,
    },
    /// Mean of each window.
    AvgPool2d {
        /// Height, width.
        size: [u32; 2],
        /// The window.
        window: Window,
    },
    /// Greatest of each window.
    MaxPool2d {
        /// Height, width.
        size: [u32; 2],
        /// The window.
        window: Window,
    },
    /// Sum of two of the same shape.
    Add,
    /// Product of two of the same shape, element by element.
    Mul,
    /// `max(x, 0)`.
    Relu,
    /// `clamp(x, 0, 6)`.
    Relu6,
    /// `1 / (1 + exp(-x))`.
    Logistic,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish,
    /// `exp(x)` over its sum along the last dimension.
    Softmax,
    /// The same elements under another shape.
    Reshape {
        /// The new dimensions.
        shape: Vec<u32>,
    },
}

/// Why a node cannot be added, or an input not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FloatError {
    /// A node whose inputs, weights or window do not fit together.
    #[error("layer `{layer}` ({kind}): {what}")]
    Shape {
        /// The node's name.
        layer: String,
        /// What it does.
        kind: &'static str,
        /// What does not fit.
        what: String,
    },
    /// A weight that is infinite or not a number.
    #[error("layer `{layer}` ({kind}): weight {index} is {value}; the checkpoint is damaged or training diverged")]
    NotFinite {
        /// The node's name.
        layer: String,
        /// What it does.
        kind: &'static str,
        /// Which element.
        index: usize,
        /// What it is.
        value: String,
    },
    /// An input of the wrong size.
    #[error("the input has {found} numbers; the network takes {expected} ({shape:?})")]
    Input {
        /// How many were given.
        found: usize,
        /// How many it takes.
        expected: usize,
        /// The input's shape.
        shape: Vec<u32>,
    },
}

/// Elements of a value that a model file can hold.
const LARGEST: usize = 1 << 28;

type Result<T> = std::result::Result<T, FloatError>;

impl Constant {
    /// A constant.
    pub fn new(shape: &[u32], data: Vec<f32>) -> Self {
        Self { shape: shape.to_vec(), data }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self { stride: [1; 2], dilation: [1; 2], pad: [0; 4] }
    }
}

impl Layer {
    /// Its name, the one that the operator has everywhere.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv2d { .. } => "Conv2d",
            Self::DepthwiseConv2d { .. } => "DepthwiseConv2d",
            Self::FullyConnected { .. } => "FullyConnected",
            Self::AvgPool2d { .. } => "AvgPool2d",
            Self::MaxPool2d { .. } => "MaxPool2d",
            Self::Add => "Add",
            Self::Mul => "Mul",
            Self::Relu => "Relu",
            Self::Relu6 => "Relu6",
            Self::Logistic => "Logistic",
            Self::Tanh => "Tanh",
            Self::HardSwish => "HardSwish",
            Self::Softmax => "Softmax",
            Self::Reshape { .. } => "Reshape",
        }
    }

    /// Weights and bias of a layer that has them.
    pub fn weights(&self) -> Option<(&Constant, &[f32])> {
        match self {
            Self::Conv2d { weights, bias, .. }
            | Self::DepthwiseConv2d { weights, bias, .. }
            | Self::FullyConnected { weights, bias } => Some((weights, bias)),
            _ => None,
        }
    }

    /// The output channel that weight `index` belongs to.
    pub(crate) fn channel_of(&self, index: usize) -> usize {
        match self {
            // 1HWO: a tap's weights stand together.
            Self::DepthwiseConv2d { bias, .. } => index % bias.len().max(1),
            // OHWI, OI: a channel's weights stand together.
            Self::Conv2d { weights, bias, .. } | Self::FullyConnected { weights, bias } => {
                index / (weights.data.len() / bias.len().max(1)).max(1)
            }
            _ => 0,
        }
    }
}

impl Network {
    /// A network that does nothing to its input yet.
    ///
    /// # Errors
    /// If the input has no elements.
    pub fn new(name: &str, shape: &[u32]) -> Result<Self> {
        let input = Value { name: name.to_string(), shape: shape.to_vec() };
        if input.is_empty() {
            return Err(FloatError::Input { found: 0, expected: 1, shape: shape.to_vec() });
        }
        Ok(Self { values: vec![input], nodes: Vec::new(), output: 0 })
    }

    /// The network's input.
    pub fn input(&self) -> ValueId {
        0
    }

    /// The network's output: the last value, unless it was set.
    pub fn output(&self) -> ValueId {
        self.output
    }

    /// Makes a value the output.
    pub fn set_output(&mut self, value: ValueId) {
        self.output = value;
    }

    /// The input and what each node writes.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Adds a node and gives its output, which becomes the network's.
    ///
    /// # Errors
    /// If the inputs, the weights and the layer do not fit together, or a weight is not finite.
    pub fn add(&mut self, name: &str, layer: Layer, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = self.infer(name, &layer, inputs)?;
        if (Value { name: String::new(), shape: shape.clone() }).len() > LARGEST {
            let what = format!("it gives {shape:?}, more than {LARGEST} elements");
            return Err(FloatError::Shape { layer: name.to_string(), kind: layer.kind(), what });
        }
        let output = self.values.len();
        self.values.push(Value { name: name.to_string(), shape });
        self.nodes.push(Node { name: name.to_string(), layer, inputs: inputs.to_vec(), output });
        self.output = output;
        Ok(output)
    }
}

impl Value {
    /// Number of elements (saturating).
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1usize, |count, &dim| count.saturating_mul(dim as usize))
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} {}", self.values[0].shape, self.values[0].name)?;
        for node in &self.nodes {
            writeln!(f, "{:?} {} = {}", self.values[node.output].shape, node.name, node.layer.kind())?;
        }
        Ok(())
    }
}
