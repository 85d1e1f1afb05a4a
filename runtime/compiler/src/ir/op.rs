//! The neutral operators of a graph, with their attributes.

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
    /// One that is not fused, by the code of the source file.
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
    /// Height, width; 0 for a convolution, whose weights have it as their shape.
    pub size: [i32; 2],
    /// Input rows, columns put around the window's input beforehand: above, left, below, right.
    pub explicit: [u32; 4],
    /// Applied to the result.
    pub activation: Activation,
}

/// Masks of a strided slice: bit i is about dimension i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceMasks {
    /// `begin[i]` is ignored: the slice starts at the end of the dimension that the stride leads away from.
    pub begin: i32,
    /// `end[i]` is ignored: the slice runs to the end of the dimension that the stride leads to.
    pub end: i32,
    /// The dimensions that are not listed come here. Not compiled.
    pub ellipsis: i32,
    /// A new dimension of length 1. Not compiled.
    pub new_axis: i32,
    /// One index is taken, and the dimension is removed.
    pub shrink_axis: i32,
}

/// An operator, with its attributes. Where the model file has the operator too, it has the same name.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names are those of the field.
pub enum Op {
    Add(Activation),
    AvgPool2d(Window),
    AssignVariable,
    CallOnce {
        subgraph: usize,
    },
    Cast,
    Concat {
        axis: i32,
        activation: Activation,
    },
    Conv2d(Window),
    DepthwiseConv2d(Window),
    Dequantize,
    Div(Activation),
    /// A function of each f32 element, without attributes: exp, sqrt and the like.
    Unary(UnaryFunction),
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
    /// Pads with the value that its third input holds.
    PadWith,
    /// ReLU with a slope below 0 that its second input holds.
    Prelu,
    Quantize,
    /// 8-bit codes in another scale, rounded to nearest. Added by the pass `requantize`; no file has it.
    Convert,
    ReadVariable,
    ReduceProd,
    Relu,
    Relu6,
    ReluN1To1,
    Reshape {
        new_shape: Option<Vec<i32>>,
    },
    ResizeNearest {
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
    ConvTranspose2d(Window),
    Unpack {
        axis: i32,
    },
    VarHandle {
        name: String,
    },
    /// One that the compiler does not know.
    Unknown {
        /// Its name in the source file.
        name: String,
    },
}

impl Op {
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

    /// Its name: the variant's, or the function's; of an unknown one, the source file's.
    pub fn name(&self) -> &str {
        match self {
            Self::Add(_) => "Add",
            Self::AvgPool2d(_) => "AvgPool2d",
            Self::AssignVariable => "AssignVariable",
            Self::CallOnce { .. } => "CallOnce",
            Self::Cast => "Cast",
            Self::Concat { .. } => "Concat",
            Self::Conv2d(_) => "Conv2d",
            Self::DepthwiseConv2d(_) => "DepthwiseConv2d",
            Self::Dequantize => "Dequantize",
            Self::Div(_) => "Div",
            Self::Unary(function) => function.name(),
            Self::Elu => "Elu",
            Self::ExpandDims => "ExpandDims",
            Self::Fill => "Fill",
            Self::FloorDiv => "FloorDiv",
            Self::FullyConnected(_) => "FullyConnected",
            Self::Gather { .. } => "Gather",
            Self::HardSwish => "HardSwish",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Logistic => "Logistic",
            Self::MaxPool2d(_) => "MaxPool2d",
            Self::Maximum => "Maximum",
            Self::Mean => "Mean",
            Self::Minimum => "Minimum",
            Self::Mul(_) => "Mul",
            Self::Pack { .. } => "Pack",
            Self::Pad => "Pad",
            Self::Prelu => "Prelu",
            Self::PadWith => "PadWith",
            Self::Quantize => "Quantize",
            Self::Convert => "Convert",
            Self::ReadVariable => "ReadVariable",
            Self::ReduceProd => "ReduceProd",
            Self::Relu => "Relu",
            Self::Relu6 => "Relu6",
            Self::ReluN1To1 => "ReluN1To1",
            Self::Reshape { .. } => "Reshape",
            Self::ResizeNearest { .. } => "ResizeNearest",
            Self::Shape => "Shape",
            Self::Slice => "Slice",
            Self::Softmax { .. } => "Softmax",
            Self::Split => "Split",
            Self::SplitV => "SplitV",
            Self::Squeeze { .. } => "Squeeze",
            Self::StridedSlice(_) => "StridedSlice",
            Self::Sub(_) => "Sub",
            Self::Svdf { .. } => "Svdf",
            Self::Tanh => "Tanh",
            Self::Transpose => "Transpose",
            Self::ConvTranspose2d(_) => "ConvTranspose2d",
            Self::Unpack { .. } => "Unpack",
            Self::VarHandle { .. } => "VarHandle",
            Self::Unknown { name } => name,
        }
    }
}
