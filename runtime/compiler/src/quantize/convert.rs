//! Converts a float graph to its quantized graph. Tensors keep their indices, so the two graphs can be compared tensor by
//! tensor.
//!
//! An operator without a quantized form computes in float between conversions. What it writes stays float, and so does an
//! input that nothing else reads.

use super::float_run::FloatRun;
use super::observe::{Observed, floats, numbers};
use super::range::Params;
use super::rule::{Rule, Rules, f32_inputs};
use super::samples::Sample;
use super::{Activations, Ranges, Result};
use crate::diag::CompileError;
use crate::ir::graph::{Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId, TensorQuantization};
use crate::ir::{Activation, Op};
use crate::names::layer_name;
use crate::options::Options;
use crate::store::rounded::{Channels, Weights};
use crate::store::{Selection, Selections};
use crate::weight_type::WeightType;
use std::collections::{HashMap, HashSet};
use tealight_format::Operator;
use tealight_format::ops::{Function, Lookup};

/// Returns the quantized graph of `float`.
pub(super) fn convert(
    float: &Graph,
    rules: &Rules,
    observed: &Observed,
    ranges: Ranges,
    correct_bias: bool,
    float_io: bool,
    options: &Options,
) -> Result<Graph> {
    let mut graph = Graph { nodes: Vec::new(), ..float.clone() };
    let written = float.nodes.iter().flat_map(|node| &node.outputs);
    let read = float.nodes.iter().flat_map(|node| f32_inputs(float, node));
    for id in float.inputs.iter().chain(written).copied().chain(read).filter(|id| !rules.float.contains(id)) {
        quantize_tensor(&mut graph, id, observed.params(id, ranges));
    }
    let (selections, converted) = (Selections::new(options), HashMap::new());
    let mut builder = Builder { float, rules, observed, ranges, correct_bias, options, selections, converted, graph };
    for (node, rule) in float.nodes.iter().zip(&rules.of) {
        builder.node(node, *rule)?;
    }
    builder.selections.check()?;
    let mut graph = builder.graph;
    if float_io {
        float_ends(&mut graph);
    }
    Ok(graph)
}

/// Quantizes a computed float tensor or a state, with its initial value.
fn quantize_tensor(graph: &mut Graph, id: TensorId, params: Params) {
    let tensor = &mut graph.tensors[id];
    if tensor.dtype != ElementType::F32 || tensor.is_constant() {
        return;
    }
    let elements = tensor.elements();
    tensor.dtype = params.activations.dtype();
    tensor.quantization = Some(params.quantization.into());
    if let Content::State(first) = &mut tensor.content {
        let bytes: Bytes = match first {
            Some(bytes) => params.bytes(&numbers(bytes)).into(),
            None => params.bytes(&vec![0.0; elements]).into(),
        };
        // Zeros need no constant if a reset without one restores them.
        let needed = params.quantization.zero_point != 0 || bytes.iter().any(|&byte| byte != 0);
        *first = needed.then_some(bytes);
    }
}

/// A value closer than this part of a step to the middle between two codes counts as equally near to both.
const NEAR_INTEGER: f32 = 1.0 / 64.0;

struct Builder<'a> {
    float: &'a Graph,
    rules: &'a Rules,
    observed: &'a Observed,
    ranges: Ranges,
    correct_bias: bool,
    options: &'a Options,
    selections: Selections,
    /// Tensors that were quantized or dequantized, in float where the scale is `None`: what was converted, from which.
    converted: HashMap<(TensorId, Option<(u32, i32)>), TensorId>,
    graph: Graph,
}

impl Builder<'_> {
    fn node(&mut self, node: &Node, rule: Rule) -> Result<()> {
        let mut converted = node.clone();
        match rule {
            Rule::Layer => self.layer(node, &mut converted)?,
            Rule::Same => self.same(node, &mut converted)?,
            Rule::Own | Rule::Fixed(_) => {
                for id in converted.inputs.iter_mut().flatten() {
                    let tensor = &self.float.tensors[*id];
                    if tensor.is_constant() && tensor.dtype == ElementType::F32 {
                        let range = |[low, high]: [f32; 2], &number: &f32| [low.min(number), high.max(number)];
                        let [low, high] = floats(tensor)?.iter().fold([0.0f32; 2], range);
                        *id = self.constant(tensor, Params::of(low, high, self.rules.activations));
                    } else if self.is_f32(*id) {
                        *id = self.read(node, *id, self.observed.params(*id, self.ranges));
                    }
                }
            }
            Rule::Float => {
                for id in converted.inputs.iter_mut().flatten() {
                    *id = self.read_float(node, *id);
                }
            }
        }
        self.graph.nodes.push(converted);
        Ok(())
    }

    /// Returns whether `id` is a computed tensor or a state of f32 values.
    fn is_f32(&self, id: TensorId) -> bool {
        let tensor = &self.float.tensors[id];
        tensor.dtype == ElementType::F32 && !tensor.is_constant()
    }

    /// Returns the tensor from which `node` reads the f32 values of `id` as codes of `params`, converted if need be.
    fn read(&mut self, node: &Node, id: TensorId, params: Params) -> TensorId {
        if !self.rules.float.contains(&id) && self.observed.params(id, self.ranges) == params {
            return id;
        }
        let tensor = &self.float.tensors[id];
        let mut new = Tensor::computed(tensor.name.clone(), params.activations.dtype(), tensor.shape.clone());
        new.quantization = Some(params.quantization.into());
        let of = (params.quantization.scale.to_bits(), params.quantization.zero_point);
        self.converted(node, id, Some(of), new, Op::Quantize)
    }

    /// Returns the tensor from which `node`, which computes in float, reads what is f32 in the float network.
    fn read_float(&mut self, node: &Node, id: TensorId) -> TensorId {
        if !self.is_f32(id) || self.rules.float.contains(&id) {
            return id;
        }
        let tensor = &self.float.tensors[id];
        let new = Tensor::computed(tensor.name.clone(), ElementType::F32, tensor.shape.clone());
        self.converted(node, id, None, new, Op::Dequantize)
    }

    /// Returns the tensor that `id` is converted to by `op`: `new`, or one that was converted so before.
    fn converted(&mut self, node: &Node, id: TensorId, of: Option<(u32, i32)>, new: Tensor, op: Op) -> TensorId {
        // A state changes.
        let changes = self.float.tensors[id].is_state();
        if let Some(&known) = self.converted.get(&(id, of)).filter(|_| !changes) {
            return known;
        }
        let to = self.graph.add(new);
        let op = NodeOp::Ir(op);
        self.graph.nodes.push(Node { op, inputs: vec![Some(id)], outputs: vec![to], origin: node.origin });
        self.converted.insert((id, of), to);
        to
    }

    /// Returns the type in which the options select to store the weights of the layer `node`.
    fn weight_type(&mut self, node: &Node, weights: TensorId) -> Result<ElementType> {
        let (float, name) = (self.float, layer_name(self.float, node));
        let Some(Selection { of, exact }) = self.selections.of(&name, &float.tensors[weights].name) else {
            return Ok(ElementType::I8);
        };
        let why = match (of, &node.op) {
            _ if self.rules.activations == Activations::Int16 => "the weights of a 16x8 network are int8",
            (WeightType::Int4, NodeOp::Ir(Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_))) => {
                return Ok(ElementType::I4);
            }
            (WeightType::Int4, _) if !exact => return Ok(ElementType::I8),
            (WeightType::Int4, _) => "only convolutions and fully connected layers have int4 weights",
            _ => "the weights of an int8 network are int8 or int4",
        };
        Err(CompileError::LayerType { layer: name, wanted: of.to_string(), why: why.into() }.into())
    }

    /// Converts a layer with weights: the weights become int8 or int4, the bias int32, or int64 with int16 activations.
    fn layer(&mut self, node: &Node, converted: &mut Node) -> Result<()> {
        let (float, input, weights) = (self.float, self.float.input(node, 0)?, self.float.input(node, 1)?);
        let bias = node.inputs.get(2).copied().flatten();
        for id in [Some(weights), bias].into_iter().flatten() {
            if !float.tensors[id].is_constant() {
                let accepted = format!("a constant for `{}`", float.tensors[id].name);
                return Err(float.unsupported(node, accepted).into());
            }
        }
        let tensor = &float.tensors[weights];
        let data = floats(tensor)?;
        let wrong = |biases: usize| {
            float.invalid(node, format!("weights {:?} and {biases} biases do not fit together", tensor.shape))
        };
        let depthwise = matches!(node.op, NodeOp::Ir(Op::DepthwiseConv2d(_)));
        let channels = Channels::of(&tensor.shape, depthwise).ok_or_else(|| wrong(0))?;
        let biases = bias.map_or_else(|| Ok(vec![0.0; channels.count]), |id| floats(&float.tensors[id]))?;
        if biases.len() != channels.count {
            return Err(wrong(biases.len()).into());
        }
        let params = self.observed.params(input, self.ranges);
        let dtype = self.weight_type(node, weights)?;
        let (scale, bias_type) = (params.quantization.scale, self.rules.activations.bias_type());
        let quantized = Weights::new(&data, &biases, scale, channels, dtype, bias_type);
        let shift = match self.observed.means.get(&input) {
            Some(mean) if self.correct_bias => {
                Some(mean_output(float, node, quantized.errors(&data), mean, channels.count, self.options)?)
            }
            _ => None,
        };
        let bytes: Vec<u8> = quantized.bytes.iter().map(|byte| byte.cast_unsigned()).collect();
        let mut new = Tensor::constant(tensor.name.clone(), dtype, tensor.shape.clone(), bytes);
        let zero_points = vec![0; channels.count];
        new.quantization =
            Some(TensorQuantization { scales: quantized.scales.clone(), zero_points, axis: channels.axis });
        let name = bias.map_or_else(|| format!("{}/bias", tensor.name), |id| float.tensors[id].name.clone());
        let bytes = quantized.bias(&biases, shift.as_ref());
        let new_bias = Tensor::constant(name, bias_type, vec![channels.count as u32], bytes);
        let input = self.read(node, input, params);
        converted.inputs = vec![Some(input), Some(self.graph.add(new)), Some(self.graph.add(new_bias))];
        Ok(())
    }

    /// Converts an operator that keeps values unchanged: its inputs have its output's quantization, or are converted to
    /// it.
    fn same(&mut self, node: &Node, converted: &mut Node) -> Result<()> {
        let Some(&output) = node.outputs.first() else { return Ok(()) };
        let params = self.observed.params(output, self.ranges);
        let computed: HashSet<TensorId> = f32_inputs(self.float, node).collect();
        for id in converted.inputs.iter_mut().flatten() {
            let tensor = &self.float.tensors[*id];
            if tensor.is_constant() && tensor.dtype == ElementType::F32 {
                *id = self.constant(tensor, params);
            } else if computed.contains(id) {
                *id = self.read(node, *id, params);
            }
        }
        let has_constant = node.inputs.iter().flatten().any(|&id| self.float.tensors[id].is_constant());
        match node.op {
            NodeOp::Ir(Op::Maximum) if has_constant => self.clamp(node, converted, params, i32::max, -NEAR_INTEGER),
            NodeOp::Ir(Op::Minimum) if has_constant => self.clamp(node, converted, params, i32::min, NEAR_INTEGER),
            _ => Ok(()),
        }
    }

    /// Converts the minimum or maximum with a constant to a table. If two codes are equally near to the constant, the
    /// one in the direction of `towards` is taken, which clamps less.
    fn clamp(
        &mut self,
        node: &Node,
        converted: &mut Node,
        params: Params,
        of: fn(i32, i32) -> i32,
        towards: f32,
    ) -> Result<()> {
        let tensors = node.inputs.iter().flatten().map(|&id| &self.float.tensors[id]);
        let numbers = tensors.filter(|tensor| tensor.is_constant()).find_map(Tensor::f32_values).unwrap_or_default();
        let code = |number: &f32| params.quantize(number + towards * params.quantization.scale);
        let bound = numbers.first().map(code).unwrap_or_default();
        let output = &self.graph.tensors[self.float.output(node)?];
        let mut computed = converted.inputs.iter().flatten().filter(|&&id| !self.graph.tensors[id].is_constant());
        let input = computed.next().copied().filter(|&id| self.graph.tensors[id].shape == output.shape);
        let Some(input) = input.filter(|_| numbers.iter().all(|number| code(number) == bound)) else {
            let accepted = "one number that the whole input is compared with, or numbers that never decide";
            return Err(self.float.unsupported(node, accepted).into());
        };
        let table: Vec<u8> = (0..=u8::MAX).map(|code| of(code.cast_signed().into(), bound) as u8).collect();
        let name = format!("{}.table", output.name);
        let table = self.graph.add(Tensor::constant(name, ElementType::U8, vec![256], table));
        converted.op = NodeOp::Kernel(Operator::Lookup(Lookup { function: Function::Relu }));
        converted.inputs = vec![Some(input), Some(table)];
        Ok(())
    }

    fn constant(&mut self, tensor: &Tensor, params: Params) -> TensorId {
        let bytes = params.bytes(&numbers(tensor.bytes().unwrap_or_default()));
        let dtype = params.activations.dtype();
        let mut new = Tensor::constant(tensor.name.clone(), dtype, tensor.shape.clone(), bytes);
        new.quantization = Some(params.quantization.into());
        self.graph.add(new)
    }
}

/// Returns the mean output of the layer `node` by channel, for the input `mean` with the weights `errors` and without
/// bias. The layer is linear, so this is the mean shift that the errors cause.
fn mean_output(
    graph: &Graph,
    node: &Node,
    errors: Vec<f32>,
    mean: &[f32],
    channels: usize,
    options: &Options,
) -> Result<Vec<f64>> {
    let (input, weights, output) = (graph.input(node, 0)?, graph.input(node, 1)?, graph.output(node)?);
    let mut layer = Graph::default();
    let computed = |id: TensorId| Tensor { alias: None, content: Content::Computed, ..graph.tensors[id].clone() };
    let bytes: Vec<u8> = errors.into_iter().flat_map(f32::to_le_bytes).collect();
    let weights = Tensor::constant("errors", ElementType::F32, graph.tensors[weights].shape.clone(), bytes);
    let [from, weights, to] = [computed(input), weights, computed(output)].map(|tensor| layer.add(tensor));
    let mut op = node.op.clone();
    if let NodeOp::Ir(op) = &mut op
        && let Some(activation) = op.activation_mut()
    {
        *activation = Activation::None;
    }
    layer.nodes.push(Node {
        op,
        inputs: vec![Some(from), Some(weights), None],
        outputs: vec![to],
        origin: node.origin,
    });
    (layer.inputs, layer.outputs) = (vec![from], vec![to]);
    let mut shift = vec![0.0; channels];
    let sample = Sample { index: 0, first: true, numbers: mean };
    FloatRun::new(&layer, options)?.run(std::iter::once(sample), |_, values| {
        let output = values.last().copied().unwrap_or_default();
        let places = (output.len() / channels) as f64;
        for place in output.chunks(channels) {
            shift.iter_mut().zip(place).for_each(|(sum, &number)| *sum += f64::from(number) / places);
        }
        Ok(())
    })?;
    Ok(shift)
}

/// Makes the graph's inputs and outputs float.
fn float_ends(graph: &mut Graph) {
    let real = |graph: &mut Graph, id: TensorId| {
        let Tensor { name, shape, .. } = graph.tensors[id].clone();
        graph.add(Tensor::computed(name, ElementType::F32, shape))
    };
    let node = |op, from, to| Node { op: NodeOp::Ir(op), inputs: vec![Some(from)], outputs: vec![to], origin: 0 };
    let mut first = Vec::new();
    for k in 0..graph.inputs.len() {
        let id = graph.inputs[k];
        if matches!(graph.tensors[id].dtype, ElementType::I8 | ElementType::I16) {
            graph.inputs[k] = real(graph, id);
            first.push(node(Op::Quantize, graph.inputs[k], id));
        }
    }
    graph.nodes.splice(0..0, first);
    for k in 0..graph.outputs.len() {
        let id = graph.outputs[k];
        if matches!(graph.tensors[id].dtype, ElementType::I8 | ElementType::I16) {
            graph.outputs[k] = real(graph, id);
            graph.nodes.push(node(Op::Dequantize, id, graph.outputs[k]));
        }
    }
}
