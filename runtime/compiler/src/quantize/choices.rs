//! The size and the accuracy loss of each type of weights, layer by layer.
//!
//! Each layer is compiled alone, once for each type, and run on its inputs in the float network. A result therefore
//! concerns that layer only, without the errors of the layers before it.

use super::float_run::{FloatRun, internal, memory, open, values_of, write_input};
use super::measure::step;
use super::range::{Activations, Params};
use super::report::{Choice, Sums};
use super::samples::Samples;
use super::{QuantizeError, Result};
use crate::driver::compile_to_measure;
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::limit::Limit;
use crate::options::Options;
use crate::store::rounded::{Channels, Weights};
use crate::store::{Stored, codes, store_one, stored_as, weights};
use crate::weight_type::WeightType;
use std::collections::HashSet;
use tealight_format::Operator;

/// The maximum number of rows of a table that are compared.
const ROWS: u32 = 4096;

/// The possible weight types of one layer.
#[derive(Debug)]
pub(super) struct LayerChoices {
    /// Index of the node in the lowered graph.
    pub(super) node: usize,
    /// The output.
    pub(super) output: TensorId,
    /// Its weights.
    pub(super) weights: TensorId,
    /// The cost of each type.
    pub(super) choices: Vec<Choice>,
}

/// A layer compiled alone, with its weights in one type.
struct SingleLayer {
    bytes: Vec<u8>,
    /// Bytes that running it takes.
    memory: u64,
    /// The index of its input and of its output in [`FloatRun::ids`].
    places: [usize; 2],
    /// The quantization of input and output, if it represents a quantized layer.
    rounded: Option<[Params; 2]>,
    /// The index of the layer, and of the choice that is measured.
    of: [usize; 2],
    sums: Sums,
}

/// Returns the choices of each layer of the lowered graph.
pub(super) fn choices(graph: &Graph, samples: Samples<'_>, options: &Options) -> Result<Vec<LayerChoices>> {
    let float = FloatRun::new(graph, options)?;
    let limit = Limit::to_run(graph, options);
    limit.make(float.memory(), || "running the float network".into())?;
    let extremes = extremes(&float, graph, samples)?;
    let mut layers = Vec::new();
    let mut single_layers = Vec::new();
    for (node, one) in graph.nodes.iter().enumerate() {
        let (Some(id), Some(&output)) = (only_weights(graph, one), one.outputs.first()) else { continue };
        let mut layer = LayerChoices { node, output, weights: id, choices: Vec::new() };
        if matches!(one.op, NodeOp::Kernel(Operator::GatherF32(_))) {
            layer.choices = table(graph, one, id)?;
        } else {
            let place = |id: TensorId| float.place(graph.base(id));
            let input = one.inputs.first().copied().flatten();
            let (Some(from), Some(to)) = (input.and_then(place), place(output)) else { continue };
            let ranges = [from, to].map(|at| extremes[at]);
            for (one, choice) in candidates(graph, one, ranges)? {
                let what = || format!("each layer by itself in each type, up to `{}`,", graph.tensors[id].name);
                limit.make(one.memory, what)?;
                single_layers.push(SingleLayer { places: [from, to], of: [layers.len(), layer.choices.len()], ..one });
                layer.choices.push(choice);
            }
        }
        layers.push(layer);
    }
    run(&float, graph, samples, &mut single_layers)?;
    for one in single_layers {
        let choice = &mut layers[one.of[0]].choices[one.of[1]];
        (choice.snr_db, choice.worst) = (one.sums.snr_db(), one.sums.worst);
    }
    Ok(layers)
}

/// Returns the weights of a layer that has exactly one constant of weights.
fn only_weights(graph: &Graph, node: &Node) -> Option<TensorId> {
    match weights(graph, node)?[..] {
        [id] if graph.tensors[id].is_constant() => Some(id),
        _ => None,
    }
}

/// Returns the minimum and maximum of each tensor, without infinities: the border of a max pool may be infinite.
fn extremes(float: &FloatRun, graph: &Graph, samples: Samples<'_>) -> Result<Vec<[f32; 2]>> {
    let mut extremes = vec![[0f32; 2]; float.ids.len()];
    let infinite =
        |tensor: &Tensor| tensor.f32_values().is_some_and(|numbers| numbers.iter().any(|number| number.is_infinite()));
    let has_infinite = graph.tensors.iter().any(infinite);
    let outputs: HashSet<TensorId> = graph.outputs.iter().copied().collect();
    float.run(samples.iter().step_by(step(graph, samples)), |sample, values| {
        for ((&id, numbers), range) in float.ids.iter().zip(values).zip(&mut extremes) {
            let may_be_infinite = has_infinite && !outputs.contains(&id);
            let wrong = |number: &&f32| !number.is_finite() && (number.is_nan() || !may_be_infinite);
            if let Some(&value) = numbers.iter().find(wrong) {
                let layer = graph.tensors[id].name.clone();
                return Err(QuantizeError::Overflow { layer, sample: sample.index, value });
            }
            let finite = numbers.iter().filter(|number| number.is_finite());
            *range = finite.fold(*range, |[low, high], &number| [low.min(number), high.max(number)]);
        }
        Ok(())
    })?;
    Ok(extremes)
}

/// Compiles the layer `node` alone in each type that it can have, and returns these with the bytes of each. `ranges` are
/// the minimum and maximum of its input and of its output.
fn candidates(graph: &Graph, node: &Node, ranges: [[f32; 2]; 2]) -> Result<Vec<(SingleLayer, Choice)>> {
    let mut all = Vec::new();
    // Int4 is measured in int8 arithmetic, below.
    for of in WeightType::all().filter(|of| *of != WeightType::Int4) {
        let mut layer = single(graph, node);
        if store_one(&mut layer, 0, of, &mut Stored::new()).is_ok() {
            all.push(one(layer, of.name(), None)?);
        }
    }
    let mut layer = single(graph, node);
    if let (Some(Some(old)), Some(Some(new))) = (node.inputs.get(1), layer.nodes[0].inputs.get(1))
        && let Some(quantization) = graph.codes.get(old)
    {
        layer.codes.insert(*new, quantization.clone());
        if codes::keep(&mut layer, 0, &mut codes::Kept::default())
            && let Some(name) = stored_as(&layer, &layer.nodes[0])
        {
            all.push(one(layer, name, None)?);
        }
    }
    for (name, dtype, activations) in QUANTIZED {
        let mut layer = single(graph, node);
        let rounded = ranges.map(|[low, high]| Params::of(low, high, activations));
        if let Some(bytes) = round_weights(&mut layer, rounded[0], dtype) {
            let (single_layers, mut choice) = one(layer, name, Some(rounded))?;
            choice.bytes = bytes;
            all.push((single_layers, choice));
        }
    }
    Ok(all)
}

/// The types of a quantized layer's weights: name, type of weights and of activations.
pub(super) const QUANTIZED: [(&str, ElementType, Activations); 3] = [
    ("int8", ElementType::I8, Activations::Int8),
    ("int8-int4", ElementType::I4, Activations::Int8),
    ("16x8", ElementType::I8, Activations::Int16),
];

/// Returns the name of a quantized layer's type.
pub(super) fn quantized_name(weights: ElementType, activations: Activations) -> Option<&'static str> {
    let found = QUANTIZED.iter().find(|(_, dtype, of)| (*dtype, *of) == (weights, activations));
    found.map(|(name, ..)| *name)
}

/// Compiles a layer alone.
fn one(layer: Graph, weights: &'static str, rounded: Option<[Params; 2]>) -> Result<(SingleLayer, Choice)> {
    let read = layer.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    let bytes = read.filter_map(|&id| layer.tensors[id].bytes()).map(<[u8]>::len).sum();
    let compiled = compile_to_measure(layer, &Options::default())?;
    let memory = memory(&compiled);
    let single_layers =
        SingleLayer { bytes: compiled.bytes, memory, places: [0; 2], rounded, of: [0; 2], sums: Sums::default() };
    Ok((single_layers, Choice { weights, bytes, snr_db: 0.0, worst: 0.0 }))
}

/// Returns a graph of `node` alone.
fn single(graph: &Graph, node: &Node) -> Graph {
    let mut layer = Graph::default();
    let inputs: Vec<Option<TensorId>> = node
        .inputs
        .iter()
        .map(|id| id.map(|id| layer.add(Tensor { alias: None, ..graph.tensors[id].clone() })))
        .collect();
    let outputs: Vec<TensorId> = node
        .outputs
        .iter()
        .map(|&id| layer.add(Tensor { alias: None, content: Content::Computed, ..graph.tensors[id].clone() }))
        .collect();
    if let Some(&Some(input)) = inputs.first() {
        layer.tensors[input].content = Content::Computed;
        layer.inputs.push(input);
    }
    layer.outputs.clone_from(&outputs);
    layer.nodes.push(Node { op: node.op.clone(), inputs, outputs, origin: node.origin });
    layer
}

/// Rounds the weights of a layer alone to int8 or int4, as a quantized network with this input has them. Returns the bytes
/// that they would have: one or a half for each weight, and for each channel those of bias, multiplier and shift; `None` if
/// the layer has no quantized form.
fn round_weights(layer: &mut Graph, input: Params, dtype: ElementType) -> Option<usize> {
    let depthwise = match layer.nodes[0].op {
        NodeOp::Kernel(Operator::Conv2dF32(_) | Operator::FullyConnectedF32(_)) => false,
        NodeOp::Kernel(Operator::DepthwiseConv2dF32(_)) => true,
        _ => return None,
    };
    let constant = |k: usize| layer.nodes[0].inputs.get(k).copied().flatten();
    let id = constant(1)?;
    let data = layer.tensors[id].f32_values()?;
    let channels = Channels::of(&layer.tensors[id].shape, depthwise)?;
    let bias = constant(2).and_then(|id| layer.tensors[id].f32_values()).unwrap_or_else(|| vec![0.0; channels.count]);
    if bias.len() != channels.count {
        return None;
    }
    let Params { quantization, activations } = input;
    let bias_type = activations.bias_type();
    let errors = Weights::new(&data, &bias, quantization.scale, channels, dtype, bias_type).errors(&data);
    let bytes: Vec<u8> = data.iter().zip(errors).flat_map(|(weight, error)| (weight + error).to_le_bytes()).collect();
    layer.tensors[id].content = Content::Constant(bytes.into());
    let weights = if dtype == ElementType::I4 { data.len().div_ceil(2) } else { data.len() };
    Some(weights + (bias_type.size().unwrap_or(4) + 8) * channels.count)
}

/// Returns the choices of a table that rows are gathered from, by comparing the rows themselves.
fn table(graph: &Graph, node: &Node, id: TensorId) -> Result<Vec<Choice>> {
    let &[rows, length] = &graph.tensors[id].shape[..] else { return Ok(Vec::new()) };
    let rows = rows.min(ROWS);
    let wanted = graph.tensors[id].f32_values().unwrap_or_default();
    let indices: Vec<f32> = (0..rows).map(|row| row as f32).collect();
    let mut choices = Vec::new();
    for of in WeightType::all().filter(|of| *of != WeightType::Int4) {
        let mut layer = single(graph, node);
        let (input, output) = (layer.inputs[0], layer.outputs[0]);
        layer.tensors[input] = Tensor::computed("rows", ElementType::I32, vec![rows]);
        layer.tensors[output] = Tensor::computed("elements", ElementType::F32, vec![rows, length]);
        if store_one(&mut layer, 0, of, &mut Stored::new()).is_err() {
            continue;
        }
        let (single_layers, mut choice) = one(layer, of.name(), None)?;
        let mut session = open(&single_layers.bytes)?;
        write_input(&mut session, 0, &indices)?;
        session.run();
        let mut sums = Sums::default();
        let output = session.model().output(0).ok_or_else(|| internal("the table has no output"))?;
        sums.add(&wanted, &values_of(&session, output));
        (choice.snr_db, choice.worst) = (sums.snr_db(), sums.worst);
        choices.push(choice);
    }
    Ok(choices)
}

/// Runs each layer alone on its inputs in the float network.
fn run(float: &FloatRun, graph: &Graph, samples: Samples<'_>, single_layers: &mut [SingleLayer]) -> Result<()> {
    let mut sessions: Vec<_> = single_layers.iter().map(|one| open(&one.bytes)).collect::<Result<_>>()?;
    float.run(samples.iter().step_by(step(graph, samples)), |_, values| {
        for (one, session) in single_layers.iter_mut().zip(&mut sessions) {
            let [from, to] = one.places.map(|at| values[at]);
            let round = |params: Params, numbers: &[f32]| -> Vec<f32> {
                numbers.iter().map(|&number| params.dequantize(params.quantize(number))).collect()
            };
            match one.rounded {
                Some([input, _]) => write_input(session, 0, &round(input, from))?,
                None => write_input(session, 0, from)?,
            }
            session.run();
            let output = session.output(0).and_then(|output| output.as_slice::<f32>());
            let found = output.ok_or_else(|| internal("the layer has no f32 output"))?;
            match one.rounded {
                Some([_, output]) => one.sums.add(to, &round(output, found)),
                None => one.sums.add(to, found),
            }
        }
        Ok(())
    })
}
