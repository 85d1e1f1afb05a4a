//! Records layers of networks that read a sequence as one step: a few positions as input, with state between the steps.
//!
//! On Candle's tensors a sequence is complete. The compiled network only reads the next positions: the number of
//! earlier positions is one state, and the keys and values of attention are another for each layer. The results are the
//! same because attention is causal.

use super::{Traced, f32_constant, numbers, plain, written};
use crate::layout::Layout;
use crate::sequence::{Attention, Embedding, RmsNorm};
use candle_core::{Result, Tensor, bail};
use std::rc::Rc;
use tealight_compiler::graph::{self, Content, ElementType, Graph, Node, NodeOp, TensorId};
use tealight_compiler::ir::{Activation, Op};
use tealight_format::Operator;
use tealight_format::ops::{AttentionF32, GatherF32, Positions, RmsNormF32, RopeF32};

/// Like [`trace`](super::trace), for a network that reads a sequence of indices, such as characters or words: records
/// what `forward` computes for its next `positions`. The input is I32 `[1, positions]`; to generate one by one,
/// `positions` is 1.
///
/// # Errors
/// As for [`trace`](super::trace).
pub fn trace_step(positions: usize, forward: impl FnOnce(&Traced) -> Result<Traced>) -> Result<Graph> {
    let dims = [1, positions];
    written(graph::Tensor::computed("input", ElementType::I32, plain(&dims)), &dims, Layout::Same, forward)
}

impl Traced {
    /// Adds a constant, or returns the existing one of that name: two layers may share a table.
    fn table(&self, table: graph::Tensor) -> Result<TensorId> {
        let mut network = self.network.borrow_mut();
        let found = network.tensors.iter().position(|one| one.is_constant() && one.name == table.name);
        match found.map(|at| (at, &network.tensors[at])) {
            Some((at, there)) if *there == table => Ok(at),
            Some(_) => bail!("there are two constants `{}`", table.name),
            None => Ok(network.add(table)),
        }
    }

    fn tensor_table(&self, name: &str, tensor: &Tensor) -> Result<TensorId> {
        self.table(f32_constant(name.to_string(), plain(tensor.dims()), &numbers(tensor)?))
    }

    /// Returns this value as a sequence `[1, positions, features]`, and the number of its positions.
    fn positions(&self, what: &str, features: usize) -> Result<usize> {
        match (self.layout, &self.dims[..]) {
            (Layout::Same, &[1, positions, found]) if found == features => Ok(positions),
            _ => bail!("{what}: its input is {:?}, not [1, positions, {features}]", self.dims),
        }
    }

    pub(super) fn gathered(&self, layer: &Embedding) -> Result<Self> {
        let name = layer.name();
        let is_number = self.network.borrow().tensors[self.value].dtype == ElementType::I32;
        let (&[n, positions], true) = (&self.dims[..], is_number) else {
            bail!("{name}: its input {:?} is not a sequence of numbers: trace the network with trace_step", self.dims);
        };
        let table = self.tensor_table(name, layer.table())?;
        let dims = vec![n, positions, layer.table().dim(1)?];
        self.node("", NodeOp::Kernel(Operator::GatherF32(GatherF32)), vec![self.value, table], dims, Layout::Same)
    }

    pub(super) fn products_with(&self, layer: &Embedding) -> Result<Self> {
        let (rows, features) = layer.table().dims2()?;
        let positions = self.positions(layer.name(), features)?;
        let table = self.tensor_table(layer.name(), layer.table())?;
        let op = NodeOp::Ir(Op::FullyConnected(Activation::None));
        self.node("", op, vec![self.value, table], vec![1, positions, rows], Layout::Same)
    }

    pub(super) fn normed(&self, layer: &RmsNorm) -> Result<Self> {
        let weight = layer.candle().weight();
        self.positions(layer.name(), weight.dim(0)?)?;
        let weight = self.tensor_table(layer.name(), weight)?;
        let op = Operator::RmsNormF32(RmsNormF32 { epsilon: layer.candle().eps() as f32 });
        self.node("", NodeOp::Kernel(op), vec![self.value, weight], self.dims.clone(), Layout::Same)
    }

    /// Returns the indices of the positions that this step reads: one node for the whole network.
    fn numbered(&self, count: usize, context: usize) -> Result<TensorId> {
        let wanted = NodeOp::Kernel(Operator::Positions(Positions { capacity: context as i32 }));
        let mut network = self.network.borrow_mut();
        let found = network.nodes.iter().find(|node| matches!(node.op, NodeOp::Kernel(Operator::Positions(_))));
        if let Some(node) = found {
            if node.op != wanted {
                bail!("attention: its context of {context} positions differs from that of the attention before it");
            }
            return Ok(node.outputs[0]);
        }
        let state = Content::State(None);
        let state = graph::Tensor { content: state, ..graph::Tensor::computed("seen", ElementType::I32, vec![1]) };
        let state = network.add(state);
        let output = network.add(graph::Tensor::computed("positions", ElementType::I32, vec![count as u32]));
        let origin = network.nodes.len();
        network.nodes.push(Node { op: wanted, inputs: vec![Some(state)], outputs: vec![output], origin });
        Ok(output)
    }

    /// Returns queries or keys rotated by their positions: `[1, positions, heads, head_len]`.
    fn turned(&self, count: usize, heads: usize, layer: &Attention, positions: TensorId) -> Result<Self> {
        let (cos, sin) = layer.angles();
        let name = |what: &str| format!("rope.{}.{what}", layer.head_len);
        let tables = [self.tensor_table(&name("cos"), cos)?, self.tensor_table(&name("sin"), sin)?];
        let dims = vec![1, count, heads, layer.head_len];
        let op = Op::Reshape { new_shape: Some(dims.iter().map(|&dim| dim as i32).collect()) };
        let split = self.node("", NodeOp::Ir(op), vec![self.value], dims.clone(), Layout::Same)?;
        let op = Operator::RopeF32(RopeF32 { heads: heads as i32, interleaved: false });
        self.node("", NodeOp::Kernel(op), vec![split.value, tables[0], tables[1], positions], dims, Layout::Same)
    }

    pub(super) fn attending(&self, keys: &Self, values: &Self, layer: &Attention) -> Result<Self> {
        if !Rc::ptr_eq(&self.network, &keys.network) || !Rc::ptr_eq(&self.network, &values.network) {
            bail!("attention: its inputs belong to different networks");
        }
        let (heads, kv_heads, len) = (layer.heads, layer.kv_heads, layer.head_len);
        let count = self.positions("attention", heads * len)?;
        for other in [keys, values] {
            if other.positions("attention", kv_heads * len)? != count {
                bail!("attention: queries are {:?}, keys or values {:?}", self.dims, other.dims);
            }
        }
        let positions = self.numbered(count, layer.context)?;
        let queries = self.turned(count, heads, layer, positions)?;
        let keys = keys.turned(count, kv_heads, layer, positions)?;
        let shape = plain(&[2, layer.context, kv_heads, len]);
        let name = format!("cache_{}", self.network.borrow().nodes.len());
        let cache =
            graph::Tensor { content: Content::State(None), ..graph::Tensor::computed(name, ElementType::F32, shape) };
        let cache = self.network.borrow_mut().add(cache);
        let op = AttentionF32 { heads: heads as i32, kv_heads: kv_heads as i32, scale: layer.scale() as f32 };
        let inputs = vec![queries.value, keys.value, values.value, positions, cache];
        self.node("", NodeOp::Kernel(Operator::AttentionF32(op)), inputs, self.dims.clone(), Layout::Same)
    }
}
