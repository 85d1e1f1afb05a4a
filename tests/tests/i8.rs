//! Float layers with int8 or int4 weights are near the same layers in f32 with the weights that the codes stand for.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use tealight::{Budget, Model};
use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorQuantization};
use tealight_compiler::ir::Op;
use tealight_compiler::{Options, import_tflite};
use tealight_format::DType;
use tealight_tests::models::splitmix64;
use tealight_tests::ops::cases;
use tealight_tests::tolerance::floats;

/// By how much outputs may differ, of the largest.
const TOLERANCE: f32 = 1e-5;

/// How the weights of a network are stored.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Codes of this type, behind a DEQUANTIZE.
    Codes(ElementType),
    /// The numbers that they stand for.
    Numbers,
}

/// The codes of weights, to `max` at most, with a scale for each index of dimension `axis`.
fn codes(weights: &Tensor, axis: usize, max: f32) -> (Vec<i8>, TensorQuantization) {
    let (channels, values) = (weights.shape[axis] as usize, weights.f32_values().unwrap());
    let inner: usize = weights.shape[axis + 1..].iter().map(|&dim| dim as usize).product();
    let channel = |i: usize| i / inner % channels;
    let mut scales = vec![f32::MIN_POSITIVE; channels];
    for (i, value) in values.iter().enumerate() {
        scales[channel(i)] = scales[channel(i)].max(value.abs() / max);
    }
    let codes = values.iter().enumerate().map(|(i, value)| (value / scales[channel(i)]).round() as i8).collect();
    (codes, TensorQuantization { scales, zero_points: vec![0; channels], axis })
}

/// The network with the weights of all layers as codes to `max` at most; and the number of layers.
fn rounded(mut graph: Graph, max: f32, form: Form) -> (Graph, usize) {
    let (mut nodes, mut done, mut layers) = (Vec::new(), BTreeMap::new(), 0);
    for mut node in std::mem::take(&mut graph.nodes) {
        let axis = match &node.op {
            NodeOp::Ir(Op::Conv2d(_) | Op::ConvTranspose2d(_) | Op::FullyConnected(_)) => Some(0),
            NodeOp::Ir(Op::DepthwiseConv2d(_)) => Some(3),
            _ => None,
        };
        if let Some(axis) = axis {
            layers += 1;
            let weights = node.inputs[1].unwrap();
            let replaced = *done.entry(weights).or_insert_with(|| {
                let tensor = graph.tensors[weights].clone();
                let (codes, quantization) = codes(&tensor, axis, max);
                let Form::Codes(dtype) = form else {
                    let inner: usize = tensor.shape[axis + 1..].iter().map(|&dim| dim as usize).product();
                    let scale = |i: usize| quantization.scales[i / inner % quantization.scales.len()];
                    let values = codes.iter().enumerate().map(|(i, &code)| scale(i) * f32::from(code));
                    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
                    return graph.add(Tensor { content: Content::Constant(bytes.into()), ..tensor });
                };
                let bytes: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
                let stored = Tensor::constant(tensor.name.clone(), dtype, tensor.shape.clone(), bytes);
                let stored = graph.add(Tensor { quantization: Some(quantization), ..stored });
                let f32 = graph.add(Tensor::computed(tensor.name, ElementType::F32, tensor.shape));
                let (inputs, outputs) = (vec![Some(stored)], vec![f32]);
                nodes.push(Node { op: NodeOp::Ir(Op::Dequantize), inputs, outputs, origin: node.origin });
                f32
            });
            node.inputs[1] = Some(replaced);
        }
        nodes.push(node);
    }
    graph.nodes = nodes;
    (graph, layers)
}

const FILES: [&str; 5] =
    ["conv2d_f32", "depthwise_conv2d_f32", "fully_connected_f32", "conv_transpose2d_f32", "graphs_f32"];

#[test]
fn layers_with_int8_or_int4_weights_are_near_those_with_the_weights_that_the_codes_stand_for() {
    for (dtype, stored, max) in [(ElementType::I8, DType::I8, 127.0), (ElementType::I4, DType::I4, 7.0)] {
        let (mut compared, mut seed, mut worst, mut sizes) = (0, 3, 0f32, [0; 2]);
        for (name, case) in FILES.into_iter().flat_map(cases) {
            let compile = |form| {
                let (graph, layers) = rounded(import_tflite(&case.model).unwrap(), max, form);
                (compile_kernel_graph(graph, b"", &Options::default()).unwrap(), layers)
            };
            let ((expanded, layers), (kept, _)) = (compile(Form::Numbers), compile(Form::Codes(dtype)));
            let model = Model::parse(&kept.bytes).unwrap();
            let has_codes = |&i: &usize| {
                let op = model.op(i);
                let weights = op.operator.weight_inputs().next().and_then(|k| op.input(k));
                weights.is_some_and(|value| model.value(value.into()).dtype == stored)
            };
            assert_eq!((0..model.op_count()).filter(has_codes).count(), layers, "{name}");
            let set = model.op_set();
            let expected = if stored == DType::I8 { [layers > 0, false] } else { [false, layers > 0] };
            assert_eq!([set.has_i8_weights(), set.has_i4_weights()], expected, "{name}");
            if layers == 0 {
                continue;
            }
            sizes = [sizes[0] + kept.report.weights_bytes, sizes[1] + expanded.report.weights_bytes];
            let (expected, found) =
                (case.run(&expanded.bytes, Budget::unlimited), case.run(&kept.bytes, Budget::unlimited));
            let sliced = case.run(&kept.bytes, || Budget::macs(splitmix64(&mut seed) % 8000));
            assert!(found == sliced, "{name}: slices");
            if stored == DType::I4 {
                let (of_bytes, _) = compile(Form::Codes(ElementType::I8));
                assert!(found == case.run(&of_bytes.bytes, Budget::unlimited), "{name}: int4 as int8");
            }
            let (expected, found) = (floats(&expected), floats(&found));
            let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
            let off = expected.iter().zip(found).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
            assert!(off <= TOLERANCE * largest, "{name}: off by {off} of {largest}");
            worst = worst.max(off / largest);
            compared += 1;
        }
        println!("{compared} networks, the largest difference is {worst:e} of the largest output; {sizes:?} bytes");
        let times = if stored == DType::I8 { 2 } else { 3 };
        assert!(times * sizes[0] < sizes[1], "{sizes:?} bytes");
        assert!(compared >= 30, "only {compared} networks");
        assert!(worst > 0.0, "a product that is scaled afterwards rounds otherwise");
    }
}
