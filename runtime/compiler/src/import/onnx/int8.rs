//! Makes operators between conversions int8.
//!
//! A static int8 network has a DEQUANTIZE before each operator and a QUANTIZE after it. Operators that move elements, or
//! choose among them, give the same result on the codes. Operators that compute take an int8 form if all that they read
//! are codes or constants, and all that read their result quantize it alike. The rest stays float32 between its
//! conversions.
//!
//! Weights and biases are encoded again from their floats, with the scales that they were dequantized with, which gives
//! the codes of the file whatever their layout has become.

use crate::diag::Result;
use crate::ir::graph::{
    Bytes, Content, ElementType, Graph, Node, NodeOp, SourceCodes, Tensor, TensorId, TensorQuantization,
};
use crate::ir::{Activation, Op, Window};
use crate::limit::Limit;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use tealight_format::Quantization;
use tealight_format::ops::{MAX_AVERAGED, UnaryFunction as F};

/// The scales, and the zero points as int8, that a constant was dequantized with: one for all, or one for each channel.
#[derive(Debug, Clone)]
pub(super) struct Scales {
    pub(super) scales: Vec<f32>,
    pub(super) zero_points: Vec<i32>,
}

/// The scales of constants, by the identity of their bytes, which are therefore held.
pub(super) type Known = HashMap<usize, (Bytes, Rc<Scales>)>;

/// How many operators that move elements may be between an operator and a QUANTIZE.
const MAX_MOVES: usize = 8;

/// The largest ratio of scales for which an operator takes its int8 form.
const LARGEST_FACTOR: f64 = 65536.0;

/// Makes operators between conversions int8.
pub(super) fn fuse(graph: &mut Graph, known: &Known, limit: &Limit) -> Result<()> {
    if !graph.nodes.iter().any(|node| matches!(node.op, NodeOp::Ir(Op::Dequantize))) {
        return Ok(());
    }
    let old = std::mem::take(&mut graph.nodes);
    let mut readers = vec![Vec::new(); graph.tensors.len()];
    for (at, node) in old.iter().enumerate() {
        node.inputs.iter().flatten().for_each(|&id| readers[id].push(at));
    }
    let mut pass = Fusion {
        outputs: graph.outputs.iter().copied().collect(),
        graph,
        known,
        limit,
        old: &old,
        readers,
        nodes: Vec::new(),
        codes: HashMap::new(),
        replaced: HashMap::new(),
        encoded: HashMap::new(),
        int8: 0,
        float: BTreeMap::new(),
    };
    for node in &old {
        pass.node(node)?;
    }
    let Fusion { nodes, int8, float, .. } = pass;
    graph.nodes = nodes;
    let mut note = format!("{int8} operators between conversions are int8");
    if !float.is_empty() {
        let list: Vec<String> = float.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        note += &format!("; float32 between conversions: {}", list.join(", "));
    }
    graph.notes.push(note);
    Ok(())
}

/// Notes which weights of float layers are codes in the file, so that they can be stored as these.
pub(super) fn note_codes(graph: &mut Graph, known: &Known) {
    for node in &graph.nodes {
        let (NodeOp::Ir(op), Some(&Some(weights))) = (&node.op, node.inputs.get(1)) else { continue };
        let tensor = &graph.tensors[weights];
        let axis = match op {
            Op::Conv2d(_) | Op::ConvTranspose2d(_) | Op::FullyConnected(_) => 0,
            Op::DepthwiseConv2d(_) => tensor.shape.len().saturating_sub(1),
            _ => continue,
        };
        let Content::Constant(bytes) = &tensor.content else { continue };
        if let (ElementType::F32, Some((_, scales))) = (tensor.dtype, known.get(&bytes.identity())) {
            // What they stand for is a multiple of the scale, whatever the zero point was.
            let (scales, zero_points) = (scales.scales.clone(), vec![0; scales.scales.len()]);
            let quantization = TensorQuantization { scales, zero_points, axis };
            graph.codes.insert(weights, SourceCodes { dtype: ElementType::I8, quantization });
        }
    }
}

struct Fusion<'a> {
    graph: &'a mut Graph,
    outputs: HashSet<TensorId>,
    known: &'a Known,
    limit: &'a Limit,
    old: &'a [Node],
    /// The nodes that read each tensor.
    readers: Vec<Vec<usize>>,
    nodes: Vec<Node>,
    /// Tensors that hold the values of int8 tensors, as float32 or uint8.
    codes: HashMap<TensorId, TensorId>,
    /// int8 tensors that equal others.
    replaced: HashMap<TensorId, TensorId>,
    /// Constants that were encoded; `None` for those that cannot be.
    encoded: HashMap<(TensorId, bool), Option<TensorId>>,
    /// Operators that became int8, and those that did not.
    int8: usize,
    float: BTreeMap<String, usize>,
}

/// An int8 form: the operator, its inputs, and the quantization of its output.
type Form = (Op, Vec<Option<TensorId>>, TensorQuantization);

/// Returns whether an operator moves elements of its first input, or chooses among them, whatever they stand for.
fn moves(op: &Op) -> bool {
    match op {
        Op::Reshape { .. }
        | Op::Transpose
        | Op::Slice
        | Op::StridedSlice(_)
        | Op::Pad
        | Op::ReduceMax
        | Op::ReduceMin
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
        | Op::ResizeNearest { .. } => true,
        Op::MaxPool2d(window) => window.activation == Activation::None,
        _ => false,
    }
}

/// Returns the function that an operator is, if one int8 decides its result.
fn function(op: &Op) -> Option<F> {
    Some(match *op {
        Op::Logistic => F::Logistic,
        Op::Tanh => F::Tanh,
        Op::HardSwish => F::HardSwish,
        Op::LeakyRelu { alpha } => F::LeakyRelu(alpha),
        Op::Elu => F::Elu(1.0),
        Op::Relu => F::Clamp([0.0, f32::INFINITY]),
        Op::Relu6 => F::Clamp([0.0, 6.0]),
        Op::ReluN1To1 => F::Clamp([-1.0, 1.0]),
        // Their int8 forms are TensorFlow Lite's own.
        Op::Unary(F::Abs | F::Rsqrt) => return None,
        Op::Unary(function) => function,
        _ => return None,
    })
}

impl Fusion<'_> {
    fn node(&mut self, node: &Node) -> Result<()> {
        let mut node = node.clone();
        for id in node.inputs.iter_mut().flatten() {
            *id = self.replaced.get(id).copied().unwrap_or(*id);
        }
        let (NodeOp::Ir(op), &[output]) = (node.op.clone(), &node.outputs[..]) else {
            self.count_float(&node);
            self.nodes.push(node);
            return Ok(());
        };
        let first = node.inputs.first().copied().flatten();
        let codes = first.and_then(|id| self.codes.get(&id).copied());
        let dtype = |id: TensorId| self.graph.tensors[id].dtype;
        match (&op, first, codes) {
            (Op::Dequantize, Some(input), _) if dtype(input) == ElementType::I8 => {
                self.codes.insert(output, input);
            }
            (Op::Quantize, Some(input), _) if dtype(input) == ElementType::I8 => {
                self.codes.insert(output, input);
            }
            (Op::Quantize, _, Some(codes)) if dtype(output) == ElementType::I8 => {
                if self.quantization(codes) == self.quantization(output) && !self.outputs.contains(&output) {
                    self.replaced.insert(output, codes);
                    return Ok(());
                }
                node.op = Op::Convert.into();
                node.inputs = vec![Some(codes)];
            }
            // The order of codes is that of the values.
            (Op::ArgMinMax { .. }, _, Some(codes)) => {
                node.inputs[0] = Some(codes);
                self.int8 += 1;
            }
            (op, _, Some(codes)) if moves(op) => {
                let mut inputs = node.inputs.clone();
                inputs[0] = Some(codes);
                let quantization = self.quantization(codes);
                return self.write(&node, (op.clone(), inputs, quantization));
            }
            _ => {
                if let Some(form) = self.form(&node, &op)? {
                    return self.write(&node, form);
                }
                self.count_float(&node);
            }
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Counts an operator that reads codes as floats.
    fn count_float(&mut self, node: &Node) {
        if node.inputs.iter().flatten().any(|id| self.codes.contains_key(id)) {
            *self.float.entry(node.op.name().to_string()).or_default() += 1;
        }
    }

    /// Adds the int8 form of `node`, and a conversion of its result back to what `node` wrote.
    fn write(&mut self, node: &Node, (op, inputs, quantization): Form) -> Result<()> {
        let output = node.outputs[0];
        let like = &self.graph.tensors[output];
        self.limit.make(like.name.len() as u64, || format!("the tensors up to `{}`", like.name))?;
        let tensor = Tensor { quantization: Some(quantization), dtype: ElementType::I8, ..like.like() };
        let back = if like.dtype == ElementType::U8 { Op::Quantize } else { Op::Dequantize };
        let codes = self.graph.add(tensor);
        self.int8 += usize::from(!moves(&op));
        let origin = node.origin;
        self.nodes.push(Node { op: op.into(), inputs, outputs: vec![codes], origin });
        self.nodes.push(Node { op: back.into(), inputs: vec![Some(codes)], outputs: vec![output], origin });
        self.codes.insert(output, codes);
        Ok(())
    }

    fn quantization(&self, id: TensorId) -> TensorQuantization {
        let none = || Quantization::new(0.0, 0).into();
        self.graph.tensors[id].quantization.clone().unwrap_or_else(none)
    }

    fn of(&self, id: TensorId) -> Quantization {
        self.graph.tensors[id].per_tensor().unwrap_or(Quantization::new(0.0, 0))
    }

    /// Returns the quantization that all readers of a tensor convert it to.
    fn target(&self, id: TensorId, depth: usize) -> Option<TensorQuantization> {
        if self.outputs.contains(&id) || depth > MAX_MOVES {
            return None;
        }
        let mut target = None;
        for &at in self.readers.get(id)? {
            let node = &self.old[at];
            let (NodeOp::Ir(op), &[output]) = (&node.op, &node.outputs[..]) else { return None };
            let wanted = match op {
                Op::Quantize => self.graph.tensors[output].quantization.clone()?,
                op if moves(op) && node.inputs.first() == Some(&Some(id)) => self.target(output, depth + 1)?,
                _ => return None,
            };
            if target.get_or_insert_with(|| wanted.clone()) != &wanted {
                return None;
            }
        }
        target
    }

    /// Returns the int8 form of a node.
    fn form(&mut self, node: &Node, op: &Op) -> Result<Option<Form>> {
        let Some(target) = node.outputs.first().and_then(|&id| self.target(id, 0)) else {
            return Ok(self.joined(node, op, None));
        };
        let to = f64::from(target.scales[0]);
        let input = |k: usize| node.inputs.get(k).copied().flatten();
        let codes = input(0).and_then(|id| self.codes.get(&id).copied());
        Ok(match (op, codes) {
            (Op::Concat { .. }, _) => self.joined(node, op, Some(target)),
            (Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_), Some(codes)) => {
                return self.layer(node, op, codes, target);
            }
            (Op::Add(_) | Op::Sub(_) | Op::Mul(_), _) => {
                let (Some(a), Some(b)) = (input(0), input(1)) else { return Ok(None) };
                let (Some(a), Some(b)) = (self.operand(a)?, self.operand(b)?) else { return Ok(None) };
                let [from_a, from_b] = [a, b].map(|id| f64::from(self.of(id).scale));
                let factor = if matches!(op, Op::Mul(_)) { from_a * from_b } else { from_a.max(from_b) } / to;
                (factor <= LARGEST_FACTOR).then(|| (op.clone(), vec![Some(a), Some(b)], target))
            }
            (Op::Mean, Some(codes)) => {
                let [from, into] = [input(0), node.outputs.first().copied()]
                    .map(|id| id.map_or(0, |id| self.graph.tensors[id].elements()));
                let each = from.checked_div(into).unwrap_or(usize::MAX);
                let fits = each <= MAX_AVERAGED as usize && f64::from(self.of(codes).scale) / to <= LARGEST_FACTOR;
                fits.then(|| (op.clone(), vec![Some(codes), input(1)], target))
            }
            (Op::AvgPool2d(Window { size, .. }), Some(codes)) => {
                // The kernel averages codes; only a coarser scale rounds no more than the average itself.
                let fits = i64::from(size[0]) * i64::from(size[1]) <= i64::from(MAX_AVERAGED)
                    && target.scales[0] >= self.of(codes).scale;
                fits.then(|| (op.clone(), vec![Some(codes)], target))
            }
            (Op::Softmax { beta }, Some(codes)) => {
                // The kernel's only output quantization, which the QUANTIZE after it converts.
                let own = Quantization::new(1.0 / 256.0, -128).into();
                (f64::from(*beta) * f64::from(self.of(codes).scale) > 1e-6)
                    .then(|| (op.clone(), vec![Some(codes)], own))
            }
            (Op::ResizeBilinear { .. }, Some(codes)) => {
                let own = self.quantization(codes);
                Some((op.clone(), vec![Some(codes), input(1)], own))
            }
            (op, Some(codes)) => function(op).map(|function| (Op::Unary(function), vec![Some(codes)], target)),
            _ => None,
        })
    }

    /// Returns the int8 form of a Concat: of codes of one quantization, or of any if its result is quantized.
    fn joined(&self, node: &Node, op: &Op, target: Option<TensorQuantization>) -> Option<Form> {
        let Op::Concat { activation: Activation::None, .. } = op else { return None };
        let codes: Vec<TensorId> =
            node.inputs.iter().map(|id| id.and_then(|id| self.codes.get(&id).copied())).collect::<Option<_>>()?;
        let own = self.quantization(*codes.first()?);
        let alike = codes.iter().all(|&id| self.quantization(id) == own);
        let quantization = if alike { own } else { target? };
        Some((op.clone(), codes.into_iter().map(Some).collect(), quantization))
    }

    /// Returns the codes of an operand of a sum or product.
    fn operand(&mut self, id: TensorId) -> Result<Option<TensorId>> {
        if let Some(&codes) = self.codes.get(&id) {
            return Ok(Some(codes));
        }
        let tensor = &self.graph.tensors[id];
        let scales = match &tensor.content {
            Content::Constant(bytes) => self.known.get(&bytes.identity()).map(|(_, scales)| scales.clone()),
            _ => return Ok(None),
        };
        if let Some(scales) = scales {
            let of = if scales.scales.len() == 1 { self.encode(id, 0, 1, &scales, true)? } else { None };
            return Ok(of);
        }
        // One number is exact in a scale of its own.
        let &[number] = &tensor.f32_values().filter(|_| tensor.elements() == 1).unwrap_or_default()[..] else {
            return Ok(None);
        };
        let scale = if number == 0.0 { 1.0 } else { number.abs() / 127.0 };
        if !(f32::MIN_POSITIVE..=LARGEST_FACTOR as f32).contains(&scale) {
            return Ok(None);
        }
        self.encode(id, 0, 1, &Scales { scales: vec![scale], zero_points: vec![0] }, true)
    }

    /// Returns the codes of a constant with these scales along a dimension that is the first or the last; `None` if they
    /// are not codes of int8. Unless `any_zero_point`, that must be 0.
    fn encode(
        &mut self,
        id: TensorId,
        axis: usize,
        channels: usize,
        scales: &Scales,
        any_zero_point: bool,
    ) -> Result<Option<TensorId>> {
        if let Some(&encoded) = self.encoded.get(&(id, any_zero_point)) {
            return Ok(encoded);
        }
        let tensor = &self.graph.tensors[id];
        let bytes = tensor.bytes().unwrap_or_default();
        let name = tensor.name.clone();
        self.limit.make((bytes.len() / 4 + name.len()) as u64, || format!("the codes of `{name}`"))?;
        let count = scales.scales.len();
        let each = (bytes.len() / 4 / channels.max(1)).max(1);
        let codes = |zero_point: i32| -> Option<Vec<u8>> {
            let code = |(index, bytes): (usize, &[u8; 4])| {
                let channel = if axis == 0 { index / each } else { index % channels };
                let scale = f64::from(scales.scales[if count == 1 { 0 } else { channel }]);
                let real = f64::from(f32::from_le_bytes(*bytes));
                let steps = if real == 0.0 { 0.0 } else { real / scale };
                let code = steps.round() + f64::from(zero_point);
                let is_code = (steps - steps.round()).abs() <= 1e-3 && (-128.0..=127.0).contains(&code);
                is_code.then_some((code as i8).cast_unsigned())
            };
            bytes.as_chunks().0.iter().enumerate().map(code).collect()
        };
        let fits = tensor.dtype == ElementType::F32 && (count == 1 || count == channels);
        let uniform = scales.zero_points.first().copied().filter(|zero_point| {
            any_zero_point && count == 1 && (-128..=127).contains(zero_point) && scales.zero_points.len() == 1
        });
        let encoded = if fits { codes(0).map(|codes| (codes, 0)) } else { None };
        let encoded = match (encoded, uniform) {
            (None, Some(zero_point)) if fits => codes(zero_point).map(|codes| (codes, zero_point)),
            (encoded, _) => encoded,
        };
        let encoded = encoded.map(|(codes, zero_point)| {
            let zero_points = vec![zero_point; count];
            let quantization = TensorQuantization { scales: scales.scales.clone(), zero_points, axis };
            let shape = self.graph.tensors[id].shape.clone();
            let constant = Tensor::constant(name, ElementType::I8, shape, codes);
            self.graph.add(Tensor { quantization: Some(quantization), ..constant })
        });
        self.encoded.insert((id, any_zero_point), encoded);
        Ok(encoded)
    }

    /// Returns the int8 form of a layer with weights.
    fn layer(&mut self, node: &Node, op: &Op, codes: TensorId, target: TensorQuantization) -> Result<Option<Form>> {
        let Some(weights) = node.inputs.get(1).copied().flatten() else { return Ok(None) };
        let tensor = &self.graph.tensors[weights];
        let Content::Constant(bytes) = &tensor.content else { return Ok(None) };
        let Some(scales) = self.known.get(&bytes.identity()).map(|(_, scales)| scales.clone()) else { return Ok(None) };
        let axis = if matches!(op, Op::DepthwiseConv2d(_)) { tensor.shape.len().saturating_sub(1) } else { 0 };
        let channels = tensor.shape.get(axis).map_or(0, |&dim| dim as usize);
        let dense = matches!(op, Op::FullyConnected(_));
        let Some(encoded) = self.encode(weights, axis, channels, &scales, dense)? else { return Ok(None) };
        let sums = |channel: usize| {
            let scales = &scales.scales;
            f64::from(self.of(codes).scale) * f64::from(scales[if scales.len() == 1 { 0 } else { channel }])
        };
        let to = f64::from(target.scales[0]);
        if (0..scales.scales.len()).any(|channel| sums(channel) / to > LARGEST_FACTOR) {
            return Ok(None);
        }
        let mut inputs = vec![Some(codes), Some(encoded)];
        if let Some(bias) = node.inputs.get(2).copied().flatten() {
            let tensor = &self.graph.tensors[bias];
            let Some(values) = tensor.f32_values().filter(|values| values.len() == channels) else { return Ok(None) };
            let code = |(channel, value): (usize, f32)| {
                let code = if value == 0.0 { 0.0 } else { (f64::from(value) / sums(channel)).round() };
                (code.abs() <= f64::from(i32::MAX)).then_some(code as i32)
            };
            let Some(codes) = values.into_iter().enumerate().map(code).collect::<Option<Vec<i32>>>() else {
                return Ok(None);
            };
            let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
            self.limit.make((4 * codes.len() + name.len()) as u64, || format!("the codes of `{name}`"))?;
            let bytes: Bytes = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
            inputs.push(Some(self.graph.add(Tensor::constant(name, ElementType::I32, shape, bytes))));
        }
        Ok(Some((op.clone(), inputs, target)))
    }
}
