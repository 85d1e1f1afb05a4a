//! ONNX networks compute what ONNX Runtime computes, in the layout that the notes state, and what cannot be compiled is
//! refused by name.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use tealight::OwnedSession;
use tealight_compiler::quantize::{Quantize, compile_float, import_float};
use tealight_compiler::{CompileError, Compiled, InputValue, Numbers, Options, WeightType, compile_onnx, import_onnx};
use tealight_format::ops::BlockType;
use tealight_format::{DType, Model};
use tealight_kernels::float::f16;
use tealight_testing::onnx::{field, nhwc, number};
use tealight_testing::rng::Rng;

#[global_allocator]
static PEAK: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// How far an output may be from ONNX Runtime's, relative to the largest of the tensor. Both add the products of a sum in
/// an order of their own, and batch normalization is folded into weights.
const TOLERANCE: f32 = 2e-5;

/// How far an output of a dynamically quantized network may be from ONNX Runtime's, relative to the largest of the tensor.
const DYNAMIC_TOLERANCE: f32 = 0.05;

/// A tensor of the golden file: its shape and elements.
type Tensor = (Vec<usize>, Vec<f32>);

/// A network: its name, its file, and recorded inputs and outputs.
type Case = (String, Vec<u8>, Vec<Tensor>, Vec<Tensor>);

/// The float32 networks, with their inputs and outputs.
fn cases() -> Vec<Case> {
    cases_of("onnx.safetensors")
}

/// The quantized networks.
fn quantized_cases() -> Vec<Case> {
    cases_of("onnx_quantized.safetensors")
}

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn cases_of(file: &str) -> Vec<Case> {
    let bytes = golden(file);
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let names: BTreeSet<String> = file.names().iter().map(|name| name.split('/').next().unwrap().to_string()).collect();
    let list = |case: &str, kind: &str| -> Vec<Tensor> {
        (0..)
            .map_while(|k| file.tensor(&format!("{case}/{kind}.{k}.0")).ok())
            .map(|tensor| {
                let floats = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
                (tensor.shape().to_vec(), floats.collect())
            })
            .collect()
    };
    let case = |name: String| {
        let model = file.tensor(&format!("{name}/model")).unwrap().data().to_vec();
        let (inputs, outputs) = (list(&name, "input"), list(&name, "output"));
        (name, model, inputs, outputs)
    };
    let cases: Vec<_> = names.into_iter().map(case).collect();
    assert!(cases.len() >= 8 && cases.iter().all(|(_, _, inputs, outputs)| !inputs.is_empty() && !outputs.is_empty()));
    cases
}

/// Returns the elements of a tensor of the file in the layout of the model, whose shape is `shape`.
fn laid_out((from, values): &Tensor, shape: &[usize]) -> Vec<f32> {
    if from == shape {
        return values.clone();
    }
    let &[n, c, h, w] = &from[..] else { panic!("{from:?} is not {shape:?}") };
    assert_eq!(shape, [n, h, w, c]);
    nhwc([n, c, h, w]).map(|at| values[at]).collect()
}

/// Returns the outputs of a model file on inputs in the layout of the ONNX file, and those expected in its own layout.
fn run(file: &[u8], inputs: &[Tensor], expected: &[Tensor]) -> Vec<(Vec<f32>, Vec<f32>)> {
    let model = Model::parse(file).unwrap();
    let dims = |value: tealight_format::Value| -> Vec<usize> {
        (0..value.shape.rank()).map(|i| value.shape.dim(i) as usize).collect()
    };
    let mut session = OwnedSession::from_bytes(file).unwrap();
    for (k, input) in inputs.iter().enumerate() {
        let bytes: Vec<u8> = laid_out(input, &dims(model.input_value(k).unwrap()))
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        session.input(k).unwrap().copy_from_bytes(&bytes).unwrap();
    }
    session.run();
    let output = |(k, wanted): (usize, &Tensor)| {
        let found = session.output(k).unwrap().as_bytes().chunks_exact(4);
        let found = found.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (found, laid_out(wanted, &dims(model.output_value(k).unwrap())))
    };
    expected.iter().enumerate().map(output).collect()
}

fn compile(name: &str, model: &[u8]) -> Compiled {
    compile_onnx(model, &Options::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn networks_compute_what_onnx_runtime_computes() {
    compare(cases());
}

/// Runs networks, and compares their outputs with the recorded ones.
fn compare(cases: Vec<Case>) {
    for (name, model, inputs, outputs) in cases {
        let compiled = compile(&name, &model);
        println!("{name}: {:?}", compiled.report.notes);
        for (k, (found, wanted)) in run(&compiled.bytes, &inputs, &outputs).into_iter().enumerate() {
            assert_eq!(found.len(), wanted.len(), "{name}");
            let largest = wanted.iter().fold(0f32, |most, x| most.max(x.abs()));
            let apart = found.iter().zip(&wanted).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            println!("{name} output {k}: {:.2e} of the largest", apart / largest);
            let is_near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= TOLERANCE * largest);
            assert!(is_near, "{name} output {k}: {found:?} instead of {wanted:?}");
        }
    }
}

#[test]
fn networks_of_both_exporters_of_pytorch_compute_what_pytorch_computes() {
    let cases = cases_of("torch.safetensors");
    for name in ["convolutional", "depthwise", "lstm", "temporal", "transformer"] {
        let of_kind = cases.iter().filter(|case| case.0.starts_with(name));
        assert_eq!(of_kind.count(), 2, "{name}");
    }
    compare(cases);
}

#[test]
fn operators_that_are_written_as_several_are_recognized() {
    let (_, model, ..) = cases().into_iter().find(|case| case.0 == "patterns").unwrap();
    let graph = import_onnx(&model, &Options::default()).unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
    let layer = "FullyConnected";
    let expected = [layer, "GeluTanh", layer, "Gelu", layer, "HardSwish", layer, "RmsNormF32", layer, "LayerNormF32"];
    assert_eq!(names, expected);
}

#[test]
fn quantized_networks_are_within_one_step_a_layer_of_onnx_runtime() {
    let bytes = golden("onnx_quantized.safetensors");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let number = |key: String| f32::from_le_bytes(file.tensor(&key).unwrap().data().try_into().unwrap());
    let mut failed = Vec::new();
    for (name, model, inputs, outputs) in quantized_cases() {
        let compiled = compile(&name, &model);
        let notes = compiled.report.notes.join("; ");
        println!("{name}: {notes}");
        let layers = number(format!("{name}/layers"));
        let is_dynamic = name.contains("dynamic");
        // What is quantized in each inference is not quantized here.
        let most = if is_dynamic { DYNAMIC_TOLERANCE } else { layers + 0.01 };
        for (k, (found, wanted)) in run(&compiled.bytes, &inputs, &outputs).into_iter().enumerate() {
            assert_eq!(found.len(), wanted.len(), "{name}");
            let step = number(format!("{name}/step.{k}"));
            let apart = found.iter().zip(&wanted).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / step;
            let differ = found.iter().zip(&wanted).filter(|(a, b)| (*a - *b).abs() > step / 2.0).count();
            println!("{name} output {k}: {apart:.3} steps, {differ} of {} differ", found.len());
            if apart > most {
                failed.push(format!("{name} output {k}: {found:?} instead of {wanted:?}"));
            }
            assert!(wanted.iter().any(|&x| (x - wanted[0]).abs() > 3.0 * step * f32::from(!is_dynamic)), "{name}");
        }
        // Weights that are codes around 0 stay codes: of recurrent layers, those of one direction with one scale.
        let types = weights(&compiled);
        let codes = types.iter().filter(|&&dtype| dtype == DType::I8).count();
        let least = match &name[..] {
            name if !is_dynamic || name.contains("unsigned") => 0,
            "lstm_dynamic" => 1,
            "lstm_dynamic_one_scale" => 17,
            _ => types.len(),
        };
        if codes < least {
            failed.push(format!("{name}: weights {types:?}"));
        }
        let in_float = notes.contains("float32 between conversions");
        if in_float != (name == "mixed") {
            failed.push(format!("{name}: {notes}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The types of the weights of a network's float layers.
fn weights(compiled: &Compiled) -> Vec<DType> {
    let model = Model::parse(&compiled.bytes).unwrap();
    let ops = (0..model.op_count()).map(|i| model.op(i));
    let inputs = ops.flat_map(|op| op.operator.weight_inputs().map(move |k| op.input(k)));
    inputs.flatten().map(|id| model.value(id.into()).dtype).collect()
}

#[test]
fn weights_of_float16_stay_float16_unless_another_type_is_selected() {
    let halves: Vec<u8> = [0x3c00u16, 0xc000, 0x3555, 0x0001].iter().flat_map(|half| half.to_le_bytes()).collect();
    let nodes = [
        node("Cast", &["h"], "w", &[int("to", FLOAT)]),
        node("MatMul", &["x", "w"], "m", &[]),
        node("MatMul", &["m", "v"], "y", &[]),
    ];
    // The second layer's weights are no halves.
    let file =
        model(13, &[1, 2], &nodes, &[constant("h", FLOAT16, &[2, 2], &halves), floats("v", &[2, 1], &[0.1, 1.0])]);
    let compiled = compile("halves", &file);
    assert_eq!(weights(&compiled), [DType::F16, DType::F32]);
    assert_eq!(compiled.report.quantized, ["w: f16, 16 B to 8 B"]);
    let input = vec![(vec![1, 2], vec![1.0, 2.0])];
    let of = |half: u16| f16::from_bits(half).to_f32();
    let middle = [of(0x3c00) + 2.0 * of(0x3555), of(0xc000) + 2.0 * of(0x0001)];
    let y = run(&compiled.bytes, &input, &[(vec![1, 1], vec![0.0])]);
    assert_eq!(y[0].0, [middle[0] * 0.1 + middle[1]]);
    for (layers, quantize) in [(vec![("*".to_string(), WeightType::F32)], None), (Vec::new(), Some(BlockType::Q8_0))] {
        let options = Options { layers, quantize, ..Options::default() };
        let compiled = compile_onnx(&file, &options).unwrap();
        let expected = if quantize.is_some() { DType::F16 } else { DType::F32 };
        assert_eq!(weights(&compiled)[0], expected, "{:?}", compiled.report.quantized);
    }
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| field(1, name.as_bytes()));
    let attributes = attributes.iter().flat_map(|attribute| field(5, attribute));
    field(
        1,
        &inputs.chain(field(2, output.as_bytes())).chain(field(4, op.as_bytes())).chain(attributes).collect::<Vec<_>>(),
    )
}

/// The codes of types of elements.
const FLOAT: u8 = 1;
const INT64: u8 = 7;
const STRING: u8 = 8;
const BOOL: u8 = 9;
const FLOAT16: u8 = 10;
const DOUBLE: u8 = 11;

/// Builds the description of an input or output; a dimension of 0 is dynamic, with the name `d` and its index.
fn info(name: &str, dtype: u8, dims: &[u8]) -> Vec<u8> {
    let dim = |(i, &dim): (usize, &u8)| {
        field(1, &if dim == 0 { field(2, format!("d{i}").as_bytes()) } else { number(1, dim) })
    };
    let shape: Vec<u8> = dims.iter().enumerate().flat_map(dim).collect();
    [field(1, name.as_bytes()), field(2, &field(1, &[number(1, dtype), field(2, &shape)].concat()))].concat()
}

/// Builds a network of these nodes and constants, from `x` to `y`.
fn model(opset: u8, input: &[u8], nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    network(opset, &[("x", FLOAT, input)], nodes, constants)
}

/// Builds a network with the output `y`.
fn network(opset: u8, inputs: &[(&str, u8, &[u8])], nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    let constants = constants.iter().flat_map(|constant| field(5, constant)).collect();
    let inputs = inputs.iter().flat_map(|(name, dtype, dims)| field(11, &info(name, *dtype, dims))).collect();
    let graph = [nodes.concat(), constants, inputs, field(12, &field(1, b"y"))].concat();
    [number(1, 8), field(2, b"test"), field(7, &graph), field(8, &number(2, opset))].concat()
}

/// An attribute that is an integer.
fn int(name: &str, value: u8) -> Vec<u8> {
    [field(1, name.as_bytes()), number(3, value)].concat()
}

fn integers(list: &[i64]) -> InputValue {
    InputValue { shape: None, numbers: Numbers::Integers(list.to_vec()) }
}

/// Returns the shapes of the inputs and outputs of a model file.
fn interface(compiled: &Compiled) -> [Vec<Vec<u32>>; 2] {
    let model = Model::parse(&compiled.bytes).unwrap();
    let shape = |value: tealight_format::Value| value.shape.dims().to_vec();
    [
        model.inputs().map(|id| shape(model.value(id))).collect(),
        model.outputs().map(|id| shape(model.value(id))).collect(),
    ]
}

/// A constant `w` whose data lie in another file.
fn external(location: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    [number(1, 2), number(2, 1), field(8, b"w"), entry("location", location), entry("length", "8"), number(14, 1)]
        .concat()
}

/// A constant of type `code` with these little-endian bytes.
fn constant(name: &str, code: u8, dims: &[u8], bytes: &[u8]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&dim| number(1, dim));
    [dims.collect(), number(2, code), field(8, name.as_bytes()), field(9, bytes)].concat()
}

fn floats(name: &str, dims: &[u8], values: &[f32]) -> Vec<u8> {
    constant(name, 1, dims, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

// The codes of ONNX for types.
const U8: u8 = 2;
const I8: u8 = 3;

fn error(model: &[u8]) -> String {
    compile_onnx(model, &Options::default()).unwrap_err().to_string()
}

#[test]
fn all_that_is_not_supported_is_reported_at_once() {
    let nodes = [
        node("NonMaxSuppression", &["x"], "a", &[]),
        node("Det", &["x"], "b", &[]),
        node("Det", &["b"], "c", &[]),
        node("Pad", &["x", "x"], "d", &[[field(1, b"mode"), field(4, b"other")].concat()]),
        node("Add", &["a", "c"], "e", &[]),
        node("Sum", &["e", "d"], "y", &[]),
        node("LSTM", &["x"], "unread", &[]),
    ];
    let text = error(&model(13, &[1, 4], &nodes, &[]));
    for part in
        ["4 nodes cannot be compiled", "NonMaxSuppression (node 0)", "Det (2 times, first at node 1)", "`other`"]
    {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains("Add") && !text.contains("LSTM"), "{text}");
}

#[test]
fn operators_of_other_domains_and_versions_are_refused_by_name() {
    let relu = |opset| model(opset, &[1, 4], &[node("Relu", &["x"], "y", &[])], &[]);
    assert!(compile_onnx(&relu(13), &Options::default()).is_ok());
    for opset in [0, 23] {
        assert!(error(&relu(opset)).contains(&format!("version {opset} of ONNX's operators; versions 1 to 22")));
    }
    let inner = [field(1, b"x"), field(2, b"y"), field(4, b"FusedMatMul"), field(7, b"com.microsoft")].concat();
    let text = error(&model(13, &[1, 4], &[field(1, &inner)], &[]));
    assert!(text.contains("node 0 (com.microsoft.FusedMatMul) is not supported"), "{text}");
    let function = [relu(13), vec![0xca, 1, 0]].concat();
    assert!(error(&function).contains("local functions"));
}

#[test]
fn dynamic_dimensions_other_than_a_batch_are_refused() {
    let relu = |dims: &[u8]| model(13, dims, &[node("Relu", &["x"], "y", &[])], &[]);
    let compiled = compile_onnx(&relu(&[0, 4]), &Options::default()).unwrap();
    assert_eq!(compiled.report.notes, ["the batch of `x` [-1, 4] is dynamic; compiled for a batch of 1"]);
    assert!(error(&relu(&[0, 0, 4])).contains("dimension 1 of tensor `x` [-1, -1, 4] is dynamic"));
    assert!(error(&relu(&[0])).contains("dimension 0 of tensor `x` [-1] is dynamic"));
    assert!(error(&relu(&[0])).contains("--input-shape NAME=1,96,96,3"));
}

#[test]
fn a_given_shape_fixes_the_dynamic_dimensions_of_all_inputs_with_their_names() {
    let add =
        network(13, &[("x", FLOAT, &[0, 0, 4]), ("z", FLOAT, &[0, 0, 1])], &[node("Add", &["x", "z"], "y", &[])], &[]);
    let with = |shapes: &[(&str, &[u32])]| {
        let input_shapes = shapes.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect();
        compile_onnx(&add, &Options { input_shapes, ..Options::default() })
    };
    let compiled = with(&[("x", &[2, 3, 4])]).unwrap();
    assert_eq!(interface(&compiled), [vec![vec![2, 3, 4], vec![2, 3, 1]], vec![vec![2, 3, 4]]]);
    let error = |shapes: &[(&str, &[u32])]| with(shapes).unwrap_err().to_string();
    assert!(error(&[("x", &[2, 3, 5])]).contains("it is [2, 3, 5], and the file states [?, ?, 4]"));
    assert!(
        error(&[("x", &[2, 3, 4]), ("z", &[2, 4, 1])]).contains("its dimension `d1` would be 4, and that of another 3")
    );
    assert_eq!(error(&[("w", &[1])]), "the network has no input `w`; it has `x`, `z`");
    assert!(error(&[("x", &[0, 3, 4])]).contains("none of them 0"));
    assert!(error(&[("x", &[u32::MAX, u32::MAX, 4])]).contains("more than 2^28 elements"));
}

#[test]
fn dimensions_without_a_name_may_have_different_lengths() {
    let unknown = |name: &[u8]| {
        let dims: Vec<u8> = [name, name].iter().flat_map(|name| field(1, &field(2, name))).collect();
        let input = [field(1, b"x"), field(2, &field(1, &[number(1, FLOAT), field(2, &dims)].concat()))].concat();
        let graph = [node("Relu", &["x"], "y", &[]), field(11, &input), field(12, &field(1, b"y"))].concat();
        [number(1, 8), field(2, b"test"), field(7, &graph), field(8, &number(2, 13))].concat()
    };
    let options = Options { input_shapes: vec![("x".into(), vec![2, 3])], ..Options::default() };
    let compiled = compile_onnx(&unknown(b"?"), &options).unwrap();
    assert_eq!(interface(&compiled)[0], [vec![2, 3]]);
    let error = compile_onnx(&unknown(b"n"), &options).unwrap_err().to_string();
    assert!(error.contains("its dimension `n` would be 3, and that of another 2"), "{error}");
    let options = Options { signature: Some("serve".into()), ..options };
    let error = compile_onnx(&unknown(b"?"), &options).unwrap_err().to_string();
    assert_eq!(error, "the network has no signature `serve`; it has none");
}

#[test]
fn a_given_value_makes_an_input_a_constant() {
    // `y` is `x` in the shape that the input `s` holds.
    let reshape = |dims: &[u8]| {
        network(13, &[("x", FLOAT, &[2, 6]), ("s", INT64, dims)], &[node("Reshape", &["x", "s"], "y", &[])], &[])
    };
    let with = |dims: &[u8], value: InputValue| {
        let options = Options { input_values: vec![("s".into(), value)], ..Options::default() };
        compile_onnx(&reshape(dims), &options)
    };
    for dims in [&[2][..], &[0]] {
        let compiled = with(dims, integers(&[3, -1])).unwrap();
        assert_eq!(interface(&compiled), [vec![vec![2, 6]], vec![vec![3, 4]]]);
    }
    let error = |dims: &[u8], value| with(dims, value).unwrap_err().to_string();
    assert!(error(&[3], integers(&[3, -1])).contains("it has 2 numbers, and the input is int64[3]"));
    assert!(error(&[0, 0], integers(&[3, -1])).contains("its shape [?, ?] is not known; give that too"));
    let floats = InputValue { shape: None, numbers: Numbers::Floats(vec![3.0, 4.0]) };
    assert!(error(&[2], floats).contains("3 is no int64"));
    let array = InputValue { shape: Some(vec![2, 1]), ..integers(&[3, 4]) };
    assert!(error(&[2], array).contains("the value given for the input `s` does not fit: it is [2, 1]"));
    // Hostile numbers end in an error.
    for list in [[i64::MAX, i64::MAX], [i64::MIN, -1], [-2, -6], [5, 0], [1 << 40, 1 << 40]] {
        assert!(with(&[2], integers(&list)).is_err(), "{list:?}");
    }
}

#[test]
fn a_named_tensor_becomes_the_output_and_what_it_does_not_need_is_left_out() {
    let nodes =
        [node("Relu", &["x"], "a", &[]), node("Neg", &["a"], "b", &[]), node("NonMaxSuppression", &["b"], "y", &[])];
    let model = model(13, &[1, 4], &nodes, &[]);
    let with = |names: &[&str]| {
        let outputs = names.iter().map(ToString::to_string).collect();
        compile_onnx(&model, &Options { outputs, ..Options::default() })
    };
    let compiled = with(&["b", "a"]).unwrap();
    assert_eq!(interface(&compiled)[1], [[1, 4], [1, 4]]);
    assert!(error(&model).contains("NonMaxSuppression"));
    let text = with(&["c"]).unwrap_err().to_string();
    assert_eq!(text, "the network has no computed tensor `c`; it has `y`, `b`, `a`");
    assert!(with(&["x"]).is_err() && with(&[""]).is_err());
}

#[test]
fn reasons_of_all_kinds_are_reported_at_once() {
    let nodes = [
        node("NonMaxSuppression", &["x"], "a", &[]),
        node("Squeeze", &["w"], "b", &[]),
        node("Concat", &["a", "b", "t"], "y", &[]),
    ];
    let inputs: [(&str, u8, &[u8]); 3] = [("x", FLOAT, &[4, 0]), ("w", FLOAT, &[2, 2, 0]), ("t", STRING, &[1])];
    let error = compile_onnx(&network(13, &inputs, &nodes, &[]), &Options::default()).unwrap_err();
    let reasons = error.reasons();
    let of = |part: &str| reasons.iter().find(|reason| reason.what.contains(part)).unwrap_or_else(|| panic!("{error}"));
    assert_eq!(reasons.len(), 4, "{error}");
    assert_eq!((of("NonMaxSuppression").nodes, of("NonMaxSuppression").first.is_some()), (1, true));
    assert_eq!(of("dimension 1 of tensor `x`").nodes, 0);
    of("dimension 2 of tensor `w`");
    of("`t`, an input or output of the network, is string");
    assert!(error.to_string().starts_with("there are 4 reasons:\n- "), "{error}");
}

/// The little-endian bytes of f32 numbers.
fn bytes_of(list: &[f32]) -> Vec<u8> {
    list.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Compiles a network, and returns its first output for inputs of these bytes.
fn answer(model: &[u8], inputs: &[&[u8]]) -> Vec<u8> {
    let compiled = compile_onnx(model, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    for (k, input) in inputs.iter().enumerate() {
        session.input(k).unwrap().copy_from_bytes(input).unwrap();
    }
    session.run();
    session.output(0).unwrap().as_bytes().to_vec()
}

#[test]
fn tokens_of_int64_are_int32_in_the_model_and_look_up_rows_of_a_table() {
    let table = constant("w", FLOAT, &[3, 2], &bytes_of(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    let model = network(13, &[("x", INT64, &[1, 2])], &[node("Gather", &["w", "x"], "y", &[])], &[table]);
    let tokens: Vec<u8> = [2i32, 0].iter().flat_map(|token| token.to_le_bytes()).collect();
    assert_eq!(answer(&model, &[&tokens]), bytes_of(&[4.0, 5.0, 0.0, 1.0]));
    let notes = compile("tokens", &model).report.notes;
    assert_eq!(notes, ["the input `x` is int64 in the file; the model takes int32"]);
}

#[test]
fn truth_values_are_bytes_outside_of_the_model_and_compared_exactly() {
    let (low, high) = (f32::from_bits(1), f32::INFINITY);
    let (a, b) = ([low, 0.0, -1.0, high, high, -0.0, f32::MAX], [0.0, low, -1.0, high, -high, 0.0, -f32::MAX]);
    let relation = |op: &str, holds: fn(f32, f32) -> bool| {
        let model = network(13, &[("a", FLOAT, &[7]), ("b", FLOAT, &[7])], &[node(op, &["a", "b"], "y", &[])], &[]);
        let wanted: Vec<u8> = a.iter().zip(b).map(|(&a, b)| u8::from(holds(a, b))).collect();
        assert_eq!(answer(&model, &[&bytes_of(&a), &bytes_of(&b)]), wanted, "{op}");
        // With a constant.
        let constant = constant("b", FLOAT, &[7], &bytes_of(&b));
        let model = network(13, &[("a", FLOAT, &[7])], &[node(op, &["a", "b"], "y", &[])], &[constant]);
        assert_eq!(answer(&model, &[&bytes_of(&a)]), wanted, "{op} with a constant");
    };
    relation("Greater", |a, b| a > b);
    relation("Less", |a, b| a < b);
    relation("Equal", |a, b| a == b);
    relation("GreaterOrEqual", |a, b| a >= b);
    relation("LessOrEqual", |a, b| a <= b);
    // The documented limit: between two computed values an infinity counts as the largest number.
    let equal = |inputs: &[(&str, u8, &[u8])], constants: &[Vec<u8>]| {
        network(13, inputs, &[node("Equal", &["a", "b"], "y", &[])], constants)
    };
    let (most, high) = (bytes_of(&[f32::MAX]), bytes_of(&[high]));
    assert_eq!(answer(&equal(&[("a", FLOAT, &[1]), ("b", FLOAT, &[1])], &[]), &[&high, &most]), [1]);
    assert_eq!(answer(&equal(&[("a", FLOAT, &[1])], &[constant("b", FLOAT, &[1], &most)]), &[&high]), [0]);
    for (op, wanted) in [("And", [1, 0, 0, 0]), ("Or", [1, 1, 1, 0]), ("Xor", [0, 1, 1, 0])] {
        let model = network(13, &[("a", BOOL, &[4]), ("b", BOOL, &[4])], &[node(op, &["a", "b"], "y", &[])], &[]);
        assert_eq!(answer(&model, &[&[1, 1, 0, 0], &[1, 0, 1, 0]]), wanted, "{op}");
    }
    let not = network(13, &[("x", BOOL, &[2])], &[node("Not", &["x"], "y", &[])], &[]);
    assert_eq!(answer(&not, &[&[1, 0]]), [0, 1]);
    assert!(error(&network(13, &[("x", FLOAT, &[2])], &[node("Not", &["x"], "y", &[])], &[])).contains("is not bool"));
}

#[test]
fn a_choice_takes_the_very_elements() {
    let high = f32::INFINITY;
    let (a, b) = ([1.0, high, -high, f32::MAX], [-2.0, -high, high, 5.0]);
    let model = network(
        13,
        &[("c", BOOL, &[4]), ("a", FLOAT, &[4]), ("b", FLOAT, &[4])],
        &[node("Where", &["c", "a", "b"], "y", &[])],
        &[],
    );
    assert_eq!(answer(&model, &[&[1, 1, 1, 1], &bytes_of(&a), &bytes_of(&b)]), bytes_of(&a));
    assert_eq!(answer(&model, &[&[0, 0, 0, 0], &bytes_of(&a), &bytes_of(&b)]), bytes_of(&b));
    assert_eq!(answer(&model, &[&[0, 1, 0, 1], &bytes_of(&a), &bytes_of(&b)]), bytes_of(&[-2.0, high, high, f32::MAX]));
    // A mask that is known.
    let mask = constant("c", BOOL, &[4], &[1, 0, 0, 1]);
    let fill = constant("b", FLOAT, &[], &bytes_of(&[-high]));
    let model = network(13, &[("a", FLOAT, &[4])], &[node("Where", &["c", "a", "b"], "y", &[])], &[mask, fill]);
    assert_eq!(answer(&model, &[&bytes_of(&a)]), bytes_of(&[1.0, -high, -high, f32::MAX]));
}

#[test]
fn a_clip_takes_bounds_that_are_computed() {
    let inputs: &[(&str, u8, &[u8])] = &[("x", FLOAT, &[1, 4]), ("low", FLOAT, &[]), ("high", FLOAT, &[1])];
    let [none, two] = [f32::MAX, 2.0].map(|number| constant("high", FLOAT, &[], &bytes_of(&[number])));
    let x = bytes_of(&[-3.0, 0.5, 1.5, 9.0]);
    let [low, high] = [[1.0], [2.5]].map(|list| bytes_of(&list));
    let clip = |inputs: &[(&str, u8, &[u8])], names: &[&str], constants: &[Vec<u8>]| {
        network(13, inputs, &[node("Clip", names, "y", &[])], constants)
    };
    let both = clip(inputs, &["x", "low", "high"], &[]);
    assert_eq!(answer(&both, &[&x, &low, &high]), bytes_of(&[1.0, 1.0, 1.5, 2.5]));
    let below = clip(&inputs[..2], &["x", "low"], &[]);
    assert_eq!(answer(&below, &[&x, &low]), bytes_of(&[1.0, 1.0, 1.5, 9.0]));
    let above = clip(&[inputs[0], inputs[2]], &["x", "", "high"], &[]);
    assert_eq!(answer(&above, &[&x, &high]), bytes_of(&[-3.0, 0.5, 1.5, 2.5]));
    let mixed = clip(&inputs[..2], &["x", "low", "high"], &[two]);
    assert_eq!(answer(&mixed, &[&x, &low]), bytes_of(&[1.0, 1.0, 1.5, 2.0]));
    let unbounded = clip(&inputs[..2], &["x", "low", "high"], &[none]);
    assert_eq!(answer(&unbounded, &[&x, &low]), bytes_of(&[1.0, 1.0, 1.5, 9.0]));
    let wide = clip(&[("x", FLOAT, &[1, 4]), ("low", FLOAT, &[2])], &["x", "low"], &[]);
    assert!(error(&wide).contains("its min is not one number"), "{}", error(&wide));
}

#[test]
fn float64_is_computed_in_float32_with_a_note_and_refused_out_of_its_range() {
    let add = |number: f64| {
        let constant = constant("w", DOUBLE, &[1], &number.to_le_bytes());
        network(13, &[("x", DOUBLE, &[2])], &[node("Add", &["x", "w"], "y", &[])], &[constant])
    };
    assert_eq!(answer(&add(0.5), &[&bytes_of(&[1.0, 2.0])]), bytes_of(&[1.5, 2.5]));
    assert_eq!(compile("exact", &add(0.5)).report.notes.len(), 1);
    let notes = compile("rounded", &add(0.1)).report.notes;
    assert_eq!(notes[1], "1 float64 constants are rounded to float32");
    assert!(error(&add(1e300)).contains("the constant `w` holds 1e300, which float32 does not"));
}

#[test]
fn pieces_at_constant_places_are_put_together() {
    let list = |list: &[i64]| -> Vec<u8> { list.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let x = bytes_of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let run = |op: &str, inputs: &[&str], attributes: &[Vec<u8>], constants: &[Vec<u8>]| {
        answer(&model(16, &[2, 3], &[node(op, inputs, "y", attributes)], constants), &[&x])
    };
    let indices = constant("i", INT64, &[2, 2], &list(&[2, 0, -1, 1]));
    assert_eq!(run("GatherElements", &["x", "i"], &[int("axis", 1)], &[indices]), bytes_of(&[3.0, 1.0, 6.0, 5.0]));
    let indices = constant("i", INT64, &[2, 1], &list(&[1, 0]));
    assert_eq!(run("GatherND", &["x", "i"], &[], &[indices]), bytes_of(&[4.0, 5.0, 6.0, 1.0, 2.0, 3.0]));
    let (indices, updates) =
        (constant("i", INT64, &[1, 2], &list(&[0, 2])), constant("u", FLOAT, &[2], &bytes_of(&[9.0, 8.0])));
    let scattered =
        run("ScatterND", &["x", "i", "u"], &[], &[constant("i", INT64, &[2, 2], &list(&[0, 1, 1, 2])), updates]);
    assert_eq!(scattered, bytes_of(&[1.0, 9.0, 3.0, 4.0, 5.0, 8.0]));
    let updates = constant("u", FLOAT, &[1, 2], &bytes_of(&[9.0, 8.0]));
    let scattered = run("ScatterElements", &["x", "i", "u"], &[int("axis", 1)], &[indices, updates]);
    assert_eq!(scattered, bytes_of(&[9.0, 2.0, 8.0, 4.0, 5.0, 6.0]));
    assert_eq!(run("Trilu", &["x"], &[int("upper", 0)], &[]), bytes_of(&[1.0, 0.0, 0.0, 4.0, 5.0, 0.0]));
    let axis = constant("a", INT64, &[1], &list(&[1]));
    assert_eq!(run("CumSum", &["x", "a"], &[], &[axis]), bytes_of(&[1.0, 3.0, 6.0, 4.0, 9.0, 15.0]));
    // Hostile indices end in an error.
    for hostile in [&[3i64, 0][..], &[i64::MAX, 0], &[i64::MIN, 0], &[-4, 0]] {
        let indices = constant("i", INT64, &[1, 2], &list(hostile));
        for (op, inputs) in [("GatherElements", &["x", "i"][..]), ("GatherND", &["x", "i"])] {
            let model = model(16, &[2, 3], &[node(op, inputs, "y", &[int("axis", 1)])], std::slice::from_ref(&indices));
            assert!(error(&model).contains("not inside its input"), "{op} {hostile:?}");
        }
    }
}

/// Returns the little-endian bytes of int32 numbers.
fn bytes_of_ints(list: &[i32]) -> Vec<u8> {
    list.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn indices_of_extremes_follow_the_axis_however_the_tensor_is_stored() {
    let x = bytes_of(&[1.0, 5.0, 5.0, -2.0, f32::NAN, -2.0]);
    let run = |nodes: &[Vec<u8>]| answer(&model(13, &[2, 3], nodes, &[]), &[&x]);
    let index = |op: &str, input: &str, axis: u8, keep: u8, last: u8| {
        node(op, &[input], "y", &[int("axis", axis), int("keepdims", keep), int("select_last_index", last)])
    };
    assert_eq!(run(&[index("ArgMax", "x", 1, 1, 0)]), bytes_of_ints(&[1, 0]));
    assert_eq!(run(&[index("ArgMax", "x", 1, 0, 1)]), bytes_of_ints(&[2, 2]));
    assert_eq!(run(&[index("ArgMin", "x", 1, 0, 0)]), bytes_of_ints(&[0, 0]));
    assert_eq!(run(&[index("ArgMin", "x", 0, 0, 0)]), bytes_of_ints(&[1, 0, 1]));
    // The transposed tensor is stored as the input is.
    let turned = node("Transpose", &["x"], "t", &[]);
    assert_eq!(run(&[turned, index("ArgMax", "t", 0, 0, 0)]), bytes_of_ints(&[1, 0]));
    // Indices of int64 are int32, also after a conversion.
    let cast = [node("ArgMax", &["x"], "i", &[int("axis", 1)]), node("Cast", &["i"], "y", &[int("to", INT64)])];
    assert_eq!(run(&cast), bytes_of_ints(&[1, 0]));
    let text = error(&model(13, &[2, 3], &[index("ArgMax", "x", 2, 1, 0)], &[]));
    assert!(text.contains("its axis 2 is none of 2 dimensions"), "{text}");
}

#[test]
fn the_largest_and_smallest_along_an_axis_are_found() {
    let x = bytes_of(&[1.0, 5.0, 5.0, -2.0, 4.0, 9.0]);
    let run = |axis: u8, largest: u8, count: i64| {
        let top = node("TopK", &["x", "k"], "y", &[int("axis", axis), int("largest", largest)]);
        model(13, &[2, 3], &[top], &[constant("k", INT64, &[1], &count.to_le_bytes())])
    };
    let values = |axis, largest, count| answer(&run(axis, largest, count), &[&x]);
    assert_eq!(values(1, 1, 2), bytes_of(&[5.0, 5.0, 9.0, 4.0]));
    assert_eq!(values(1, 0, 2), bytes_of(&[1.0, 5.0, -2.0, 4.0]));
    assert_eq!(values(0, 1, 1), bytes_of(&[1.0, 5.0, 9.0]));
    for count in [0, 4, -1, i64::MAX] {
        let text = error(&run(1, 1, count));
        assert!(text.contains("its number of elements is none of 1 to 3"), "{count}: {text}");
    }
}

#[test]
fn the_index_of_the_largest_code_is_that_of_the_largest_value() {
    let constants = [floats("s", &[], &[0.5]), constant("z", U8, &[], &[7])];
    let nodes = [
        node("QuantizeLinear", &["x", "s", "z"], "q", &[]),
        node("DequantizeLinear", &["q", "s", "z"], "d", &[]),
        node("ArgMax", &["d"], "y", &[int("axis", 1), int("keepdims", 0)]),
    ];
    let model = model(13, &[2, 3], &nodes, &constants);
    let compiled = compile("codes", &model);
    let file = Model::parse(&compiled.bytes).unwrap();
    let names: Vec<&str> = (0..file.op_count()).map(|at| file.op(at).operator.code().name()).collect();
    assert_eq!(names.last(), Some(&"ArgMinMax"), "{names:?}");
    // 1.9 and 2.1 have one code.
    assert_eq!(answer(&model, &[&bytes_of(&[1.9, 2.1, -1.0, 0.0, 0.5, 3.0])]), bytes_of_ints(&[0, 2]));
}

#[test]
fn remainders_have_the_sign_of_the_divisor_or_of_the_dividend() {
    let x = [-4.5f32, 7.0, 5.25, 4.5, -7.0, 8.0];
    let by = [2.0f32, -3.5, 8.0, -2.0, 3.0, 5.0];
    let run = |fmod: u8| {
        let node = node("Mod", &["x", "by"], "y", &[int("fmod", fmod)]);
        answer(&model(13, &[6], &[node], &[floats("by", &[6], &by)]), &[&bytes_of(&x)])
    };
    assert_eq!(run(1), bytes_of(&[-0.5, 0.0, 5.25, 0.5, -1.0, 3.0]));
    assert_eq!(run(0), bytes_of(&[1.5, 0.0, 5.25, -1.5, 2.0, 3.0]));
}

#[test]
fn old_versions_are_read_where_operators_have_not_changed() {
    let relu = model(1, &[1, 2], &[node("Relu", &["x"], "y", &[])], &[]);
    assert_eq!(answer(&relu, &[&bytes_of(&[-1.0, 1.0])]), bytes_of(&[0.0, 1.0]));
    let dropout = model(6, &[1, 2], &[node("Dropout", &["x"], "y", &[])], &[]);
    assert!(error(&dropout).contains("accepted: version 7 of ONNX's operators or later, not 6"));
}

#[test]
fn external_data_are_read_inside_the_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("model");
    std::fs::create_dir(&inside).unwrap();
    let bytes: Vec<u8> = [2.0f32, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(inside.join("w.bin"), &bytes).unwrap();
    std::fs::write(folder.path().join("secret"), &bytes).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    let with = |location: &str, folder: Option<&std::path::Path>| {
        let model = model(13, &[1, 2], &[node("Mul", &["x", "w"], "y", &[])], &[external(location)]);
        compile_onnx(&model, &Options { folder: folder.map(Into::into), ..Options::default() })
    };
    assert!(with("w.bin", Some(&inside)).is_ok());
    assert!(with("w.bin", None).unwrap_err().to_string().contains("give the path of its file"));
    let absolute = inside.join("w.bin").display().to_string();
    for location in [
        "../secret",
        "./../secret",
        &absolute,
        "",
        "missing",
        #[cfg(unix)]
        "link",
    ] {
        let text = with(location, Some(&inside)).unwrap_err().to_string();
        assert!(text.contains("the constant `w`"), "{location}: {text}");
    }
}

#[test]
fn a_calibrated_network_is_int8_and_near_the_float_one() {
    let (_, model, inputs, outputs) = cases().into_iter().find(|case| case.0 == "convolutional").unwrap();
    let network = import_float(&model, &Options::default()).unwrap();
    let shape: Vec<usize> = network.tensors[network.inputs[0]].shape.iter().map(|&dim| dim as usize).collect();
    let sample = laid_out(&inputs[0], &shape);
    let samples: Vec<Vec<f32>> =
        (0..8).map(|k| (0..sample.len()).map(|i| sample[(i * (k + 1) + k) % sample.len()]).collect()).collect();
    let samples: Vec<Vec<f32>> = samples.into_iter().chain([sample]).collect();
    let quantize = Quantize { float_io: true, ..Quantize::default() };
    let (compiled, report) = compile_float(&network, &samples, &quantize, &model, &Options::default()).unwrap();
    let (found, wanted) = run(&compiled.bytes, &inputs, &outputs).swap_remove(0);
    let apart = found.iter().zip(&wanted).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart < 0.03, "{found:?} instead of {wanted:?}");
    assert!(report.agreement.is_some_and(|share| share > 0.8), "{:?}", report.agreement);
    let plain = compile("convolutional", &model);
    assert!(compiled.report.weights_bytes * 2 < plain.report.weights_bytes, "the weights are not int8");
}

#[test]
fn scales_and_zero_points_that_are_none_are_refused() {
    let quantize = |scale: Vec<u8>, zero_point: Vec<u8>| {
        let nodes = [
            node("QuantizeLinear", &["x", "scale", "zero"], "q", &[]),
            node("DequantizeLinear", &["q", "scale", "zero"], "y", &[]),
        ];
        model(13, &[1, 4], &nodes, &[scale, zero_point])
    };
    let zero = || constant("zero", I8, &[], &[0]);
    let scale = |scale: f32| floats("scale", &[], &[scale]);
    assert!(compile_onnx(&quantize(scale(0.5), zero()), &Options::default()).is_ok());
    for (value, part) in [
        (0.0, "the scale `scale` is 0"),
        (f32::NAN, "a scale in `scale` is NaN"),
        (-0.5, "a scale in `scale` is -0.5"),
        (f32::INFINITY, "a scale in `scale` is inf"),
    ] {
        let text = error(&quantize(scale(value), zero()));
        assert!(text.contains(part) && text.contains("node 0 (QuantizeLinear)"), "{text}");
    }
    assert!(error(&quantize(scale(1e30), zero())).contains("accepted: 0 to 2^32"));
    let text = error(&quantize(floats("scale", &[2], &[0.5, 0.25]), zero()));
    assert!(text.contains("one scale and zero point for activations"), "{text}");
    let text = error(&quantize(scale(0.5), constant("zero", 5, &[], &[0, 0])));
    assert!(text.contains("int8 and uint8, not int16"), "{text}");
    let text = error(&quantize(floats("scale", &[0], &[]), zero()));
    assert!(text.contains("`scale` has no scale"), "{text}");
}

#[test]
fn quantized_operators_with_wrong_operands_are_refused() {
    let x = || node("QuantizeLinear", &["x", "s", "z"], "q", &[]);
    let constants = || {
        [
            floats("s", &[], &[0.5]),
            constant("z", U8, &[], &[7]),
            constant("other", I8, &[], &[7]),
            constant("w", I8, &[4, 2], &[1; 8]),
            floats("three", &[3], &[0.5; 3]),
            constant("zeros", I8, &[3], &[0; 3]),
            floats("minus", &[2], &[0.5, -1.0]),
        ]
    };
    let refused = |nodes: &[Vec<u8>]| error(&model(13, &[1, 4], nodes, &constants()));
    let text = refused(&[x(), node("DequantizeLinear", &["q", "s", "other"], "y", &[])]);
    assert!(text.contains("`q` is uint8, but its zero point int8"), "{text}");
    let text = refused(&[x(), node("QLinearMatMul", &["q", "s", "z", "w", "three", "zeros", "s", "z"], "y", &[])]);
    assert!(text.contains("3 scales and 3 zero points for 2 indices along dimension 1"), "{text}");
    let text = refused(&[x(), node("QLinearMatMul", &["q", "s", "z", "w", "minus", "", "s", "z"], "y", &[])]);
    assert!(text.contains("a scale in `minus` is -1"), "{text}");
    let text = refused(&[x(), node("QLinearConv", &["q", "s", "z", "w"], "y", &[])]);
    assert!(text.contains("node 1 (QLinearConv)") && text.contains("is missing"), "{text}");
    let text = refused(&[x(), node("MatMulInteger", &["q", "w"], "y", &[])]);
    assert!(text.contains("the codes of a DynamicQuantizeLinear"), "{text}");
    let text = refused(&[node("DynamicQuantizeLinear", &["x"], "y", &[])]);
    assert!(text.contains("dynamic quantization"), "{text}");
    let text = refused(&[node("DynamicQuantizeLinear", &["x"], "q", &[]), node("Relu", &["q"], "y", &[])]);
    assert!(text.contains("after a DynamicQuantizeLinear"), "{text}");
}

#[test]
fn recurrent_layers_with_wrong_operands_are_refused() {
    let (w, r) = (|| floats("w", &[1, 8, 3], &[0.5; 24]), || floats("r", &[1, 8, 2], &[0.5; 16]));
    let with = |inputs: &[&str], attributes: &[Vec<u8>]| {
        model(13, &[5, 1, 3], &[node("LSTM", inputs, "y", attributes)], &[w(), r(), floats("b", &[1, 8], &[0.0; 8])])
    };
    let text = |name: &str, value: &str| [field(1, name.as_bytes()), field(4, value.as_bytes())].concat();
    let function = |name: &str| [field(1, b"activations"), field(9, name.as_bytes())].concat();
    assert!(compile_onnx(&with(&["x", "w", "r"], &[]), &Options::default()).is_ok());
    for (inputs, attributes, part) in [
        (&["x"][..], vec![], "input 1 is missing"),
        (&["x", "r", "w"], vec![], "do not fit an input [5, 1, 3]"),
        (&["x", "w", "x"], vec![], "a constant for input 2"),
        (&["x", "w", "r", "b"], vec![], "input 3 has the shape [1, 8] instead of [1, 16]"),
        (&["x", "w", "r", "", "", "b"], vec![], "input 5 is [1, 8]"),
        (&["x", "w", "r"], vec![text("direction", "up")], "its direction is `up`"),
        (&["x", "w", "r"], vec![function("Sine")], "1 activations instead of 3"),
        (&["x", "w", "r"], vec![[field(1, b"activations"), field(9, b"Sine").repeat(3)].concat()], "not `Sine`"),
        (&["x", "w", "r"], vec![[field(1, b"clip"), vec![0x15, 0, 0, 0x80, 0x3f]].concat()], "no clip"),
    ] {
        let error = error(&with(inputs, &attributes));
        assert!(error.contains(part) && error.contains("node 0 (LSTM)"), "`{part}` is not in: {error}");
    }
    // Unrolled steps take memory.
    let names: Vec<String> = (0..10).map(|k| format!("y{k}")).collect();
    let mut nodes: Vec<_> = names.iter().map(|name| node("LSTM", &["x", "w", "r"], name, &[])).collect();
    nodes.push(node("Sum", &names.iter().map(String::as_str).collect::<Vec<_>>(), "y", &[]));
    let long = error(&model(13, &[120, 1, 3], &nodes, &[w(), r()]));
    assert!(long.contains("1024 steps in all") && long.contains("not 1080"), "{long}");
}

#[test]
fn damaged_and_cut_off_files_end_in_a_result() {
    let seed: u64 = std::env::var("TEALIGHT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let rounds: usize = std::env::var("TEALIGHT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    println!("seed {seed}");
    let mut random = Rng(seed);
    let (mut taken, mut refused) = (0usize, 0usize);
    let mut check = |bytes: &[u8]| match compile_onnx(bytes, &Options::default()) {
        Ok(_) => taken += 1,
        Err(CompileError::Internal(what)) => panic!("{what}"),
        Err(_) => refused += 1,
    };
    // Unrolled networks take long to plan.
    let few = |name: &str| ["lstm", "gru", "rnn"].contains(&name);
    let quantized = quantized_cases().into_iter().map(|case| (case.1, rounds / 20, 301));
    for (model, rounds, step) in
        cases().into_iter().map(|case| (case.1, if few(&case.0) { rounds / 10 } else { rounds }, 11)).chain(quantized)
    {
        for len in (0..model.len()).step_by(if rounds > 1000 { 1 } else { step }) {
            check(&model[..len]);
        }
        for _ in 0..rounds {
            let mut bytes = model.clone();
            for _ in 0..1 + random.index(4) {
                let at = random.index(bytes.len());
                bytes[at] = match random.index(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => bytes[at] ^ (1 << random.index(8)),
                    _ => random.index(256) as u8,
                };
            }
            check(&bytes);
        }
    }
    // Every byte of a short file.
    let short = model(13, &[1, 2], &[node("Relu", &["x"], "y", &[])], &[]);
    for len in 0..short.len() {
        check(&short[..len]);
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0);
}

#[test]
fn a_small_file_takes_little_memory() {
    let tile = |count: u8| {
        let shape = [
            number(1, 2),
            number(2, 7),
            field(8, b"s"),
            field(9, &[[0xff, 0xff, 0xff, count], [0; 4]].concat().repeat(2)),
        ];
        model(
            13,
            &[1, 4],
            &[node("ConstantOfShape", &["s"], "c", &[]), node("Add", &["x", "c"], "y", &[])],
            &[shape.concat()],
        )
    };
    let nodes = model(13, &[1, 4], &[[0x0a, 0].repeat(1 << 20)], &[]);
    PEAK.reset_peak_usage();
    let before = PEAK.current_usage();
    for file in [tile(1), tile(0x7f), nodes] {
        error(&file);
    }
    let used = PEAK.peak_usage() - before;
    assert!(used < 256 << 20, "{used} bytes");
}
