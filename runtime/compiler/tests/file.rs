//! The content of the written file besides the plan.
#![allow(clippy::unwrap_used)]

use safetensors::SafeTensors;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::F32;
use tealight_compiler::{Options, compile_tflite, compile_tflite_with, write_file};
use tealight_format::ops::{BinaryF32, FullyConnectedF32, UnaryF32, UnaryFunction};
use tealight_format::{MAX_HEADER, MAX_LIVE, Model, Operator};

const RELU: &[u8] = include_bytes!("relu.tflite");

#[test]
fn the_file_names_its_model_labels_front_end_and_source() {
    let options = Options {
        name: Some("a \"quoted\" name".into()),
        labels: vec!["yes".into(), "n\\o".into()],
        front_end: Some("ears 1".into()),
        ..Options::default()
    };
    let compiled = compile_tflite(RELU, &options).unwrap();
    let (_, header) = SafeTensors::read_metadata(&compiled.bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!(metadata["format"], "tealight");
    assert_eq!(metadata["version"], tealight_format::FORMAT_VERSION.to_string());
    assert_eq!(metadata["name"], "a \"quoted\" name");
    let labels: Vec<String> = serde_json::from_str(&metadata["labels"]).unwrap();
    assert_eq!(labels, ["yes", "n\\o"]);
    assert_eq!(metadata["front_end"], "ears 1");
    assert_eq!(metadata["source_sha256"].len(), 64);
    assert!(serde_json::from_str::<Vec<String>>(&metadata["inputs"]).unwrap().len() == 1);
}

#[test]
fn every_tensor_lies_on_a_multiple_of_16() {
    let compiled = compile_tflite(RELU, &Options::default()).unwrap();
    let (len, header) = SafeTensors::read_metadata(&compiled.bytes).unwrap();
    assert!(!header.metadata().as_ref().unwrap().contains_key("front_end"));
    assert_eq!((len + 8) % 16, 0);
    for info in header.tensors().values() {
        assert_eq!((info.data_offsets.0 % 16, info.data_offsets.1 % 16), (0, 0));
    }
}

#[test]
fn constants_are_stored_in_the_order_of_their_names() {
    let mut b = Builder::new();
    let x = b.input("x", F32, &[1, 2]);
    let product = Operator::FullyConnectedF32(FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] });
    let mut y = x;
    for (name, weight) in [("z", 1.0), ("a", 2.0), ("m", 3.0), ("a", 4.0)] {
        let w = b.floats(name, &[2, 2], &[weight; 4]);
        y = b.op(name, product, [Some(y), Some(w), None], F32, &[1, 2]);
    }
    b.output(y);
    let compiled = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap();
    let model = Model::parse(&compiled.bytes).unwrap();
    assert!(model.constant_names().eq(["a", "a_2", "m", "z"]));
    // Each operator still reads its own constant.
    let weight = |op| {
        f32::from_le_bytes(*model.constant(&model.operands(&model.op(op)).inputs[1].unwrap()).first_chunk().unwrap())
    };
    assert_eq!([weight(0), weight(1), weight(2), weight(3)], [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn rejects_too_many_live_tensors_with_their_number() {
    let mut b = Builder::new();
    let x = b.input("x", F32, &[4]);
    for i in 0..MAX_LIVE {
        let abs = Operator::UnaryF32(UnaryF32 { function: UnaryFunction::Abs });
        let y = b.op(&format!("y{i}"), abs, [x], F32, &[4]);
        b.output(y);
    }
    // The last operator reads the input and writes the last output.
    let error = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap_err().to_string();
    assert!(error.contains(&format!("{} tensors are live at once", MAX_LIVE + 1)), "{error}");
    assert!(error.contains(&format!("holds up to {MAX_LIVE}: split the network into several models")), "{error}");
}

#[test]
fn runs_branches_one_after_another_if_too_many_would_be_live() {
    let mut b = Builder::new();
    let x = b.input("x", F32, &[4]);
    let abs = Operator::UnaryF32(UnaryF32 { function: UnaryFunction::Abs });
    let add = Operator::AddF32(BinaryF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] });
    let parts: Vec<_> = (0..MAX_LIVE).map(|i| b.op(&format!("y{i}"), abs, [x], F32, &[4])).collect();
    let sum = parts.into_iter().reduce(|sum, part| b.op("sum", add, [sum, part], F32, &[4])).unwrap();
    b.output(sum);
    let compiled = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap();
    assert_eq!(Model::parse(&compiled.bytes).unwrap().op_count(), 2 * MAX_LIVE - 1);
    assert!(compiled.report.arena_len < 100, "{}", compiled.report.arena_len);
}

#[test]
fn a_header_that_is_too_long_is_refused_with_its_length() {
    let labels = vec!["label".repeat(1000); MAX_HEADER as usize / 5000];
    let error = compile_tflite(RELU, &Options { labels, ..Options::default() }).unwrap_err().to_string();
    assert!(error.contains("names, labels and texts") && error.contains(&MAX_HEADER.to_string()), "{error}");
}

#[test]
fn the_observer_sees_the_graph_after_every_pass() {
    let mut seen = Vec::new();
    compile_tflite_with(RELU, &Options::default(), &mut |name, graph| seen.push((name.to_string(), graph.to_string())))
        .unwrap();
    assert_eq!(seen.first().unwrap().0, "import");
    assert_eq!(seen.last().unwrap().0, "order");
    assert!(seen[0].1.contains("= Relu(%0)"), "{}", seen[0].1);
    assert!(seen.last().unwrap().1.contains("= Lookup(%0, const "), "{}", seen.last().unwrap().1);
}

#[test]
fn a_file_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "old").unwrap();
    write_file(&path, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
