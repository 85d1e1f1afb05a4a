//! The neutral operators of a graph, with their attributes.

use tealight_format::Operator;
use tealight_format::ops::{DetectionsF32, LandmarksToTransformF32, UnaryFunction};

/// How a window's border is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// `ceil(inputs / stride)` outputs; taps outside the input count as zero.
    Same,
    /// Only windows that are wholly inside the input.
    Valid,
}

/// The activation that an operator applies to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None; results are limited only by the type's range.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `clamp(x, -1, 1)`.
    ReluN1To1,
    /// `clamp(x, 0, 6)`.
    Relu6,
    /// One that cannot be fused, by its code in the source file.
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
    /// Height, width; 0 for a convolution, which takes them from the shape of its weights.
    pub size: [i32; 2],
    /// Padding added before the window's own, in input rows and columns: above, left, below, right.
    pub explicit: [u32; 4],
    /// The activation applied to the result.
    pub activation: Activation,
}

/// Masks of a strided slice; bit i refers to dimension i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceMasks {
    /// Bit i: ignore `begin[i]` and start at index 0, or at the last index if the stride is negative.
    pub begin: i32,
    /// Bit i: ignore `end[i]` and run to the last index, or to index 0 if the stride is negative.
    pub end: i32,
    /// Bit i: all dimensions that are not listed are here.
    pub ellipsis: i32,
    /// Bit i: insert a new dimension of length 1.
    pub new_axis: i32,
    /// Bit i: take the single index `begin[i]` and remove the dimension.
    pub shrink_axis: i32,
}

/// How two elements compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of the field.
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::NotEqual => "NotEqual",
            Self::Less => "Less",
            Self::LessEqual => "LessEqual",
            Self::Greater => "Greater",
            Self::GreaterEqual => "GreaterEqual",
        }
    }
}

/// What is taken of each element of a complex tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of the field.
pub enum ComplexPart {
    Real,
    Imaginary,
    Magnitude,
}

impl ComplexPart {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "Real",
            Self::Imaginary => "Imaginary",
            Self::Magnitude => "ComplexAbs",
        }
    }
}

/// An operation on truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of the field.
pub enum Logic {
    And,
    Or,
    Not,
}

impl Logic {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::And => "LogicalAnd",
            Self::Or => "LogicalOr",
            Self::Not => "LogicalNot",
        }
    }
}

/// An operator, with its attributes. Where the model file has the operator too, it has the same name.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names are those of the field.
pub enum Op {
    Add(Activation),
    /// The sum of any number of tensors.
    AddN,
    /// The index of the largest element along the dimension that input 1 names, or of the smallest: of equal ones the
    /// first, or the last.
    ArgMinMax {
        smallest: bool,
        last: bool,
    },
    AvgPool2d(Window),
    AssignVariable,
    /// The products of the matrices in the last two dimensions of two tensors, each of which may be stored transposed.
    BatchMatMul {
        transposed: [bool; 2],
    },
    /// The inverse of `SpaceToBatch`, whose last input is what is cut off afterwards.
    BatchToSpace,
    /// The shape that two shapes, which are its inputs, are broadcast to.
    BroadcastArgs,
    /// The first tensor repeated to the shape that input 1 says.
    BroadcastTo,
    CallOnce {
        subgraph: usize,
    },
    /// A part of each element of a complex tensor.
    Complex(ComplexPart),
    Cast,
    /// The first tensor to the power of the second.
    Pow,
    /// Whether elements of the first tensor compare so with those of the second.
    Compare(Comparison),
    Concat {
        axis: i32,
        activation: Activation,
    },
    Conv2d(Window),
    /// The sums of the elements up to each along the dimension that input 1 names: without the element itself, or from
    /// the end.
    CumSum {
        exclusive: bool,
        reverse: bool,
    },
    DepthwiseConv2d(Window),
    /// Blocks of channels become squares of pixels, `block` pixels wide.
    DepthToSpace {
        block: i32,
    },
    Dequantize,
    /// The boxes of a detector, from boxes, scores and anchors, in one tensor as the model file's operator has it.
    Detections(DetectionsF32),
    /// The transform from a crop around some landmarks to their image: of the landmarks, and the indices of the subset.
    LandmarksToTransform(LandmarksToTransformF32),
    /// An image seen through the transform of input 1.
    TransformBilinear,
    /// Landmarks after the transform of input 1.
    TransformLandmarks,
    Div(Activation),
    /// A function of each element, without attributes: exp, sqrt and the like.
    Unary(UnaryFunction),
    Elu,
    /// The rows of input 1 that input 0 names.
    EmbeddingLookup,
    ExpandDims,
    Fill,
    /// The quotient, rounded down.
    FloorDiv,
    FullyConnected(Activation),
    Gather {
        axis: i32,
        batch_dims: i32,
    },
    /// The rows behind the first dimensions of input 0 that the vectors of input 1 name.
    GatherNd,
    HardSwish,
    /// One of two graphs of the file, by the truth value of input 0. The other inputs are those of the graph.
    If {
        then: usize,
        otherwise: usize,
    },
    /// Each vector of the last dimension divided by its Euclidean norm.
    L2Normalization(Activation),
    /// The square roots of the averages of squares in a window.
    L2Pool2d(Window),
    LeakyRelu {
        alpha: f32,
    },
    /// An operation on truth values.
    Logic(Logic),
    Logistic,
    /// The logarithm of the softmax over the last dimension.
    LogSoftmax,
    MaxPool2d(Window),
    /// The place of the maximum in each window, as MediaPipe's pooling states it.
    MaxPoolIndices(Window),
    /// Maxima at their places in an image of zeros.
    MaxUnpool(Window),
    Maximum,
    Mean,
    Minimum,
    /// Pads with the elements beside each end in reverse, with the end itself or without.
    MirrorPad {
        symmetric: bool,
    },
    Mul(Activation),
    Pack {
        axis: i32,
    },
    Pad,
    /// Pads with the value of its third input.
    PadWith,
    /// ReLU whose slope below 0 is its second input.
    Prelu,
    Quantize,
    /// The numbers from input 0 up to input 1, which is not among them, in steps of input 2.
    Range,
    /// The number of dimensions.
    Rank,
    /// 8-bit codes converted to another scale, rounded to nearest. Added by the pass `requantize`, and for two
    /// scales of an ONNX network.
    Convert,
    ReadVariable,
    /// Whether all of the truth values along the dimensions that input 1 names hold, or whether any does.
    ReduceLogic {
        any: bool,
    },
    ReduceMax,
    ReduceMin,
    ReduceProd,
    Relu,
    Relu0To1,
    Relu6,
    ReluN1To1,
    /// What is left of the first tensor after as many times the second as this function, Floor or Trunc, makes of their
    /// quotient.
    Remainder(UnaryFunction),
    Reshape {
        new_shape: Option<Vec<i32>>,
    },
    ResizeBilinear {
        align_corners: bool,
        half_pixel_centers: bool,
    },
    /// The Fourier transform of rows of f32 of the lengths that input 1 holds, `[rows, columns]`, in the last two
    /// dimensions: complex elements, half of the columns and one more.
    Rfft2d,
    ResizeNearest {
        align_corners: bool,
        half_pixel_centers: bool,
    },
    /// The elements in reverse along the dimensions that input 1 names.
    Reverse,
    /// The elements of input 1 where input 0 holds, and of input 2 elsewhere; the three are of one shape, or are broadcast
    /// to one.
    Select {
        broadcast: bool,
    },
    /// A long short-term memory over a sequence, with TensorFlow Lite's 24 inputs. Its cells are bounded by `clip`, if that
    /// is not 0.
    SequenceLstm {
        tanh: bool,
        clip: f32,
        time_major: bool,
    },
    Shape,
    /// One of TensorFlow Lite Micro's signal operators, as the model file has it but for its tables.
    Signal(Operator),
    Slice,
    Softmax {
        beta: f32,
    },
    /// Pads as its last input says, and makes a batch of each of the images that consist of every n-th pixel.
    SpaceToBatch,
    /// Squares of pixels, `block` pixels wide, become channels.
    SpaceToDepth {
        block: i32,
    },
    Split,
    SplitV,
    SquaredDifference,
    Squeeze {
        dims: Vec<i32>,
    },
    StridedSlice(SliceMasks),
    Sub(Activation),
    Sum,
    Svdf {
        rank: i32,
        activation: Activation,
    },
    Tanh,
    /// The tensor as often along each dimension as input 1 says.
    Tile,
    /// The largest elements of the last dimension, or the smallest, as many as input 1 says, and their indices.
    TopK {
        smallest: bool,
    },
    Transpose,
    ConvTranspose2d(Window),
    Unpack {
        axis: i32,
    },
    VarHandle {
        name: String,
    },
    /// The indices of the elements that are not 0.
    Where,
    /// A graph of the file as long as that of its condition returns true. The inputs are those of both; once the condition
    /// is computed for a round, which has then begun, it comes before them.
    While {
        condition: usize,
        body: usize,
        begun: bool,
    },
    /// Zeros in the shape of a tensor.
    ZerosLike,
    /// An operator that the compiler does not support.
    Unknown {
        /// Its name in the source file.
        name: String,
    },
}

impl Op {
    /// Returns the activation that the operator applies to its result, where it can apply one that stays exact under
    /// quantization.
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

    /// Returns the numbers of the graphs of the file that it names.
    pub(crate) fn subgraphs_mut(&mut self) -> Vec<&mut usize> {
        match self {
            Self::CallOnce { subgraph } => vec![subgraph],
            Self::If { then, otherwise } => vec![then, otherwise],
            Self::While { condition, body, .. } => vec![condition, body],
            _ => Vec::new(),
        }
    }

    /// Returns whether it is a layer with weights, and optionally a bias, that has an int8 form.
    pub(crate) fn has_weights(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::DepthwiseConv2d(_) | Self::FullyConnected(_))
    }

    /// Returns its name: the variant's, or the function's; for an unknown operator, the source file's.
    pub fn name(&self) -> &str {
        match self {
            Self::Add(_) => "Add",
            Self::AddN => "AddN",
            Self::ArgMinMax { smallest: false, .. } => "ArgMax",
            Self::ArgMinMax { smallest: true, .. } => "ArgMin",
            Self::AvgPool2d(_) => "AvgPool2d",
            Self::AssignVariable => "AssignVariable",
            Self::BatchMatMul { .. } => "BatchMatMul",
            Self::BatchToSpace => "BatchToSpace",
            Self::BroadcastArgs => "BroadcastArgs",
            Self::BroadcastTo => "BroadcastTo",
            Self::CallOnce { .. } => "CallOnce",
            Self::Complex(part) => part.name(),
            Self::Cast => "Cast",
            Self::Compare(comparison) => comparison.name(),
            Self::Concat { .. } => "Concat",
            Self::Conv2d(_) => "Conv2d",
            Self::CumSum { .. } => "CumSum",
            Self::DepthwiseConv2d(_) => "DepthwiseConv2d",
            Self::DepthToSpace { .. } => "DepthToSpace",
            Self::Dequantize => "Dequantize",
            Self::Detections(_) => "Detections",
            Self::LandmarksToTransform(_) => "LandmarksToTransform",
            Self::TransformBilinear => "TransformBilinear",
            Self::TransformLandmarks => "TransformLandmarks",
            Self::Div(_) => "Div",
            Self::Unary(function) => function.name(),
            Self::Elu => "Elu",
            Self::EmbeddingLookup => "EmbeddingLookup",
            Self::ExpandDims => "ExpandDims",
            Self::Fill => "Fill",
            Self::FloorDiv => "FloorDiv",
            Self::Pow => "Pow",
            Self::FullyConnected(_) => "FullyConnected",
            Self::Gather { .. } => "Gather",
            Self::GatherNd => "GatherNd",
            Self::HardSwish => "HardSwish",
            Self::If { .. } => "If",
            Self::L2Normalization(_) => "L2Normalization",
            Self::L2Pool2d(_) => "L2Pool2d",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Logistic => "Logistic",
            Self::Logic(logic) => logic.name(),
            Self::LogSoftmax => "LogSoftmax",
            Self::MaxPool2d(_) => "MaxPool2d",
            Self::MaxPoolIndices(_) => "MaxPoolIndices",
            Self::MaxUnpool(_) => "MaxUnpool",
            Self::Maximum => "Maximum",
            Self::Mean => "Mean",
            Self::Minimum => "Minimum",
            Self::MirrorPad { .. } => "MirrorPad",
            Self::Mul(_) => "Mul",
            Self::Pack { .. } => "Pack",
            Self::Pad => "Pad",
            Self::Prelu => "Prelu",
            Self::PadWith => "PadWith",
            Self::Quantize => "Quantize",
            Self::Range => "Range",
            Self::Rank => "Rank",
            Self::Convert => "Convert",
            Self::ReadVariable => "ReadVariable",
            Self::ReduceLogic { any: false } => "ReduceAll",
            Self::ReduceLogic { any: true } => "ReduceAny",
            Self::ReduceMax => "ReduceMax",
            Self::ReduceMin => "ReduceMin",
            Self::ReduceProd => "ReduceProd",
            Self::Relu => "Relu",
            Self::Relu0To1 => "Relu0To1",
            Self::Relu6 => "Relu6",
            Self::ReluN1To1 => "ReluN1To1",
            Self::Remainder(_) => "Remainder",
            Self::Reshape { .. } => "Reshape",
            Self::ResizeBilinear { .. } => "ResizeBilinear",
            Self::ResizeNearest { .. } => "ResizeNearest",
            Self::Reverse => "Reverse",
            Self::Rfft2d => "Rfft2d",
            Self::Select { .. } => "Select",
            Self::SequenceLstm { .. } => "SequenceLstm",
            Self::Shape => "Shape",
            Self::Signal(operator) => operator.code().name(),
            Self::Slice => "Slice",
            Self::Softmax { .. } => "Softmax",
            Self::SpaceToBatch => "SpaceToBatch",
            Self::SpaceToDepth { .. } => "SpaceToDepth",
            Self::Split => "Split",
            Self::SplitV => "SplitV",
            Self::SquaredDifference => "SquaredDifference",
            Self::Squeeze { .. } => "Squeeze",
            Self::StridedSlice(_) => "StridedSlice",
            Self::Sub(_) => "Sub",
            Self::Sum => "Sum",
            Self::Svdf { .. } => "Svdf",
            Self::Tanh => "Tanh",
            Self::Tile => "Tile",
            Self::TopK { .. } => "TopK",
            Self::Transpose => "Transpose",
            Self::ConvTranspose2d(_) => "ConvTranspose2d",
            Self::Unpack { .. } => "Unpack",
            Self::VarHandle { .. } => "VarHandle",
            Self::Where => "Where",
            Self::While { .. } => "While",
            Self::ZerosLike => "ZerosLike",
            Self::Unknown { name } => name,
        }
    }
}
