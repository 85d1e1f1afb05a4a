//! Groups tensors that must share a quantization under TensorFlow Lite's 8-bit specification.
//!
//! An operator that only moves or selects values has one quantization for its inputs and its output, so these tensors
//! have one common range. Functions with a known range have a fixed output quantization.

use super::range::Params;
use crate::diag::{Findings, Result};
use crate::ir::Op;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, TensorId};
use std::collections::HashSet;
use tealight_format::{Operator, Quantization};

/// What can be quantized, for errors. The list of operators is made from the rows of the importer and of [`Int8::of`]:
/// a test in `import/tflite/operators.rs` compares it, and writes it.
const ACCEPTED: &str =
    concat!("in int8: ", include_str!("../quantized.txt"), "; --quantize none keeps the network in float32");

/// How an operator's output is quantized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rule {
    /// By its own range; the operator has constant weights and an optional bias.
    Layer,
    /// By its own range.
    Own,
    /// Like its inputs.
    Same,
    /// Always with these parameters, as the specification prescribes.
    Fixed(Params),
}

/// Whether an operator can be quantized to int8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Int8 {
    /// Yes, by this rule.
    Always(Rule),
    /// No.
    Never,
}

impl Int8 {
    /// Returns whether `op` can be quantized, and how. All operators pass through this match, so an operator that it
    /// does not name does not compile.
    pub(crate) fn of(op: &Op) -> Self {
        use Op as T;
        Self::Always(match op {
            T::Conv2d(_) | T::DepthwiseConv2d(_) | T::FullyConnected(_) => Rule::Layer,
            T::Add(_)
            | T::Sub(_)
            | T::Mul(_)
            | T::AddN
            | T::CumSum { .. }
            | T::SquaredDifference
            | T::Mean
            | T::Relu
            | T::LeakyRelu { .. }
            | T::Prelu
            | T::HardSwish
            | T::Elu
            | T::Unary(_)
            // Its output is no float: only its input is quantized, which keeps the order of elements.
            | T::ArgMinMax { .. } => Rule::Own,
            T::Softmax { .. } | T::Logistic => Rule::Fixed(Params(Quantization::new(1.0 / 256.0, -128))),
            T::Tanh => Rule::Fixed(Params(Quantization::new(1.0 / 128.0, 0))),
            T::AvgPool2d(_)
            | T::MaxPool2d(_)
            | T::Concat { .. }
            | T::Pack { .. }
            | T::Pad
            | T::PadWith
            | T::Relu0To1
            | T::Relu6
            | T::ReluN1To1
            | T::Reshape { .. }
            | T::Squeeze { .. }
            | T::ExpandDims
            | T::Transpose
            | T::Slice
            | T::StridedSlice(_)
            | T::Split
            | T::SplitV
            | T::Unpack { .. }
            | T::DepthToSpace { .. }
            | T::SpaceToBatch
            | T::BatchToSpace
            | T::SpaceToDepth { .. }
            | T::Maximum
            | T::Minimum
            | T::ReduceMax
            | T::ReduceMin
            | T::TopK { .. }
            | T::ResizeBilinear { .. }
            | T::ResizeNearest { .. } => Rule::Same,
            T::Div(_)
            | T::BatchMatMul { .. }
            | T::BroadcastArgs
            | T::BroadcastTo
            | T::EmbeddingLookup
            | T::GatherNd
            | T::If { .. }
            | T::SequenceLstm { .. }
            | T::While { .. }
            | T::L2Pool2d(_)
            | T::Range
            | T::Rank
            | T::ReduceLogic { .. }
            | T::Reverse
            | T::Where
            | T::ZerosLike
            | T::L2Normalization(_)
            | T::Sum
            | T::ConvTranspose2d(_)
            | T::Svdf { .. }
            | T::Quantize
            | T::Convert
            | T::Dequantize
            | T::Detections(_)
            | T::Cast
            | T::Compare(_)
            | T::Complex(_)
            | T::Fill
            | T::FloorDiv
            | T::Gather { .. }
            | T::Logic(_)
            | T::LogSoftmax
            | T::MirrorPad { .. }
            | T::ReduceProd
            | T::Remainder(_)
            | T::Rfft2d
            | T::Select { .. }
            | T::Shape
            | T::Tile
            | T::AssignVariable
            | T::CallOnce { .. }
            | T::ReadVariable
            | T::VarHandle { .. }
            | T::Unknown { .. } => return Self::Never,
        })
    }
}

impl Rule {
    /// Returns the rule of `node`.
    ///
    /// # Errors
    /// The operator has no int8 form.
    pub(super) fn of(graph: &Graph, node: &Node) -> Result<Self> {
        match &node.op {
            NodeOp::Ir(op) => match Int8::of(op) {
                Int8::Always(rule) => Ok(rule),
                Int8::Never => Err(graph.unsupported(node, ACCEPTED)),
            },
            // Copies that reading and assigning a variable became.
            NodeOp::Kernel(Operator::Copy(_)) => Ok(Self::Same),
            NodeOp::Kernel(_) => Err(graph.unsupported(node, ACCEPTED)),
        }
    }
}

/// The groups of tensors with one quantization.
#[derive(Debug)]
pub(super) struct Sharing {
    parent: Vec<TensorId>,
    fixed: Vec<Option<Params>>,
}

impl Sharing {
    /// Groups the float tensors of `graph`.
    ///
    /// # Errors
    /// The graph has operators without an int8 form.
    pub(super) fn of(graph: &Graph) -> Result<Self> {
        let count = graph.tensors.len();
        let mut sharing = Self { parent: (0..count).collect(), fixed: vec![None; count] };
        let mut findings = Findings::new(ACCEPTED);
        for node in &graph.nodes {
            match Rule::of(graph, node) {
                Ok(Rule::Layer | Rule::Own) => {}
                Ok(Rule::Fixed(params)) => node.outputs.iter().for_each(|&id| sharing.fixed[id] = Some(params)),
                Ok(Rule::Same) => sharing.join(graph, node),
                Err(error) => findings.add(error),
            }
        }
        findings.result()?;
        for id in 0..count {
            sharing.shorten(id);
        }
        Ok(sharing)
    }

    /// Returns the tensor that represents the group of `id`.
    pub(super) fn root(&self, mut id: TensorId) -> TensorId {
        while self.parent[id] != id {
            id = self.parent[id];
        }
        id
    }

    /// Like [`Self::root`], and shortens the path to the root for all tensors on it.
    fn shorten(&mut self, id: TensorId) -> TensorId {
        let root = self.root(id);
        let mut at = id;
        while self.parent[at] != root {
            at = std::mem::replace(&mut self.parent[at], root);
        }
        root
    }

    /// Returns the group's quantization, if an operator prescribes it.
    pub(super) fn fixed(&self, root: TensorId) -> Option<Params> {
        self.fixed[root]
    }

    /// Merges the groups of inputs and outputs; inputs with different fixed quantizations stay separate and are
    /// converted.
    fn join(&mut self, graph: &Graph, node: &Node) {
        let inputs: Vec<TensorId> = f32_inputs(graph, node).map(|id| self.shorten(id)).collect();
        let all_alike = inputs.windows(2).all(|pair| self.fixed[pair[0]] == self.fixed[pair[1]]);
        let mut shared: Vec<TensorId> =
            inputs.into_iter().filter(|&input| all_alike || self.fixed[input].is_none()).collect();
        for &output in &node.outputs {
            // After the first output, the inputs are in only a few groups.
            let mut seen = HashSet::new();
            shared = shared.into_iter().map(|id| self.shorten(id)).filter(|&root| seen.insert(root)).collect();
            for &input in &shared {
                let (from, to) = (self.shorten(output), self.shorten(input));
                // Two functions with different fixed quantizations write the same variable.
                if self.fixed[from].is_some() && self.fixed[to].is_some() && self.fixed[from] != self.fixed[to] {
                    continue;
                }
                self.fixed[to] = self.fixed[to].or(self.fixed[from]);
                self.parent[from] = to;
            }
        }
    }
}

/// Returns the float tensors that `node` reads: computed ones and state.
pub(super) fn f32_inputs<'a>(graph: &'a Graph, node: &'a Node) -> impl Iterator<Item = TensorId> + 'a {
    node.inputs.iter().flatten().copied().filter(|&id| {
        let tensor = &graph.tensors[id];
        tensor.dtype == ElementType::F32 && !tensor.is_constant()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Activation;
    use crate::ir::graph::{Content, Tensor};
    use crate::testing::Builder;
    use tealight_format::ops;

    fn real(b: &mut Builder) -> TensorId {
        let name = format!("t{}", b.graph.tensors.len());
        b.graph.add(Tensor::computed(name, ElementType::F32, vec![1, 4]))
    }

    #[test]
    fn data_movement_shares_ranges_and_fixed_ranges_are_converted() {
        let mut b = Builder::default();
        let [x, moved, a, soft, joined, flat] = std::array::from_fn(|_| real(&mut b));
        b.node(Op::Transpose, &[x], &[moved]);
        b.node(Op::Relu, &[moved], &[a]);
        b.node(Op::Softmax { beta: 1.0 }, &[a], &[soft]);
        b.node(Op::Concat { axis: 1, activation: Activation::None }, &[a, soft], &[joined]);
        b.node(Op::Squeeze { dims: vec![] }, &[soft], &[flat]);
        let sharing = Sharing::of(&b.graph).unwrap();
        let root = |id| sharing.root(id);
        assert_eq!(root(x), root(moved));
        assert_ne!(root(moved), root(a));
        assert_eq!(root(a), root(joined));
        assert_ne!(root(joined), root(soft));
        assert_eq!(root(flat), root(soft));
        assert_eq!(sharing.fixed(root(flat)), Some(Params(Quantization::new(1.0 / 256.0, -128))));
        assert_eq!(sharing.fixed(root(joined)), None);
    }

    #[test]
    fn a_variable_shares_its_quantization_with_its_writer_and_readers() {
        let mut b = Builder::default();
        let [x, y, old, state] = std::array::from_fn(|_| real(&mut b));
        b.graph.tensors[state].content = Content::State(None);
        b.node(Operator::Copy(ops::Copy), &[state], &[old]);
        b.node(Op::Relu, &[x], &[y]);
        b.node(Operator::Copy(ops::Copy), &[y], &[state]);
        let sharing = Sharing::of(&b.graph).unwrap();
        assert_eq!(sharing.root(old), sharing.root(y));
        assert_eq!(sharing.root(state), sharing.root(y));
        assert_ne!(sharing.root(x), sharing.root(y));
    }

    #[test]
    fn the_path_to_the_root_of_a_large_group_is_short() {
        let mut b = Builder::default();
        let parts: Vec<TensorId> = (0..20_000).map(|_| real(&mut b)).collect();
        let [all, again] = std::array::from_fn(|_| real(&mut b));
        let join = Op::Concat { axis: 0, activation: Activation::None };
        b.node(join.clone(), &parts, &[all]);
        b.node(join, &parts, &[again]);
        let sharing = Sharing::of(&b.graph).unwrap();
        let root = sharing.root(parts[0]);
        assert!(parts.iter().chain([&all, &again]).all(|&id| sharing.parent[id] == root));
    }

    #[test]
    fn rejects_an_operator_without_an_int8_form() {
        let mut b = Builder::default();
        let [x, y] = std::array::from_fn(|_| real(&mut b));
        b.node(Op::Div(Activation::None), &[x, x], &[y]);
        let error = Sharing::of(&b.graph).unwrap_err().to_string();
        assert!(error.starts_with("node 0 (Div) is not supported; accepted: in int8"), "{error}");
    }
}
