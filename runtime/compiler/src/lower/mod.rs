//! From TensorFlow Lite's operators to those of the model file, with all quantized parameters computed.
//!
//! Each file here takes one family of operators. A lowering checks what the numbers depend on (types, quantization,
//! constants); that shapes follow the operator's rule is checked once for all, by [`check`], with the same code that
//! checks a model file.

mod binary;
mod conv;
mod float;
mod fully_connected;
mod lookup;
mod mean;
pub(crate) mod movement;
mod pool;
mod scale;
mod softmax;
mod svdf;

use crate::error::{CompileError, Result};
use crate::graph::{ElementType, Graph, Node, Op, Tensor, TensorId};
use crate::limit::Limit;
use crate::tflite::TfliteOp;
use std::collections::HashMap;
use std::rc::Rc;
use tealight_format::{DType, Kind, MAX_INPUTS, Operands, Operator, Place, Shape, Value, Work};

/// What [`lower`] accepts, for errors.
const ACCEPTED: &str = "int8 and float32 networks of ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, \
    DEQUANTIZE, EXPAND_DIMS, FULLY_CONNECTED, HARD_SWISH, LEAKY_RELU, LOGISTIC, MAX_POOL_2D, MEAN, MUL, PACK, PAD, PADV2, \
    QUANTIZE, RELU, RELU6, RELU_N1_TO_1, RESHAPE, RESIZE_NEAREST_NEIGHBOR, SLICE, SOFTMAX, SPLIT, SPLIT_V, SQUEEZE, \
    STRIDED_SLICE, SUB, TANH, TRANSPOSE, UNPACK, variables, and arithmetic on constants; in int8 also SVDF; in float32 \
    also ABS, COS, DIV, ELU, EXP, GELU, LOG, MAXIMUM, MINIMUM, NEG, RSQRT, SIN, SQRT, SQUARE and TRANSPOSE_CONV";

/// A graph on its way from the one kind of operators to the other.
struct Lowering<'a> {
    graph: Graph,
    /// The new nodes.
    nodes: Vec<Node>,
    /// Sums of weights, which layers that share their weights share too.
    sums: HashMap<conv::Summed, Rc<[i32]>>,
    /// Counts the constants that are added.
    limit: &'a Limit,
}

/// Replaces every node by nodes of the model file's operators.
///
/// # Errors
/// A node has no such form, or the constants that it needs are more than `limit` allows.
pub(crate) fn lower(mut graph: Graph, limit: &Limit) -> Result<Graph> {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut lowering = Lowering { graph, nodes: Vec::with_capacity(nodes.len()), sums: HashMap::new(), limit };
    for node in nodes {
        lowering.node(node)?;
    }
    let Lowering { mut graph, nodes, .. } = lowering;
    graph.nodes = nodes;
    Ok(graph)
}

impl Lowering<'_> {
    fn node(&mut self, node: Node) -> Result<()> {
        let op = match &node.op {
            Op::Kernel(_) => {
                self.nodes.push(node);
                return Ok(());
            }
            Op::Tflite(op) => op.clone(),
        };
        if self.float(&node, &op)? {
            return Ok(());
        }
        match op {
            TfliteOp::Add(activation) => self.add_sub(&node, activation, Operator::Add),
            TfliteOp::Sub(activation) => self.add_sub(&node, activation, Operator::Sub),
            TfliteOp::Mul(activation) => self.mul(&node, activation),
            TfliteOp::AveragePool2d(window) => self.pool(&node, &window, Operator::AvgPool2d),
            TfliteOp::MaxPool2d(window) => self.pool(&node, &window, Operator::MaxPool2d),
            TfliteOp::Conv2d(window) => self.conv_2d(&node, &window),
            TfliteOp::DepthwiseConv2d(window) => self.depthwise_conv_2d(&node, &window),
            TfliteOp::FullyConnected(activation) => self.fully_connected(&node, activation),
            TfliteOp::Softmax { beta } => self.softmax(&node, beta),
            TfliteOp::Relu => self.relu(&node),
            TfliteOp::Relu6 => self.clamp(&node, 0.0, 6.0),
            TfliteOp::ReluN1To1 => self.clamp(&node, -1.0, 1.0),
            TfliteOp::LeakyRelu { alpha } => self.leaky_relu(&node, alpha),
            TfliteOp::HardSwish => self.hard_swish(&node),
            TfliteOp::Logistic => self.logistic(&node),
            TfliteOp::Tanh => self.tanh(&node),
            TfliteOp::Quantize => self.quantize(&node),
            TfliteOp::Dequantize => self.dequantize(&node),
            TfliteOp::Mean => self.mean(&node),
            TfliteOp::Svdf { rank, .. } => self.svdf(&node, rank),
            TfliteOp::Concatenation { axis, activation } => self.concatenation(&node, axis, activation),
            TfliteOp::Pack { axis } => self.pack(&node, axis),
            TfliteOp::Pad | TfliteOp::PadV2 => self.pad(&node, &op),
            TfliteOp::Transpose => self.transpose(&node),
            TfliteOp::ResizeNearestNeighbor { align_corners, half_pixel_centers } => {
                self.resize_nearest(&node, align_corners, half_pixel_centers)
            }
            TfliteOp::StridedSlice(_)
            | TfliteOp::Slice
            | TfliteOp::Split
            | TfliteOp::SplitV
            | TfliteOp::Unpack { .. } => self.cut(&node, &op),
            _ => Err(self.graph.unsupported(&node, ACCEPTED)),
        }
    }

    /// Puts `operator` in the place of `node`.
    fn emit(&mut self, node: &Node, operator: Operator, inputs: &[Option<TensorId>], output: TensorId) {
        let op = Op::Kernel(operator);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: vec![output], origin: node.origin });
    }

    fn tensor(&self, id: TensorId) -> &Tensor {
        &self.graph.tensors[id]
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

    /// Scale and zero point of a tensor that must be int8 and quantized as a whole.
    fn int8(&self, node: &Node, id: TensorId) -> Result<(f32, i32)> {
        if self.tensor(id).dtype != ElementType::I8 {
            return Err(self.type_error(node, id, "int8"));
        }
        self.quantization(node, id)
    }

    /// Scale and zero point of an 8-bit tensor that must be quantized as a whole.
    fn quantization(&self, node: &Node, id: TensorId) -> Result<(f32, i32)> {
        let tensor = self.tensor(id);
        let Some(range) = tensor.dtype.range_8_bit() else {
            return Err(self.type_error(node, id, "int8 or uint8"));
        };
        match tensor.per_tensor() {
            Some((scale, zero_point))
                if scale.is_finite() && scale > 0.0 && range[0] <= zero_point && zero_point <= range[1] =>
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

    /// The bytes of input `k`, a constant of type `dtype`.
    fn constant(&self, node: &Node, k: usize, dtype: ElementType) -> Result<&[u8]> {
        let id = self.graph.input(node, k)?;
        if self.tensor(id).dtype != dtype {
            return Err(self.type_error(node, id, &dtype.to_string()));
        }
        self.tensor(id).bytes().ok_or_else(|| {
            self.graph.unsupported(node, format!("a constant for input {k}, `{}`", self.tensor(id).name))
        })
    }

    /// Adds a constant that the lowering computed. The name says whose it is and what it is.
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

/// Checks every node against its operator's rule and gives each node's work.
pub(crate) fn check(graph: &Graph) -> Result<Vec<Work>> {
    let check = |node: &Node| -> Result<Work> {
        let Op::Kernel(operator) = &node.op else {
            return Err(CompileError::Internal(format!("{} was not lowered", graph.site(node))));
        };
        operator.check(&operands(graph, node)?).map_err(|fault| graph.invalid(node, format!("{fault}")))
    };
    graph.nodes.iter().map(check).collect()
}

/// The values that `node` works on, their places in memory still open.
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

/// The input of `node` that must be a channel table.
pub(crate) fn channels_input(node: &Node) -> Option<usize> {
    match &node.op {
        Op::Kernel(operator) => operator.channels_input(),
        Op::Tflite(_) => None,
    }
}

/// A tensor as a value without an address.
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
        return Err(graph.unsupported(node, format!("1 byte to 256 MiB for `{}`, not {:?}", tensor.name, tensor.shape)));
    };
    let base = &graph.tensors[graph.base(id)];
    let place = if base.is_constant() {
        Place::Constant
    } else if base.is_state() {
        Place::State
    } else {
        Place::Arena
    };
    let (scale, zero_point) =
        tensor.per_tensor().filter(|(scale, _)| scale.is_finite() && *scale > 0.0).unwrap_or((0.0, 0));
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
