//! What the written file holds beside the plan.
#![allow(clippy::unwrap_used)]

use safetensors::SafeTensors;
use tealight_compiler::{Options, compile_tflite, compile_tflite_with, write_file};

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
fn the_observer_sees_the_graph_after_every_pass() {
    let mut seen = Vec::new();
    compile_tflite_with(RELU, &Options::default(), &mut |name, graph| seen.push((name.to_string(), graph.to_string())))
        .unwrap();
    assert_eq!(seen.first().unwrap().0, "import");
    assert_eq!(seen.last().unwrap().0, "order");
    assert!(seen[0].1.contains("= RELU(%0)"), "{}", seen[0].1);
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
