//! From neutral operators to those of the model file, with all quantized parameters computed.
//!
//! Each file here lowers one family of operators, in int8 and in f32; [`row`] has a row for each operator. A
//! lowering checks what its parameters depend on (types, quantization, constants). Whether shapes follow the operator's
//! rule is checked in one place, by [`check`], with the code that also checks a model file.

mod arg_min_max;
pub(crate) mod batch;
mod batch_matmul;
mod binary;
mod conv2d;
mod conv_transpose2d;
mod detections;
mod extremum;
mod fault;
mod float;
mod fully_connected;
mod int16;
mod integer;
mod landmarks;
mod lookup;
mod mean;
pub(crate) mod movement;
mod pool2d;
mod prelu;
mod reduce;
mod resize;
mod scale;
mod signal;
mod softmax;
mod svdf;
mod top_k;
mod unpool;

use crate::diag::{CompileError, Findings, Result, Site};
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Activation, Op};
use crate::limit::Limit;
pub(crate) use integer::integer_function;
use std::collections::HashMap;
use std::rc::Rc;
use tealight_format::ops::{DepthwiseConv2dF32, PowF32};
use tealight_format::{Kind, MAX_INPUTS, Operands, Operator, Place, Quantization, Shape, Value, Work};

/// What [`lower`] accepts, for errors.
const ACCEPTED: &str = "int8 and float32 networks of the operators that `tealight compile --help` lists";

/// Lowers a node to one form of its operator.
type Form<'a> = Box<dyn Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a>;

/// The forms that a neutral operator has in a model file.
pub(crate) enum Row<'a> {
    /// A form for f32 tensors and one for int8 tensors.
    Both {
        /// For a first input of type f32.
        f32: Form<'a>,
        /// For any other.
        int8: Form<'a>,
    },
    /// A form for f32 tensors, one for int8 tensors, and one for int16 tensors.
    All {
        /// For a first input of type f32.
        f32: Form<'a>,
        /// For a first input of type int16.
        int16: Form<'a>,
        /// For any other.
        int8: Form<'a>,
    },
    /// For f32 tensors only.
    F32(Form<'a>),
    /// For int8 tensors only.
    Int8(Form<'a>),
    /// For f32 and int8 tensors: it computes both in one way.
    Any(Form<'a>),
    /// For tensors of any type: it moves elements, or converts between types and scales.
    AnyType(Form<'a>),
    /// For tensors of any type: its output is a view of its input. The pass `elide` has removed it.
    View,
    /// For f32 tensors: the pass `expand` has replaced it by other operators, unless its operands are others than these.
    Expanded(&'static str),
    /// For f32 and int8 tensors: the pass `expand` has replaced it, unless its operands are others than these.
    ExpandedBoth(&'static str),
    /// Of graphs that take its place when the network is read, if its condition is known then.
    Branch,
    /// A variable of the network. The pass `variables` has replaced it.
    Variable,
    /// For constants only, which the pass `fold` computes.
    Constant,
    /// None: it is not supported.
    None,
}

/// The row of each operator. All operators pass through this match, so an operator without a row does not compile. The
/// list [`OPERATORS`] is made from it.
#[expect(clippy::redundant_closure_for_method_calls, reason = "a path to the method would be of one lifetime only")]
pub(crate) fn row(op: &Op) -> Row<'_> {
    use tealight_format::ops::UnaryFunction as F;
    match *op {
        Op::Add(act) => all(
            move |l, n| l.binary_f32(n, act, Operator::AddF32),
            move |l, n| l.add_sub(n, act, Operator::Add),
            move |l, n| l.sum_i16(n, act, Operator::AddI16),
        ),
        Op::Sub(act) => all(
            move |l, n| l.binary_f32(n, act, Operator::SubF32),
            move |l, n| l.add_sub(n, act, Operator::Sub),
            move |l, n| l.sum_i16(n, act, Operator::SubI16),
        ),
        Op::Mul(act) => all(
            move |l, n| l.binary_f32(n, act, Operator::MulF32),
            move |l, n| l.mul(n, act),
            move |l, n| l.mul_i16(n, act),
        ),
        Op::AvgPool2d(ref window) => all(
            |l, n| l.pool_f32(n, window, Operator::AvgPool2dF32),
            |l, n| l.pool(n, window, Operator::AvgPool2d),
            |l, n| l.pool_i16(n, window, Operator::AvgPool2dI16),
        ),
        Op::MaxPool2d(ref window) => all(
            |l, n| l.pool_f32(n, window, Operator::MaxPool2dF32),
            |l, n| l.pool(n, window, Operator::MaxPool2d),
            |l, n| l.pool_i16(n, window, Operator::MaxPool2dI16),
        ),
        Op::Conv2d(ref window) => all(
            |l, n| l.conv2d_f32(n, window, Operator::Conv2dF32),
            |l, n| l.conv2d(n, window),
            |l, n| l.conv2d_i16(n, window),
        ),
        Op::DepthwiseConv2d(ref window) => all(
            |l, n| l.conv2d_f32(n, window, |conv| Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(conv))),
            |l, n| l.depthwise_conv2d(n, window),
            |l, n| l.depthwise_conv2d_i16(n, window),
        ),
        Op::FullyConnected(act) => all(
            move |l, n| l.fully_connected_f32(n, act),
            move |l, n| l.fully_connected(n, act),
            move |l, n| l.fully_connected_i16(n, act),
        ),
        Op::Softmax { beta } => {
            all(move |l, n| l.softmax_f32(n, beta), move |l, n| l.softmax(n, beta), move |l, n| l.softmax_i16(n, beta))
        }
        Op::Relu => all(|l, n| l.unary_f32(n, F::Clamp([0.0, f32::INFINITY])), |l, n| l.relu(n), |l, n| l.relu_i16(n)),
        Op::Relu0To1 => both(|l, n| l.unary_f32(n, F::Clamp([0.0, 1.0])), |l, n| l.relu_0_to_1(n)),
        Op::Relu6 => {
            all(|l, n| l.unary_f32(n, F::Clamp([0.0, 6.0])), |l, n| l.relu6(n), |l, n| l.clamp_i16(n, [0.0, 6.0]))
        }
        Op::ReluN1To1 => all(
            |l, n| l.unary_f32(n, F::Clamp([-1.0, 1.0])),
            |l, n| l.relu_n1_to_1(n),
            |l, n| l.clamp_i16(n, [-1.0, 1.0]),
        ),
        Op::LeakyRelu { alpha } => all(
            move |l, n| l.unary_f32(n, F::LeakyRelu(alpha)),
            move |l, n| l.leaky_relu(n, alpha),
            move |l, n| l.leaky_relu_i16(n, alpha),
        ),
        Op::Prelu => both(|l, n| l.prelu_f32(n), |l, n| l.prelu(n)),
        Op::HardSwish => both(|l, n| l.unary_f32(n, F::HardSwish), |l, n| l.hard_swish(n)),
        Op::Logistic => all(|l, n| l.unary_f32(n, F::Logistic), |l, n| l.logistic(n), |l, n| l.logistic_i16(n)),
        Op::Tanh => all(|l, n| l.unary_f32(n, F::Tanh), |l, n| l.tanh(n), |l, n| l.tanh_i16(n)),
        Op::Mean => all(|l, n| l.mean_f32(n), |l, n| l.mean(n), |l, n| l.mean_i16(n)),
        Op::Div(act) => both(move |l, n| l.binary_f32(n, act, Operator::DivF32), move |l, n| l.div(n, act)),
        Op::LogSoftmax => {
            both(|l, n| Err(l.graph.unsupported(n, "float32 for input and output")), |l, n| l.log_softmax(n))
        }
        Op::L2Normalization(act) => {
            both(|l, n| Err(l.graph.unsupported(n, "float32 for input and output")), move |l, n| l.l2_norm(n, act))
        }
        Op::Pow => f32(|l, n| l.binary_f32(n, Activation::None, |attrs| Operator::PowF32(PowF32(attrs)))),
        Op::Minimum => both(|l, n| l.binary_f32(n, Activation::None, Operator::MinimumF32), |l, n| l.minimum(n)),
        Op::Maximum => both(|l, n| l.binary_f32(n, Activation::None, Operator::MaximumF32), |l, n| l.maximum(n)),
        Op::Elu => both(|l, n| l.unary_f32(n, F::Elu(1.0)), |l, n| l.function(n, F::Elu(1.0))),
        Op::Unary(F::Abs) => both(|l, n| l.unary_f32(n, F::Abs), |l, n| l.abs(n)),
        Op::Unary(F::Rsqrt) => both(|l, n| l.unary_f32(n, F::Rsqrt), |l, n| l.rsqrt(n)),
        Op::Unary(function) => both(move |l, n| l.unary_f32(n, function), move |l, n| l.function(n, function)),
        Op::ReduceMax => any(|l, n| l.reduce_max(n)),
        Op::ReduceMin => any(|l, n| l.reduce_min(n)),
        Op::ArgMinMax { smallest, last } => any(move |l, n| l.arg_min_max(n, smallest, last)),
        // That of codes has been replaced, unless its operands are others.
        Op::Sum => {
            both(|l, n| l.sum_f32(n), |l, n| Err(l.graph.unsupported(n, "constant axes and one scale for each tensor")))
        }
        Op::LandmarksToTransform(ref landmarks) => f32(|l, n| l.landmarks_to_transform_f32(n, landmarks)),
        Op::TransformBilinear => f32(|l, n| l.transform_bilinear_f32(n)),
        Op::MaxPoolIndices(ref window) => f32(|l, n| l.max_pool_indices_f32(n, window)),
        Op::MaxUnpool(ref window) => f32(|l, n| l.max_unpool_f32(n, window)),
        Op::Detections(ref detections) => f32(|l, n| l.detections_f32(n, detections)),
        Op::BatchMatMul { transposed } => {
            both(move |l, n| l.batch_matmul_f32(n, transposed), move |l, n| l.batch_matmul(n, transposed))
        }
        Op::TopK { smallest } => any(move |l, n| l.top_k(n, smallest)),
        Op::DepthToSpace { block } => any_type(move |l, n| l.depth_to_space(n, block)),
        Op::SpaceToBatch => any_type(|l, n| l.space_to_batch(n)),
        Op::BatchToSpace => any_type(|l, n| l.batch_to_space(n)),
        Op::SpaceToDepth { block } => any_type(move |l, n| l.space_to_depth(n, block)),
        Op::ConvTranspose2d(ref window) => any(|l, n| l.conv_transpose2d(n, window)),
        Op::Signal(operator) => any_type(move |l, n| l.signal(n, operator)),
        Op::Svdf { rank, .. } => int8(move |l, n| l.svdf(n, rank)),
        Op::Cast => any_type(|l, n| l.cast(n)),
        Op::Quantize => any_type(|l, n| l.quantize(n)),
        Op::Convert => any(|l, n| l.convert_codes(n)),
        Op::Dequantize => any_type(|l, n| l.dequantize(n)),
        Op::Concat { axis, activation } => any_type(move |l, n| l.concatenation(n, axis, activation)),
        Op::Pack { axis } => any_type(move |l, n| l.pack(n, axis)),
        Op::Pad | Op::PadWith => any_type(|l, n| l.pad(n, op)),
        Op::Transpose => any_type(|l, n| l.transpose(n)),
        Op::ResizeBilinear { align_corners, half_pixel_centers } => both(
            move |l, n| l.resize_bilinear_f32(n, align_corners, half_pixel_centers),
            move |l, n| l.resize_bilinear(n, align_corners, half_pixel_centers),
        ),
        Op::ResizeNearest { align_corners, half_pixel_centers } => {
            any_type(move |l, n| l.resize_nearest(n, align_corners, half_pixel_centers))
        }
        Op::StridedSlice(_) | Op::Slice | Op::Split | Op::SplitV | Op::Unpack { .. } => any_type(|l, n| l.slice(n, op)),
        Op::BroadcastArgs | Op::Range | Op::Rank | Op::Shape | Op::Where | Op::ZerosLike => Row::Constant,
        Op::Complex(_)
        | Op::FloorDiv
        | Op::L2Pool2d(_)
        | Op::Logic(_)
        | Op::ReduceProd
        | Op::Remainder(_)
        | Op::Rfft2d
        | Op::TransformLandmarks => Row::Expanded("float32 for inputs and output"),
        Op::AddN => Row::ExpandedBoth("float32, or int8 of one scale and zero point for all inputs, of one shape"),
        Op::CumSum { .. } | Op::SquaredDifference => Row::ExpandedBoth("float32, or int8 with a scale for each tensor"),
        Op::Select { .. } => Row::ExpandedBoth(
            "float32, int32, or int8 of one scale and zero point, and truth values that comparisons and logic compute",
        ),
        Op::SequenceLstm { .. } => Row::ExpandedBoth(
            "float32, or int8 with an int16 cell, tanh, four gates without peepholes, projection and normalization, a cell \
             clip of 0, of at least 10 in float32 and of at least a step of the cell in int8, and at most 1024 steps",
        ),
        Op::If { .. } | Op::While { .. } => Row::Branch,
        Op::ReduceLogic { .. } => Row::Expanded("truth values that comparisons and logic compute"),
        Op::BroadcastTo | Op::Fill | Op::MirrorPad { .. } | Op::Reverse | Op::Tile => {
            Row::ExpandedBoth("one type for input and output")
        }
        Op::Compare(_) => Row::ExpandedBoth("float32 inputs, or int8 ones with scales below 1"),
        Op::GatherNd => Row::ExpandedBoth("constant indices, of not too many pieces"),
        Op::EmbeddingLookup | Op::Gather { .. } => Row::ExpandedBoth(
            "constant indices, of not too many pieces, or a constant table of rows in float32 or int8 and int32 indices",
        ),
        Op::ExpandDims | Op::Reshape { .. } | Op::Squeeze { .. } => Row::View,
        Op::AssignVariable | Op::CallOnce { .. } | Op::ReadVariable | Op::VarHandle { .. } => Row::Variable,
        Op::Unknown { .. } => Row::None,
    }
}

fn both<'a>(
    f32: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a,
    int8: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a,
) -> Row<'a> {
    Row::Both { f32: Box::new(f32), int8: Box::new(int8) }
}

fn f32<'a>(form: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a) -> Row<'a> {
    Row::F32(Box::new(form))
}

fn int8<'a>(form: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a) -> Row<'a> {
    Row::Int8(Box::new(form))
}

fn all<'a>(
    f32: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a,
    int8: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a,
    int16: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a,
) -> Row<'a> {
    Row::All { f32: Box::new(f32), int8: Box::new(int8), int16: Box::new(int16) }
}

fn any_type<'a>(form: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a) -> Row<'a> {
    Row::AnyType(Box::new(form))
}

fn any<'a>(form: impl Fn(&mut Lowering<'_>, &Node) -> Result<()> + 'a) -> Row<'a> {
    Row::Any(Box::new(form))
}

/// The operators of TensorFlow Lite that can be compiled, as text: a line for each kind.
// The file is made from the rows of the importer and of `row`: a test in `import/tflite/operators.rs` compares it, and
// writes it.
pub const OPERATORS: &str = include_str!("../compiled.txt");

/// A graph whose neutral operators are being replaced by the model file's.
pub(crate) struct Lowering<'a> {
    graph: Graph,
    /// The new nodes.
    nodes: Vec<Node>,
    /// Sums of weights, shared by layers that share their weights.
    sums: HashMap<conv2d::Summed, Rc<[i32]>>,
    /// Counts the constants that are added.
    limit: &'a Limit,
}

/// Replaces every node by nodes of the model file's operators.
///
/// # Errors
/// Lists everything that is not supported. Otherwise the first rule that is broken, or that the constants to be added
/// exceed `limit`.
pub(crate) fn lower(mut graph: Graph, limit: &Limit) -> Result<Graph> {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut lowering = Lowering { graph, nodes: Vec::with_capacity(nodes.len()), sums: HashMap::new(), limit };
    let mut findings = Findings::new(ACCEPTED);
    for node in nodes {
        if let Err(error) = lowering.node_checked(node) {
            findings.add(error);
        }
    }
    findings.result()?;
    let Lowering { mut graph, nodes, .. } = lowering;
    graph.nodes = nodes;
    Ok(graph)
}

impl Lowering<'_> {
    /// Lowers `node` and checks the result, so an error refers to the node in the file.
    fn node_checked(&mut self, node: Node) -> Result<()> {
        let NodeOp::Ir(op) = &node.op else {
            self.nodes.push(node);
            return Ok(());
        };
        let first = self.nodes.len();
        self.node(&node, op)?;
        for lowered in &self.nodes[first..] {
            if let NodeOp::Kernel(operator) = &lowered.op {
                let checked = operator.check(&operands(&self.graph, lowered)?);
                checked.map_err(|fault| fault::describe(&self.graph, &node, lowered, operator, fault))?;
            }
        }
        Ok(())
    }

    /// Lowers `node` to the form that its row has for it.
    fn node(&mut self, node: &Node, op: &Op) -> Result<()> {
        if let Some(function) = integer_function(op).filter(|_| self.of_i32(node)) {
            return self.binary_i32(node, op, function);
        }
        match row(op) {
            Row::Both { f32, .. } | Row::All { f32, .. } if self.of_f32(node) => f32(self, node),
            Row::All { int16, .. } if self.of_i16(node) => int16(self, node),
            Row::Both { int8: form, .. }
            | Row::All { int8: form, .. }
            | Row::F32(form)
            | Row::Int8(form)
            | Row::Any(form)
            | Row::AnyType(form) => form(self, node),
            Row::Constant => {
                Err(self.graph.unsupported(node, "constant inputs (it is computed when the network is compiled)"))
            }
            Row::Branch => Err(self.graph.unsupported(node, "a condition that is known when the network is compiled")),
            Row::Expanded(accepted) | Row::ExpandedBoth(accepted) => Err(self.graph.unsupported(node, accepted)),
            Row::View | Row::Variable | Row::None => Err(self.graph.unsupported(node, ACCEPTED)),
        }
    }

    /// Replaces `node` by `operator`.
    fn emit(&mut self, node: &Node, operator: Operator, inputs: &[Option<TensorId>], output: TensorId) {
        let op = NodeOp::Kernel(operator);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: vec![output], origin: node.origin });
    }

    fn tensor(&self, id: TensorId) -> &Tensor {
        &self.graph.tensors[id]
    }

    /// Returns the error that a tensor has another number of dimensions than the operator accepts.
    fn wrong_rank(&self, node: &Node, needed: &str) -> CompileError {
        self.graph.invalid(node, format!("it needs {needed}: {}", self.graph.describe_operands(node)))
    }

    fn type_error(&self, node: &Node, id: TensorId, accepted: &str) -> CompileError {
        let tensor = self.tensor(id);
        CompileError::UnsupportedType {
            site: self.graph.site(node),
            tensor: tensor.name.clone(),
            found: tensor.dtype.to_string(),
            accepted: accepted.into(),
        }
    }

    /// Returns the quantization of a tensor that must be int8 and quantized as a whole.
    fn int8(&self, node: &Node, id: TensorId) -> Result<Quantization> {
        if self.tensor(id).dtype != ElementType::I8 {
            return Err(self.type_error(node, id, "int8"));
        }
        self.quantization(node, id)
    }

    /// Returns the quantization of an 8-bit tensor that must be quantized as a whole.
    fn quantization(&self, node: &Node, id: TensorId) -> Result<Quantization> {
        let tensor = self.tensor(id);
        let Some(range) = tensor.dtype.range_8_bit() else {
            return Err(self.type_error(node, id, "int8 or uint8"));
        };
        match tensor.per_tensor() {
            // A scale of 0 means that all values are 0.
            Some(quantization @ Quantization { scale, zero_point })
                if scale.is_finite() && scale >= 0.0 && range[0] <= zero_point && zero_point <= range[1] =>
            {
                Ok(quantization)
            }
            Some(Quantization { scale, zero_point }) => {
                let what = format!("tensor `{}` has scale {scale} and zero point {zero_point}", tensor.name);
                Err(self.graph.invalid(node, what))
            }
            None => Err(self.graph.invalid(node, format!("tensor `{}` needs one scale and zero point", tensor.name))),
        }
    }

    /// Returns the bytes of input `k`, a constant of type `dtype`.
    fn constant(&self, node: &Node, k: usize, dtype: ElementType) -> Result<&[u8]> {
        let id = self.graph.input(node, k)?;
        if self.tensor(id).dtype != dtype {
            return Err(self.type_error(node, id, &dtype.to_string()));
        }
        self.tensor(id).bytes().ok_or_else(|| {
            self.graph.unsupported(node, format!("a constant for input {k}, `{}`", self.tensor(id).name))
        })
    }

    /// Adds a constant that the lowering computed. Its name is built from its owner's name and its role.
    fn add_constant(
        &mut self,
        owner: TensorId,
        what: &str,
        dtype: ElementType,
        shape: Vec<u32>,
        bytes: Vec<u8>,
    ) -> Result<TensorId> {
        let name = format!("{}.{what}", self.tensor(owner).name);
        self.limit.make((name.len() + bytes.len()) as u64, || format!("the constants up to `{name}`"))?;
        Ok(self.graph.add(Tensor::constant(name, dtype, shape, bytes)))
    }
}

/// Checks every node against its operator's rule, and that its inputs have been written. Returns each node's work.
pub(crate) fn check(graph: &Graph) -> Result<Vec<Work>> {
    let mut written = vec![false; graph.tensors.len()];
    graph.inputs.iter().for_each(|&id| written[graph.base(id)] = true);
    let is_there = |written: &[bool], id: TensorId| {
        let base = graph.base(id);
        written[base] || graph.tensors[base].content != Content::Computed
    };
    let mut works = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let NodeOp::Kernel(operator) = &node.op else {
            return Err(graph.unsupported(node, ACCEPTED));
        };
        if let Some(&id) = node.inputs.iter().flatten().find(|&&id| !is_there(&written, id)) {
            return Err(graph.invalid(node, format!("it reads {}, which nothing writes", graph.describe(id))));
        }
        let work = operator.check(&operands(graph, node)?);
        works.push(work.map_err(|fault| fault::describe(graph, node, node, operator, fault))?);
        node.outputs.iter().for_each(|&id| written[graph.base(id)] = true);
    }
    if let Some(&id) = graph.outputs.iter().find(|&&id| !is_there(&written, id)) {
        let what = format!("nothing writes its output {}", graph.describe(id));
        return Err(CompileError::InvalidModel { site: Site::Graph, what });
    }
    Ok(works)
}

/// Returns the values that `node` works on, without addresses.
pub(crate) fn operands(graph: &Graph, node: &Node) -> Result<Operands> {
    if node.inputs.len() > MAX_INPUTS {
        return Err(graph.unsupported(node, format!("at most {MAX_INPUTS} inputs")));
    }
    let mut inputs = [None; MAX_INPUTS];
    for (value, id) in inputs.iter_mut().zip(&node.inputs) {
        if let Some(id) = id {
            *value = Some(value_of(graph, node, *id)?);
        }
    }
    if let Some(Some(channels)) = channels_input(node).and_then(|k| inputs.get_mut(k)) {
        channels.kind = channel_kind(&channels.shape);
    }
    Ok(Operands { inputs, count: node.inputs.len(), output: value_of(graph, node, graph.output(node)?)? })
}

/// Returns the kind of a channel table of this shape: rows of four words have biases of 64 bits.
pub(crate) fn channel_kind(shape: &Shape) -> Kind {
    if shape.dim(1) == 4 { Kind::WideChannels } else { Kind::Channels }
}

/// Returns the index of the input of `node` that must be a channel table.
pub(crate) fn channels_input(node: &Node) -> Option<usize> {
    match &node.op {
        NodeOp::Kernel(operator) => operator.channels_input(),
        NodeOp::Ir(_) => None,
    }
}

/// Returns a tensor as a value without an address.
pub(crate) fn value_of(graph: &Graph, node: &Node, id: TensorId) -> Result<Value> {
    let tensor = &graph.tensors[id];
    let Some(dtype) = tensor.dtype.dtype() else {
        return Err(CompileError::UnsupportedType {
            site: graph.site(node),
            tensor: tensor.name.clone(),
            found: tensor.dtype.to_string(),
            accepted: "int8, uint8, int16, int32, float32, and float16 and int4 for constants".into(),
        });
    };
    let Some(shape) = Shape::new(&tensor.shape) else {
        return Err(graph.unsupported(node, format!("at most 6 dimensions for `{}`", tensor.name)));
    };
    let len = shape.elements().and_then(|elements| dtype.bytes(elements)).filter(|&len| len < 1 << 28);
    let Some(len) = len.filter(|&len| len > 0) else {
        return Err(graph.unsupported(node, format!("1 byte to 256 MiB for a tensor, not {}", graph.describe(id))));
    };
    let base = &graph.tensors[graph.base(id)];
    let place = if base.is_constant() {
        Place::Constant
    } else if base.is_state() {
        Place::State
    } else {
        Place::Arena
    };
    let quantization = match tensor.per_tensor() {
        // The model file has no 8-bit value with scale 0. With the smallest positive scale, the values and the factor
        // are 0 in practice.
        Some(Quantization { scale: 0.0, zero_point }) if tensor.dtype.range_8_bit().is_some() => {
            Quantization::new(f32::MIN_POSITIVE, zero_point)
        }
        Some(quantization) if quantization.scale.is_finite() && quantization.scale > 0.0 => quantization,
        _ => Quantization::NONE,
    };
    if dtype.is_storage() && !base.is_constant() {
        return Err(CompileError::UnsupportedType {
            site: graph.site(node),
            tensor: tensor.name.clone(),
            found: tensor.dtype.to_string(),
            accepted: "float32; only constants may be float16 or int4".into(),
        });
    }
    Ok(Value { quantization, ..Value::new(place, dtype, shape, len) })
}
