//! The graph that all passes share: tensors, and nodes in the order in which they run.
//!
//! One representation serves from import to memory planning. A node holds either a neutral operator or, after the pass
//! `lower`, one of the model file. Passes add tensors but never remove or renumber them, so a tensor of the source file
//! keeps its number; a tensor that nothing refers to any more is simply not written.

pub use super::bytes::Bytes;

use super::op::Op;
use crate::diag::{CompileError, Result, Site};
use std::collections::BTreeMap;
use std::fmt;
use tealight_format::{DType, Operator, Quantization};
use tealight_kernels::float::f16;

/// The maximum length of a list of axes, sizes and the like.
const MAX_LIST: usize = 64;

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// A network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// The operators, in an order in which they can run.
    pub nodes: Vec<Node>,
    /// The model's inputs.
    pub inputs: Vec<TensorId>,
    /// The model's outputs.
    pub outputs: Vec<TensorId>,
    /// Graphs that nodes refer to: number i is `subgraphs[i - 1]`, and 0 this graph itself.
    pub subgraphs: Vec<Graph>,
    /// The source file's name for the operator of each of its nodes, for messages: they use it whatever passes did to
    /// the node. Empty for a graph that does not come from a file of nodes.
    pub operators: Vec<String>,
    /// The shape signatures of the source file that differ from [`Tensor::shape`]. A dynamic dimension is -1 in a
    /// signature and 1 in the shape. The 1 is right for a batch of 1; any other is a placeholder until the size follows
    /// from other tensors.
    pub signatures: BTreeMap<TensorId, Vec<i32>>,
    /// The codes of float32 constants that the source stores as int8 or int4. If a pass has changed such a
    /// constant, its elements are no multiples of these scales any more.
    pub codes: BTreeMap<TensorId, SourceCodes>,
    /// Whether the source stores floats as f16. Those are float32 constants here.
    pub halves: bool,
    /// What the user should know about how the source was interpreted.
    pub notes: Vec<String>,
    /// Whether int8 layers and products round the product of their operands' scales to f32, as TensorFlow Lite does in
    /// uint8 networks.
    pub f32_products: bool,
}

/// How the source stores a constant that is dequantized.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceCodes {
    /// The type of its elements.
    pub dtype: ElementType,
    /// What they represent.
    pub quantization: TensorQuantization,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name in the source file.
    pub name: String,
    /// Type of its elements.
    pub dtype: ElementType,
    /// Dimensions, outermost first.
    pub shape: Vec<u32>,
    /// Scale and zero point of its integers; `None` if it is not quantized.
    pub quantization: Option<TensorQuantization>,
    /// Where its content comes from.
    pub content: Content,
    /// The tensor whose bytes this one shares, under another shape. That may be a view too: see [`Graph::base`].
    pub alias: Option<TensorId>,
}

/// Where the content of a tensor comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Written by a node, or by the caller as an input.
    Computed,
    /// Always these bytes (little-endian).
    Constant(Bytes),
    /// Kept from one inference to the next; starts as these bytes, or as zeros.
    State(Option<Bytes>),
}

/// What the integers of a tensor represent: one [`Quantization`] for all of them, or one for each slice along a
/// dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorQuantization {
    /// One scale, or one for each index along `axis`. With a scale of 0, all values are 0.
    pub scales: Vec<f32>,
    /// Zero points, as many as scales.
    pub zero_points: Vec<i32>,
    /// The dimension that the scales belong to.
    pub axis: usize,
}

/// Element types that occur in source files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer: shapes and axes.
    I64,
    /// Single precision.
    F32,
    /// Half precision: constants only, stored weights.
    F16,
    /// Signed 4-bit integer: constants only, stored weights. In a graph each has a byte, in a model file two share one.
    I4,
    /// One byte, 0 or 1.
    Bool,
    /// A handle of a variable, without bytes.
    Resource,
    /// Any other, by its TensorFlow Lite code.
    Other(i8),
}

/// An operator applied to tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The operator.
    pub op: NodeOp,
    /// The inputs; `None` is an omitted optional input.
    pub inputs: Vec<Option<TensorId>>,
    /// The outputs.
    pub outputs: Vec<TensorId>,
    /// Index of the node in the source file that it comes from.
    pub origin: usize,
}

/// The operator of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeOp {
    /// A neutral operator, which the pass `lower` replaces.
    Ir(Op),
    /// An operator of the model file.
    Kernel(Operator),
}

impl ElementType {
    /// Returns the bytes of one element; `None` where that is not a fixed whole number.
    pub fn size(self) -> Option<usize> {
        Some(match self {
            Self::I4 | Self::I8 | Self::U8 | Self::Bool => 1,
            Self::I16 | Self::F16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 => 8,
            Self::Resource | Self::Other(_) => return None,
        })
    }

    /// Returns the model file's type; `None` if it has no such type.
    pub fn dtype(self) -> Option<DType> {
        Some(match self {
            Self::I8 => DType::I8,
            Self::U8 => DType::U8,
            Self::I16 => DType::I16,
            Self::I32 => DType::I32,
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::I4 => DType::I4,
            _ => return None,
        })
    }

    /// Returns the minimum and the maximum of an 8-bit type.
    pub fn range_8_bit(self) -> Option<[i32; 2]> {
        match self {
            Self::I8 => Some([-128, 127]),
            Self::U8 => Some([0, 255]),
            _ => None,
        }
    }
}

impl From<Quantization> for TensorQuantization {
    fn from(Quantization { scale, zero_point }: Quantization) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
    }
}

impl TensorQuantization {
    /// Returns the quantization, if it is the same for all elements.
    pub fn uniform(&self) -> Option<Quantization> {
        let (&scale, zero_point) = (self.scales.first()?, self.zero_points.first().copied().unwrap_or(0));
        let alike = self.scales.iter().all(|&other| other == scale)
            && self.zero_points.iter().all(|&other| other == zero_point);
        alike.then_some(Quantization::new(scale, zero_point))
    }
}

impl fmt::Display for TensorQuantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uniform() {
            Some(Quantization { scale, zero_point }) => write!(f, "scale {scale} and zero point {zero_point}"),
            None => write!(f, "{} scales along dimension {}", self.scales.len(), self.axis),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bool => "bool",
            Self::Resource => "resource",
            Self::Other(5) => "string",
            Self::Other(12) => "uint64",
            Self::Other(15) => "uint32",
            Self::I4 => "int4",
            Self::Other(code) => return write!(f, "type {code}"),
        })
    }
}

impl Tensor {
    /// Creates a tensor for a node to write.
    pub fn computed(name: impl Into<String>, dtype: ElementType, shape: Vec<u32>) -> Self {
        Self { name: name.into(), dtype, shape, quantization: None, content: Content::Computed, alias: None }
    }

    /// Creates a constant.
    pub fn constant(name: impl Into<String>, dtype: ElementType, shape: Vec<u32>, bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Constant(bytes.into()), ..Self::computed(name, dtype, shape) }
    }

    /// Returns the number of elements (saturating).
    pub fn elements(&self) -> usize {
        count_of(&self.shape)
    }

    /// Returns the number of bytes of a constant in a model file; 0 for another tensor.
    pub(crate) fn stored_len(&self) -> usize {
        let len = self.bytes().map_or(0, <[u8]>::len);
        if self.dtype == ElementType::I4 { len.div_ceil(2) } else { len }
    }

    /// Returns the bytes of a constant.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Constant(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns whether this is a constant.
    pub fn is_constant(&self) -> bool {
        matches!(self.content, Content::Constant(_))
    }

    /// Returns whether this is streaming state.
    pub fn is_state(&self) -> bool {
        matches!(self.content, Content::State(_))
    }

    /// Returns the elements of a constant of an integer type.
    pub fn integers(&self) -> Option<Vec<i64>> {
        self.each_integer().map(Iterator::collect)
    }

    /// Iterates over the elements of a constant of an integer type: collected as `i64` they take up to eight times its
    /// bytes.
    pub(crate) fn each_integer(&self) -> Option<impl ExactSizeIterator<Item = i64> + '_> {
        let (size, read): (usize, fn(&[u8]) -> i64) = match self.dtype {
            ElementType::I4 | ElementType::I8 => (1, |b| i64::from(i8::from_le_bytes([b[0]]))),
            ElementType::U8 | ElementType::Bool => (1, |b| i64::from(b[0])),
            ElementType::I16 => (2, |b| i64::from(i16::from_le_bytes([b[0], b[1]]))),
            ElementType::I32 => (4, |b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            ElementType::I64 => (8, |b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
            _ => return None,
        };
        Some(self.bytes()?.chunks_exact(size).map(read))
    }

    /// Returns the elements of an int64 constant as int32; `None` if it is none, or a number is beyond these.
    pub(crate) fn narrowed(&self) -> Option<Vec<u8>> {
        let numbers = self.each_integer().filter(|_| self.dtype == ElementType::I64)?;
        numbers
            .map(|number| Some(i32::try_from(number).ok()?.to_le_bytes()))
            .collect::<Option<Vec<_>>>()
            .map(|list| list.concat())
    }

    /// Returns a tensor of the same name, type and shape for other content. Scales along a dimension, which only
    /// weights have, are left out: there may be as many as a file has bytes.
    pub(crate) fn like(&self) -> Self {
        let quantization = self.per_tensor().and(self.quantization.clone());
        Self { quantization, ..Self::computed(self.name.clone(), self.dtype, self.shape.clone()) }
    }

    /// Returns the elements of a constant of type float32 or float16.
    pub fn f32_values(&self) -> Option<Vec<f32>> {
        let bytes = self.bytes()?;
        match self.dtype {
            ElementType::F32 => Some(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            ElementType::F16 => Some(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()),
            _ => None,
        }
    }

    /// Returns the quantization, where the tensor is quantized as a whole.
    pub fn per_tensor(&self) -> Option<Quantization> {
        match &self.quantization {
            Some(q) if q.scales.len() == 1 => {
                Some(Quantization::new(q.scales[0], q.zero_points.first().copied().unwrap_or(0)))
            }
            _ => None,
        }
    }
}

/// The maximum number of operands of each kind that a message names.
const MAX_DESCRIBED: usize = 9;

impl Graph {
    /// Adds a tensor and returns its index.
    pub fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// Returns the tensor that owns the bytes of `tensor`: itself, or the one that it is a view of.
    pub fn base(&self, mut tensor: TensorId) -> TensorId {
        while let Some(base) = self.tensors[tensor].alias {
            tensor = base;
        }
        tensor
    }

    /// Returns the position of `node` for errors: its number and operator in the source file.
    pub fn site(&self, node: &Node) -> Site {
        let operator = self.operators.get(node.origin).map_or(node.op.name(), String::as_str);
        Site::Node { node: node.origin, operator: operator.to_string() }
    }

    /// Describes a tensor: `` `x` int8[1, 4] ``.
    pub(crate) fn describe(&self, id: TensorId) -> String {
        let Tensor { name, dtype, shape, .. } = &self.tensors[id];
        format!("`{name}` {dtype}{shape:?}")
    }

    /// Describes the inputs and outputs of `node`.
    pub(crate) fn describe_operands(&self, node: &Node) -> String {
        let list = |ids: &mut dyn Iterator<Item = TensorId>| {
            let words: Vec<String> = ids.take(MAX_DESCRIBED).map(|id| self.describe(id)).collect();
            words.join(", ")
        };
        let inputs = list(&mut node.inputs.iter().flatten().copied());
        let outputs = list(&mut node.outputs.iter().copied());
        format!("it computes {outputs} from {}", if inputs.is_empty() { "nothing" } else { &inputs })
    }

    /// Returns the error that `node` breaks a rule.
    pub fn invalid(&self, node: &Node, what: impl Into<String>) -> CompileError {
        CompileError::InvalidModel { site: self.site(node), what: what.into() }
    }

    /// Returns the error that `node` has a form that cannot be compiled.
    pub fn unsupported(&self, node: &Node, accepted: impl Into<String>) -> CompileError {
        CompileError::UnsupportedOperator { site: self.site(node), accepted: accepted.into() }
    }

    /// Returns input `k` of `node`, or an error if it is omitted.
    pub fn input(&self, node: &Node, k: usize) -> Result<TensorId> {
        match node.inputs.get(k) {
            Some(Some(tensor)) => Ok(*tensor),
            _ => Err(self.invalid(node, format!("input {k} is missing"))),
        }
    }

    /// Returns the only output of `node`.
    pub fn output(&self, node: &Node) -> Result<TensorId> {
        match node.outputs[..] {
            [tensor] => Ok(tensor),
            _ => Err(self.invalid(node, format!("it has {} outputs instead of one", node.outputs.len()))),
        }
    }

    /// Returns the integers of input `k` of `node`, a constant with few elements: axes, sizes and the like.
    pub fn constant_integers(&self, node: &Node, k: usize) -> Result<Vec<i64>> {
        let tensor = &self.tensors[self.input(node, k)?];
        match tensor.each_integer() {
            // Longer ones are not read: many nodes may name one list.
            Some(integers) if integers.len() <= MAX_LIST => Ok(integers.collect()),
            Some(integers) => {
                let what = format!("input {k}, `{}`, is a list of {} integers", tensor.name, integers.len());
                Err(self.invalid(node, format!("{what}; at most {MAX_LIST} are accepted")))
            }
            None => Err(self.unsupported(node, format!("a constant of integers for input {k}, `{}`", tensor.name))),
        }
    }

    /// Returns the index of the node that writes each tensor; `usize::MAX` for one that no node writes.
    pub fn producers(&self) -> Vec<usize> {
        let mut producers = vec![usize::MAX; self.tensors.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            for &id in &node.outputs {
                producers[id] = at;
            }
        }
        producers
    }

    /// Counts how many times nodes and the interface read each tensor.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.tensors.len()];
        for &tensor in self.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(&self.outputs) {
            uses[tensor] += 1;
        }
        uses
    }
}

impl NodeOp {
    /// Returns the name of the operator, neutral or of the model file.
    pub fn name(&self) -> &str {
        match self {
            Self::Ir(op) => op.name(),
            Self::Kernel(operator) => operator.code().name(),
        }
    }
}

impl From<Op> for NodeOp {
    fn from(op: Op) -> Self {
        Self::Ir(op)
    }
}

impl From<Operator> for NodeOp {
    fn from(operator: Operator) -> Self {
        Self::Kernel(operator)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, list) in [("input", &self.inputs), ("output", &self.outputs)] {
            for &id in list {
                writeln!(f, "{title} {}", Described(self, id))?;
            }
        }
        for (i, node) in self.nodes.iter().enumerate() {
            write!(f, "{i:>4} ")?;
            for (k, &id) in node.outputs.iter().enumerate() {
                write!(f, "{}{}", if k > 0 { ", " } else { "" }, Described(self, id))?;
            }
            let arrow = if node.outputs.is_empty() { "" } else { " = " };
            write!(f, "{arrow}{}(", node.op.name())?;
            for (k, id) in node.inputs.iter().enumerate() {
                f.write_str(if k > 0 { ", " } else { "" })?;
                match id {
                    Some(id) => write!(f, "{}", Named(self, *id))?,
                    None => f.write_str("-")?,
                }
            }
            f.write_str(")")?;
            match &node.op {
                NodeOp::Ir(op) => writeln!(f, " {op:?}")?,
                NodeOp::Kernel(operator) => writeln!(f, " {operator:?}")?,
            }
        }
        Ok(())
    }
}

/// Writes `%3`, or the value of a constant.
struct Named<'a>(&'a Graph, TensorId);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensor = &self.0.tensors[self.1];
        match &tensor.content {
            Content::Constant(_) => write!(f, "const %{}: {}{:?}", self.1, tensor.dtype, tensor.shape)?,
            Content::State(_) => write!(f, "state %{}", self.1)?,
            Content::Computed => write!(f, "%{}", self.1)?,
        }
        match tensor.alias {
            Some(base) => write!(f, " as {:?} of %{base}", tensor.shape),
            None => Ok(()),
        }
    }
}

/// Writes `%3 int8[1, 25, 5, 64] q(0.02, -128) "name"`.
struct Described<'a>(&'a Graph, TensorId);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensor = &self.0.tensors[self.1];
        write!(f, "{} {}{:?}", Named(self.0, self.1), tensor.dtype, tensor.shape)?;
        if let Some(Quantization { scale, zero_point }) = tensor.per_tensor() {
            write!(f, " q({scale}, {zero_point})")?;
        }
        write!(f, " {:?}", tensor.name)
    }
}

/// Returns the shape that two shapes are broadcast to; `None` if they do not fit.
pub(crate) fn broadcast_shape(a: &[u32], b: &[u32]) -> Option<Vec<u32>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[u32], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    let pair = |i| match (dim(a, i), dim(b, i)) {
        (a, b) if a == b => Some(a),
        (1, other) | (other, 1) => Some(other),
        _ => None,
    };
    (0..rank).map(pair).collect()
}

/// Returns the product of dimensions, saturating: those of a tensor without elements may be of any size.
pub(crate) fn count_of<'a>(dims: impl IntoIterator<Item = &'a u32>) -> usize {
    dims.into_iter().fold(1, |count, &dim| count.saturating_mul(dim as usize))
}

/// Returns the product of dimensions as one dimension, saturating.
pub(crate) fn dimension_of<'a>(dims: impl IntoIterator<Item = &'a u32>) -> u32 {
    u32::try_from(count_of(dims)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::count_of;

    #[test]
    fn dimensions_of_a_tensor_without_elements_may_be_of_any_size() {
        assert_eq!(count_of(&[u32::MAX, u32::MAX, u32::MAX, 0]), 0);
        assert_eq!(count_of(&[u32::MAX, u32::MAX, u32::MAX]), usize::MAX);
        assert_eq!(count_of(&[]), 1);
    }
}
