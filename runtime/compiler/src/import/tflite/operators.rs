//! TensorFlow Lite's built-in operators, one row each: the code, the name, and how it becomes a neutral operator.
//!
//! The row of an operator that is not compiled has only a name, for messages. An operator's options are read in its
//! row. A missing options table means the defaults, where every field has a sensible default.

use super::schema::{self, Options};
use crate::diag::CompileError;
use crate::ir::graph::{Graph, Node};
use crate::ir::{Activation, Comparison, ComplexPart, Logic, Op, Padding, SliceMasks, Window};
use tealight_format::ops::UnaryFunction;

/// One operator.
pub(super) struct Row {
    /// Its code in the schema's `BuiltinOperator`.
    code: i32,
    /// Its name there.
    pub(super) name: &'static str,
    /// Builds the neutral operator of a node; `None` if it is not compiled.
    pub(super) build: Option<Build>,
}

type Build = fn(&schema::Operator<'_>) -> Result<Op, Fault>;

impl Row {
    const fn read(code: i32, name: &'static str, build: Build) -> Self {
        Self { code, name, build: Some(build) }
    }

    const fn named(code: i32, name: &'static str) -> Self {
        Self { code, name, build: None }
    }
}

/// Returns the row of operator `code`.
pub(super) fn row(code: i32) -> Option<&'static Row> {
    usize::try_from(code).ok().and_then(|code| OPERATORS.get(code))
}

/// What is missing or wrong in an operator's options.
pub(super) enum Fault {
    Options,
    Value(&'static str, i32),
}

impl Fault {
    pub(super) fn at(self, graph: &Graph, node: &Node) -> CompileError {
        match self {
            Self::Options => graph.invalid(node, "its options are missing"),
            Self::Value(what, value) => graph.invalid(node, format!("its {what} is {value}")),
        }
    }
}

/// Returns the padding of this code in the schema.
fn padding(code: i8) -> Result<Padding, Fault> {
    match code {
        0 => Ok(Padding::Same),
        1 => Ok(Padding::Valid),
        _ => Err(Fault::Value("padding", i32::from(code))),
    }
}

fn activation(code: i8) -> Activation {
    match code {
        0 => Activation::None,
        1 => Activation::Relu,
        2 => Activation::ReluN1To1,
        3 => Activation::Relu6,
        other => Activation::Other(other),
    }
}

/// Returns the options of `operator`, or an error if they are missing.
fn options<'a, T: Options<'a>>(operator: &schema::Operator<'a>) -> Result<T, Fault> {
    operator.options::<T>().ok_or(Fault::Options)
}

/// Returns whether the options of a layer say that its bias is int32. They are what counts where it has none.
pub(super) fn has_int32_bias(op: &Op, operator: &schema::Operator<'_>) -> bool {
    const INT32: i8 = 2;
    let quantized_bias_type = match op {
        Op::Conv2d(_) => operator.options::<schema::Conv2DOptions<'_>>().map(|o| o.quantized_bias_type()),
        Op::FullyConnected(_) => {
            operator.options::<schema::FullyConnectedOptions<'_>>().map(|o| o.quantized_bias_type())
        }
        _ => None,
    };
    quantized_bias_type == Some(INT32)
}

/// Returns the number of a graph of the file.
fn graph(index: i32) -> Result<usize, Fault> {
    usize::try_from(index).map_err(|_| Fault::Value("graph", index))
}

fn pool(operator: &schema::Operator<'_>) -> Result<Window, Fault> {
    let o = options::<schema::Pool2DOptions<'_>>(operator)?;
    Ok(Window {
        padding: padding(o.padding())?,
        stride: [o.stride_h(), o.stride_w()],
        dilation: [1, 1],
        size: [o.filter_height(), o.filter_width()],
        explicit: [0; 4],
        activation: activation(o.activation()),
    })
}

// The row of each code must be at that index: a deleted row does not compile.
const _: () = {
    let mut i = 0;
    while i < OPERATORS.len() {
        assert!(OPERATORS[i].code as usize == i);
        i += 1;
    }
};

const OPERATORS: [Row; 210] = [
    Row::read(0, "ADD", |operator| {
        Ok(Op::Add(
            operator.options::<schema::AddOptions<'_>>().map_or(Activation::None, |o| activation(o.activation())),
        ))
    }),
    Row::read(1, "AVERAGE_POOL_2D", |operator| Ok(Op::AvgPool2d(pool(operator)?))),
    Row::read(2, "CONCATENATION", |operator| {
        let o = options::<schema::ConcatenationOptions<'_>>(operator)?;
        Ok(Op::Concat { axis: o.axis(), activation: activation(o.activation()) })
    }),
    Row::read(3, "CONV_2D", |operator| {
        let o = options::<schema::Conv2DOptions<'_>>(operator)?;
        Ok(Op::Conv2d(Window {
            padding: padding(o.padding())?,
            stride: [o.stride_h(), o.stride_w()],
            dilation: [o.dilation_h(), o.dilation_w()],
            size: [0, 0],
            explicit: [0; 4],
            activation: activation(o.activation()),
        }))
    }),
    Row::read(4, "DEPTHWISE_CONV_2D", |operator| {
        let o = options::<schema::DepthwiseConv2DOptions<'_>>(operator)?;
        Ok(Op::DepthwiseConv2d(Window {
            padding: padding(o.padding())?,
            stride: [o.stride_h(), o.stride_w()],
            dilation: [o.dilation_h(), o.dilation_w()],
            size: [0, 0],
            explicit: [0; 4],
            activation: activation(o.activation()),
        }))
    }),
    Row::read(5, "DEPTH_TO_SPACE", |operator| {
        Ok(Op::DepthToSpace { block: options::<schema::DepthToSpaceOptions<'_>>(operator)?.block_size() })
    }),
    Row::read(6, "DEQUANTIZE", |_| Ok(Op::Dequantize)),
    Row::read(7, "EMBEDDING_LOOKUP", |_| Ok(Op::EmbeddingLookup)),
    Row::read(8, "FLOOR", |_| Ok(Op::Unary(UnaryFunction::Floor))),
    Row::read(9, "FULLY_CONNECTED", |operator| {
        let o = operator.options::<schema::FullyConnectedOptions<'_>>();
        if let Some(format) = o.map(|o| o.weights_format()).filter(|&format| format != 0) {
            return Err(Fault::Value("weights format", i32::from(format)));
        }
        Ok(Op::FullyConnected(o.map_or(Activation::None, |o| activation(o.activation()))))
    }),
    Row::named(10, "HASHTABLE_LOOKUP"),
    Row::read(11, "L2_NORMALIZATION", |operator| {
        Ok(Op::L2Normalization(
            operator.options::<schema::L2NormOptions<'_>>().map_or(Activation::None, |o| activation(o.activation())),
        ))
    }),
    Row::read(12, "L2_POOL_2D", |operator| Ok(Op::L2Pool2d(pool(operator)?))),
    Row::named(13, "LOCAL_RESPONSE_NORMALIZATION"),
    Row::read(14, "LOGISTIC", |_| Ok(Op::Logistic)),
    Row::named(15, "LSH_PROJECTION"),
    Row::named(16, "LSTM"),
    Row::read(17, "MAX_POOL_2D", |operator| Ok(Op::MaxPool2d(pool(operator)?))),
    Row::read(18, "MUL", |operator| {
        Ok(Op::Mul(
            operator.options::<schema::MulOptions<'_>>().map_or(Activation::None, |o| activation(o.activation())),
        ))
    }),
    Row::read(19, "RELU", |_| Ok(Op::Relu)),
    Row::read(20, "RELU_N1_TO_1", |_| Ok(Op::ReluN1To1)),
    Row::read(21, "RELU6", |_| Ok(Op::Relu6)),
    Row::read(22, "RESHAPE", |operator| {
        Ok(Op::Reshape {
            new_shape: operator
                .options::<schema::ReshapeOptions<'_>>()
                .and_then(|o| o.new_shape())
                .map(|shape| shape.iter().collect()),
        })
    }),
    Row::read(23, "RESIZE_BILINEAR", |operator| {
        let o = operator.options::<schema::ResizeBilinearOptions<'_>>();
        Ok(Op::ResizeBilinear {
            align_corners: o.is_some_and(|o| o.align_corners()),
            half_pixel_centers: o.is_some_and(|o| o.half_pixel_centers()),
        })
    }),
    Row::named(24, "RNN"),
    Row::read(25, "SOFTMAX", |operator| {
        Ok(Op::Softmax { beta: options::<schema::SoftmaxOptions<'_>>(operator)?.beta() })
    }),
    Row::read(26, "SPACE_TO_DEPTH", |operator| {
        Ok(Op::SpaceToDepth { block: options::<schema::SpaceToDepthOptions<'_>>(operator)?.block_size() })
    }),
    Row::read(27, "SVDF", |operator| {
        let o = options::<schema::SvdfOptions<'_>>(operator)?;
        Ok(Op::Svdf { rank: o.rank(), activation: activation(o.activation()) })
    }),
    Row::read(28, "TANH", |_| Ok(Op::Tanh)),
    Row::named(29, "CONCAT_EMBEDDINGS"),
    Row::named(30, "SKIP_GRAM"),
    Row::named(31, "CALL"),
    Row::named(32, "CUSTOM"),
    Row::named(33, "EMBEDDING_LOOKUP_SPARSE"),
    Row::read(34, "PAD", |_| Ok(Op::Pad)),
    Row::named(35, "UNIDIRECTIONAL_SEQUENCE_RNN"),
    Row::read(36, "GATHER", |operator| {
        let o = operator.options::<schema::GatherOptions<'_>>();
        Ok(Op::Gather { axis: o.map_or(0, |o| o.axis()), batch_dims: o.map_or(0, |o| o.batch_dims()) })
    }),
    Row::read(37, "BATCH_TO_SPACE_ND", |_| Ok(Op::BatchToSpace)),
    Row::read(38, "SPACE_TO_BATCH_ND", |_| Ok(Op::SpaceToBatch)),
    Row::read(39, "TRANSPOSE", |_| Ok(Op::Transpose)),
    Row::read(40, "MEAN", |_| Ok(Op::Mean)),
    Row::read(41, "SUB", |operator| {
        Ok(Op::Sub(
            operator.options::<schema::SubOptions<'_>>().map_or(Activation::None, |o| activation(o.activation())),
        ))
    }),
    Row::read(42, "DIV", |operator| {
        Ok(Op::Div(
            operator.options::<schema::DivOptions<'_>>().map_or(Activation::None, |o| activation(o.activation())),
        ))
    }),
    Row::read(43, "SQUEEZE", |operator| {
        Ok(Op::Squeeze {
            dims: operator
                .options::<schema::SqueezeOptions<'_>>()
                .and_then(|o| o.squeeze_dims())
                .map(|dims| dims.iter().collect())
                .unwrap_or_default(),
        })
    }),
    Row::read(44, "UNIDIRECTIONAL_SEQUENCE_LSTM", |operator| {
        let o = options::<schema::UnidirectionalSequenceLstmOptions<'_>>(operator)?;
        Ok(Op::SequenceLstm { tanh: o.activation() == 4, clip: o.cell_clip(), time_major: o.time_major() })
    }),
    Row::read(45, "STRIDED_SLICE", |operator| {
        let o = options::<schema::StridedSliceOptions<'_>>(operator)?;
        Ok(Op::StridedSlice(SliceMasks {
            begin: o.begin_mask(),
            end: o.end_mask(),
            ellipsis: o.ellipsis_mask(),
            new_axis: o.new_axis_mask(),
            shrink_axis: o.shrink_axis_mask(),
        }))
    }),
    Row::named(46, "BIDIRECTIONAL_SEQUENCE_RNN"),
    Row::read(47, "EXP", |_| Ok(Op::Unary(UnaryFunction::Exp))),
    Row::read(48, "TOPK_V2", |_| Ok(Op::TopK { smallest: false })),
    Row::read(49, "SPLIT", |_| Ok(Op::Split)),
    Row::read(50, "LOG_SOFTMAX", |_| Ok(Op::LogSoftmax)),
    Row::named(51, "DELEGATE"),
    Row::named(52, "BIDIRECTIONAL_SEQUENCE_LSTM"),
    Row::read(53, "CAST", |_| Ok(Op::Cast)),
    Row::read(54, "PRELU", |_| Ok(Op::Prelu)),
    Row::read(55, "MAXIMUM", |_| Ok(Op::Maximum)),
    Row::read(56, "ARG_MAX", |_| Ok(Op::ArgMinMax { smallest: false, last: false })),
    Row::read(57, "MINIMUM", |_| Ok(Op::Minimum)),
    Row::read(58, "LESS", |_| Ok(Op::Compare(Comparison::Less))),
    Row::read(59, "NEG", |_| Ok(Op::Unary(UnaryFunction::Neg))),
    Row::read(60, "PADV2", |_| Ok(Op::PadWith)),
    Row::read(61, "GREATER", |_| Ok(Op::Compare(Comparison::Greater))),
    Row::read(62, "GREATER_EQUAL", |_| Ok(Op::Compare(Comparison::GreaterEqual))),
    Row::read(63, "LESS_EQUAL", |_| Ok(Op::Compare(Comparison::LessEqual))),
    Row::read(64, "SELECT", |_| Ok(Op::Select { broadcast: false })),
    Row::read(65, "SLICE", |_| Ok(Op::Slice)),
    Row::read(66, "SIN", |_| Ok(Op::Unary(UnaryFunction::Sin))),
    Row::read(67, "TRANSPOSE_CONV", |operator| {
        let o = options::<schema::TransposeConvOptions<'_>>(operator)?;
        Ok(Op::ConvTranspose2d(Window {
            padding: padding(o.padding())?,
            stride: [o.stride_h(), o.stride_w()],
            dilation: [1, 1],
            size: [0, 0],
            explicit: [0; 4],
            activation: activation(o.activation()),
        }))
    }),
    Row::named(68, "SPARSE_TO_DENSE"),
    Row::read(69, "TILE", |_| Ok(Op::Tile)),
    Row::read(70, "EXPAND_DIMS", |_| Ok(Op::ExpandDims)),
    Row::read(71, "EQUAL", |_| Ok(Op::Compare(Comparison::Equal))),
    Row::read(72, "NOT_EQUAL", |_| Ok(Op::Compare(Comparison::NotEqual))),
    Row::read(73, "LOG", |_| Ok(Op::Unary(UnaryFunction::Log))),
    Row::read(74, "SUM", |_| Ok(Op::Sum)),
    Row::read(75, "SQRT", |_| Ok(Op::Unary(UnaryFunction::Sqrt))),
    Row::read(76, "RSQRT", |_| Ok(Op::Unary(UnaryFunction::Rsqrt))),
    Row::read(77, "SHAPE", |_| Ok(Op::Shape)),
    Row::read(78, "POW", |_| Ok(Op::Pow)),
    Row::read(79, "ARG_MIN", |_| Ok(Op::ArgMinMax { smallest: true, last: false })),
    Row::named(80, "FAKE_QUANT"),
    Row::read(81, "REDUCE_PROD", |_| Ok(Op::ReduceProd)),
    Row::read(82, "REDUCE_MAX", |_| Ok(Op::ReduceMax)),
    Row::read(83, "PACK", |operator| {
        Ok(Op::Pack { axis: operator.options::<schema::PackOptions<'_>>().map_or(0, |o| o.axis()) })
    }),
    Row::read(84, "LOGICAL_OR", |_| Ok(Op::Logic(Logic::Or))),
    Row::named(85, "ONE_HOT"),
    Row::read(86, "LOGICAL_AND", |_| Ok(Op::Logic(Logic::And))),
    Row::read(87, "LOGICAL_NOT", |_| Ok(Op::Logic(Logic::Not))),
    Row::read(88, "UNPACK", |operator| {
        Ok(Op::Unpack { axis: operator.options::<schema::UnpackOptions<'_>>().map_or(0, |o| o.axis()) })
    }),
    Row::read(89, "REDUCE_MIN", |_| Ok(Op::ReduceMin)),
    Row::read(90, "FLOOR_DIV", |_| Ok(Op::FloorDiv)),
    Row::read(91, "REDUCE_ANY", |_| Ok(Op::ReduceLogic { any: true })),
    Row::read(92, "SQUARE", |_| Ok(Op::Unary(UnaryFunction::Square))),
    Row::read(93, "ZEROS_LIKE", |_| Ok(Op::ZerosLike)),
    Row::read(94, "FILL", |_| Ok(Op::Fill)),
    Row::read(95, "FLOOR_MOD", |_| Ok(Op::Remainder(UnaryFunction::Floor))),
    Row::read(96, "RANGE", |_| Ok(Op::Range)),
    Row::read(97, "RESIZE_NEAREST_NEIGHBOR", |operator| {
        let o = operator.options::<schema::ResizeNearestNeighborOptions<'_>>();
        Ok(Op::ResizeNearest {
            align_corners: o.is_some_and(|o| o.align_corners()),
            half_pixel_centers: o.is_some_and(|o| o.half_pixel_centers()),
        })
    }),
    Row::read(98, "LEAKY_RELU", |operator| {
        Ok(Op::LeakyRelu { alpha: options::<schema::LeakyReluOptions<'_>>(operator)?.alpha() })
    }),
    Row::read(99, "SQUARED_DIFFERENCE", |_| Ok(Op::SquaredDifference)),
    Row::read(100, "MIRROR_PAD", |operator| {
        let mode = operator.options::<schema::MirrorPadOptions<'_>>().map_or(0, |o| o.mode());
        match mode {
            0 | 1 => Ok(Op::MirrorPad { symmetric: mode == 1 }),
            _ => Err(Fault::Value("mode", mode.into())),
        }
    }),
    Row::read(101, "ABS", |_| Ok(Op::Unary(UnaryFunction::Abs))),
    Row::read(102, "SPLIT_V", |_| Ok(Op::SplitV)),
    Row::named(103, "UNIQUE"),
    Row::read(104, "CEIL", |_| Ok(Op::Unary(UnaryFunction::Ceil))),
    Row::read(105, "REVERSE_V2", |_| Ok(Op::Reverse)),
    Row::read(106, "ADD_N", |_| Ok(Op::AddN)),
    Row::read(107, "GATHER_ND", |_| Ok(Op::GatherNd)),
    Row::read(108, "COS", |_| Ok(Op::Unary(UnaryFunction::Cos))),
    Row::read(109, "WHERE", |_| Ok(Op::Where)),
    Row::read(110, "RANK", |_| Ok(Op::Rank)),
    Row::read(111, "ELU", |_| Ok(Op::Elu)),
    Row::named(112, "REVERSE_SEQUENCE"),
    Row::named(113, "MATRIX_DIAG"),
    Row::read(114, "QUANTIZE", |_| Ok(Op::Quantize)),
    Row::named(115, "MATRIX_SET_DIAG"),
    Row::read(116, "ROUND", |_| Ok(Op::Unary(UnaryFunction::Round))),
    Row::read(117, "HARD_SWISH", |_| Ok(Op::HardSwish)),
    Row::read(118, "IF", |operator| {
        let o = options::<schema::IfOptions<'_>>(operator)?;
        Ok(Op::If { then: graph(o.then_subgraph_index())?, otherwise: graph(o.else_subgraph_index())? })
    }),
    Row::read(119, "WHILE", |operator| {
        let o = options::<schema::WhileOptions<'_>>(operator)?;
        let (condition, body) = (graph(o.cond_subgraph_index())?, graph(o.body_subgraph_index())?);
        Ok(Op::While { condition, body, begun: false })
    }),
    Row::named(120, "NON_MAX_SUPPRESSION_V4"),
    Row::named(121, "NON_MAX_SUPPRESSION_V5"),
    Row::named(122, "SCATTER_ND"),
    Row::read(123, "SELECT_V2", |_| Ok(Op::Select { broadcast: true })),
    // Sparse tensors are dense once they are read, so there is nothing to do but to give them the output's name.
    Row::read(124, "DENSIFY", |_| Ok(Op::Reshape { new_shape: None })),
    Row::named(125, "SEGMENT_SUM"),
    Row::read(126, "BATCH_MATMUL", |operator| {
        let o = operator.options::<schema::BatchMatMulOptions<'_>>();
        Ok(Op::BatchMatMul { transposed: [o.is_some_and(|o| o.adj_x()), o.is_some_and(|o| o.adj_y())] })
    }),
    Row::named(127, "PLACEHOLDER_FOR_GREATER_OP_CODES"),
    Row::read(128, "CUMSUM", |operator| {
        let o = operator.options::<schema::CumsumOptions<'_>>();
        Ok(Op::CumSum { exclusive: o.is_some_and(|o| o.exclusive()), reverse: o.is_some_and(|o| o.reverse()) })
    }),
    Row::read(129, "CALL_ONCE", |operator| {
        Ok(Op::CallOnce { subgraph: graph(options::<schema::CallOnceOptions<'_>>(operator)?.init_subgraph_index())? })
    }),
    Row::read(130, "BROADCAST_TO", |_| Ok(Op::BroadcastTo)),
    Row::read(131, "RFFT2D", |_| Ok(Op::Rfft2d)),
    Row::named(132, "CONV_3D"),
    Row::read(133, "IMAG", |_| Ok(Op::Complex(ComplexPart::Imaginary))),
    Row::read(134, "REAL", |_| Ok(Op::Complex(ComplexPart::Real))),
    Row::read(135, "COMPLEX_ABS", |_| Ok(Op::Complex(ComplexPart::Magnitude))),
    Row::named(136, "HASHTABLE"),
    Row::named(137, "HASHTABLE_FIND"),
    Row::named(138, "HASHTABLE_IMPORT"),
    Row::named(139, "HASHTABLE_SIZE"),
    Row::read(140, "REDUCE_ALL", |_| Ok(Op::ReduceLogic { any: false })),
    Row::named(141, "CONV_3D_TRANSPOSE"),
    Row::read(142, "VAR_HANDLE", |operator| {
        let o = options::<schema::VarHandleOptions<'_>>(operator)?;
        let (container, name) = (o.container().unwrap_or(""), o.shared_name().unwrap_or(""));
        Ok(Op::VarHandle { name: format!("{container}/{name}") })
    }),
    Row::read(143, "READ_VARIABLE", |_| Ok(Op::ReadVariable)),
    Row::read(144, "ASSIGN_VARIABLE", |_| Ok(Op::AssignVariable)),
    Row::read(145, "BROADCAST_ARGS", |_| Ok(Op::BroadcastArgs)),
    Row::named(146, "RANDOM_STANDARD_NORMAL"),
    Row::named(147, "BUCKETIZE"),
    Row::named(148, "RANDOM_UNIFORM"),
    Row::named(149, "MULTINOMIAL"),
    Row::read(150, "GELU", |operator| {
        let approximate = operator.options::<schema::GeluOptions<'_>>().is_some_and(|o| o.approximate());
        Ok(Op::Unary(if approximate { UnaryFunction::GeluTanh } else { UnaryFunction::Gelu }))
    }),
    Row::named(151, "DYNAMIC_UPDATE_SLICE"),
    Row::read(152, "RELU_0_TO_1", |_| Ok(Op::Relu0To1)),
    Row::named(153, "UNSORTED_SEGMENT_PROD"),
    Row::named(154, "UNSORTED_SEGMENT_MAX"),
    Row::named(155, "UNSORTED_SEGMENT_SUM"),
    Row::named(156, "ATAN2"),
    Row::named(157, "UNSORTED_SEGMENT_MIN"),
    Row::read(158, "SIGN", |_| Ok(Op::Unary(UnaryFunction::Sign))),
    Row::named(159, "BITCAST"),
    Row::named(160, "BITWISE_XOR"),
    Row::named(161, "RIGHT_SHIFT"),
    Row::named(162, "STABLEHLO_LOGISTIC"),
    Row::named(163, "STABLEHLO_ADD"),
    Row::named(164, "STABLEHLO_DIVIDE"),
    Row::named(165, "STABLEHLO_MULTIPLY"),
    Row::named(166, "STABLEHLO_MAXIMUM"),
    Row::named(167, "STABLEHLO_RESHAPE"),
    Row::named(168, "STABLEHLO_CLAMP"),
    Row::named(169, "STABLEHLO_CONCATENATE"),
    Row::named(170, "STABLEHLO_BROADCAST_IN_DIM"),
    Row::named(171, "STABLEHLO_CONVOLUTION"),
    Row::named(172, "STABLEHLO_SLICE"),
    Row::named(173, "STABLEHLO_CUSTOM_CALL"),
    Row::named(174, "STABLEHLO_REDUCE"),
    Row::named(175, "STABLEHLO_ABS"),
    Row::named(176, "STABLEHLO_AND"),
    Row::named(177, "STABLEHLO_COSINE"),
    Row::named(178, "STABLEHLO_EXPONENTIAL"),
    Row::named(179, "STABLEHLO_FLOOR"),
    Row::named(180, "STABLEHLO_LOG"),
    Row::named(181, "STABLEHLO_MINIMUM"),
    Row::named(182, "STABLEHLO_NEGATE"),
    Row::named(183, "STABLEHLO_OR"),
    Row::named(184, "STABLEHLO_POWER"),
    Row::named(185, "STABLEHLO_REMAINDER"),
    Row::named(186, "STABLEHLO_RSQRT"),
    Row::named(187, "STABLEHLO_SELECT"),
    Row::named(188, "STABLEHLO_SUBTRACT"),
    Row::named(189, "STABLEHLO_TANH"),
    Row::named(190, "STABLEHLO_SCATTER"),
    Row::named(191, "STABLEHLO_COMPARE"),
    Row::named(192, "STABLEHLO_CONVERT"),
    Row::named(193, "STABLEHLO_DYNAMIC_SLICE"),
    Row::named(194, "STABLEHLO_DYNAMIC_UPDATE_SLICE"),
    Row::named(195, "STABLEHLO_PAD"),
    Row::named(196, "STABLEHLO_IOTA"),
    Row::named(197, "STABLEHLO_DOT_GENERAL"),
    Row::named(198, "STABLEHLO_REDUCE_WINDOW"),
    Row::named(199, "STABLEHLO_SORT"),
    Row::named(200, "STABLEHLO_WHILE"),
    Row::named(201, "STABLEHLO_GATHER"),
    Row::named(202, "STABLEHLO_TRANSPOSE"),
    Row::named(203, "DILATE"),
    Row::named(204, "STABLEHLO_RNG_BIT_GENERATOR"),
    Row::named(205, "REDUCE_WINDOW"),
    Row::named(206, "STABLEHLO_COMPOSITE"),
    Row::named(207, "STABLEHLO_SHIFT_LEFT"),
    Row::named(208, "STABLEHLO_CBRT"),
    Row::named(209, "STABLEHLO_CASE"),
];

#[cfg(test)]
mod tests {
    use super::{OPERATORS, schema};
    use crate::ir::Op;
    use crate::lower::{Row, integer_function, row};
    use crate::pass::fold::folds_integers;
    use crate::quantize::Int8;

    /// The operators that are compiled: the name in the schema, and the neutral operator for default options.
    fn compiled() -> Vec<(&'static str, Op)> {
        let rows = OPERATORS.iter().filter_map(|row| Some((row.name, row.build?)));
        let sample = |build: super::Build| {
            // One of the types in the union of options is that of the operator.
            let of_type = |code| build(&schema::with_default_options(code).operator()).ok();
            (0..=u8::MAX).find_map(of_type)
        };
        rows.map(|(name, build)| (name, sample(build).unwrap_or_else(|| panic!("{name} takes no options")))).collect()
    }

    /// The names of the operators for which `holds`, in order.
    fn names(holds: impl Fn(&Op) -> bool) -> String {
        let mut names: Vec<_> = compiled().into_iter().filter(|(_, op)| holds(op)).map(|(name, _)| name).collect();
        assert!(!names.is_empty());
        names.sort_unstable();
        names.join(", ")
    }

    /// Compares `text` with the file `name`, or writes it if `TEALIGHT_BLESS` is set.
    fn check(name: &str, text: &str) {
        let path = format!("{}/src/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("TEALIGHT_BLESS").is_some() {
            std::fs::write(path, text).unwrap();
        } else {
            let stale = format!("{path} is stale: `TEALIGHT_BLESS=1 cargo test -p tealight-compiler --lib` writes it");
            assert!(std::fs::read_to_string(&path).unwrap() == text, "{stale}:\n{text}");
        }
    }

    #[test]
    fn the_list_of_compiled_operators_is_up_to_date() {
        let lines = [
            ("int8, int16 and float32", names(|op| matches!(row(op), Row::All { .. } | Row::AnyType(_) | Row::View))),
            ("int8 and float32", names(|op| matches!(row(op), Row::Both { .. } | Row::Any(_) | Row::ExpandedBoth(_)))),
            ("int8", names(|op| matches!(row(op), Row::Int8(_)))),
            ("float32", names(|op| matches!(row(op), Row::F32(_) | Row::Expanded(_)))),
            ("float32, custom", super::super::custom::names()),
            ("int16, custom", super::super::signal::names()),
            ("conditions that are known", names(|op| matches!(row(op), Row::Branch))),
            ("variables", names(|op| matches!(row(op), Row::Variable))),
            ("int32", names(|op| integer_function(op).is_some() || matches!(op, Op::Compare(_) | Op::Select { .. }))),
            ("integer constants", names(|op| matches!(row(op), Row::Constant) || folds_integers(op))),
        ];
        check("compiled.txt", &lines.map(|(kind, names)| format!("{kind}: {names}")).join("\n"));
        assert!(compiled().iter().all(|(_, op)| !matches!(row(op), Row::None)), "a row without a lowering");
    }

    #[test]
    fn the_list_of_quantized_operators_is_up_to_date() {
        let always = names(|op| matches!(Int8::of(op), Int8::Always(_)));
        check("quantized.txt", &always);
    }
}
