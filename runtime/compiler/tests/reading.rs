//! The parts of a `.tflite` file that are read, and the errors for those that are not supported.
#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use tealight_compiler::{CompileError, FileKind, InputValue, Numbers, Options, Site, compile_tflite, import_tflite};
use tealight_testing::tflite::{self as files, NONE, RELU};
use tflite::{BOOL, F32, Field, I8, I32, I64, Net, q};

fn error(net: &Net) -> String {
    compile_tflite(&net.bytes(), &Options::default()).unwrap_err().to_string()
}

/// The shape of an input, and its signature.
type Shape<'a> = (&'a [i32], &'a [i32]);

/// A RELU of each of these float inputs.
fn relu(inputs: &[Shape<'_>]) -> Net {
    let mut net = Net::default();
    let ids: Vec<i32> = inputs.iter().map(|(shape, _)| net.input(F32, shape, None)).collect();
    for (&id, (_, signature)) in ids.iter().zip(inputs) {
        net.tensors[id as usize].signature = signature.to_vec();
    }
    for (&id, (shape, _)) in ids.iter().zip(inputs) {
        let y = net.output(F32, shape, None);
        net.op(19, &[id], &[y], None);
    }
    net
}

#[test]
fn a_signature_like_the_shape_or_with_a_dynamic_batch_is_taken() {
    let cases: [&[Shape<'_>]; 4] = [
        &[(&[1, 4], &[])],
        &[(&[1, 4], &[1, 4])],
        &[(&[1, 4], &[-1, 4])],
        &[(&[1, 4], &[-1, 4]), (&[1, 2, 3], &[-1, 2, 3])],
    ];
    for inputs in cases {
        let compiled = compile_tflite(&relu(inputs).bytes(), &Options::default()).unwrap();
        let noted = compiled.report.notes.iter().any(|note| note.contains("the batch of `t0`"));
        assert_eq!(noted, inputs[0].1.contains(&-1), "{inputs:?}");
    }
}

#[test]
fn a_dynamic_dimension_of_an_input_is_refused_by_name() {
    let cases: [(&[Shape<'_>], &str); 7] = [
        (&[(&[1, 1], &[1, -1])], "dimension 1 of tensor `t0` [1, -1] is dynamic"),
        (&[(&[1, 1, 8], &[-1, -1, 8])], "dimension 1 of tensor `t0` [-1, -1, 8] is dynamic"),
        (&[(&[1], &[-1])], "dimension 0 of tensor `t0` [-1] is dynamic"),
        (&[(&[2, 4], &[-1, 4])], "dimension 0 of tensor `t0` [-1, 4] is dynamic"),
        // Only one of two inputs: the dimension may be a length.
        (&[(&[1, 4], &[1, 4]), (&[1, 8], &[-1, 8])], "dimension 0 of tensor `t1` [-1, 8] is dynamic"),
        (&[(&[1, 4], &[1, 5])], "input `t0` has the shape [1, 4], but its signature is [1, 5]"),
        (&[(&[1, -1], &[1, -1])], "dimension 1 of tensor `t0` [1, -1] is dynamic"),
    ];
    for (inputs, part) in cases {
        let error = error(&relu(inputs));
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

/// A file with two graphs: a RELU of two numbers, and of two tensors of three, one of which is returned as it is.
fn two_networks() -> files::File {
    let mut file = files::File::default();
    for (k, lengths) in [&[2][..], &[3, 3]].into_iter().enumerate() {
        for &length in lengths {
            let x = file.tensor(&format!("x:{k}"), files::F32, &[1, length], NONE);
            let y = file.tensor(&format!("y:{k}"), files::F32, &[1, length], NONE);
            file.node(RELU, &[x], &[y], None);
            file.inputs.push(x);
            file.outputs.push(y);
        }
        if k == 0 {
            file.end_graph();
        }
    }
    file
}

#[test]
fn a_signature_chooses_a_network_and_names_what_it_takes_and_returns() {
    let mut file = two_networks();
    file.signature("encode", 0, &[("image", 0)], &[("code", 1)]);
    // In another order than the graph's, with one output left out and one called twice.
    file.signature("decode", 1, &[("second", 2), ("first", 0)], &[("sum", 3), ("again", 3)]);
    let file = file.bytes();
    let with = |signature: Option<&str>| {
        let signature = signature.map(str::to_string);
        compile_tflite(&file, &Options { signature, ..Options::default() })
    };
    let interface = |signature| {
        let compiled = with(Some(signature)).unwrap();
        let model = tealight_format::Model::parse(&compiled.bytes).unwrap();
        // As they stand in the file: quotes are escaped.
        ["inputs", "outputs"].map(|key| model.metadata(key).unwrap().replace('\\', ""))
    };
    assert_eq!(interface("encode"), [r#"["image"]"#, r#"["code"]"#]);
    assert_eq!(interface("decode"), [r#"["first","second"]"#, r#"["sum"]"#]);
    let several = with(None).unwrap_err().to_string();
    assert!(several.contains("`encode`, `decode`; choose one (`tealight compile --signature NAME`)"), "{several}");
    let unknown = with(Some("train")).unwrap_err().to_string();
    assert_eq!(unknown, "the network has no signature `train`; it has `encode`, `decode`");
    // Names of the options are the signature's too.
    let options = |name: &str| Options {
        signature: Some("decode".into()),
        input_shapes: vec![(name.into(), vec![1, 3])],
        ..Options::default()
    };
    assert!(compile_tflite(&file, &options("second")).is_ok());
    let error = compile_tflite(&file, &options("x:1")).unwrap_err().to_string();
    assert_eq!(error, "the network has no input `x:1`; it has `first`, `second`");
}

#[test]
fn signatures_that_do_not_fit_their_graph_are_refused() {
    type Names<'a> = &'a [(&'a str, i32)];
    let cases: [(u32, Names<'_>, Names<'_>, &str); 6] = [
        (2, &[], &[], "a signature names graph 2 of 2"),
        (u32::MAX, &[], &[], "a signature names graph 4294967295 of 2"),
        (0, &[], &[("code", 1)], "the signature has no name for the input `x:0` float32[1, 2]"),
        (0, &[("image", 1)], &[("code", 1)], "input `image` is tensor 1, which is no input of its graph"),
        (0, &[("image", -1)], &[("code", 1)], "input `image` is tensor 4294967295, which is no input"),
        (0, &[("image", 0)], &[("code", 0)], "output `code` is tensor 0, which is no output of its graph"),
    ];
    for (graph, inputs, outputs, part) in cases {
        let mut file = two_networks();
        file.signature("encode", graph, inputs, outputs);
        let options = Options { signature: Some("encode".into()), ..Options::default() };
        let error = compile_tflite(&file.bytes(), &options).unwrap_err().to_string();
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
    // One signature, or several of one graph, need no choice.
    for keys in [&["a"][..], &["a", "b"]] {
        let mut file = two_networks();
        keys.iter().for_each(|key| file.signature(key, 0, &[("image", 0)], &[("code", 1)]));
        let compiled = compile_tflite(&file.bytes(), &Options::default()).unwrap();
        let model = tealight_format::Model::parse(&compiled.bytes).unwrap();
        assert!(model.metadata("inputs").unwrap().contains("x:0"));
    }
}

const NEG: i32 = 59;
const LESS: i32 = 58;
const IF: i32 = 118;
const WHILE: i32 = 119;

/// A file whose first graph returns what `node` makes of its input `x` of two numbers, and of the constant `first`.
fn branching(node: i32, options: (u8, &[i32]), kind: i8, first: &[u8]) -> files::File {
    let mut file = files::File::default();
    let first = file.buffer(first);
    let (x, y) = (file.tensor("x", F32, &[2], NONE), file.tensor("y", F32, &[2], NONE));
    let (first, last) = (file.tensor("first", kind, &[], first), file.tensor("last", kind, &[], NONE));
    file.inputs = vec![x];
    file.outputs = vec![y];
    let outputs = if node == IF { vec![y] } else { vec![last, y] };
    file.node(node, &[first, x], &outputs, Some(options));
    file.end_graph();
    file
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn a_branch_whose_condition_is_known_takes_the_place_of_its_node() {
    for (truth, expected) in [(1, [2.0, 0.0]), (0, [-2.0, 3.0])] {
        let mut file = branching(IF, (92, &[1, 2]), BOOL, &[truth]);
        for code in [RELU, NEG] {
            let (x, y) = (file.tensor("a", F32, &[2], NONE), file.tensor("b", F32, &[2], NONE));
            file.node(code, &[x], &[y], None);
            (file.inputs, file.outputs) = (vec![x], vec![y]);
            if code == RELU {
                file.end_graph();
            }
        }
        assert_eq!(tflite::run(&file.bytes(), &[&floats(&[2.0, -3.0])]).unwrap().concat(), floats(&expected));
    }
}

/// A file with a loop that doubles `x` as long as a number, which begins at 0 and grows by `step`, is below 3.
fn doubling(step: i32) -> Vec<u8> {
    let mut file = branching(WHILE, (93, &[1, 2]), I32, &[0; 4]);
    let (three, step) = (file.buffer(&3i32.to_le_bytes()), file.buffer(&step.to_le_bytes()));
    let names = |file: &mut files::File| (file.tensor("i", I32, &[], NONE), file.tensor("v", F32, &[2], NONE));
    let (i, x) = names(&mut file);
    let (three, below) = (file.tensor("three", I32, &[], three), file.tensor("below", BOOL, &[], NONE));
    file.node(LESS, &[i, three], &[below], None);
    (file.inputs, file.outputs) = (vec![i, x], vec![below]);
    file.end_graph();
    let (i, x) = names(&mut file);
    let (next, twice) = names(&mut file);
    let step = file.tensor("step", I32, &[], step);
    file.node(0, &[i, step], &[next], None);
    file.node(0, &[x, x], &[twice], None);
    (file.inputs, file.outputs) = (vec![i, x], vec![next, twice]);
    file.bytes()
}

#[test]
fn a_loop_whose_rounds_are_known_is_unrolled() {
    let x = floats(&[1.5, -2.0]);
    for (step, factor) in [(1, 8.0), (2, 4.0), (7, 2.0)] {
        let expected = floats(&[1.5 * factor, -2.0 * factor]);
        assert_eq!(tflite::run(&doubling(step), &[&x]).unwrap().concat(), expected, "{step}");
    }
    let endless = tflite::run(&doubling(0), &[&x]).unwrap_err().to_string();
    assert!(endless.contains("the branches of node 0 (WHILE)") && endless.contains("limit"), "{endless}");
}

#[test]
fn branches_that_are_not_known_or_not_there_are_refused() {
    let mut file = files::File::default();
    let (x, condition) = (file.tensor("x", F32, &[2], NONE), file.tensor("c", BOOL, &[], NONE));
    let y = file.tensor("y", F32, &[2], NONE);
    (file.inputs, file.outputs) = (vec![condition, x], vec![y]);
    file.node(IF, &[condition, x], &[y], Some((92, &[1, 1])));
    file.end_graph();
    let (a, b) = (file.tensor("a", F32, &[2], NONE), file.tensor("b", F32, &[2], NONE));
    file.node(RELU, &[a], &[b], None);
    (file.inputs, file.outputs) = (vec![a], vec![b]);
    let error = tflite::run(&file.bytes(), &[]).unwrap_err().to_string();
    assert!(error.contains("node 0 (IF) is not supported; accepted: a condition that is known"), "{error}");
    for (graphs, part) in [(&[9, 9][..], "it names graph 9, which is not there"), (&[0, 0], "it names graph 0")] {
        let error = tflite::run(&branching(IF, (92, graphs), BOOL, &[1]).bytes(), &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    // Other inputs than those of the graph.
    let error = tflite::run(&branching(IF, (92, &[1, 1]), BOOL, &[1]).bytes(), &[]).unwrap_err().to_string();
    assert!(error.contains("it has 1 inputs and 1 outputs, and a graph that it names has 0 and 0"), "{error}");
}

#[test]
fn given_shapes_and_values_hold_for_the_whole_network() {
    // Two convolution-free layers with a dynamic length, and a slice whose begin is an input.
    let mut net = Net::default();
    let x = net.input(F32, &[1, 1, 2], None);
    let begin = net.input(I32, &[3], None);
    let (y, z) = (net.tensor(F32, &[1, 1, 2], None), net.output(F32, &[1, 1, 2], None));
    for id in [x, y, z] {
        net.tensors[id as usize].signature = vec![1, -1, 2];
    }
    let size = net.ints(&[1, -1, 2]);
    net.op(19, &[x], &[y], None);
    net.op(65, &[y, begin, size], &[z], None);
    let file = net.bytes();
    let name = |id: i32| format!("t{id}");
    let value = InputValue { shape: None, numbers: Numbers::Integers(vec![0, 2, 0]) };
    let options = Options {
        input_shapes: vec![(name(x), vec![1, 5, 2])],
        input_values: vec![(name(begin), value)],
        ..Options::default()
    };
    let compiled = compile_tflite(&file, &options).unwrap();
    let model = tealight_format::Model::parse(&compiled.bytes).unwrap();
    let dims = |value: tealight_format::Value| value.shape.dims().to_vec();
    assert_eq!(model.inputs().map(|id| dims(model.value(id))).collect::<Vec<_>>(), [[1, 5, 2]]);
    assert_eq!(dims(model.output_value(0).unwrap()), [1, 3, 2]);
    // Cut before the slice, nothing needs the value.
    let cut = Options { outputs: vec![name(y)], input_values: options.input_values.clone(), ..options.clone() };
    let compiled = compile_tflite(&file, &cut).unwrap();
    let model = tealight_format::Model::parse(&compiled.bytes).unwrap();
    assert_eq!(dims(model.output_value(0).unwrap()), [1, 5, 2]);
    let error = |options: &Options| compile_tflite(&file, options).unwrap_err().to_string();
    let shape = |dims: &[u32]| Options { input_shapes: vec![(name(x), dims.to_vec())], ..options.clone() };
    assert!(error(&shape(&[1, 5, 3])).contains("it is [1, 5, 3], and the file states [1, ?, 2]"));
    assert!(error(&shape(&[1, u32::MAX, 2])).contains("more than 2^28 elements"));
    assert!(error(&shape(&[1, 0, 2])).contains("has no elements"));
    assert!(error(&shape(&[1, 1, 2])).contains("node 1 (SLICE): the shape of `t3` does not follow"));
    let unknown = Options { input_shapes: vec![("nothing".into(), vec![1])], ..options.clone() };
    assert_eq!(error(&unknown), format!("the network has no input `nothing`; it has `t{x}`, `t{begin}`"));
    let unknown = Options { outputs: vec!["nothing".into()], ..options.clone() };
    assert!(error(&unknown).contains("no computed tensor `nothing`; it has"));
    let without = error(&Options::default());
    assert!(without.contains("--input-shape"), "{without}");
}

#[test]
fn int64_and_bool_inputs_and_outputs_become_int32_and_bytes() {
    let mut net = Net::default();
    let indices = net.input(I64, &[2], None);
    let flags = net.input(BOOL, &[2, 3], None);
    let table: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let table = net.constant(F32, &[4, 3], None, &table);
    let (rows, limit) = (net.tensor(F32, &[2, 3], None), net.constant(F32, &[1], None, &4f32.to_le_bytes()));
    let (above, both) = (net.tensor(BOOL, &[2, 3], None), net.output(BOOL, &[2, 3], None));
    net.op(36, &[table, indices], &[rows], Some((23, &[])));
    net.op(61, &[rows, limit], &[above], None);
    net.op(86, &[above, flags], &[both], None);
    let compiled = compile_tflite(&net.bytes(), &Options::default()).unwrap();
    assert_eq!(compiled.report.notes.len(), 3, "{:?}", compiled.report.notes);
    let model = tealight_format::Model::parse(&compiled.bytes).unwrap();
    let dtypes: Vec<_> = model.inputs().map(|id| model.value(id).dtype).collect();
    assert!(dtypes[0].is(tealight_format::DType::I32) && dtypes[1].is(tealight_format::DType::U8));
    // Rows 3 and 1: 9, 10, 11 and 3, 4, 5, of which all but the first two of the last are above 4.
    let ids: Vec<u8> = [3i32, 1].iter().flat_map(|id| id.to_le_bytes()).collect();
    assert_eq!(net.run(&[&ids, &[1, 0, 255, 1, 1, 1]]).unwrap().concat(), [1, 0, 1, 0, 0, 1]);
}

#[test]
fn a_value_given_for_an_int64_input_is_int64() {
    let mut net = Net::default();
    let (x, target) = (net.input(F32, &[2, 3], None), net.input(I64, &[2], None));
    let y = net.output(F32, &[3, 2], None);
    net.op(22, &[x, target], &[y], None);
    let value = InputValue { shape: None, numbers: Numbers::Integers(vec![3, -1]) };
    let options = Options { input_values: vec![(format!("t{target}"), value)], ..Options::default() };
    assert!(compile_tflite(&net.bytes(), &options).unwrap().report.notes.is_empty());
}

#[test]
fn indices_outside_of_their_dimension_are_refused() {
    for (axis, index, part) in [(0, 4, "its index 4 is not inside a dimension of 4 elements"), (1, -1, "its index -1")]
    {
        let mut net = Net::default();
        let x = net.input(F32, &[4, 3], None);
        let (ids, y) = (net.ints(&[index]), net.output(F32, if axis == 0 { &[1, 3] } else { &[4, 1] }, None));
        net.op(36, &[x, ids], &[y], Some((23, &[(0, Field::Int(axis))])));
        assert!(error(&net).contains(part), "{}", error(&net));
    }
    // Computed indices need a constant table, and rows of it.
    let mut net = Net::default();
    let (x, ids) = (net.input(F32, &[4, 3], None), net.input(I32, &[1], None));
    let y = net.output(F32, &[1, 3], None);
    net.op(36, &[x, ids], &[y], Some((23, &[])));
    assert!(error(&net).contains("node 0 (GATHER) is not supported; accepted: constant indices"), "{}", error(&net));
}

#[test]
fn elements_are_repeated_as_often_as_there_must_be() {
    let mut net = Net::default();
    let x = net.input(I8, &[2, 1], q(0.5, 3));
    let (counts, y) = (net.ints(&[1, 200]), net.output(I8, &[2, 200], q(0.5, 3)));
    net.op(69, &[x, counts], &[y], None);
    let expected = [vec![7; 200], vec![9; 200]].concat();
    assert_eq!(net.run(&[&[7, 9]]).unwrap().concat(), expected);
    // A number that is computed fills a shape.
    let mut net = Net::default();
    let (dims, x) = (net.ints(&[3, 70]), net.input(F32, &[], None));
    let y = net.output(F32, &[3, 70], None);
    net.op(94, &[dims, x], &[y], None);
    assert_eq!(net.run(&[&2.5f32.to_le_bytes()]).unwrap().concat(), 2.5f32.to_le_bytes().repeat(210));
}

#[test]
fn shapes_that_follow_a_dynamic_flatten_are_worked_out() {
    let mut net = Net::default();
    let x = net.input(I8, &[1, 2, 3], q(0.5, 0));
    net.tensors[0].signature = vec![-1, 2, 3];
    let flat = net.tensor(I8, &[1, 1], q(0.5, 0));
    let y = net.output(I8, &[1, 1], q(0.5, 0));
    for id in [flat, y] {
        net.tensors[id as usize].signature = vec![-1, -1];
    }
    let target = net.ints(&[1, -1]);
    net.op(22, &[x, target], &[flat], None);
    net.op(19, &[flat], &[y], None);
    assert_eq!(net.run(&[&[1, 0xff, 3, 0xfe, 5, 6]]).unwrap().concat(), [1, 0, 3, 0, 5, 6]);
    // A shape that does not follow is no reason to go on.
    net.tensors[0].signature.clear();
    net.tensors[flat as usize].signature.clear();
    assert!(error(&net).contains("it makes `t1` int8[1, 1] from `t0` int8[1, 2, 3]"));
}

#[test]
fn accepts_tensors_without_elements() {
    // One part of a split is empty; it goes into a concatenation.
    let mut net = Net::default();
    let x = net.input(I8, &[2, 3], q(0.5, 0));
    let (sizes, axis) = (net.ints(&[0, 3]), net.ints(&[1]));
    let (none, all) = (net.tensor(I8, &[2, 0], q(0.5, 0)), net.tensor(I8, &[2, 3], q(0.5, 0)));
    net.op(102, &[x, sizes, axis], &[none, all], None);
    let (nothing, y) = (net.tensor(I8, &[2, 0], q(0.5, 0)), net.output(I8, &[2, 3], q(0.5, 0)));
    net.op(19, &[none], &[nothing], None);
    net.op(2, &[nothing, all], &[y], Some((10, &[(0, Field::Int(1))])));
    assert_eq!(net.run(&[&[1, 2, 3, 4, 5, 6]]).unwrap().concat(), [1, 2, 3, 4, 5, 6]);
    // As an output it is left out, with a note.
    net.outputs.insert(0, none);
    let compiled = compile_tflite(&net.bytes(), &Options::default()).unwrap();
    assert_eq!(compiled.report.notes, ["output `t3` int8[2, 0] has no elements, and is left out"]);
    net.outputs = vec![none];
    assert!(error(&net).contains("`t3` int8[2, 0] has no elements"));
}

#[test]
fn distinguishes_a_second_write_from_a_write_to_a_constant() {
    let mut net = relu(&[(&[4], &[])]);
    let y = net.outputs[0];
    net.op(19, &[0], &[y], None);
    assert!(error(&net).contains("node 1 (RELU): it writes `t1`, which is written before"));
    net.operators[1].outputs = vec![0];
    assert!(error(&net).contains("node 1 (RELU): it writes `t0`, which is an input"));
    let constant = net.constant(F32, &[1], None, &[0; 4]);
    net.operators[1].outputs = vec![constant];
    assert!(error(&net).contains("which is a constant"));
}

#[test]
fn everything_that_is_not_supported_is_listed_at_once() {
    let mut net = Net::default();
    let mut x = net.input(F32, &[1, 4], None);
    let (segment_sum, scatter_nd) = (125, 122);
    for code in [segment_sum, 19, segment_sum, scatter_nd, segment_sum, 47] {
        let y = net.tensor(F32, &[1, 4], None);
        net.op(code, &[x], &[y], None);
        x = y;
    }
    let int16 = net.input(tflite::I16, &[1, 4], q(0.5, 0));
    for _ in 0..2 {
        let y = net.output(tflite::I16, &[1, 4], q(0.5, 0));
        net.op(111, &[int16], &[y], None);
    }
    net.outputs.push(x);
    let error = compile_tflite(&net.bytes(), &Options::default()).unwrap_err();
    let CompileError::Unsupported(all) = &error else { panic!("{error}") };
    let found: Vec<_> = all.findings.iter().map(|finding| (finding.what.as_str(), finding.count)).collect();
    assert_eq!(found, [("SEGMENT_SUM", 3), ("SCATTER_ND", 1), ("ELU of int16 instead of int8", 2)]);
    assert_eq!(all.findings[1].first, Site::Node { node: 3, operator: "SCATTER_ND".into() });
    let words = error.to_string();
    assert!(
        words.starts_with(
            "6 nodes cannot be compiled: SEGMENT_SUM (3 times, first at node 0), SCATTER_ND (node 3), ELU of int16"
        ),
        "{words}"
    );
    assert!(words.split_once("accepted: ").unwrap().1.len() <= 2 * 120, "{words}");
}

#[test]
fn reports_a_wrong_shape_with_all_operands_and_their_names() {
    // Operator, shapes of inputs (float32), shape of the output, options.
    type Case<'a> = (i32, &'a [&'a [i32]], &'a [i32], Option<(u8, &'a [(u16, Field)])>);
    let concatenation = [(0, Field::Int(0))];
    let cases: [Case<'_>; 6] = [
        (0, &[&[1, 4], &[1, 3]], &[1, 4], None),
        (14, &[&[1, 4]], &[4, 1], None),
        (25, &[&[1, 4]], &[1, 5], Some((9, &[(0, Field::Float(1.0))]))),
        (2, &[&[1, 4], &[1, 5]], &[2, 4], Some((10, &concatenation))),
        (101, &[&[1, 4]], &[1, 6], None),
        (83, &[&[4], &[5]], &[2, 4], Some((59, &[(0, Field::Int(2))]))),
    ];
    for (code, inputs, output, options) in cases {
        let mut net = Net::default();
        let ids: Vec<i32> = inputs.iter().map(|shape| net.input(F32, shape, None)).collect();
        let y = net.output(F32, output, None);
        net.op(code, &ids, &[y], options);
        let error = error(&net);
        for (id, shape) in inputs.iter().chain([&output]).enumerate() {
            let part = format!("`t{id}` float32{shape:?}");
            assert!(error.contains(&part), "no `{part}` in: {error}");
        }
        for word in ["rule", "attribute", "operand", "F32", "Concat ", "Lookup"] {
            assert!(!error.contains(word), "`{word}` in: {error}");
        }
    }
}

#[test]
fn damage_is_reported_in_one_line() {
    let bytes = relu(&[(&[1, 4], &[1, 4])]).bytes();
    let mut seen = 0;
    for at in (8..bytes.len() - 4).step_by(4) {
        for word in [0u32, 2, 0x7fff_fff0, u32::MAX] {
            let mut damaged = bytes.clone();
            damaged[at..at + 4].copy_from_slice(&word.to_le_bytes());
            let Err(error) = import_tflite(&damaged) else { continue };
            let words = error.to_string();
            assert!(!words.contains('\n') && !words.contains("while verifying"), "{words}");
            assert!(!matches!(error, CompileError::Internal(_)), "{words}");
            seen += usize::from(matches!(error, CompileError::Corrupt(_)));
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn reports_the_kind_of_another_file_and_how_to_convert_it() {
    for (bytes, kind, way) in [
        (
            &b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0c\0\0\0net/data.pkl"[..],
            "a PyTorch file",
            "litert",
        ),
        (b"\x89HDF\r\n\x1a\n", "HDF5", "from_keras_model"),
        (b"\x08\x08\x12\x07pytorch:\x02\x0a\0", "an ONNX model", "tealight compile"),
        (b"GGUF\x03\0\0\0", "a GGUF file", "tealight compile"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture", ".tflite"),
    ] {
        let error = compile_tflite(bytes, &Options::default()).unwrap_err();
        assert!(matches!(error, CompileError::NotTflite(other) if other != FileKind::Unknown), "{error}");
        let words = error.to_string();
        assert!(words.contains(kind) && words.contains(way) && words.contains("not a TensorFlow Lite file"), "{words}");
    }
}
