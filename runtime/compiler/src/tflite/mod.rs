//! TensorFlow Lite files: what they hold, and how they become a [`Graph`](crate::graph::Graph).

mod check;
mod import;
mod names;
mod schema;

pub(crate) use check::check;
pub(crate) use import::import;

use tealight_format::ops::UnaryFunction;

/// How a window's border is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// As many outputs as inputs over the stride, rounded up; the border counts as zero.
    Same,
    /// Only windows that lie inside the input.
    Valid,
}

/// The activation that an operator applies to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None but the type's range.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `clamp(x, -1, 1)`.
    ReluN1To1,
    /// `clamp(x, 0, 6)`.
    Relu6,
    /// One that TensorFlow Lite Micro does not fuse either, by its code.
    Other(i8),
}

/// Attributes of a 2-D window: convolutions and pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How the border is treated.
    pub padding: Padding,
    /// Rows, columns from one output to the next.
    pub stride: [i32; 2],
    /// Rows, columns from one tap to the next.
    pub dilation: [i32; 2],
    /// Height, width; of a convolution, 0: its weights say it.
    pub size: [i32; 2],
    /// Input rows, columns put around the window's input beforehand: above, left, below, right.
    pub explicit: [u32; 4],
    /// Applied to the result.
    pub activation: Activation,
}

/// Masks of STRIDED_SLICE: bit i speaks of dimension i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceMasks {
    /// `begin` is the end that the stride starts from.
    pub begin: i32,
    /// `end` is the end that the stride leads to.
    pub end: i32,
    /// Not taken: all missing dimensions stand here.
    pub ellipsis: i32,
    /// Not taken: a new dimension of length 1.
    pub new_axis: i32,
    /// One index, and the dimension goes away.
    pub shrink_axis: i32,
}

/// An operator of a TensorFlow Lite file, with its attributes. Those without any that matter carry none.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names are TensorFlow Lite's.
pub enum TfliteOp {
    Add(Activation),
    AveragePool2d(Window),
    AssignVariable,
    CallOnce {
        subgraph: usize,
    },
    Cast,
    Concatenation {
        axis: i32,
        activation: Activation,
    },
    Conv2d(Window),
    DepthwiseConv2d(Window),
    Dequantize,
    Div(Activation),
    /// A function of one float without attributes: EXP, SQRT and the like.
    Elementwise(UnaryFunction),
    Elu,
    ExpandDims,
    Fill,
    FloorDiv,
    FullyConnected(Activation),
    Gather {
        axis: i32,
        batch_dims: i32,
    },
    HardSwish,
    LeakyRelu {
        alpha: f32,
    },
    Logistic,
    MaxPool2d(Window),
    Maximum,
    Mean,
    Minimum,
    Mul(Activation),
    Pack {
        axis: i32,
    },
    Pad,
    PadV2,
    Quantize,
    /// Not of a file: codes in another scale, to the nearest (`pass::requantize`).
    Convert,
    ReadVariable,
    ReduceProd,
    Relu,
    Relu6,
    ReluN1To1,
    Reshape {
        new_shape: Option<Vec<i32>>,
    },
    ResizeNearestNeighbor {
        align_corners: bool,
        half_pixel_centers: bool,
    },
    Shape,
    Slice,
    Softmax {
        beta: f32,
    },
    Split,
    SplitV,
    Squeeze {
        dims: Vec<i32>,
    },
    StridedSlice(SliceMasks),
    Sub(Activation),
    Svdf {
        rank: i32,
        activation: Activation,
    },
    Tanh,
    Transpose,
    TransposeConv(Window),
    Unpack {
        axis: i32,
    },
    VarHandle {
        name: String,
    },
    /// One that the compiler does not know.
    Unknown {
        name: String,
    },
}

impl TfliteOp {
    /// The activation that the operator applies to its result, where it can apply one that quantization keeps exact.
    pub(crate) fn activation_mut(&mut self) -> Option<&mut Activation> {
        match self {
            Self::Conv2d(window) | Self::DepthwiseConv2d(window) => Some(&mut window.activation),
            Self::FullyConnected(activation)
            | Self::Add(activation)
            | Self::Sub(activation)
            | Self::Mul(activation) => Some(activation),
            _ => None,
        }
    }

    /// Whether it is a layer with weights and maybe a bias that have an int8 form.
    pub(crate) fn has_weights(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::DepthwiseConv2d(_) | Self::FullyConnected(_))
    }

    /// TensorFlow Lite's name of the operator.
    pub fn name(&self) -> &str {
        match self {
            Self::Add(_) => "ADD",
            Self::AveragePool2d(_) => "AVERAGE_POOL_2D",
            Self::AssignVariable => "ASSIGN_VARIABLE",
            Self::CallOnce { .. } => "CALL_ONCE",
            Self::Cast => "CAST",
            Self::Concatenation { .. } => "CONCATENATION",
            Self::Conv2d(_) => "CONV_2D",
            Self::DepthwiseConv2d(_) => "DEPTHWISE_CONV_2D",
            Self::Dequantize => "DEQUANTIZE",
            Self::Div(_) => "DIV",
            Self::Elementwise(function) => match function {
                UnaryFunction::Abs => "ABS",
                UnaryFunction::Cos => "COS",
                UnaryFunction::Exp => "EXP",
                UnaryFunction::Gelu | UnaryFunction::GeluTanh => "GELU",
                UnaryFunction::Log => "LOG",
                UnaryFunction::Neg => "NEG",
                UnaryFunction::Rsqrt => "RSQRT",
                UnaryFunction::Sin => "SIN",
                UnaryFunction::Sqrt => "SQRT",
                UnaryFunction::Square => "SQUARE",
                other => other.name(),
            },
            Self::Elu => "ELU",
            Self::ExpandDims => "EXPAND_DIMS",
            Self::Fill => "FILL",
            Self::FloorDiv => "FLOOR_DIV",
            Self::FullyConnected(_) => "FULLY_CONNECTED",
            Self::Gather { .. } => "GATHER",
            Self::HardSwish => "HARD_SWISH",
            Self::LeakyRelu { .. } => "LEAKY_RELU",
            Self::Logistic => "LOGISTIC",
            Self::MaxPool2d(_) => "MAX_POOL_2D",
            Self::Maximum => "MAXIMUM",
            Self::Mean => "MEAN",
            Self::Minimum => "MINIMUM",
            Self::Mul(_) => "MUL",
            Self::Pack { .. } => "PACK",
            Self::Pad => "PAD",
            Self::PadV2 => "PADV2",
            Self::Quantize => "QUANTIZE",
            Self::Convert => "CONVERT",
            Self::ReadVariable => "READ_VARIABLE",
            Self::ReduceProd => "REDUCE_PROD",
            Self::Relu => "RELU",
            Self::Relu6 => "RELU6",
            Self::ReluN1To1 => "RELU_N1_TO_1",
            Self::Reshape { .. } => "RESHAPE",
            Self::ResizeNearestNeighbor { .. } => "RESIZE_NEAREST_NEIGHBOR",
            Self::Shape => "SHAPE",
            Self::Slice => "SLICE",
            Self::Softmax { .. } => "SOFTMAX",
            Self::Split => "SPLIT",
            Self::SplitV => "SPLIT_V",
            Self::Squeeze { .. } => "SQUEEZE",
            Self::StridedSlice(_) => "STRIDED_SLICE",
            Self::Sub(_) => "SUB",
            Self::Svdf { .. } => "SVDF",
            Self::Tanh => "TANH",
            Self::Transpose => "TRANSPOSE",
            Self::TransposeConv(_) => "TRANSPOSE_CONV",
            Self::Unpack { .. } => "UNPACK",
            Self::VarHandle { .. } => "VAR_HANDLE",
            Self::Unknown { name } => name,
        }
    }
}
