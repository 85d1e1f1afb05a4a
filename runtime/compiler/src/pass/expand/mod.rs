//! Writes operators of f32 tensors as several simpler ones, in TensorFlow Lite's order of operations.
//! Comparisons and logic are in `logic`, what moves elements in `moves`, what takes elements by index in `gather`.
//!
//! What quantization makes of them is then what it makes of each. In int8 they would round between the simpler ones, so
//! those of networks that are already quantized are computed by way of int32 (`codes`), or are left for the pass `lower` to
//! refuse.

mod codes;
pub(crate) mod detections;
pub(crate) mod gather;
mod landmarks;
mod logic;
mod moves;
mod recurrent;
mod rfft;

use crate::diag::Result;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Activation, Op, Window};
use crate::limit::Limit;
use crate::slice::{axis_of, dimension};
use std::collections::{HashMap, HashSet};
use tealight_format::ops::UnaryFunction;

/// About how many bytes a node and its output take here, without a name.
const STEP: u64 = 512;

/// The minimum of the norm that L2_NORMALIZATION divides by: a vector of zeros is divided by this.
const MIN_NORM: f32 = 1e-6;

/// Replaces the operators.
///
/// # Errors
/// A node has other operands than its operator; or the constants that are needed exceed `limit`.
pub(crate) fn expand(graph: Graph, limit: &Limit) -> Result<Graph> {
    let mut expansion =
        Expansion { graph, nodes: Vec::new(), limit, truths: HashSet::new(), complex: HashMap::new(), steps: 0 };
    for node in std::mem::take(&mut expansion.graph.nodes) {
        if expansion.logic(&node)? {
            continue;
        }
        match node.op {
            NodeOp::Ir(Op::AddN) if expansion.is_f32(&node) => expansion.add_n(&node)?,
            NodeOp::Ir(Op::AddN) if expansion.add_n_codes(&node)? => {}
            NodeOp::Ir(Op::CumSum { exclusive, reverse }) if expansion.keeps_f32(&node) => {
                expansion.cum_sum(&node, exclusive, reverse)?;
            }
            NodeOp::Ir(Op::CumSum { exclusive, reverse }) if expansion.cum_sum_codes(&node, exclusive, reverse)? => {}
            NodeOp::Ir(Op::Sum) if expansion.sum_codes(&node)? => {}
            NodeOp::Ir(Op::FloorDiv) if expansion.is_f32(&node) => expansion.floor_div(&node)?,
            NodeOp::Ir(Op::Remainder(function)) if expansion.is_f32(&node) => expansion.remainder(&node, function)?,
            NodeOp::Ir(Op::LogSoftmax) if expansion.is_f32(&node) => expansion.log_softmax(&node)?,
            NodeOp::Ir(Op::MirrorPad { symmetric }) if expansion.keeps_type(&node, 0) => {
                expansion.mirror_pad(&node, symmetric)?;
            }
            NodeOp::Ir(Op::BatchMatMul { .. }) => expansion.batch_matmul(&node)?,
            NodeOp::Ir(Op::TransformLandmarks) if expansion.is_f32(&node) => expansion.transform_landmarks(&node)?,
            NodeOp::Ir(Op::Tile) if expansion.keeps_type(&node, 0) => expansion.tile(&node)?,
            NodeOp::Ir(Op::BroadcastTo) if expansion.keeps_type(&node, 0) => expansion.broadcast_to(&node, 0)?,
            NodeOp::Ir(Op::Fill) if expansion.keeps_type(&node, 1) => expansion.broadcast_to(&node, 1)?,
            NodeOp::Ir(Op::Reverse) if expansion.keeps_type(&node, 0) => expansion.reverse(&node)?,
            NodeOp::Ir(Op::Gather { .. } | Op::GatherNd | Op::EmbeddingLookup) => {
                if !expansion.gather(&node)? {
                    expansion.nodes.push(node);
                }
            }
            NodeOp::Ir(Op::SequenceLstm { tanh, clip, time_major }) => {
                if !tanh || !expansion.sequence_lstm(&node, clip, time_major)? {
                    expansion.nodes.push(node);
                }
            }
            NodeOp::Ir(Op::L2Pool2d(window)) if expansion.is_f32(&node) => expansion.l2_pool(&node, window)?,
            NodeOp::Ir(Op::ReduceProd) if expansion.keeps_f32(&node) => expansion.product(&node)?,
            NodeOp::Ir(Op::SquaredDifference) if expansion.is_f32(&node) => expansion.squared_difference(&node)?,
            NodeOp::Ir(Op::SquaredDifference) if expansion.squared_difference_codes(&node)? => {}
            NodeOp::Ir(Op::L2Normalization(activation)) if expansion.is_f32(&node) => {
                expansion.l2_normalization(&node, activation)?;
            }
            NodeOp::Ir(Op::Detections(detections)) if node.outputs.len() == 4 => {
                expansion.detections(&node, detections)?;
            }
            NodeOp::Ir(Op::Rfft2d) if expansion.reads_f32(&node) => expansion.rfft2d(&node)?,
            NodeOp::Ir(Op::Complex(part)) if expansion.complex_part(&node, part)? => {}
            _ => expansion.nodes.push(node),
        }
    }
    let Expansion { mut graph, nodes, .. } = expansion;
    graph.nodes = nodes;
    Ok(graph)
}

struct Expansion<'a> {
    graph: Graph,
    nodes: Vec<Node>,
    /// Counts the constants that are added.
    limit: &'a Limit,
    /// Tensors of truth values, which are f32 now: 0 or 1.
    truths: HashSet<TensorId>,
    /// The steps of all recurrent layers so far.
    steps: usize,
    /// The real and the imaginary part of complex tensors.
    complex: HashMap<TensorId, [TensorId; 2]>,
}

impl Expansion<'_> {
    /// Returns whether all tensors of a node are f32.
    fn is_f32(&self, node: &Node) -> bool {
        let tensors = node.inputs.iter().flatten().chain(&node.outputs);
        tensors.copied().all(|id| self.graph.tensors[id].dtype == ElementType::F32)
    }

    /// Returns whether the first input of a node is f32.
    fn reads_f32(&self, node: &Node) -> bool {
        node.inputs.first().copied().flatten().is_some_and(|id| self.graph.tensors[id].dtype == ElementType::F32)
    }

    /// Returns whether the first input and the output of a node are f32.
    fn keeps_f32(&self, node: &Node) -> bool {
        let ends = node.inputs.first().into_iter().flatten().chain(node.outputs.first());
        ends.copied().all(|id| self.graph.tensors[id].dtype == ElementType::F32)
    }

    /// Returns whether input `k` and the output of a node are of one type that the model file has for activations.
    fn keeps_type(&self, node: &Node, k: usize) -> bool {
        let dtype = |id: TensorId| self.graph.tensors[id].dtype;
        match (node.inputs.get(k), &node.outputs[..]) {
            (Some(&Some(input)), &[output]) => {
                dtype(input) == dtype(output)
                    && dtype(input).dtype().is_some()
                    && dtype(input) != ElementType::F16
                    && self.graph.tensors[output].elements() > 0
            }
            _ => false,
        }
    }

    /// Adds an operator of `node`, and returns its output: a new tensor like `like`.
    fn apply(&mut self, node: &Node, op: Op, inputs: &[TensorId], like: TensorId) -> TensorId {
        let output = self.graph.add(self.graph.tensors[like].like());
        self.write(node, op, inputs, output);
        output
    }

    /// Adds an operator of `node` that writes `output`.
    fn write(&mut self, node: &Node, op: Op, inputs: &[TensorId], output: TensorId) {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.nodes.push(Node { op: NodeOp::Ir(op), inputs, outputs: vec![output], origin: node.origin });
    }

    /// Adds a constant of one element.
    fn constant(&mut self, name: &str, dtype: ElementType, bytes: [u8; 4]) -> Result<TensorId> {
        self.list(name, dtype, vec![1], &[bytes])
    }

    /// Adds a constant.
    fn list(&mut self, name: &str, dtype: ElementType, shape: Vec<u32>, elements: &[[u8; 4]]) -> Result<TensorId> {
        let bytes = elements.concat();
        self.limit.make(bytes.len() as u64, || format!("the constants up to `{name}`"))?;
        Ok(self.graph.add(Tensor::constant(name, dtype, shape, bytes)))
    }

    fn add_n(&mut self, node: &Node) -> Result<()> {
        let (first, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let Some(last) = node.inputs.len().checked_sub(1).filter(|&last| last > 0) else {
            self.write(node, Op::Reshape { new_shape: None }, &[first], output);
            return Ok(());
        };
        let mut sum = first;
        for k in 1..last {
            let next = self.graph.input(node, k)?;
            sum = self.apply(node, Op::Add(Activation::None), &[sum, next], output);
        }
        let next = self.graph.input(node, last)?;
        self.write(node, Op::Add(Activation::None), &[sum, next], output);
        Ok(())
    }

    /// Each step adds the sums at twice the distance, where TensorFlow Lite adds one element after another.
    fn cum_sum(&mut self, node: &Node, exclusive: bool, reverse: bool) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let axis = axis_of(&self.graph, node, 1, self.graph.tensors[input].shape.len())?;
        let length = self.graph.tensors[input].shape[axis];
        let mut sums = input;
        if exclusive {
            sums = self.moved(node, sums, axis, 1, reverse)?;
        }
        let mut distance = 1;
        while distance < length {
            let before = self.moved(node, sums, axis, distance, reverse)?;
            sums = self.apply(node, Op::Add(Activation::None), &[sums, before], input);
            distance = distance.saturating_mul(2);
        }
        self.write(node, Op::Reshape { new_shape: None }, &[sums], output);
        Ok(())
    }

    /// Adds the operators that move the elements of a tensor by `distance` along an axis, with zeros where they were,
    /// and returns the output.
    fn moved(&mut self, node: &Node, id: TensorId, axis: usize, distance: u32, reverse: bool) -> Result<TensorId> {
        // A step makes three operators and their outputs, and there are as many as the length has bits.
        let bytes = 3 * (STEP + self.graph.tensors[id].name.len() as u64);
        self.limit.make(bytes, || format!("{} as sums", self.graph.site(node)))?;
        let size = &self.graph.tensors[id].shape;
        let Some(rest) = size[axis].checked_sub(distance).filter(|&rest| rest > 0) else {
            // The bytes of 0 are the same in float32.
            let zero = self.constant("cumsum.zero", self.graph.tensors[id].dtype, [0; 4])?;
            return Ok(self.apply(node, Op::Mul(Activation::None), &[id, zero], id));
        };
        let rank = size.len();
        let from = if reverse { distance } else { 0 };
        let part = self.part(node, id, axis, from, rest)?;
        let mut pads = vec![[0; 4]; 2 * rank];
        pads[2 * axis + usize::from(reverse)] = distance.to_le_bytes();
        let pads = self.list("cumsum.pads", ElementType::I32, vec![rank as u32, 2], &pads)?;
        Ok(self.apply(node, Op::Pad, &[part, pads], id))
    }

    /// Adds the operator that takes `length` elements of a dimension, from element `from` on, and returns its output.
    fn part(&mut self, node: &Node, id: TensorId, axis: usize, from: u32, length: u32) -> Result<TensorId> {
        let mut size = self.graph.tensors[id].shape.clone();
        size[axis] = length;
        let rank = size.len();
        let mut begin = vec![[0; 4]; rank];
        begin[axis] = from.to_le_bytes();
        let sizes: Vec<[u8; 4]> = size.iter().map(|dim| dim.to_le_bytes()).collect();
        let begin = self.list("part.begin", ElementType::I32, vec![rank as u32], &begin)?;
        let sizes = self.list("part.size", ElementType::I32, vec![rank as u32], &sizes)?;
        let part = Tensor { shape: size, ..self.graph.tensors[id].like() };
        let part = self.graph.add(part);
        self.write(node, Op::Slice, &[id, begin, sizes], part);
        Ok(part)
    }

    /// Returns a tensor like `id` with one element for each vector of the last dimension, which is not in the graph yet.
    fn reduced(&self, node: &Node, id: TensorId) -> Result<Tensor> {
        let mut tensor = self.graph.tensors[id].like();
        let Some(last) = tensor.shape.last_mut() else {
            return Err(self.graph.invalid(node, "its input has no dimension"));
        };
        *last = 1;
        Ok(tensor)
    }

    /// TensorFlow Lite rounds the quotient of float64: where it is nearly a whole number, it may be one less there.
    fn floor_div(&mut self, node: &Node) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let quotient = self.apply(node, Op::Div(Activation::None), &[a, b], output);
        self.write(node, Op::Unary(UnaryFunction::Floor), &[quotient], output);
        Ok(())
    }

    /// As TensorFlow defines `floormod`: TensorFlow Lite's remainder is exact, which this is to the last bits of the
    /// first tensor.
    fn remainder(&mut self, node: &Node, function: UnaryFunction) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let quotient = self.apply(node, Op::Div(Activation::None), &[a, b], output);
        let whole = self.apply(node, Op::Unary(function), &[quotient], output);
        let multiple = self.apply(node, Op::Mul(Activation::None), &[whole, b], output);
        self.write(node, Op::Sub(Activation::None), &[a, multiple], output);
        Ok(())
    }

    /// `x - max - ln Σ e^(x - max)`, over the last dimension.
    fn log_softmax(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let one = self.reduced(node, input)?;
        let axis = self.constant("log_softmax.axis", ElementType::I32, (-1i32).to_le_bytes())?;
        let (max, sum) = (self.graph.add(one.clone()), self.graph.add(one));
        self.write(node, Op::ReduceMax, &[input, axis], max);
        let difference = self.apply(node, Op::Sub(Activation::None), &[input, max], input);
        let power = self.apply(node, Op::Unary(UnaryFunction::Exp), &[difference], input);
        self.write(node, Op::Sum, &[power, axis], sum);
        let logarithm = self.apply(node, Op::Unary(UnaryFunction::Log), &[sum], sum);
        self.write(node, Op::Sub(Activation::None), &[difference, logarithm], output);
        Ok(())
    }

    /// The square roots of the averages of squares, with the activation after them.
    fn l2_pool(&mut self, node: &Node, window: Window) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let squares = self.apply(node, Op::Unary(UnaryFunction::Square), &[input], input);
        let pool = Op::AvgPool2d(Window { activation: Activation::None, ..window });
        let averages = self.apply(node, pool, &[squares], output);
        let root = Op::Unary(UnaryFunction::Sqrt);
        let range = match window.activation {
            Activation::None => {
                self.write(node, root, &[averages], output);
                return Ok(());
            }
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::ReluN1To1 => [-1.0, 1.0],
            Activation::Relu6 => [0.0, 6.0],
            Activation::Other(_) => return Err(self.graph.unsupported(node, "no fused activation but those of ReLU")),
        };
        let roots = self.apply(node, root, &[averages], output);
        self.write(node, Op::Unary(UnaryFunction::Clamp(range)), &[roots], output);
        Ok(())
    }

    /// Along each dimension, halves are multiplied until one element is left.
    fn product(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let rank = self.graph.tensors[input].shape.len();
        let mut product = input;
        for axis in self.graph.constant_integers(node, 1)? {
            let axis = dimension(&self.graph, node, axis, rank)?;
            loop {
                let length = self.graph.tensors[product].shape[axis];
                if length <= 1 {
                    break;
                }
                let bytes = 4 * (STEP + self.graph.tensors[product].name.len() as u64);
                self.limit.make(bytes, || format!("{} as products", self.graph.site(node)))?;
                let half = length / 2;
                let first = self.part(node, product, axis, 0, half)?;
                let second = self.part(node, product, axis, half, half)?;
                let last = self.part(node, product, axis, length - 1, 1)?;
                product = self.apply(node, Op::Mul(Activation::None), &[first, second], first);
                if !length.is_multiple_of(2) {
                    product = self.joined(node, product, axis, &[product, last])?;
                }
            }
        }
        self.write(node, Op::Reshape { new_shape: None }, &[product], output);
        Ok(())
    }

    fn squared_difference(&mut self, node: &Node) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let difference = self.apply(node, Op::Sub(Activation::None), &[a, b], output);
        self.write(node, Op::Unary(UnaryFunction::Square), &[difference], output);
        Ok(())
    }

    fn l2_normalization(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let sum = self.reduced(node, input)?;
        let axis = self.constant("l2_normalization.axis", ElementType::I32, (-1i32).to_le_bytes())?;
        let minimum = self.constant("l2_normalization.minimum", ElementType::F32, MIN_NORM.to_le_bytes())?;
        let squares = self.apply(node, Op::Unary(UnaryFunction::Square), &[input], input);
        let sum = self.graph.add(sum);
        self.write(node, Op::Sum, &[squares, axis], sum);
        let norm = self.apply(node, Op::Unary(UnaryFunction::Sqrt), &[sum], sum);
        let norm = self.apply(node, Op::Maximum, &[norm, minimum], sum);
        self.write(node, Op::Div(activation), &[input, norm], output);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::expand as expand_within;
    use crate::ir::graph::{ElementType, Graph, Tensor};
    use crate::ir::{Activation, Op};
    use crate::limit::Limit;
    use crate::options::Options;
    use crate::testing::{Builder, names};
    use tealight_format::ops::UnaryFunction;

    fn expanded(op: Op, inputs: usize, dtype: ElementType) -> Graph {
        let mut b = Builder::default();
        let ids: Vec<_> = (0..=inputs).map(|_| b.graph.add(Tensor::computed("t", dtype, vec![2, 3]))).collect();
        b.node(op, &ids[..inputs], &ids[inputs..]);
        let graph = b.output(ids[inputs]);
        let limit = Limit::of(&graph, &Options::default());
        expand_within(graph, &limit).unwrap()
    }

    #[test]
    fn f32_operators_become_simpler_ones() {
        let f32 = |op, inputs| expanded(op, inputs, ElementType::F32);
        assert_eq!(names(&f32(Op::SquaredDifference, 2)), ["Sub", "Square"]);
        assert_eq!(names(&f32(Op::FloorDiv, 2)), ["Div", "Floor"]);
        assert_eq!(names(&f32(Op::Remainder(UnaryFunction::Trunc), 2)), ["Div", "Trunc", "Mul", "Sub"]);
        assert_eq!(names(&f32(Op::AddN, 1)), ["Reshape"]);
        assert_eq!(names(&f32(Op::AddN, 2)), ["Add"]);
        assert_eq!(names(&f32(Op::AddN, 4)), ["Add"; 3]);
        let norm = f32(Op::L2Normalization(Activation::Relu), 1);
        assert_eq!(names(&norm), ["Square", "Sum", "Sqrt", "Maximum", "Div"]);
        let last = norm.nodes.last().unwrap();
        assert_eq!(last.outputs, norm.outputs);
        assert_eq!(norm.tensors[last.inputs[1].unwrap()].shape, [2, 1]);
    }

    #[test]
    fn a_running_sum_takes_as_many_steps_as_its_length_has_bits() {
        let sum = |exclusive, length| {
            let mut b = Builder::default();
            let axis = b.ints(&[-1]);
            let [x, y] = [(); 2].map(|()| b.graph.add(Tensor::computed("t", ElementType::F32, vec![2, length])));
            b.node(Op::CumSum { exclusive, reverse: true }, &[x, axis], &[y]);
            let graph = b.output(y);
            let limit = Limit::of(&graph, &Options::default());
            names(&expand_within(graph, &limit).unwrap()).join(" ")
        };
        assert_eq!(sum(false, 1), "Reshape");
        assert_eq!(sum(true, 1), "Mul Reshape");
        assert_eq!(sum(false, 3), "Slice Pad Add Slice Pad Add Reshape");
        assert_eq!(sum(true, 2), "Slice Pad Slice Pad Add Reshape");
    }

    #[test]
    fn int8_operators_stay() {
        assert_eq!(names(&expanded(Op::AddN, 3, ElementType::I8)), ["AddN"]);
        assert_eq!(names(&expanded(Op::FloorDiv, 2, ElementType::I32)), ["FloorDiv"]);
        assert_eq!(names(&expanded(Op::SquaredDifference, 2, ElementType::I8)), ["SquaredDifference"]);
    }
}
