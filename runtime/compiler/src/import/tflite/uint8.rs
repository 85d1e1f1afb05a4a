//! Networks of older converters, whose activations and weights are uint8, as int8 networks with the same results.
//!
//! A code and a zero point that are both 128 less stand for the same value, so tensors become int8 by the highest bit of
//! each code. What the network takes and returns stays uint8. Three things differ between the two types:
//!
//! - Weights of uint8 have any zero point, where kernels for int8 need 0. Codes less their zero point have 9 bits: where
//!   they fit in 8, they become the weights. A fully connected layer takes a zero point, and a convolution of single
//!   pixels is one. Any other layer reads its input twice or three times, with a part of each weight: the parts add up
//!   to it.
//! - The product of an input's and the weights' scale is rounded to f32 ([`Graph::f32_products`]).
//! - Some operators round otherwise: averages and RESIZE_BILINEAR to the nearest code, halves up, so they are computed in
//!   f32 from the codes; functions as tables that TensorFlow Lite computes in f32.
//!
//! The reference is LiteRT: TensorFlow Lite Micro has no kernels for uint8.

use crate::diag::{Findings, Result};
use crate::ir::graph::{Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId, TensorQuantization};
use crate::ir::{Activation, Op, Padding, Window};
use crate::limit::Limit;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tealight_format::ops::{Function, Lookup, UnaryFunction};
use tealight_format::{Operator, Quantization};
use tealight_kernels::quant::quantize_multiplier;
use tealight_kernels::unary::{self, Rescale};

/// What is accepted in such a network, for errors.
const ACCEPTED: &str = "in uint8: convolutions, fully connected layers, poolings, ADD, SUB, MUL, SOFTMAX, LOGISTIC, \
                        TANH, RELU, resizes, and operators that move elements";

/// The code that becomes 0.
const MIDDLE: i32 = 128;

/// The quantization in which values are the uint8 codes themselves.
const CODES: Quantization = Quantization::new(1.0, -MIDDLE);

/// Makes the quantized uint8 tensors of `graph` int8, if it computes with them.
///
/// # Errors
/// Lists the operators that have no int8 form with the same results; or the constants that are needed exceed `limit`.
pub(crate) fn to_int8(graph: &mut Graph, limit: &Limit) -> Result<()> {
    let is_code = |graph: &Graph, id: TensorId| {
        let tensor = &graph.tensors[id];
        tensor.dtype == ElementType::U8 && tensor.quantization.is_some()
    };
    let computes = |node: &Node| {
        matches!(kind(node), Kind::Computes)
            && node.inputs.first().copied().flatten().is_some_and(|id| is_code(graph, id))
    };
    if !graph.nodes.iter().any(computes) {
        return Ok(());
    }
    let mut findings = Findings::new(ACCEPTED);
    for node in &graph.nodes {
        let mut operands = node.inputs.iter().flatten().chain(&node.outputs).copied();
        let is_state = |id: TensorId| is_code(graph, id) && graph.tensors[id].is_state();
        let refused = match (kind(node), &node.op) {
            (Kind::Unknown, _) => false,
            (Kind::Other, _) => operands.any(|id| is_code(graph, id)),
            // Products of int8 layers are not rounded to f32.
            (Kind::Computes, NodeOp::Ir(op)) if op.has_weights() || matches!(op, Op::Mul(_)) => {
                operands.any(|id| graph.tensors[id].dtype == ElementType::I8 || is_state(id))
            }
            _ => operands.any(is_state),
        };
        if refused {
            findings.add(graph.unsupported(node, ACCEPTED));
        }
    }
    findings.result()?;
    let nodes = std::mem::take(&mut graph.nodes);
    let mut rewriting = Rewriting { graph, nodes: Vec::with_capacity(nodes.len()), limit, split: 0 };
    let inside = rewriting.convert_tensors(&nodes)?;
    for node in nodes {
        rewriting.node(node, &inside)?;
    }
    let Rewriting { nodes, split, .. } = rewriting;
    graph.nodes = nodes;
    graph.f32_products = true;
    graph.notes.push("the uint8 network is computed in int8, with the results of uint8".into());
    if split > 0 {
        graph.notes.push(format!(
            "{split} convolutions read their input twice or more: their uint8 weights, less their zero point, do not fit \
             in int8"
        ));
    }
    Ok(())
}

/// What a node is to a uint8 network.
enum Kind {
    /// It computes with codes.
    Computes,
    /// It moves codes, or converts them from or to something else.
    Moves,
    /// It has no int8 form with the results of uint8.
    Other,
    /// The compiler does not know it, and will report that.
    Unknown,
}

fn kind(node: &Node) -> Kind {
    let NodeOp::Ir(op) = &node.op else { return Kind::Moves };
    match op {
        Op::Conv2d(_)
        | Op::DepthwiseConv2d(_)
        | Op::FullyConnected(_)
        | Op::Add(_)
        | Op::Sub(_)
        | Op::Mul(_)
        | Op::AvgPool2d(_)
        | Op::MaxPool2d(_)
        | Op::Softmax { .. }
        | Op::Logistic
        | Op::Tanh
        | Op::Relu
        | Op::Relu6
        | Op::ReluN1To1
        | Op::ResizeBilinear { .. } => Kind::Computes,
        Op::ArgMinMax { .. }
        | Op::BatchToSpace
        | Op::BroadcastTo
        | Op::Concat { .. }
        | Op::DepthToSpace { .. }
        | Op::Dequantize
        | Op::ExpandDims
        | Op::Gather { .. }
        | Op::GatherNd
        | Op::MirrorPad { .. }
        | Op::Pack { .. }
        | Op::Pad
        | Op::PadWith
        | Op::Quantize
        | Op::Reshape { .. }
        | Op::ResizeNearest { .. }
        | Op::Reverse
        | Op::Shape
        | Op::Slice
        | Op::SpaceToBatch
        | Op::SpaceToDepth { .. }
        | Op::Split
        | Op::SplitV
        | Op::Squeeze { .. }
        | Op::StridedSlice(_)
        | Op::Tile
        | Op::Transpose
        | Op::Unpack { .. } => Kind::Moves,
        Op::Unknown { .. } => Kind::Unknown,
        _ => Kind::Other,
    }
}

/// A graph whose uint8 tensors are becoming int8.
struct Rewriting<'a> {
    graph: &'a mut Graph,
    /// The new nodes.
    nodes: Vec<Node>,
    /// Counts the constants that are added.
    limit: &'a Limit,
    /// The number of layers whose weights are in parts.
    split: usize,
}

impl Rewriting<'_> {
    /// Makes all quantized uint8 tensors int8 but those that the network takes and returns; of these, returns the int8
    /// tensor that takes the place of each inside. Adds the conversions of inputs.
    fn convert_tensors(&mut self, nodes: &[Node]) -> Result<HashMap<TensorId, TensorId>> {
        let interface: Vec<TensorId> = self.graph.inputs.iter().chain(&self.graph.outputs).copied().collect();
        let mut inside = HashMap::new();
        let mut converted: HashMap<usize, Bytes> = HashMap::new();
        for id in 0..self.graph.tensors.len() {
            let tensor = &self.graph.tensors[id];
            let Some(quantization) = tensor.quantization.clone().filter(|_| tensor.dtype == ElementType::U8) else {
                continue;
            };
            let zero_points = quantization.zero_points.iter().map(|zero_point| zero_point - MIDDLE).collect();
            let mut int8 = Tensor {
                dtype: ElementType::I8,
                quantization: Some(TensorQuantization { zero_points, ..quantization }),
                ..tensor.clone()
            };
            if let Content::Constant(bytes) = &tensor.content {
                let codes = match converted.entry(bytes.identity()) {
                    Entry::Occupied(codes) => codes.into_mut(),
                    Entry::Vacant(codes) => {
                        self.limit.make(bytes.len() as u64, || format!("the codes of `{}`", tensor.name))?;
                        codes.insert(bytes.iter().map(|byte| byte ^ 0x80).collect::<Vec<u8>>().into())
                    }
                };
                int8.content = Content::Constant(codes.clone());
            }
            if interface.contains(&id) {
                inside.insert(id, self.graph.add(int8));
            } else {
                self.graph.tensors[id] = int8;
            }
        }
        for id in self.graph.inputs.clone() {
            if let Some(&int8) = inside.get(&id) {
                let reads = |node: &&Node| node.inputs.contains(&Some(id));
                let origin = nodes.iter().find(reads).map_or(0, |node| node.origin);
                self.push(Op::Quantize, &[id], int8, origin);
            }
        }
        Ok(inside)
    }

    fn push(&mut self, op: impl Into<NodeOp>, inputs: &[TensorId], output: TensorId, origin: usize) {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.nodes.push(Node { op: op.into(), inputs, outputs: vec![output], origin });
    }

    /// Adds the operators that a node becomes, and the conversions of what the network returns.
    fn node(&mut self, mut node: Node, inside: &HashMap<TensorId, TensorId>) -> Result<()> {
        let mut returned = Vec::new();
        for id in node.inputs.iter_mut().flatten() {
            *id = inside.get(id).copied().unwrap_or(*id);
        }
        for id in &mut node.outputs {
            if let Some(&int8) = inside.get(id) {
                returned.push((int8, std::mem::replace(id, int8)));
            }
        }
        let origin = node.origin;
        self.rewrite(node)?;
        for (int8, output) in returned {
            self.push(Op::Quantize, &[int8], output, origin);
        }
        Ok(())
    }

    /// Adds the int8 operators that have the results of a uint8 operator.
    fn rewrite(&mut self, node: Node) -> Result<()> {
        let (&[Some(input), ..], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
            self.nodes.push(node);
            return Ok(());
        };
        let is_int8 = |id: TensorId| self.graph.tensors[id].dtype == ElementType::I8;
        let NodeOp::Ir(op) = node.op.clone() else {
            self.nodes.push(node);
            return Ok(());
        };
        if !is_int8(input) || !is_int8(output) {
            self.nodes.push(node);
            return Ok(());
        }
        match op {
            Op::Conv2d(window) => self.conv2d(node, window),
            Op::DepthwiseConv2d(window) => self.depthwise_conv2d(node, window),
            Op::FullyConnected(_) => self.fully_connected(node),
            Op::AvgPool2d(window) if self.has_ties(&window, input) => {
                let pool = Op::AvgPool2d(Window { activation: Activation::None, ..window });
                let clamps = match window.activation {
                    Activation::None => None,
                    Activation::Relu => Some(Op::Relu),
                    Activation::Relu6 => Some(Op::Relu6),
                    Activation::ReluN1To1 => Some(Op::ReluN1To1),
                    Activation::Other(_) => {
                        self.nodes.push(node);
                        return Ok(());
                    }
                };
                let Some(clamp) = clamps else { return self.of_codes(&node, pool, false, output) };
                let average = self.graph.add(self.graph.tensors[output].like());
                self.of_codes(&node, pool, false, average)?;
                self.push(clamp, &[average], output, node.origin);
                Ok(())
            }
            Op::ResizeBilinear { .. } => self.of_codes(&node, op, true, output),
            Op::Logistic => self.replace(node, Op::Unary(UnaryFunction::Logistic)),
            Op::Tanh => self.replace(node, Op::Unary(UnaryFunction::Tanh)),
            Op::Relu => self.clamp(node, [0.0, f32::INFINITY]),
            Op::Relu6 => self.clamp(node, [0.0, 6.0]),
            Op::ReluN1To1 => self.clamp(node, [-1.0, 1.0]),
            Op::Concat { .. } => self.concat(node, output),
            Op::SpaceToBatch => self.space_to_batch(node, input),
            _ => {
                self.nodes.push(node);
                Ok(())
            }
        }
    }

    fn replace(&mut self, node: Node, op: Op) -> Result<()> {
        self.nodes.push(Node { op: op.into(), ..node });
        Ok(())
    }

    /// Adds a tensor like `like` in another shape.
    fn shaped(&mut self, like: TensorId, shape: Vec<u32>) -> TensorId {
        let tensor = Tensor { shape, ..self.graph.tensors[like].like() };
        self.graph.add(tensor)
    }

    /// Adds a reshape, and returns its output.
    fn reshape(&mut self, node: &Node, input: TensorId, shape: Vec<u32>) -> TensorId {
        let output = self.shaped(input, shape);
        self.push(Op::Reshape { new_shape: None }, &[input], output, node.origin);
        output
    }

    /// Adds a table of a function of int8 codes.
    fn table(
        &mut self,
        node: &Node,
        [input, output]: [TensorId; 2],
        name: Function,
        f: impl Fn(i32) -> i32,
    ) -> Result<()> {
        let table: Vec<u8> = (0..=u8::MAX).map(|byte| f(byte.cast_signed().into()) as u8).collect();
        let name_of = format!("{}.codes", self.graph.tensors[output].name);
        self.limit.make((table.len() + name_of.len()) as u64, || format!("the constants up to `{name_of}`"))?;
        let table = self.graph.add(Tensor::constant(name_of, ElementType::U8, vec![256], table));
        self.push(Operator::Lookup(Lookup { function: name }), &[input, table], output, node.origin);
        Ok(())
    }

    /// Returns whether an average of this window can be between two codes: if it is of an even number of them. Windows
    /// over the border are of fewer.
    fn has_ties(&self, window: &Window, input: TensorId) -> bool {
        let [height, width] = window.size;
        let is_inside = match (window.padding, &self.graph.tensors[input].shape[..]) {
            (Padding::Valid, _) => true,
            (Padding::Same, &[_, rows, columns, _]) => {
                [(rows, height, window.stride[0]), (columns, width, window.stride[1])].into_iter().all(
                    |(side, size, stride)| {
                        let (side, size, stride) = (i64::from(side), i64::from(size), i64::from(stride.max(1)));
                        ((side + stride - 1) / stride - 1) * stride + size <= side
                    },
                )
            }
            _ => false,
        };
        !(is_inside && height % 2 == 1 && width % 2 == 1)
    }

    /// Adds an operator with the first input's codes as f32 numbers, whose results are rounded to the nearest codes: of
    /// the sum with 0.5, downwards, or at once, halves away from 0. Codes are not negative.
    fn of_codes(&mut self, node: &Node, op: Op, adds_half: bool, output: TensorId) -> Result<()> {
        let input = self.graph.input(node, 0)?;
        let f32 = |like: &Tensor| Tensor::computed(like.name.clone(), ElementType::F32, like.shape.clone());
        let codes = |like: &Tensor| Tensor { quantization: Some(CODES.into()), ..like.like() };
        let [from, to] = [input, output].map(|id| codes(&self.graph.tensors[id]));
        let [from_f32, to_f32] = [f32(&from), f32(&to)];
        let [from, to, from_f32, mut result] =
            [from, to, from_f32, to_f32.clone()].map(|tensor| self.graph.add(tensor));
        self.table(node, [input, from], Function::Requantize, |code| code)?;
        self.push(Op::Dequantize, &[from], from_f32, node.origin);
        let mut inputs = node.inputs.clone();
        inputs[0] = Some(from_f32);
        self.nodes.push(Node { op: op.into(), inputs, outputs: vec![result], origin: node.origin });
        if adds_half {
            let half = Tensor::constant("uint8.half", ElementType::F32, vec![1], 0.5f32.to_le_bytes().to_vec());
            let half = self.graph.add(half);
            let [sum, floor] = [to_f32.clone(), to_f32].map(|tensor| self.graph.add(tensor));
            self.push(Op::Add(Activation::None), &[result, half], sum, node.origin);
            self.push(Op::Unary(UnaryFunction::Floor), &[sum], floor, node.origin);
            result = floor;
        }
        self.push(Op::Quantize, &[result], to, node.origin);
        self.table(node, [to, output], Function::Requantize, |code| code)
    }

    /// RELU and its like: TensorFlow Lite's `QuantizedReluX`, of a quotient of scales in f32.
    fn clamp(&mut self, node: Node, bounds: [f32; 2]) -> Result<()> {
        let (input, output) = (self.graph.input(&node, 0)?, self.graph.output(&node)?);
        let (Some(from), Some(to)) = (self.graph.tensors[input].per_tensor(), self.graph.tensors[output].per_tensor())
        else {
            self.nodes.push(node);
            return Ok(());
        };
        if from == to || from.scale <= 0.0 || to.scale <= 0.0 {
            self.nodes.push(node);
            return Ok(());
        }
        let (multiplier, shift) = quantize_multiplier(f64::from(from.scale / to.scale));
        if shift > 30 {
            return Err(self.graph.invalid(&node, "its scales are too far apart"));
        }
        let range = bounds.map(|bound| i32::from(to.quantize(bound)));
        let (input_zero_point, output_zero_point) = (from.zero_point, to.zero_point);
        let p = Rescale { input_zero_point, output_zero_point, multiplier, shift, range };
        self.table(&node, [input, output], Function::Relu, |code| unary::requantize(&p, code))
    }

    /// TensorFlow Lite's `ConcatenationWithScaling`: inputs of another quantization are converted in f32.
    fn concat(&mut self, mut node: Node, output: TensorId) -> Result<()> {
        let Some(to) = self.graph.tensors[output].per_tensor() else {
            self.nodes.push(node);
            return Ok(());
        };
        for k in 0..node.inputs.len() {
            let Some(input) = node.inputs[k] else { continue };
            let Some(from) = self.graph.tensors[input].per_tensor() else { continue };
            // Constants and scales of 0 are converted by a later pass.
            if from == to || from.scale <= 0.0 || to.scale <= 0.0 || self.graph.tensors[input].is_constant() {
                continue;
            }
            let [from_zero, to_zero] = [from, to].map(|q| q.zero_point + MIDDLE);
            let scale = from.scale * (1.0 / to.scale);
            let bias = -(from_zero as f32) * scale;
            let converted = Tensor { quantization: Some(to.into()), ..self.graph.tensors[input].like() };
            let converted = self.graph.add(converted);
            self.table(&node, [input, converted], Function::Requantize, |code| {
                let steps = ((code + MIDDLE) as f32 * scale + bias).round() as i32;
                steps.saturating_add(to_zero).clamp(0, 255) - MIDDLE
            })?;
            node.inputs[k] = Some(converted);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// SPACE_TO_BATCH_ND after the PAD that it contains: around int8 images, TensorFlow Lite Micro adds the code 0, and
    /// LiteRT the zero point, as for uint8.
    fn space_to_batch(&mut self, mut node: Node, input: TensorId) -> Result<()> {
        let pads = self.graph.constant_integers(&node, 2)?;
        let shape = &self.graph.tensors[input].shape;
        // They are those of the dimensions after the batch.
        let padded = |dim: usize| dim.checked_sub(1).and_then(|k| pads.get(2 * k..2 * k + 2)).unwrap_or(&[0, 0]);
        let lengths = shape.iter().enumerate().map(|(dim, &length)| {
            let pads = padded(dim).iter().map(|&pad| u32::try_from(pad).ok());
            pads.into_iter().try_fold(length, |length, pad| length.checked_add(pad?))
        });
        let Some(lengths) = lengths.collect::<Option<Vec<u32>>>().filter(|lengths| lengths != shape) else {
            self.nodes.push(node);
            return Ok(());
        };
        let all: Vec<u8> = (0..shape.len()).flat_map(padded).flat_map(|&pad| (pad as i32).to_le_bytes()).collect();
        let zeros = vec![0; 4 * pads.len()];
        let [of_all, of_none] = [(shape.len() as u32, all), (pads.len() as u32 / 2, zeros)]
            .map(|(rows, bytes)| self.graph.add(Tensor::constant("pads", ElementType::I32, vec![rows, 2], bytes)));
        let padded = self.shaped(input, lengths);
        self.push(Op::Pad, &[input, of_all], padded, node.origin);
        (node.inputs[0], node.inputs[2]) = (Some(padded), Some(of_none));
        self.nodes.push(node);
        Ok(())
    }

    /// Returns a layer's weights: their tensor, and each less the zero point. `None` if they have no single zero point,
    /// or have it at 0.
    fn offset_weights(&self, node: &Node) -> Option<(TensorId, Vec<i16>)> {
        let weights = node.inputs.get(1).copied().flatten()?;
        let tensor = &self.graph.tensors[weights];
        let zero_point = tensor.per_tensor()?.zero_point;
        if tensor.dtype != ElementType::I8 || zero_point == 0 {
            return None;
        }
        let offset = |&byte: &u8| i16::from(byte.cast_signed()) - zero_point as i16;
        Some((weights, tensor.bytes()?.iter().map(offset).collect()))
    }

    /// Adds a constant of int8 weights with zero point 0, and the scale of `weights`.
    fn weights(&mut self, weights: TensorId, shape: Vec<u32>, bytes: Vec<u8>) -> TensorId {
        let tensor = &self.graph.tensors[weights];
        let scale = tensor.per_tensor().map_or(0.0, |quantization| quantization.scale);
        let constant = Tensor::constant(tensor.name.clone(), ElementType::I8, shape, bytes);
        self.graph.add(Tensor { quantization: Some(Quantization::new(scale, 0).into()), ..constant })
    }

    /// Gives a layer weights with zero point 0, if they fit in 8 bits; returns them and what they are else.
    fn centred(&mut self, node: &mut Node) -> Result<Option<(TensorId, Vec<i16>)>> {
        let weights = node.inputs.get(1).copied().flatten();
        let bytes = weights.and_then(|id| self.graph.tensors[id].bytes()).map_or(0, <[u8]>::len);
        // Three bytes for each: in 16 bits, and as the new weight.
        self.limit.make(3 * bytes as u64, || format!("the weights of {}", self.graph.site(node)))?;
        let Some((weights, offset)) = self.offset_weights(node) else { return Ok(None) };
        let codes: Option<Vec<u8>> =
            offset.iter().map(|&weight| i8::try_from(weight).ok().map(i8::cast_unsigned)).collect();
        let Some(codes) = codes else { return Ok(Some((weights, offset))) };
        let shape = self.graph.tensors[weights].shape.clone();
        node.inputs[1] = Some(self.weights(weights, shape, codes));
        Ok(None)
    }

    fn fully_connected(&mut self, mut node: Node) -> Result<()> {
        self.centred(&mut node)?;
        self.nodes.push(node);
        Ok(())
    }

    fn conv2d(&mut self, mut node: Node, window: Window) -> Result<()> {
        let Some((weights, offset)) = self.centred(&mut node)? else {
            self.nodes.push(node);
            return Ok(());
        };
        let (input, output) = (self.graph.input(&node, 0)?, self.graph.output(&node)?);
        let (&[n, h, w, c], &[filters, rows, columns, depth], &[on, oh, ow, oc]) = (
            &self.graph.tensors[input].shape[..],
            &self.graph.tensors[weights].shape[..],
            &self.graph.tensors[output].shape[..],
        ) else {
            self.nodes.push(node);
            return Ok(());
        };
        if c != depth {
            return Err(self.graph.unsupported(&node, "weights for all channels of its input"));
        }
        let pixels = [n, h, w].into_iter().try_fold(1, u32::checked_mul);
        if let Some(pixels) = pixels
            && [rows, columns] == [1, 1]
            && window.stride == [1, 1]
            && window.explicit == [0; 4]
            && ([on, oh, ow], oc) == ([n, h, w], filters)
        {
            // Each pixel is a row of a fully connected layer, which takes a zero point.
            let flat = self.reshape(&node, input, vec![pixels, c]);
            let matrix = Tensor { shape: vec![filters, c], ..self.graph.tensors[weights].clone() };
            let matrix = self.graph.add(matrix);
            let result = self.shaped(output, vec![pixels, filters]);
            let mut inputs = node.inputs.clone();
            (inputs[0], inputs[1]) = (Some(flat), Some(matrix));
            let op = NodeOp::Ir(Op::FullyConnected(window.activation));
            self.nodes.push(Node { op, inputs, outputs: vec![result], origin: node.origin });
            self.push(Op::Reshape { new_shape: None }, &[result], output, node.origin);
            return Ok(());
        }
        let parts = self.parts(&node, &offset)?;
        let count = parts.len() as u32;
        let together = self.repeated(&node, input, count)?;
        // OHWI: after a tap's weights of one part come those of the next.
        let codes = interleaved(&parts, c as usize);
        node.inputs[0] = Some(together);
        node.inputs[1] = Some(self.weights(weights, vec![filters, rows, columns, count * c], codes));
        self.nodes.push(node);
        Ok(())
    }

    fn depthwise_conv2d(&mut self, mut node: Node, window: Window) -> Result<()> {
        let Some((weights, offset)) = self.centred(&mut node)? else {
            self.nodes.push(node);
            return Ok(());
        };
        let (input, output) = (self.graph.input(&node, 0)?, self.graph.output(&node)?);
        let (&[n, h, w, c], &[one, rows, columns, filters], &[_, oh, ow, _]) = (
            &self.graph.tensors[input].shape[..],
            &self.graph.tensors[weights].shape[..],
            &self.graph.tensors[output].shape[..],
        ) else {
            self.nodes.push(node);
            return Ok(());
        };
        let parts = self.parts(&node, &offset)?;
        let count = parts.len() as u32;
        // Each pixel stands `count` times in its row, and each tap has a weight for each. Dilated taps are a window of
        // taps next to each other, with zeros between.
        let too_large = || self.graph.unsupported(&node, "a smaller window");
        let apart = u32::try_from(window.dilation[1]).ok().filter(|&apart| apart > 0).ok_or_else(too_large)?;
        let wide = columns.saturating_sub(1).checked_mul(apart).and_then(|n| n.checked_add(1)).ok_or_else(too_large)?;
        let row = wide.checked_mul(count).and_then(|n| n.checked_mul(filters)).ok_or_else(too_large)?;
        let bytes = u64::from(row) * u64::from(rows) * u64::from(one);
        self.limit.make(bytes, || format!("the weights of {}", self.graph.site(&node)))?;
        let mut codes = Vec::with_capacity(bytes as usize);
        for line in 0..(one * rows) as usize {
            for tap in 0..wide {
                let at = (line * columns as usize + (tap / apart) as usize) * filters as usize;
                for part in &parts {
                    match part.get(at..at + filters as usize).filter(|_| tap % apart == 0) {
                        Some(weights) => codes.extend(weights),
                        None => codes.resize(codes.len() + filters as usize, 0),
                    }
                }
            }
        }
        let mut widened = Window { dilation: [window.dilation[0], 1], ..window };
        let explicit = explicit_padding(&window, [h, w], [rows, columns], [oh, ow]);
        let [top, left, bottom, right] = explicit.ok_or_else(too_large)?;
        let times = |pad: u32| pad.checked_mul(count);
        let (Some(left), Some(right), Some(stride), Some(width)) =
            (times(left), times(right), window.stride[1].checked_mul(count as i32), times(w))
        else {
            return Err(self.graph.unsupported(&node, "a smaller window"));
        };
        widened.padding = Padding::Valid;
        widened.explicit = [top, left, bottom, right];
        widened.stride[1] = stride;
        let together = self.repeated(&node, input, count)?;
        node.inputs[0] = Some(self.reshape(&node, together, vec![n, h, width, c]));
        node.inputs[1] = Some(self.weights(weights, vec![one, rows, wide * count, filters], codes));
        node.op = NodeOp::Ir(Op::DepthwiseConv2d(widened));
        self.nodes.push(node);
        Ok(())
    }

    /// Returns int8 weights that add up to the weights of 9 bits.
    fn parts(&mut self, node: &Node, weights: &[i16]) -> Result<Vec<Vec<u8>>> {
        self.split += 1;
        let mut rest = weights.to_vec();
        let mut parts = Vec::new();
        while rest.iter().any(|&weight| weight != 0) {
            // Each in a part and in the new weights.
            self.limit.make(2 * rest.len() as u64, || format!("the weights of {}", self.graph.site(node)))?;
            let part = |weight: &mut i16| {
                let part = (*weight).clamp(i8::MIN.into(), i8::MAX.into()) as i8;
                *weight -= i16::from(part);
                part.cast_unsigned()
            };
            parts.push(rest.iter_mut().map(part).collect());
        }
        Ok(parts)
    }

    /// Adds the operator that repeats the channels of each pixel, and returns its output.
    fn repeated(&mut self, node: &Node, input: TensorId, count: u32) -> Result<TensorId> {
        let mut shape = self.graph.tensors[input].shape.clone();
        let channels = shape.last_mut().and_then(|last| {
            *last = last.checked_mul(count)?;
            Some(())
        });
        channels.ok_or_else(|| self.graph.invalid(node, "its input is too large"))?;
        let repeated = self.shaped(input, shape);
        let op = Op::Concat { axis: 3, activation: Activation::None };
        self.push(op, &vec![input; count as usize], repeated, node.origin);
        Ok(repeated)
    }
}

/// Returns runs of `len` elements of each of several lists of one length in turn.
fn interleaved(lists: &[Vec<u8>], len: usize) -> Vec<u8> {
    let count = lists.first().map_or(0, Vec::len) / len.max(1);
    let run = |at: usize| lists.iter().flat_map(move |list| list.iter().skip(at * len).take(len).copied());
    (0..count).flat_map(run).collect()
}

/// Returns the padding above, to the left, below and to the right of an input with which windows that are wholly inside
/// are those of `window`. `None` if it is too large.
fn explicit_padding(window: &Window, input: [u32; 2], size: [u32; 2], output: [u32; 2]) -> Option<[u32; 4]> {
    if window.padding == Padding::Valid {
        return Some(window.explicit);
    }
    let mut explicit = [0; 4];
    for axis in 0..2 {
        let (stride, dilation) = (i64::from(window.stride[axis]), i64::from(window.dilation[axis]));
        let extent = (i64::from(size[axis]) - 1).checked_mul(dilation)?.checked_add(1)?;
        let covered = (i64::from(output[axis]) - 1).checked_mul(stride)?.checked_add(extent)?;
        let total = (covered - i64::from(input[axis])).max(0);
        explicit[axis] = u32::try_from(total / 2).ok()?;
        explicit[axis + 2] = u32::try_from(total - total / 2).ok()?;
    }
    Some(explicit)
}

#[cfg(test)]
mod tests {
    use super::{explicit_padding, interleaved, to_int8};
    use crate::ir::graph::{ElementType, Graph, Tensor, TensorId};
    use crate::ir::{Activation, Op, Padding, Window};
    use crate::limit::Limit;
    use crate::options::Options;
    use crate::testing::{Builder, names, quantized, window};

    fn uint8(b: &mut Builder, shape: &[u32], zero_point: i32) -> TensorId {
        let tensor = Tensor::computed("codes", ElementType::U8, shape.to_vec());
        b.graph.add(Tensor { quantization: quantized(0.5, zero_point), ..tensor })
    }

    fn weights(b: &mut Builder, shape: &[u32], zero_point: i32, codes: &[u8]) -> TensorId {
        let tensor = Tensor::constant("weights", ElementType::U8, shape.to_vec(), codes.to_vec());
        b.graph.add(Tensor { quantization: quantized(0.25, zero_point), ..tensor })
    }

    fn converted(mut graph: Graph) -> Result<Graph, String> {
        let limit = Limit::of(&graph, &Options::default());
        to_int8(&mut graph, &limit).map_err(|error| error.to_string())?;
        Ok(graph)
    }

    /// A layer of two pixels of one channel, and its weights afterwards.
    fn layer(zero_point: i32, codes: [u8; 2]) -> (Vec<String>, Vec<u32>, Vec<i64>, i32) {
        let mut b = Builder::default();
        let (x, y) = (uint8(&mut b, &[1, 2, 1, 1], 0), uint8(&mut b, &[1, 1, 1, 1], 255));
        let w = weights(&mut b, &[1, 2, 1, 1], zero_point, &codes);
        b.graph.inputs.push(x);
        b.node(Op::Conv2d(window(Padding::Valid, 1)), &[x, w], &[y]);
        let graph = converted(b.output(y)).unwrap();
        let is_layer = |node: &&crate::ir::graph::Node| node.op.name() == "Conv2d";
        let layer = graph.nodes.iter().find(is_layer).unwrap();
        let weights = &graph.tensors[layer.inputs[1].unwrap()];
        let zero_point = weights.per_tensor().unwrap().zero_point;
        let names = names(&graph).into_iter().map(str::to_string).collect();
        (names, weights.shape.clone(), weights.integers().unwrap(), zero_point)
    }

    #[test]
    fn weights_become_int8_with_zero_point_0_in_as_many_parts_as_they_need() {
        let one = ["Quantize", "Conv2d", "Quantize"];
        let several = ["Quantize", "Concat", "Conv2d", "Quantize"];
        assert_eq!(layer(128, [0, 255]), (one.map(String::from).into(), vec![1, 2, 1, 1], vec![-128, 127], 0));
        assert_eq!(layer(100, [30, 227]), (one.map(String::from).into(), vec![1, 2, 1, 1], vec![-70, 127], 0));
        let two = (several.map(String::from).into(), vec![1, 2, 1, 2], vec![-128, -72, 55, 0], 0);
        assert_eq!(layer(200, [0, 255]), two);
        let three = (several.map(String::from).into(), vec![1, 2, 1, 3], vec![0, 0, 0, 127, 127, 1], 0);
        assert_eq!(layer(0, [0, 255]), three);
    }

    #[test]
    fn what_the_network_takes_and_returns_stays_uint8() {
        let mut b = Builder::default();
        let [x, y, z] = [(); 3].map(|()| uint8(&mut b, &[4], 7));
        b.graph.inputs.push(x);
        b.node(Op::Relu, &[x], &[y]);
        b.node(Op::Relu6, &[y], &[z]);
        let graph = converted(b.output(z)).unwrap();
        assert_eq!(names(&graph), ["Quantize", "Relu", "Relu6", "Quantize"]);
        let of = |id: TensorId| (graph.tensors[id].dtype, graph.tensors[id].per_tensor().unwrap().zero_point);
        assert_eq!([x, y, z].map(of), [(ElementType::U8, 7), (ElementType::I8, 7 - 128), (ElementType::U8, 7)]);
        assert_eq!((graph.inputs, graph.outputs), (vec![x], vec![z]));
        assert!(graph.f32_products);
    }

    #[test]
    fn a_network_that_only_moves_codes_stays_as_it_is() {
        let mut b = Builder::default();
        let (x, y) = (uint8(&mut b, &[4], 7), uint8(&mut b, &[2, 2], 7));
        b.graph.inputs.push(x);
        b.node(Op::Reshape { new_shape: None }, &[x], &[y]);
        let graph = b.output(y);
        assert_eq!(converted(graph.clone()).unwrap(), graph);
    }

    #[test]
    fn what_has_no_int8_form_with_the_same_results_is_refused_by_name() {
        let mut b = Builder::default();
        let [x, y, z] = [(); 3].map(|()| uint8(&mut b, &[4], 7));
        b.graph.inputs.push(x);
        b.node(Op::Relu, &[x], &[y]);
        b.node(Op::HardSwish, &[y], &[z]);
        let error = converted(b.output(z)).unwrap_err();
        assert!(error.starts_with("node 1 (HardSwish)") && error.contains("accepted: in uint8: "), "{error}");
    }

    #[test]
    fn layers_of_int8_beside_those_of_uint8_are_refused() {
        let mut b = Builder::default();
        let [x, y] = [(); 2].map(|()| uint8(&mut b, &[1, 2], 7));
        let (p, q, w) = (b.int8(&[1, 2]), b.int8(&[1, 2]), b.weights(&[2, 2], &[1; 4]));
        b.graph.inputs.extend([x, p]);
        b.node(Op::Relu, &[x], &[y]);
        b.node(Op::FullyConnected(Activation::None), &[p, w], &[q]);
        b.graph.outputs.push(y);
        let error = converted(b.output(q)).unwrap_err();
        assert!(error.starts_with("node 1 (FullyConnected)"), "{error}");
    }

    #[test]
    fn padding_of_the_same_size_is_half_before_and_half_after() {
        let same = |stride: i32, dilation: i32| Window { dilation: [dilation; 2], ..window(Padding::Same, stride) };
        assert_eq!(explicit_padding(&same(1, 1), [5, 6], [3, 2], [5, 6]), Some([1, 0, 1, 1]));
        assert_eq!(explicit_padding(&same(2, 1), [5, 6], [3, 3], [3, 3]), Some([1, 0, 1, 1]));
        assert_eq!(explicit_padding(&same(1, 3), [9, 9], [3, 1], [9, 9]), Some([3, 0, 3, 0]));
        assert_eq!(explicit_padding(&same(i32::MAX, i32::MAX), [1, 1], [u32::MAX, 1], [u32::MAX, 1]), None);
    }

    #[test]
    fn runs_of_lists_are_taken_in_turn() {
        assert_eq!(interleaved(&[vec![1, 2, 3, 4], vec![5, 6, 7, 8]], 2), [1, 2, 5, 6, 3, 4, 7, 8]);
    }
}
