//! Weights as the source has them: int8 or int4 codes with one scale, or with one for each output channel.
//!
//! Importing makes float32 weights of them, which every pass and every other type of weights starts from. Where no
//! other type is selected, the codes are found again here: no number is rounded.

use crate::ir::graph::{
    Content, ElementType, Graph, Node, NodeOp, SourceCodes, Tensor, TensorId, TensorQuantization, count_of,
};
use crate::store::Stored;
use crate::store::rounded::{Channels, Weights};
use std::collections::{HashMap, HashSet};
use tealight_format::{Operator, Quantization};

/// The name of a type of codes; `None` for another type.
pub(crate) fn name(dtype: ElementType) -> Option<&'static str> {
    match dtype {
        ElementType::I8 => Some("i8"),
        ElementType::I4 => Some("int4"),
        _ => None,
    }
}

/// What was made, for layers that share their weights, or those and the bias.
#[derive(Default)]
pub(crate) struct Kept {
    /// The codes by the identity of the weights' bytes, their shape, the dimension of the output channels and the type.
    codes: HashMap<(usize, Vec<u32>, usize, ElementType), Option<TensorId>>,
    /// The scales and biases by the codes, and the identity of the bias.
    channels: HashMap<(TensorId, Option<usize>), TensorId>,
    /// The codes that were reported.
    reported: HashSet<TensorId>,
}

impl Kept {
    /// Returns a line for the report about `weights`, which node `at` has as codes now, unless there was one.
    pub(super) fn line(&mut self, graph: &Graph, weights: TensorId, at: usize) -> Option<String> {
        let codes = graph.nodes[at].inputs[1]?;
        let size = |id: TensorId| graph.tensors[id].stored_len();
        let name = name(graph.tensors[codes].dtype)?;
        let line = || format!("{}: {name}, {} B to {} B", graph.tensors[weights].name, size(weights), size(codes));
        self.reported.insert(codes).then(line)
    }
}

/// Stores the weights of node `at` as codes if the source has them so. Returns whether it does.
pub(crate) fn keep(graph: &mut Graph, at: usize, kept: &mut Kept) -> bool {
    let Some([codes, channels]) = kept_of(graph, at, kept) else { return false };
    let inputs = &mut graph.nodes[at].inputs;
    inputs.truncate(1);
    inputs.extend([Some(codes), Some(channels)]);
    true
}

/// Rounds the float32 weights of node `at` to int4, so that [`keep`] finds their codes. Those that the source has as int4
/// stay as they are.
///
/// # Errors
/// Describes why they cannot be.
pub(super) fn round(graph: &mut Graph, at: usize, stored: &mut Stored) -> Result<(), String> {
    let node = &graph.nodes[at];
    let axis = channel_dimension(node).ok_or("only convolutions and fully connected layers have int4 weights")?;
    let weights = node.inputs.get(1).copied().flatten().ok_or("it has no weights")?;
    if graph.codes.get(&weights).is_some_and(|codes| codes.dtype == ElementType::I4) {
        return Ok(());
    }
    let name = if axis == 0 { "int4" } else { "int4 by tap" };
    let key = (identity(graph, weights).ok_or("it is not a constant")?, graph.tensors[weights].shape.clone(), name);
    let new = match stored.get(&key) {
        Some(known) => known.clone(),
        None => {
            let new = rounded(&graph.tensors[weights], axis).map(|(tensor, codes)| {
                let new = graph.add(tensor);
                graph.codes.insert(new, codes);
                new
            });
            stored.insert(key, new.clone());
            new
        }
    };
    graph.nodes[at].inputs[1] = Some(new?);
    Ok(())
}

/// Returns these weights rounded to multiples of int4 codes, and what they are multiples of.
fn rounded(weights: &Tensor, axis: usize) -> Result<(Tensor, SourceCodes), String> {
    let data = weights.f32_values().filter(|data| data.iter().all(|number| number.is_finite()));
    let data = data.ok_or("its weights are not finite")?;
    let channels = Channels::of(&weights.shape, axis != 0).ok_or("it has no weights")?;
    let rounded = Weights::new(&data, &vec![0.0; channels.count], 1.0, channels, ElementType::I4, ElementType::I32);
    let value = |(index, &code): (usize, &i8)| {
        Quantization::new(rounded.scales[channels.of_weight(index)], 0).dequantize(code.into()).to_le_bytes()
    };
    let bytes: Vec<u8> = rounded.bytes.iter().enumerate().flat_map(value).collect();
    let tensor = Tensor::constant(weights.name.clone(), ElementType::F32, weights.shape.clone(), bytes);
    let quantization = TensorQuantization { zero_points: vec![0; channels.count], scales: rounded.scales, axis };
    Ok((tensor, SourceCodes { dtype: ElementType::I4, quantization }))
}

/// Returns the codes of the weights of node `at`, and the scales and biases of its output channels.
fn kept_of(graph: &mut Graph, at: usize, kept: &mut Kept) -> Option<[TensorId; 2]> {
    let node = &graph.nodes[at];
    let axis = channel_dimension(node)?;
    let &[_, Some(weights), bias] = &node.inputs[..] else { return None };
    let (dtype, scales) = scales(graph, weights, axis)?;
    let key = (identity(graph, weights)?, graph.tensors[weights].shape.clone(), axis, dtype);
    let codes = match kept.codes.get(&key) {
        Some(known) => (*known)?,
        None => {
            let made = codes(&graph.tensors[weights], dtype, &scales, axis).map(|codes| graph.add(codes));
            kept.codes.insert(key, made);
            made?
        }
    };
    let key = (codes, bias.and_then(|bias| identity(graph, bias)));
    if let Some(&known) = kept.channels.get(&key) {
        return Some([codes, known]);
    }
    let biases = match bias {
        Some(bias) => graph.tensors[bias].f32_values().filter(|biases| biases.len() == scales.len())?,
        None => vec![0.0; scales.len()],
    };
    let rows = scales.iter().zip(biases).flat_map(|(&scale, bias)| [scale, bias]);
    let rows: Vec<u8> = rows.flat_map(f32::to_le_bytes).collect();
    let name = format!("{}.channels", graph.tensors[weights].name);
    let made = graph.add(Tensor::constant(name, ElementType::F32, vec![scales.len() as u32, 2], rows));
    kept.channels.insert(key, made);
    Some([codes, made])
}

/// Returns the dimension of the weights that are the output channels, for a layer that can have integer weights.
fn channel_dimension(node: &Node) -> Option<usize> {
    match node.op {
        NodeOp::Kernel(Operator::Conv2dF32(_) | Operator::ConvTranspose2dF32(_) | Operator::FullyConnectedF32(_)) => {
            Some(0)
        }
        NodeOp::Kernel(Operator::DepthwiseConv2dF32(_)) => Some(3),
        _ => None,
    }
}

fn identity(graph: &Graph, id: TensorId) -> Option<usize> {
    match &graph.tensors[id].content {
        Content::Constant(bytes) => Some(bytes.identity()),
        _ => None,
    }
}

/// Returns the type of the codes of these weights, and the scale of each output channel, if the source has them as codes
/// around 0.
fn scales(graph: &Graph, weights: TensorId, axis: usize) -> Option<(ElementType, Vec<f32>)> {
    let SourceCodes { dtype, quantization } = graph.codes.get(&weights)?;
    let channels = *graph.tensors[weights].shape.get(axis)? as usize;
    let symmetric = quantization.zero_points.iter().all(|&zero_point| zero_point == 0);
    let finite = quantization.scales.iter().all(|scale| scale.is_finite());
    match quantization.scales[..] {
        _ if !symmetric || !finite => None,
        [scale] => Some((*dtype, vec![scale; channels])),
        ref scales if scales.len() == channels && quantization.axis == axis => Some((*dtype, scales.to_vec())),
        _ => None,
    }
}

/// Returns the codes of weights that are multiples of these scales; `None` if one is not.
fn codes(weights: &Tensor, dtype: ElementType, scales: &[f32], axis: usize) -> Option<Tensor> {
    let inner = count_of(&weights.shape[axis + 1..]).max(1);
    let code = |(i, weight): (usize, f32)| {
        let scale = scales[i / inner % scales.len()];
        let code = (weight / scale).round() as i8;
        let in_range = dtype == ElementType::I8 || (-8..8).contains(&code);
        let same = in_range && Quantization::new(scale, 0).dequantize(code.into()).to_bits() == weight.to_bits();
        same.then_some(code.cast_unsigned())
    };
    let codes = weights.f32_values()?.into_iter().enumerate().map(code).collect::<Option<Vec<u8>>>()?;
    Some(Tensor::constant(weights.name.clone(), dtype, weights.shape.clone(), codes))
}

#[cfg(test)]
mod tests {
    use crate::driver::compile_graph;
    use crate::ir::graph::{ElementType, Graph, NodeOp, TensorQuantization};
    use crate::ir::{Activation, Op, Padding};
    use crate::options::Options;
    use crate::testing::{Builder, window};
    use crate::weight_type::WeightType;
    use tealight_format::ops::BlockType;
    use tealight_format::{DType, Model};

    /// A layer with two outputs whose weights are these codes, dequantized, with a bias or none.
    fn layer(op: Op, codes: (&[u32], &[i8]), quantization: &TensorQuantization, bias: Option<[f32; 2]>) -> Graph {
        let mut b = Builder::default();
        let images = !matches!(op, Op::FullyConnected(_));
        let depthwise = matches!(op, Op::DepthwiseConv2d(_));
        let depth = if depthwise { 2 } else { *codes.0.last().unwrap() };
        let shape = |depth: u32| if images { vec![1, 1, 1, depth] } else { vec![1, depth] };
        let (x, w, f32, y) = (b.f32(&shape(depth)), b.weights(codes.0, codes.1), b.f32(codes.0), b.f32(&shape(2)));
        b.graph.tensors[w].quantization = Some(quantization.clone());
        b.graph.inputs.push(x);
        b.node(Op::Dequantize, &[w], &[f32]);
        let bias = bias.map(|bias| b.f32_constant(&[2], &bias));
        b.node(op, &[Some(x), Some(f32), bias].into_iter().flatten().collect::<Vec<_>>(), &[y]);
        b.output(y)
    }

    fn per_channel(scales: [f32; 2], axis: usize) -> TensorQuantization {
        TensorQuantization { scales: scales.to_vec(), zero_points: vec![0; 2], axis }
    }

    /// The type of the weights, and the constants after them.
    fn compiled(graph: Graph, options: &Options) -> (DType, Vec<Vec<u8>>, Vec<String>) {
        let compiled = compile_graph(graph, "test", b"", options, &mut |_, _| {}).unwrap();
        let model = Model::parse(&compiled.bytes).unwrap();
        let op = model.op(0);
        let constants = (1..usize::from(op.count)).filter_map(|k| op.input(k)).map(|i| model.value(i.into()));
        let constants: Vec<_> = constants.collect();
        let bytes = constants.iter().map(|value| model.constant(value).to_vec()).collect();
        (constants[0].dtype, bytes, compiled.report.quantized)
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn codes_and_scales_are_those_of_the_source() {
        let codes = [-128i8, 127, 1, -1, 0, 100];
        let bytes: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
        let dense = Op::FullyConnected(Activation::None);
        let graph = layer(dense.clone(), (&[2, 3], &codes), &per_channel([0.1, 0.7], 0), Some([5.0, 6.0]));
        let (dtype, constants, report) = compiled(graph, &Options::default());
        assert_eq!((dtype, constants), (DType::I8, vec![bytes.clone(), floats(&[0.1, 5.0, 0.7, 6.0])]));
        assert_eq!(report, ["f32: i8, 24 B to 6 B"]);

        // One scale, no bias.
        let one = TensorQuantization { scales: vec![0.3], zero_points: vec![0], axis: 0 };
        let (dtype, constants, _) = compiled(layer(dense, (&[2, 3], &codes), &one, None), &Options::default());
        assert_eq!((dtype, constants), (DType::I8, vec![bytes, floats(&[0.3, 0.0, 0.3, 0.0])]));

        // The last dimension of depthwise weights, the first of others.
        let image = |op, codes: (&[u32], &[i8]), axis| {
            let graph = layer(op, codes, &per_channel([0.1, 0.7], axis), Some([5.0, 6.0]));
            let (dtype, constants, _) = compiled(graph, &Options::default());
            assert_eq!((dtype, &constants[1]), (DType::I8, &floats(&[0.1, 5.0, 0.7, 6.0])));
        };
        image(Op::DepthwiseConv2d(window(Padding::Valid, 1)), (&[1, 1, 1, 2], &[3, 4]), 3);
        image(Op::Conv2d(window(Padding::Valid, 1)), (&[2, 1, 1, 2], &[3, 4, 5, 6]), 0);
    }

    #[test]
    fn weights_with_zero_points_or_scales_along_inputs_become_f32() {
        let dense = || Op::FullyConnected(Activation::None);
        let shifted = TensorQuantization { scales: vec![0.3], zero_points: vec![1], axis: 0 };
        let codes: (&[u32], &[i8]) = (&[2, 2], &[1, 2, 3, 4]);
        for quantization in [shifted, per_channel([0.1, 0.7], 1)] {
            let (dtype, _, report) = compiled(layer(dense(), codes, &quantization, None), &Options::default());
            assert_eq!((dtype, report.len()), (DType::F32, 0));
        }
    }

    #[test]
    fn other_types_that_are_selected_take_precedence() {
        let codes = [1; 64];
        let dense = || layer(Op::FullyConnected(Activation::None), (&[2, 32], &codes), &per_channel([0.5; 2], 0), None);
        let of = |options: Options| compiled(dense(), &options).0;
        assert_eq!(of(Options { f16: true, ..Options::default() }), DType::F16);
        assert_eq!(of(Options { quantize: Some(BlockType::Q8_0), ..Options::default() }), DType::U8);
        let layers = vec![("f32".to_string(), WeightType::F32)];
        assert_eq!(of(Options { layers, ..Options::default() }), DType::F32);
        // Blocks of 256 do not fit.
        let (dtype, _, report) = compiled(dense(), &Options { quantize: Some(BlockType::Q4K), ..Options::default() });
        assert_eq!(dtype, DType::I8);
        assert_eq!(report, ["f32: i8 as in the source, its 32 inputs are not whole blocks of 256"]);
    }

    #[test]
    fn layers_share_the_codes_of_weights_that_they_share() {
        let mut b = Builder::default();
        let (x, w, f32) = (b.f32(&[1, 2]), b.weights(&[2, 2], &[1, 2, 3, 4]), b.f32(&[2, 2]));
        b.graph.inputs.push(x);
        b.node(Op::Dequantize, &[w], &[f32]);
        let biases = [b.f32_constant(&[2], &[1.0, 2.0]), b.f32_constant(&[2], &[3.0, 4.0])];
        let mut y = x;
        for bias in [Some(biases[0]), None, Some(biases[0]), Some(biases[1])] {
            let next = b.f32(&[1, 2]);
            let inputs: Vec<_> = [Some(y), Some(f32), bias].into_iter().flatten().collect();
            b.node(Op::FullyConnected(Activation::None), &inputs, &[next]);
            y = next;
        }
        let mut graph = None;
        let last = &mut |name: &str, after: &Graph| {
            if name == "store" {
                graph = Some(after.clone());
            }
        };
        let compiled = compile_graph(b.output(y), "test", b"", &Options::default(), last).unwrap();
        assert_eq!(compiled.report.quantized.len(), 1);
        let graph = graph.unwrap();
        let inputs: Vec<_> = graph.nodes.iter().map(|node| [node.inputs[1], node.inputs[2]]).collect();
        let [[w0, a], [w1, none], [w2, b], [w3, c]] = inputs[..] else { panic!("{inputs:?}") };
        assert!(w0 == w1 && w0 == w2 && w0 == w3 && a == b && a != none && a != c && c != none, "{inputs:?}");
        assert!(graph.nodes.iter().all(|node| matches!(node.op, NodeOp::Kernel(_))));
        assert_eq!(graph.tensors[w0.unwrap()].dtype, ElementType::I8);
    }

    #[test]
    fn float32_weights_are_rounded_to_int4_where_that_is_selected() {
        let mut b = Builder::default();
        let (x, y, z) = (b.f32(&[1, 3]), b.f32(&[1, 2]), b.f32(&[1, 2]));
        b.graph.inputs.push(x);
        let w = b.f32_constant(&[2, 3], &[0.7, -0.3, 0.1, 7.0, 1.0, -2.0]);
        let other = b.f32_constant(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        (b.graph.tensors[w].name, b.graph.tensors[other].name) = ("first".into(), "second".into());
        b.node(Op::FullyConnected(Activation::None), &[x, w], &[y]);
        b.node(Op::FullyConnected(Activation::None), &[y, other], &[z]);
        let graph = b.output(z);
        let compile = |layers: &[(&str, WeightType)]| {
            let layers = layers.iter().map(|(name, of)| (name.to_string(), *of)).collect();
            let options = Options { layers, ..Options::default() };
            compile_graph(graph.clone(), "test", b"", &options, &mut |_, _| {})
        };
        let compiled = compile(&[("first", WeightType::Int4)]).unwrap();
        let model = Model::parse(&compiled.bytes).unwrap();
        let value = |op: usize, k: usize| model.value(model.op(op).input(k).unwrap().into());
        assert_eq!([value(0, 1), value(1, 1)].map(|value| value.dtype), [DType::I4, DType::F32]);
        // The codes 7, -3, 1, 7, 1, -2.
        assert_eq!(model.constant(&value(0, 1)), [0xd7, 0x71, 0xe1]);
        assert_eq!(model.constant(&value(0, 2)), floats(&[0.7 / 7.0, 0.0, 1.0, 0.0]));
        assert_eq!(compiled.report.quantized, ["first: int4, 24 B to 3 B"]);
        let all = compile(&[("*", WeightType::Int4)]).unwrap();
        assert_eq!(all.report.quantized.len(), 2);
        let error = compile(&[("third", WeightType::Int4)]).unwrap_err().to_string();
        assert!(error.contains("third") && error.contains("first, second"), "{error}");
    }
}
