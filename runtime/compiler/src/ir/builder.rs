//! Builds a graph of the model file's own operators, one line for each operator.
//!
//! For networks that do not come from TensorFlow Lite: the caller states each operator, the tensors it reads, and its
//! output. Every rule of the operators is checked when the graph is compiled, with the code that checks a model file.

use crate::diag::{CompileError, Result, Site};
use crate::ir::graph::{Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use tealight_format::ops::{BlockType, Copy};
use tealight_format::{DType, Operator};
use tealight_kernels::block;

/// A graph under construction, to which tensors and operators are added one at a time.
///
/// Names appear in messages and in the file: a constant keeps its name there
/// ([`Options::keep_names`](crate::Options::keep_names)).
///
/// ```
/// use tealight_compiler::builder::{Builder, compile_kernel_graph};
/// use tealight_compiler::Options;
/// use tealight_compiler::graph::ElementType::F32;
/// use tealight_format::Operator;
/// use tealight_format::ops::{FullyConnectedF32, UnaryF32, UnaryFunction};
///
/// // silu(w * x), without a bias.
/// let mut b = Builder::new();
/// let x = b.input("x", F32, &[1, 2]);
/// let w = b.floats("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// let product = Operator::FullyConnectedF32(FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] });
/// let y = b.op("y", product, [Some(x), Some(w), None], F32, &[1, 3]);
/// let silu = Operator::UnaryF32(UnaryF32 { function: UnaryFunction::Silu });
/// let z = b.op("z", silu, [y], F32, &[1, 3]);
/// b.output(z);
///
/// let options = Options { name: Some("small".into()), ..Options::default() };
/// let compiled = compile_kernel_graph(b.finish(), b"what the file came from", &options)?;
/// let model = tealight_format::Model::parse(&compiled.bytes)?;
/// assert_eq!((model.op_count(), model.constant_names().next()), (2, Some("w")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    graph: Graph,
}

impl Builder {
    /// Creates an empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model input.
    pub fn input(&mut self, name: &str, dtype: ElementType, shape: &[u32]) -> TensorId {
        let id = self.graph.add(Tensor::computed(name, dtype, shape.to_vec()));
        self.graph.inputs.push(id);
        id
    }

    /// Adds a constant with these little-endian bytes. [`Bytes`] and an `Arc` are shared, not copied.
    pub fn constant(&mut self, name: &str, dtype: ElementType, shape: &[u32], bytes: impl Into<Bytes>) -> TensorId {
        self.graph.add(Tensor::constant(name, dtype, shape.to_vec(), bytes))
    }

    /// Adds an F32 constant.
    pub fn floats(&mut self, name: &str, shape: &[u32], floats: &[f32]) -> TensorId {
        let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
        self.constant(name, ElementType::F32, shape, bytes)
    }

    /// Adds an I32 constant.
    pub fn integers(&mut self, name: &str, shape: &[u32], integers: &[i32]) -> TensorId {
        let bytes: Vec<u8> = integers.iter().flat_map(|integer| integer.to_le_bytes()).collect();
        self.constant(name, ElementType::I32, shape, bytes)
    }

    /// Adds a matrix `[rows, columns]` quantized to blocks: a U8 constant `[rows, row bytes]`.
    ///
    /// # Errors
    /// [`CompileError::InvalidModel`] if `columns` is not a multiple of the block's elements, or `floats` does not hold
    /// `rows * columns` finite values.
    pub fn blocks(&mut self, name: &str, of: BlockType, [rows, columns]: [u32; 2], floats: &[f32]) -> Result<TensorId> {
        let invalid = |what: String| CompileError::InvalidModel {
            site: Site::Graph,
            what: format!("constant `{name}` [{rows}, {columns}] in blocks of type {}: {what}", of.name()),
        };
        if columns == 0 || !columns.is_multiple_of(of.elements()) {
            return Err(invalid(format!("its rows are not whole blocks of {} elements", of.elements())));
        }
        if Some(floats.len()) != (rows as usize).checked_mul(columns as usize) {
            return Err(invalid(format!("it has {} elements", floats.len())));
        }
        if floats.iter().any(|float| !float.is_finite()) {
            return Err(invalid("its elements are not all finite".into()));
        }
        let row_bytes = columns / of.elements() * of.bytes();
        let mut bytes = vec![0; rows as usize * row_bytes as usize];
        block::quantize(of, floats, &mut bytes);
        Ok(self.constant(name, ElementType::U8, &[rows, row_bytes], bytes))
    }

    /// Adds state: a tensor kept from one inference to the next, zero at first and after a reset. Operators that write
    /// their state take it as an input; anything else writes it by [`assign`](Self::assign).
    pub fn state(&mut self, name: &str, dtype: ElementType, shape: &[u32]) -> TensorId {
        self.state_from(name, dtype, shape, None)
    }

    /// Adds state that starts from these little-endian bytes.
    pub fn state_with(&mut self, name: &str, dtype: ElementType, shape: &[u32], first: impl Into<Bytes>) -> TensorId {
        self.state_from(name, dtype, shape, Some(first.into()))
    }

    fn state_from(&mut self, name: &str, dtype: ElementType, shape: &[u32], first: Option<Bytes>) -> TensorId {
        let content = Content::State(first);
        self.graph.add(Tensor { content, ..Tensor::computed(name, dtype, shape.to_vec()) })
    }

    /// Adds an operator and returns its output. `None` among the inputs is an omitted optional input. Operators run in
    /// the order in which they are added, or in one with the same results.
    pub fn op<I: Into<Option<TensorId>>>(
        &mut self,
        name: &str,
        operator: Operator,
        inputs: impl IntoIterator<Item = I>,
        dtype: ElementType,
        shape: &[u32],
    ) -> TensorId {
        let output = self.graph.add(Tensor::computed(name, dtype, shape.to_vec()));
        self.node(operator, inputs.into_iter().map(Into::into).collect(), output);
        output
    }

    /// Returns the same elements under another shape with as many elements.
    ///
    /// # Errors
    /// [`CompileError::InvalidModel`] if the numbers of elements differ.
    pub fn view(&mut self, tensor: TensorId, shape: &[u32]) -> Result<TensorId> {
        let base = self.graph.base(tensor);
        let from = &self.graph.tensors[tensor];
        let view = Tensor { shape: shape.to_vec(), alias: Some(base), ..from.clone() };
        if view.elements() != from.elements() {
            let what = format!("a view {shape:?} of `{}` {:?} must have as many elements", from.name, from.shape);
            return Err(CompileError::InvalidModel { site: Site::Graph, what });
        }
        Ok(self.graph.add(view))
    }

    /// Copies `from` into the state `to`, of the same number of bytes, at this point of the order.
    pub fn assign(&mut self, from: TensorId, to: TensorId) {
        self.node(Operator::Copy(Copy), vec![Some(from)], to);
    }

    /// Makes `tensor` a model output.
    pub fn output(&mut self, tensor: TensorId) {
        self.graph.outputs.push(tensor);
    }

    /// Returns the description of `tensor`.
    pub fn tensor(&self, tensor: TensorId) -> &Tensor {
        &self.graph.tensors[tensor]
    }

    /// Returns the graph, to be compiled by [`compile_kernel_graph`](crate::builder::compile_kernel_graph).
    pub fn finish(self) -> Graph {
        self.graph
    }

    fn node(&mut self, operator: Operator, inputs: Vec<Option<TensorId>>, output: TensorId) {
        let origin = self.graph.nodes.len();
        self.graph.nodes.push(Node { op: NodeOp::Kernel(operator), inputs, outputs: vec![output], origin });
    }
}

impl From<DType> for ElementType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::I8 => Self::I8,
            DType::U8 => Self::U8,
            DType::I16 => Self::I16,
            DType::I32 => Self::I32,
            DType::F32 => Self::F32,
            DType::F16 => Self::F16,
            DType::I4 => Self::I4,
        }
    }
}
