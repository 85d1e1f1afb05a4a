//! The graph under construction, and the layout of its tensors.
//!
//! ONNX's images are NCHW and the compiler's operators take NHWC. A value of the network is therefore a tensor with the
//! order in which its dimensions are stored ([`Stored`]). An operator that takes any order keeps it, one that needs an
//! order asks for it ([`Network::arrange`]), and ONNX's own Transpose only changes the order's meaning. A transposition
//! is emitted where a tensor is not stored as it is needed, once for each order, so a usual network has none left.

use super::constant::{self, Constant};
use super::dynamic::Dynamic;
use super::int8::{Known, Scales};
use crate::diag::{CompileError, Result, Site};
use crate::ir::graph::{
    Bytes, Content, ElementType, Graph, Node as GraphNode, NodeOp, Tensor, TensorId, TensorQuantization,
};
use crate::ir::{Activation, Op};
use crate::limit::Limit;
use rten_onnx::onnx::AttributeProto;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use tealight_format::{Operator, Quantization};

/// The order of the dimensions of an image in memory: N, H, W, C.
pub(super) const NHWC: [usize; 4] = [0, 2, 3, 1];

/// The maximum length of a name, in bytes; the rest is cut. Messages contain names.
const MAX_NAME: usize = 1024;

/// A value of the network.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Computed by the network.
    Stored(Stored),
    /// Known when the network is compiled.
    Constant(Constant),
    /// The result of a node that cannot be compiled, which is reported for that node alone.
    Failed,
}

/// A tensor of the graph as a value of the network.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) id: TensorId,
    /// Dimension i of the tensor is dimension `order[i]` of the value.
    pub(super) order: Vec<usize>,
    /// For a flattened image that is stored in another order: element i of a row is element `columns[i]` of the value's.
    /// Only layers with weights read it.
    pub(super) columns: Option<Rc<[u32]>>,
}

/// A node of the network, with its inputs.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) op: String,
    /// The version of the operator set.
    pub(super) opset: i64,
    /// The inputs; `None` is an omitted optional one.
    pub(super) inputs: Vec<Option<Value>>,
    /// Their names.
    pub(super) names: Vec<String>,
    /// The names of the outputs; empty for those that nothing reads.
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<AttributeProto>,
}

impl Node {
    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i.unwrap_or(0))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f.unwrap_or(0.0))
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name).and_then(|attribute| attribute.s.as_deref())
    }

    pub(super) fn name(&self, k: usize) -> &str {
        self.names.get(k).map_or("", String::as_str)
    }
}

/// Key of a constant in another order: the identity of its bytes, its shape, and the order.
type Turned = (usize, Vec<u32>, Vec<usize>);

/// The network under construction.
pub(super) struct Network<'a> {
    pub(super) graph: Graph,
    pub(super) limit: &'a Limit,
    pub(super) values: HashMap<String, Value>,
    /// How often nodes and outputs read each name.
    pub(super) uses: HashMap<String, usize>,
    /// For each name, the operators that read it, and the input of theirs that it is.
    pub(super) readers: HashMap<String, Vec<(String, usize, Vec<String>)>>,
    /// How often nodes that are not yet imported read each tensor.
    pending: HashMap<TensorId, usize>,
    /// How often nodes of the graph read each tensor.
    read: HashMap<TensorId, usize>,
    /// The node of the graph that writes each tensor.
    producers: HashMap<TensorId, usize>,
    arranged: HashMap<(TensorId, Vec<usize>), TensorId>,
    /// Tensors of float32 that hold truth values, 0 or 1. Constants have their own type for these.
    truths: HashSet<TensorId>,
    constants: HashMap<(usize, ElementType, Vec<u32>), TensorId>,
    /// Constants in other orders, by the identity of their bytes, which are therefore held.
    turned: HashMap<Turned, (Bytes, Constant)>,
    /// The scales of constants that were dequantized.
    pub(super) known: Known,
    /// For uint8 tensors, the int8 ones with the same values.
    pub(super) signed: HashMap<TensorId, TensorId>,
    pub(super) dynamic: Dynamic,
    /// The steps of all recurrent layers so far.
    pub(super) steps: usize,
    /// The node that is being imported: its index, operator and the name of its first output.
    origin: usize,
    operator: String,
    name: String,
}

impl<'a> Network<'a> {
    pub(super) fn new(limit: &'a Limit) -> Self {
        Self {
            graph: Graph::default(),
            limit,
            values: HashMap::new(),
            uses: HashMap::new(),
            readers: HashMap::new(),
            pending: HashMap::new(),
            read: HashMap::new(),
            producers: HashMap::new(),
            arranged: HashMap::new(),
            truths: HashSet::new(),
            constants: HashMap::new(),
            turned: HashMap::new(),
            known: Known::new(),
            signed: HashMap::new(),
            dynamic: Dynamic::default(),
            steps: 0,
            origin: 0,
            operator: String::new(),
            name: String::new(),
        }
    }

    /// Begins the import of a node.
    pub(super) fn begin(&mut self, origin: usize, operator: &str, name: &str) {
        self.origin = origin;
        self.operator = operator.to_string();
        self.name = name[..name.floor_char_boundary(MAX_NAME)].to_string();
    }

    /// Names a value.
    pub(super) fn bind(&mut self, name: &str, value: Value) {
        if let Value::Stored(stored) = &value {
            *self.pending.entry(stored.id).or_default() += self.uses.get(name).copied().unwrap_or(0);
        }
        self.values.insert(name.to_string(), value);
    }

    /// Counts that a node has read its inputs.
    pub(super) fn consume(&mut self, value: &Value) {
        if let Value::Stored(stored) = value
            && let Some(pending) = self.pending.get_mut(&stored.id)
        {
            *pending = pending.saturating_sub(1);
        }
    }

    pub(super) fn site(&self) -> Site {
        Site::Node { node: self.origin, operator: self.operator.clone() }
    }

    /// Returns the error that the node has a form that cannot be compiled.
    pub(super) fn refuse(&self, accepted: impl Into<String>) -> CompileError {
        CompileError::UnsupportedOperator { site: self.site(), accepted: accepted.into() }
    }

    /// Returns the error that the node contradicts itself.
    pub(super) fn invalid(&self, what: impl Into<String>) -> CompileError {
        CompileError::InvalidModel { site: self.site(), what: what.into() }
    }

    /// Returns input `k`, which must be there.
    pub(super) fn input<'n>(&self, node: &'n Node, k: usize) -> Result<&'n Value> {
        node.inputs.get(k).and_then(Option::as_ref).ok_or_else(|| self.invalid(format!("input {k} is missing")))
    }

    /// Returns input `k`, which must be a constant.
    pub(super) fn constant<'n>(&self, node: &'n Node, k: usize) -> Result<&'n Constant> {
        match self.input(node, k)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(self.refuse(format!("a constant for input {k}, `{}`", node.name(k)))),
        }
    }

    /// Returns the integers of input `k`, a constant; `None` if it is omitted.
    pub(super) fn integers(&self, node: &Node, k: usize) -> Result<Option<Vec<i64>>> {
        if node.inputs.get(k).and_then(Option::as_ref).is_none() {
            return Ok(None);
        }
        let constant = self.constant(node, k)?;
        if constant.elements() > 4096 {
            return Err(self.invalid(format!("input {k} has {} integers", constant.elements())));
        }
        constant.as_ints().map(Some).ok_or_else(|| self.invalid(format!("input {k} holds no integers")))
    }

    /// Returns the floats of input `k`, a constant; `None` if it is omitted.
    pub(super) fn numbers(&self, node: &Node, k: usize) -> Result<Option<Vec<f32>>> {
        if node.inputs.get(k).and_then(Option::as_ref).is_none() {
            return Ok(None);
        }
        let floats = self.constant(node, k)?.as_floats();
        floats.map(Some).ok_or_else(|| self.invalid(format!("input {k} holds no floating-point numbers")))
    }

    /// Returns the shape of a value.
    pub(super) fn shape(&self, value: &Value) -> Vec<u32> {
        match value {
            Value::Constant(constant) => constant.shape.clone(),
            Value::Failed => Vec::new(),
            Value::Stored(Stored { id, order, .. }) => {
                let stored = &self.graph.tensors[*id].shape;
                let mut shape = vec![0; order.len()];
                for (&dim, &axis) in stored.iter().zip(order) {
                    shape[axis] = dim;
                }
                shape
            }
        }
    }

    /// Returns the order in which a value is stored.
    pub(super) fn order(&self, value: &Value) -> Vec<usize> {
        match value {
            Value::Stored(stored) => stored.order.clone(),
            _ => (0..self.shape(value).len()).collect(),
        }
    }

    /// Returns a tensor as the value that is stored in this order.
    pub(super) fn stored(id: TensorId, order: Vec<usize>) -> Value {
        Value::Stored(Stored { id, order, columns: None })
    }

    /// Returns a tensor as the value with the same dimensions.
    pub(super) fn plain(&self, id: TensorId) -> Value {
        Self::stored(id, (0..self.graph.tensors[id].shape.len()).collect())
    }

    /// Returns the tensor of a value whose dimensions are in the value's own order.
    pub(super) fn in_order(&mut self, value: &Value, name: &str) -> Result<TensorId> {
        let order: Vec<usize> = (0..self.order(value).len()).collect();
        self.arrange(value, &order, name)
    }

    /// Returns the tensor of a value whose dimensions are stored in this order.
    pub(super) fn arrange(&mut self, value: &Value, order: &[usize], name: &str) -> Result<TensorId> {
        let stored = match value {
            Value::Stored(stored) => stored,
            Value::Constant(constant) => {
                let transposed = self.transposed(constant, order)?;
                return self.add_constant(name, &transposed);
            }
            Value::Failed => return Err(CompileError::Internal("a failed value is read".into())),
        };
        if stored.columns.is_some() {
            return Err(CompileError::Internal("a flattened image is read as a value".into()));
        }
        if stored.order == order {
            return Ok(stored.id);
        }
        let key = (stored.id, order.to_vec());
        if let Some(&id) = self.arranged.get(&key) {
            return Ok(id);
        }
        let place = |axis: &usize| stored.order.iter().position(|other| other == axis).unwrap_or(0);
        let moves: Vec<usize> = order.iter().map(place).collect();
        let from = self.graph.tensors[stored.id].shape.clone();
        let shape: Vec<u32> = moves.iter().map(|&axis| from[axis]).collect();
        let long: Vec<usize> = moves.iter().copied().filter(|&axis| from[axis] != 1).collect();
        let id = if long.is_sorted() {
            self.emit(Op::Reshape { new_shape: None }, &[stored.id], shape)?
        } else {
            let moves: Vec<i64> = moves.iter().map(|&axis| axis as i64).collect();
            let moves = self.axes(&moves)?;
            self.emit(Op::Transpose, &[stored.id, moves], shape)?
        };
        self.arranged.insert((id, stored.order.clone()), stored.id);
        self.arranged.insert(key, id);
        Ok(id)
    }

    /// Returns a constant with its dimensions in another order. Nodes that share a constant share the result.
    pub(super) fn transposed(&mut self, constant: &Constant, order: &[usize]) -> Result<Constant> {
        let key = (constant.bytes.identity(), constant.shape.clone(), order.to_vec());
        if let Some((_, turned)) = self.turned.get(&key) {
            return Ok(turned.clone());
        }
        self.make(constant.bytes.len())?;
        let turned = constant.transposed(order);
        let turned = turned.ok_or_else(|| self.invalid("a constant has another number of dimensions"))?;
        self.remember_as(constant, &turned);
        self.turned.insert(key, (constant.bytes.clone(), turned.clone()));
        Ok(turned)
    }

    /// Remembers the scales that a constant was dequantized with.
    pub(super) fn remember(&mut self, constant: &Constant, scales: Rc<Scales>) {
        self.known.insert(constant.bytes.identity(), (constant.bytes.clone(), scales));
    }

    /// Remembers that a constant has the same elements as another, in another order.
    pub(super) fn remember_as(&mut self, from: &Constant, to: &Constant) {
        if let Some((_, scales)) = self.known.get(&from.bytes.identity()) {
            self.remember(to, scales.clone());
        }
    }

    /// Remembers that a constant consists of elements of others, if all of these have the same single scale.
    pub(super) fn remember_joined(&mut self, from: &[&Constant], to: &Constant) {
        let scales = |of: &&Constant| self.known.get(&of.bytes.identity()).map(|(_, scales)| scales.clone());
        let all: Option<Vec<Rc<Scales>>> = from.iter().map(scales).collect();
        if let Some([first, rest @ ..]) = all.as_deref()
            && first.scales.len() == 1
            && rest.iter().all(|other| other.scales == first.scales)
        {
            let (scales, zero_points) = (first.scales.clone(), vec![0]);
            self.remember(to, Scales { scales, zero_points }.into());
        }
    }

    /// Remembers that weights are those of a tensor times a factor for each output channel; as codes around 0.
    pub(super) fn remember_scaled(&mut self, from: TensorId, to: &Constant, factors: &[f32]) {
        let Content::Constant(bytes) = &self.graph.tensors[from].content else { return };
        let Some((_, known)) = self.known.get(&bytes.identity()) else { return };
        let of = |channel: usize| if known.scales.len() == 1 { 0 } else { channel };
        if known.scales.len() != 1 && known.scales.len() != factors.len() {
            return;
        }
        // A negative factor changes the signs of the codes.
        let scales: Vec<f32> =
            factors.iter().enumerate().map(|(channel, factor)| known.scales[of(channel)] * factor.abs()).collect();
        if scales.contains(&0.0) {
            return;
        }
        let zero_points = vec![0; scales.len()];
        self.remember(to, Scales { scales, zero_points }.into());
    }

    /// Counts the bytes of a constant that is computed.
    pub(super) fn make(&self, bytes: usize) -> Result<()> {
        self.limit.make(bytes as u64, || format!("computing {} and what comes before it", self.site()))
    }

    /// Adds a constant to the graph. Those with the same bytes are one.
    pub(super) fn add_constant(&mut self, name: &str, constant: &Constant) -> Result<TensorId> {
        let Constant { dtype, shape, bytes } = constant;
        let key = (bytes.identity(), *dtype, shape.clone());
        if let Some(&id) = self.constants.get(&key) {
            return Ok(id);
        }
        let name = if name.is_empty() { format!("{}.constant", self.name) } else { name.to_string() };
        let name = &name[..name.floor_char_boundary(MAX_NAME)];
        self.make(name.len())?;
        let id = self.graph.add(Tensor::constant(name, *dtype, shape.clone(), bytes.clone()));
        self.constants.insert(key, id);
        Ok(id)
    }

    /// Adds a list of int32: axes, sizes and the like.
    pub(super) fn axes(&mut self, values: &[i64]) -> Result<TensorId> {
        let list = Constant::ints(ElementType::I32, &[values.len() as u32], values);
        let list = list.ok_or_else(|| self.invalid("an index is out of range"))?;
        self.add_constant("", &list)
    }

    /// Adds a node, and returns its output, an f32 tensor, one of indices, or one of its first input's type and
    /// quantization.
    pub(super) fn emit(&mut self, op: impl Into<NodeOp>, inputs: &[TensorId], shape: Vec<u32>) -> Result<TensorId> {
        let inputs: Vec<Option<TensorId>> = inputs.iter().copied().map(Some).collect();
        self.emit_optional(op, inputs, shape)
    }

    /// Adds a node of which inputs may be omitted.
    pub(super) fn emit_optional(
        &mut self,
        op: impl Into<NodeOp>,
        inputs: Vec<Option<TensorId>>,
        shape: Vec<u32>,
    ) -> Result<TensorId> {
        let of_first = inputs.first().copied().flatten().map(|id| self.graph.tensors[id].dtype);
        if constant::count(&shape).is_none_or(|count| count >= 1 << 28) {
            return Err(self.invalid(format!("its output has the shape {shape:?}, which is too large")));
        }
        self.make(self.name.len())?;
        let op = op.into();
        let dtype = match op {
            NodeOp::Kernel(Operator::GatherF32(_)) | NodeOp::Ir(Op::Dequantize) => ElementType::F32,
            NodeOp::Ir(Op::ArgMinMax { .. }) => ElementType::I32,
            NodeOp::Ir(Op::Compare(_)) => ElementType::F32,
            NodeOp::Ir(Op::Select { .. }) => {
                inputs.get(1).copied().flatten().map_or(ElementType::F32, |id| self.graph.tensors[id].dtype)
            }
            _ => of_first.unwrap_or(ElementType::F32),
        };
        let mut tensor = Tensor::computed(self.name.clone(), dtype, shape);
        if Some(dtype) == of_first {
            tensor.quantization =
                inputs.first().copied().flatten().and_then(|id| self.graph.tensors[id].quantization.clone());
        }
        let output = self.graph.add(tensor);
        let moves = matches!(
            op,
            NodeOp::Ir(
                Op::Reshape { .. } | Op::Transpose | Op::Slice | Op::StridedSlice(_) | Op::Concat { .. } | Op::Pad
            )
        );
        if moves && inputs.first().copied().flatten().is_some_and(|id| self.truths.contains(&id)) {
            self.truths.insert(output);
        }
        for &id in inputs.iter().flatten() {
            *self.read.entry(id).or_default() += 1;
        }
        self.producers.insert(output, self.graph.nodes.len());
        self.graph.nodes.push(GraphNode { op, inputs, outputs: vec![output], origin: self.origin });
        Ok(output)
    }

    /// Adds a node with two outputs of this shape: the first as [`Self::emit`] returns it, the other of type `second`.
    pub(super) fn emit_pair(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        shape: Vec<u32>,
        second: ElementType,
    ) -> Result<[TensorId; 2]> {
        let first = self.emit(op, inputs, shape.clone())?;
        self.make(self.name.len())?;
        let second = self.graph.add(Tensor::computed(self.name.clone(), second, shape));
        if let Some(node) = self.graph.nodes.last_mut() {
            node.outputs.push(second);
        }
        Ok([first, second])
    }

    /// Returns whether a tensor holds truth values.
    pub(super) fn is_truth(&self, id: TensorId) -> bool {
        self.truths.contains(&id)
    }

    /// Returns a float32 value whose elements are 0 or 1 as truth values.
    pub(super) fn truth(&mut self, value: Value) -> Value {
        if let Value::Stored(stored) = &value {
            self.truths.insert(stored.id);
        }
        value
    }

    /// Returns a tensor of truth values as one of numbers.
    pub(super) fn number(&mut self, id: TensorId) -> TensorId {
        self.truths.remove(&id);
        id
    }

    /// Returns the f32 elements of a value of bytes.
    pub(super) fn float_of_byte(&mut self, value: &Value) -> Result<Value> {
        let order = self.order(value);
        let id = self.arrange(value, &order, "")?;
        let tensor = &mut self.graph.tensors[id];
        let plain = TensorQuantization::from(Quantization::new(1.0, 0));
        if *tensor.quantization.get_or_insert(plain.clone()) != plain {
            return Err(self.refuse("bytes of one scale"));
        }
        let shape = tensor.shape.clone();
        Ok(Self::stored(self.emit(Op::Dequantize, &[id], shape)?, order))
    }

    /// Returns the truth values of a value of bytes, as an input has them.
    pub(super) fn truth_of_byte(&mut self, value: &Value) -> Result<Value> {
        let value = self.float_of_byte(value)?;
        Ok(self.truth(value))
    }

    /// Returns truth values as bytes, as an output has them.
    pub(super) fn byte_of_truth(&mut self, value: &Value) -> Result<Value> {
        let order = self.order(value);
        let id = self.arrange(value, &order, "")?;
        let shape = self.graph.tensors[id].shape.clone();
        let output = self.emit(Op::Quantize, &[id], shape)?;
        let tensor = &mut self.graph.tensors[output];
        (tensor.dtype, tensor.quantization) = (ElementType::U8, Some(Quantization::new(1.0, 0).into()));
        Ok(Self::stored(output, order))
    }

    /// Returns the same elements under another shape.
    pub(super) fn reshape(&mut self, id: TensorId, shape: Vec<u32>) -> Result<TensorId> {
        if self.graph.tensors[id].shape == shape {
            return Ok(id);
        }
        self.emit(Op::Reshape { new_shape: None }, &[id], shape)
    }

    /// Returns whether nothing but the node that is being imported reads a tensor.
    pub(super) fn only_reader(&self, id: TensorId) -> bool {
        let none = |counts: &HashMap<TensorId, usize>| counts.get(&id).copied().unwrap_or(0) == 0;
        none(&self.pending) && none(&self.read)
    }

    /// Returns the node of the graph that computes the elements of `id`, reshapes left out, if only the node that is
    /// being imported reads them.
    pub(super) fn producer(&self, id: TensorId) -> Option<usize> {
        if !self.only_reader(id) {
            return None;
        }
        let mut at = *self.producers.get(&id)?;
        while let NodeOp::Ir(Op::Reshape { .. }) = self.graph.nodes[at].op {
            let inner = self.graph.nodes[at].inputs[0]?;
            let reads = self.read.get(&inner).copied().unwrap_or(0);
            if reads != 1 || self.pending.get(&inner).copied().unwrap_or(0) != 0 {
                return None;
            }
            at = *self.producers.get(&inner)?;
        }
        Some(at)
    }

    /// Fuses an activation into the node that computes `value`, if it can apply one and has none yet.
    pub(super) fn fuse_activation(&mut self, value: &Value, activation: Activation) -> bool {
        let Value::Stored(stored) = value else { return false };
        let Some(at) = self.producer(stored.id) else { return false };
        let NodeOp::Ir(op) = &mut self.graph.nodes[at].op else { return false };
        match op.activation_mut() {
            Some(own @ Activation::None) => {
                *own = activation;
                true
            }
            _ => false,
        }
    }
}
