//! How each operator of a network is quantized, or that it is not.

use super::range::{Activations, Params};
use crate::diag::{Findings, Result};
use crate::ir::Op;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, TensorId};
use crate::lower::{self, Row};
use crate::names::layer_name;
use std::collections::{HashMap, HashSet};
use tealight_format::ops::MAX_AVERAGED_I16;
use tealight_format::{Operator, Quantization};

/// What can be quantized, for errors. The list of operators is made from the rows of the importer and of [`Int8::of`]:
/// a test in `import/tflite/operators.rs` compares it, and writes it.
pub(super) const ACCEPTED: &str =
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
    /// Not: the operator computes in float32, between conversions.
    Float,
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
        let fixed =
            |scale, zero_point| Rule::Fixed(Params::new(Quantization::new(scale, zero_point), Activations::Int8));
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
            T::Softmax { .. } | T::Logistic => fixed(1.0 / 256.0, -128),
            T::Tanh => fixed(1.0 / 128.0, 0),
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
            | T::LandmarksToTransform(_)
            | T::MaxPoolIndices(_)
            | T::MaxUnpool(_)
            | T::TransformBilinear
            | T::TransformLandmarks
            | T::Cast
            | T::Compare(_)
            | T::Complex(_)
            | T::Fill
            | T::FloorDiv
            | T::Pow
            | T::Gather { .. }
            | T::Logic(_)
            | T::LogSoftmax
            | T::MirrorPad { .. }
            | T::ReduceProd
            | T::Remainder(_)
            | T::Rfft2d
            | T::Select { .. }
            | T::Shape
            | T::Signal(_)
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
    fn of(graph: &Graph, node: &Node, activations: Activations) -> Self {
        match &node.op {
            NodeOp::Ir(op) => match (activations, Int8::of(op)) {
                (_, Int8::Never) => Self::Float,
                (Activations::Int8, Int8::Always(rule)) => rule,
                (Activations::Int16, Int8::Always(_)) if !has_int16(graph, node, op) => Self::Float,
                (Activations::Int16, Int8::Always(Self::Fixed(_))) => {
                    Self::Fixed(Params::new(Quantization::new(1.0 / 32_768.0, 0), activations))
                }
                (Activations::Int16, Int8::Always(rule)) => rule,
            },
            // Copies that reading and assigning a variable became.
            NodeOp::Kernel(Operator::Copy(_)) => Self::Same,
            NodeOp::Kernel(_) => Self::Float,
        }
    }
}

/// Returns whether the operator `op` of `node` has a form for int16 tensors that takes these operands.
fn has_int16(graph: &Graph, node: &Node, op: &Op) -> bool {
    let elements = |id: Option<TensorId>| id.map_or(0, |id| graph.tensors[id].elements());
    let fits = |averaged: usize| averaged <= MAX_AVERAGED_I16 as usize;
    let takes = match op {
        Op::LeakyRelu { alpha } => *alpha >= 0.0,
        Op::AvgPool2d(window) | Op::MaxPool2d(window) => {
            let [height, width] = window.size.map(|size| usize::try_from(size).unwrap_or(0));
            fits(height.saturating_mul(width))
        }
        Op::Mean => {
            let (input, output) = (node.inputs.first().copied().flatten(), node.outputs.first().copied());
            fits(elements(input) / elements(output).max(1))
        }
        _ => true,
    };
    takes && matches!(lower::row(op), Row::All { .. } | Row::AnyType(_) | Row::View)
}

/// The rule of each node of a graph.
#[derive(Debug)]
pub(super) struct Rules {
    /// What activations are quantized to.
    pub(super) activations: Activations,
    /// The rules, by the index of the node.
    pub(super) of: Vec<Rule>,
    /// The f32 tensors that stay so: what operators in float write, states that they read, and inputs that nothing else
    /// reads.
    pub(super) float: HashSet<TensorId>,
}

impl Rules {
    /// Returns the rules of the nodes of `graph`.
    ///
    /// A state that an operator in float reads or writes is float; so is then every operator that writes it.
    pub(super) fn of(graph: &Graph, activations: Activations) -> Self {
        let mut of: Vec<Rule> = graph.nodes.iter().map(|node| Rule::of(graph, node, activations)).collect();
        let is_f32 = |id: &TensorId| graph.tensors[*id].dtype == ElementType::F32;
        let mut writers: HashMap<TensorId, Vec<usize>> = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            for &id in node.outputs.iter().filter(|&&id| graph.tensors[id].is_state()) {
                writers.entry(id).or_default().push(at);
            }
        }
        let mut float = HashSet::new();
        let mut todo: Vec<usize> = (0..of.len()).filter(|&at| of[at] == Rule::Float).collect();
        while let Some(at) = todo.pop() {
            let node = &graph.nodes[at];
            let states = f32_inputs(graph, node).filter(|&id| graph.tensors[id].is_state());
            for id in states.chain(node.outputs.iter().copied().filter(is_f32)) {
                if float.insert(id) {
                    let others = writers.get(&id).into_iter().flatten().filter(|&&at| of[at] != Rule::Float);
                    let others: Vec<usize> = others.copied().collect();
                    others.iter().for_each(|&at| of[at] = Rule::Float);
                    todo.extend(others);
                }
            }
        }
        let mut quantized: HashSet<TensorId> = graph.outputs.iter().copied().collect();
        let mut read = HashSet::new();
        for (node, rule) in graph.nodes.iter().zip(&of) {
            let reads = if *rule == Rule::Float { &mut read } else { &mut quantized };
            reads.extend(f32_inputs(graph, node));
        }
        float.extend(graph.inputs.iter().copied().filter(|id| read.contains(id) && !quantized.contains(id)));
        Self { activations, of, float }
    }

    /// Returns the operators that compute in float32 as they have no quantized form: name and kind of each.
    pub(super) fn in_float(&self, graph: &Graph) -> Vec<(String, String)> {
        let is_f32 = |id: &TensorId| graph.tensors[*id].dtype == ElementType::F32;
        let computes = |node: &Node| {
            !matches!(node.op, NodeOp::Kernel(Operator::Copy(_)))
                && (node.outputs.iter().any(is_f32) || f32_inputs(graph, node).next().is_some())
        };
        let nodes = graph.nodes.iter().zip(&self.of).filter(|(node, rule)| **rule == Rule::Float && computes(node));
        nodes.map(|(node, _)| (layer_name(graph, node), node.op.name().to_string())).collect()
    }

    /// Checks that there is something to quantize.
    ///
    /// # Errors
    /// Every operator would stay in float.
    pub(super) fn check(&self, graph: &Graph) -> Result<()> {
        if self.of.iter().any(|rule| *rule != Rule::Float) {
            return Ok(());
        }
        let mut findings = Findings::new(ACCEPTED);
        graph.nodes.iter().for_each(|node| findings.add(graph.unsupported(node, ACCEPTED)));
        findings.result()
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
    fn what_operators_in_float_write_stays_float_and_so_do_inputs_that_only_they_read() {
        let mut b = Builder::default();
        let [x, other, quotient, y] = std::array::from_fn(|_| real(&mut b));
        b.graph.inputs = vec![x, other];
        b.node(Op::Div(Activation::None), &[x, other], &[quotient]);
        b.node(Op::Add(Activation::None), &[quotient, other], &[y]);
        for activations in [Activations::Int8, Activations::Int16] {
            let rules = Rules::of(&b.graph, activations);
            assert_eq!(rules.of, [Rule::Float, Rule::Own]);
            assert_eq!(rules.float, HashSet::from([x, quotient]));
            assert_eq!(rules.in_float(&b.graph).len(), 1);
            assert!(rules.check(&b.graph).is_ok());
        }
    }

    #[test]
    fn a_network_without_quantized_operators_is_refused() {
        let mut b = Builder::default();
        let [x, y] = std::array::from_fn(|_| real(&mut b));
        b.node(Op::Div(Activation::None), &[x, x], &[y]);
        let error = Rules::of(&b.graph, Activations::Int8).check(&b.graph).unwrap_err().to_string();
        assert!(error.starts_with("node 0 (Div) is not supported; accepted: in int8"), "{error}");
    }

    #[test]
    fn a_state_is_float_if_an_operator_in_float_uses_it_and_so_are_its_writers() {
        let mut b = Builder::default();
        let [x, y, state, z, shown] = std::array::from_fn(|_| real(&mut b));
        b.graph.tensors[state].content = Content::State(None);
        b.node(Op::Relu, &[x], &[y]);
        b.node(Operator::Copy(ops::Copy), &[y], &[state]);
        b.node(Op::Div(Activation::None), &[state, y], &[z]);
        b.node(Operator::Copy(ops::Copy), &[state], &[shown]);
        let rules = Rules::of(&b.graph, Activations::Int8);
        assert_eq!(rules.of, [Rule::Own, Rule::Float, Rule::Float, Rule::Same]);
        assert_eq!(rules.float, HashSet::from([state, z]));
        assert_eq!(rules.in_float(&b.graph).len(), 1);
    }

    #[test]
    fn operators_without_an_int16_form_are_float_in_16x8() {
        let mut b = Builder::default();
        let [x, y, z, w] = std::array::from_fn(|_| real(&mut b));
        b.node(Op::HardSwish, &[x], &[y]);
        b.node(Op::LeakyRelu { alpha: -0.1 }, &[y], &[z]);
        b.node(Op::Tanh, &[z], &[w]);
        let fixed = Rule::Fixed(Params::new(Quantization::new(1.0 / 32_768.0, 0), Activations::Int16));
        assert_eq!(Rules::of(&b.graph, Activations::Int16).of, [Rule::Float, Rule::Float, fixed]);
        let fixed = Rule::Fixed(Params::new(Quantization::new(1.0 / 128.0, 0), Activations::Int8));
        assert_eq!(Rules::of(&b.graph, Activations::Int8).of, [Rule::Own, Rule::Own, fixed]);
    }
}
