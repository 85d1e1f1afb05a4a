//! From neutral operators to those of the model file, with all quantized parameters computed.
//!
//! Each file here lowers one family of operators, in int8 and in f32; [`Lowering::node`] has a row for each operator. A
//! lowering checks what its parameters depend on (types, quantization, constants). Whether shapes follow the operator's
//! rule is checked in one place, by [`check`], with the code that also checks a model file.

mod binary;
mod conv2d;
mod fault;
mod float;
mod fully_connected;
mod lookup;
mod mean;
pub(crate) mod movement;
mod pool2d;
mod prelu;
mod scale;
mod softmax;
mod svdf;

use crate::diag::{CompileError, Findings, Result, Site};
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Activation, Op};
use crate::limit::Limit;
use std::collections::HashMap;
use std::rc::Rc;
use tealight_format::ops::{DepthwiseConv2dF32, UnaryFunction};
use tealight_format::{DType, Kind, MAX_INPUTS, Operands, Operator, Place, Shape, Value, Work};

/// What [`lower`] accepts, for errors.
const ACCEPTED: &str = "int8 and float32 networks of convolutions, FULLY_CONNECTED, SVDF, pooling, MEAN, SOFTMAX, \
    activations, arithmetic, pads, slices, joins and reshapes; `tealight compile --help` lists the operators";

/// The operators of TensorFlow Lite that can be compiled, as text: a line for each kind.
pub const OPERATORS: &str = "\
int8 and float32: ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, EXPAND_DIMS, \
FULLY_CONNECTED, HARD_SWISH, LEAKY_RELU, LOGISTIC, MAX_POOL_2D, MEAN, MUL, PACK, PAD, PADV2, PRELU, QUANTIZE, RELU, RELU6, \
RELU_N1_TO_1, RESHAPE, RESIZE_NEAREST_NEIGHBOR, SLICE, SOFTMAX, SPLIT, SPLIT_V, SQUEEZE, STRIDED_SLICE, SUB, TANH, \
TRANSPOSE, UNPACK
int8: SVDF
float32: ABS, COS, DIV, ELU, EXP, GELU, LOG, MAXIMUM, MINIMUM, NEG, RSQRT, SIN, SQRT, SQUARE, TRANSPOSE_CONV
variables: ASSIGN_VARIABLE, CALL_ONCE, READ_VARIABLE, VAR_HANDLE
integer constants: ADD, CAST, DIV, FILL, FLOOR_DIV, GATHER, MAXIMUM, MINIMUM, MUL, REDUCE_PROD, SHAPE, SUB";

/// A graph whose neutral operators are being replaced by the model file's.
struct Lowering<'a> {
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
                checked.map_err(|fault| fault::in_words(&self.graph, &node, lowered, operator, fault))?;
            }
        }
        Ok(())
    }

    /// Lowers `node` by the row of its operator, to its f32 or int8 form. All operators pass through this match, so an
    /// operator without a row does not compile.
    fn node(&mut self, node: &Node, op: &Op) -> Result<()> {
        let f32 = self.of_f32(node);
        match *op {
            Op::Add(activation) if f32 => self.binary_f32(node, activation, Operator::AddF32),
            Op::Add(activation) => self.add_sub(node, activation, Operator::Add),
            Op::Sub(activation) if f32 => self.binary_f32(node, activation, Operator::SubF32),
            Op::Sub(activation) => self.add_sub(node, activation, Operator::Sub),
            Op::Mul(activation) if f32 => self.binary_f32(node, activation, Operator::MulF32),
            Op::Mul(activation) => self.mul(node, activation),
            Op::AvgPool2d(ref window) if f32 => self.pool_f32(node, window, Operator::AvgPool2dF32),
            Op::AvgPool2d(ref window) => self.pool(node, window, Operator::AvgPool2d),
            Op::MaxPool2d(ref window) if f32 => self.pool_f32(node, window, Operator::MaxPool2dF32),
            Op::MaxPool2d(ref window) => self.pool(node, window, Operator::MaxPool2d),
            Op::Conv2d(ref window) if f32 => self.conv2d_f32(node, window, Operator::Conv2dF32),
            Op::Conv2d(ref window) => self.conv2d(node, window),
            Op::DepthwiseConv2d(ref window) if f32 => {
                self.conv2d_f32(node, window, |conv| Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(conv)))
            }
            Op::DepthwiseConv2d(ref window) => self.depthwise_conv2d(node, window),
            Op::FullyConnected(activation) if f32 => self.fully_connected_f32(node, activation),
            Op::FullyConnected(activation) => self.fully_connected(node, activation),
            Op::Softmax { beta } if f32 => self.softmax_f32(node, beta),
            Op::Softmax { beta } => self.softmax(node, beta),
            Op::Relu if f32 => self.unary_f32(node, UnaryFunction::Clamp([0.0, f32::INFINITY])),
            Op::Relu => self.relu(node),
            Op::Relu6 if f32 => self.unary_f32(node, UnaryFunction::Clamp([0.0, 6.0])),
            Op::Relu6 => self.relu6(node),
            Op::ReluN1To1 if f32 => self.unary_f32(node, UnaryFunction::Clamp([-1.0, 1.0])),
            Op::ReluN1To1 => self.relu_n1_to_1(node),
            Op::LeakyRelu { alpha } if f32 => self.unary_f32(node, UnaryFunction::LeakyRelu(alpha)),
            Op::LeakyRelu { alpha } => self.leaky_relu(node, alpha),
            Op::Prelu if f32 => self.prelu_f32(node),
            Op::Prelu => self.prelu(node),
            Op::HardSwish if f32 => self.unary_f32(node, UnaryFunction::HardSwish),
            Op::HardSwish => self.hard_swish(node),
            Op::Logistic if f32 => self.unary_f32(node, UnaryFunction::Logistic),
            Op::Logistic => self.logistic(node),
            Op::Tanh if f32 => self.unary_f32(node, UnaryFunction::Tanh),
            Op::Tanh => self.tanh(node),
            Op::Mean if f32 => self.mean_f32(node),
            Op::Mean => self.mean(node),
            // For f32 tensors only.
            Op::Div(activation) if f32 => self.binary_f32(node, activation, Operator::DivF32),
            Op::Minimum if f32 => self.binary_f32(node, Activation::None, Operator::MinimumF32),
            Op::Maximum if f32 => self.binary_f32(node, Activation::None, Operator::MaximumF32),
            Op::Elu if f32 => self.unary_f32(node, UnaryFunction::Elu(1.0)),
            Op::Div(_) | Op::Minimum | Op::Maximum | Op::Elu => Err(self.only_f32(node)),
            Op::Unary(function) => self.unary_f32(node, function),
            Op::ConvTranspose2d(ref window) => self.conv_transpose2d_f32(node, window),
            // For int8 tensors only.
            Op::Svdf { rank, .. } => self.svdf(node, rank),
            // Conversions between types and scales.
            Op::Quantize => self.quantize(node),
            Op::Convert => self.convert_codes(node),
            Op::Dequantize => self.dequantize(node),
            // For any type: elements are moved.
            Op::Concat { axis, activation } => self.concatenation(node, axis, activation),
            Op::Pack { axis } => self.pack(node, axis),
            Op::Pad | Op::PadWith => self.pad(node, op),
            Op::Transpose => self.transpose(node),
            Op::ResizeNearest { align_corners, half_pixel_centers } => {
                self.resize_nearest(node, align_corners, half_pixel_centers)
            }
            Op::StridedSlice(_) | Op::Slice | Op::Split | Op::SplitV | Op::Unpack { .. } => self.cut(node, op),
            // For constants only, which the pass `fold` computes.
            Op::Cast | Op::Fill | Op::FloorDiv | Op::Gather { .. } | Op::ReduceProd | Op::Shape => {
                Err(self.graph.unsupported(node, "constant inputs: it is computed when the network is compiled"))
            }
            // The passes `elide` and `variables` have removed these.
            Op::ExpandDims
            | Op::Reshape { .. }
            | Op::Squeeze { .. }
            | Op::AssignVariable
            | Op::CallOnce { .. }
            | Op::ReadVariable
            | Op::VarHandle { .. }
            | Op::Unknown { .. } => Err(self.graph.unsupported(node, ACCEPTED)),
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
        self.graph.invalid(node, format!("it needs {needed}: {}", self.graph.operands_in_words(node)))
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

    /// Returns scale and zero point of a tensor that must be int8 and quantized as a whole.
    fn int8(&self, node: &Node, id: TensorId) -> Result<(f32, i32)> {
        if self.tensor(id).dtype != ElementType::I8 {
            return Err(self.type_error(node, id, "int8"));
        }
        self.quantization(node, id)
    }

    /// Returns scale and zero point of an 8-bit tensor that must be quantized as a whole.
    fn quantization(&self, node: &Node, id: TensorId) -> Result<(f32, i32)> {
        let tensor = self.tensor(id);
        let Some(range) = tensor.dtype.range_8_bit() else {
            return Err(self.type_error(node, id, "int8 or uint8"));
        };
        match tensor.per_tensor() {
            // A scale of 0 means that all values are 0.
            Some((scale, zero_point))
                if scale.is_finite() && scale >= 0.0 && range[0] <= zero_point && zero_point <= range[1] =>
            {
                Ok((scale, zero_point))
            }
            Some((scale, zero_point)) => {
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
            return Err(graph.invalid(node, format!("it reads {}, which nothing writes", graph.in_words(id))));
        }
        let work = operator.check(&operands(graph, node)?);
        works.push(work.map_err(|fault| fault::in_words(graph, node, node, operator, fault))?);
        node.outputs.iter().for_each(|&id| written[graph.base(id)] = true);
    }
    if let Some(&id) = graph.outputs.iter().find(|&&id| !is_there(&written, id)) {
        let what = format!("nothing writes its output {}", graph.in_words(id));
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
        channels.kind = Kind::Channels;
    }
    Ok(Operands { inputs, count: node.inputs.len(), output: value_of(graph, node, graph.output(node)?)? })
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
            accepted: "int8, uint8, int16, int32, float32, and float16 for constants".into(),
        });
    };
    let Some(shape) = Shape::new(&tensor.shape) else {
        return Err(graph.unsupported(node, format!("at most 6 dimensions for `{}`", tensor.name)));
    };
    let len = shape.elements().and_then(|elements| elements.checked_mul(dtype.size())).filter(|&len| len < 1 << 28);
    let Some(len) = len.filter(|&len| len > 0) else {
        return Err(graph.unsupported(node, format!("1 byte to 256 MiB for a tensor, not {}", graph.in_words(id))));
    };
    let base = &graph.tensors[graph.base(id)];
    let place = if base.is_constant() {
        Place::Constant
    } else if base.is_state() {
        Place::State
    } else {
        Place::Arena
    };
    let (scale, zero_point) = match tensor.per_tensor() {
        // The model file has no 8-bit value with scale 0. With the smallest positive scale, the values and the factor
        // are 0 in practice.
        Some((0.0, zero_point)) if tensor.dtype.range_8_bit().is_some() => (f32::MIN_POSITIVE, zero_point),
        Some((scale, zero_point)) if scale.is_finite() && scale > 0.0 => (scale, zero_point),
        _ => (0.0, 0),
    };
    if dtype.is(DType::F16) && !base.is_constant() {
        return Err(CompileError::UnsupportedType {
            site: graph.site(node),
            tensor: tensor.name.clone(),
            found: tensor.dtype.to_string(),
            accepted: "float32; only constants may be float16".into(),
        });
    }
    Ok(Value { scale, zero_point, ..Value::new(place, dtype, shape, len) })
}
