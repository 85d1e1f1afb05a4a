//! Small graphs for the tests of the passes.

use crate::diag::Result;
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId, TensorQuantization};
use crate::ir::{Activation, Padding, Window};
use crate::limit::Limit;
use crate::options::Options;
use tealight_format::Quantization;

/// A graph under construction, with one call for each operator.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) graph: Graph,
}

pub(crate) fn quantized(scale: f32, zero_point: i32) -> Option<TensorQuantization> {
    Some(Quantization::new(scale, zero_point).into())
}

impl Builder {
    /// An int8 tensor with scale 0.5 and zero point 3.
    pub(crate) fn int8(&mut self, shape: &[u32]) -> TensorId {
        self.int8_with(shape, 0.5, 3)
    }

    pub(crate) fn int8_with(&mut self, shape: &[u32], scale: f32, zero_point: i32) -> TensorId {
        let name = format!("t{}", self.graph.tensors.len());
        let mut tensor = Tensor::computed(name, ElementType::I8, shape.to_vec());
        tensor.quantization = quantized(scale, zero_point);
        self.graph.add(tensor)
    }

    pub(crate) fn input(&mut self, shape: &[u32]) -> TensorId {
        let id = self.int8(shape);
        self.graph.inputs.push(id);
        id
    }

    /// An int32 constant of one dimension.
    pub(crate) fn ints(&mut self, values: &[i32]) -> TensorId {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.add(Tensor::constant("ints", ElementType::I32, vec![values.len() as u32], bytes))
    }

    /// An int8 constant with scale 0.25 and zero point 0.
    pub(crate) fn weights(&mut self, shape: &[u32], values: &[i8]) -> TensorId {
        let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
        let mut tensor = Tensor::constant("weights", ElementType::I8, shape.to_vec(), bytes);
        tensor.quantization = quantized(0.25, 0);
        self.graph.add(tensor)
    }

    pub(crate) fn f32(&mut self, shape: &[u32]) -> TensorId {
        self.graph.add(Tensor::computed("f32", ElementType::F32, shape.to_vec()))
    }

    pub(crate) fn f32_constant(&mut self, shape: &[u32], values: &[f32]) -> TensorId {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.add(Tensor::constant("f32 constant", ElementType::F32, shape.to_vec(), bytes))
    }

    pub(crate) fn int32(&mut self, shape: &[u32]) -> TensorId {
        self.graph.add(Tensor::computed("int32", ElementType::I32, shape.to_vec()))
    }

    pub(crate) fn state(&mut self, shape: &[u32]) -> TensorId {
        let id = self.int8(shape);
        self.graph.tensors[id].content = Content::State(None);
        id
    }

    pub(crate) fn node(&mut self, op: impl Into<NodeOp>, inputs: &[TensorId], outputs: &[TensorId]) {
        let origin = self.graph.nodes.len();
        let inputs = inputs.iter().copied().map(Some).collect();
        self.graph.nodes.push(Node { op: op.into(), inputs, outputs: outputs.to_vec(), origin });
    }

    pub(crate) fn output(mut self, id: TensorId) -> Graph {
        self.graph.outputs.push(id);
        self.graph
    }
}

pub(crate) fn window(padding: Padding, stride: i32) -> Window {
    Window {
        padding,
        stride: [stride; 2],
        dilation: [1, 1],
        size: [0, 0],
        explicit: [0; 4],
        activation: Activation::None,
    }
}

/// Runs the pass `lower` with the limit for a graph of this size.
pub(crate) fn lower(graph: Graph) -> Result<Graph> {
    let limit = Limit::of(&graph, &Options::default());
    crate::lower::lower(graph, &limit)
}

/// The names of the operators, in order.
pub(crate) fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}
